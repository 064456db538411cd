"""`python -m api.tether PARENT [NAME=VALUE...] -- COMMAND...`: becomes the command, and ends when its parent does.

The kernel sends the signal even if the parent was killed. Setting that up in a process of its own keeps Python code
out of the moment between fork and exec, where a thread of the parent may hold any lock. The values are visible to
whoever may list processes, so they are addresses and folders, never secrets.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
DROPPED = "PYTHONDONTWRITEBYTECODE"  # where it is set, every start would compile every module again


def tethered(command: Sequence[str], variables: Sequence[tuple[str, str]], parent: int) -> list[str]:
    """The command line that starts this command as a child of `parent`, with these variables beside the inherited."""
    pairs = [f"{name}={value}" for name, value in variables]
    return [sys.executable, "-m", "api.tether", str(parent), *pairs, "--", *command]


def main(arguments: Sequence[str]) -> None:
    """Tie this process to its parent, set its variables, become the command."""
    end = list(arguments).index("--")
    _end_with_parent(int(arguments[0]))
    os.unsetenv(DROPPED)
    for pair in arguments[1:end]:
        name, _, value = pair.partition("=")
        os.putenv(name, value)
    command = list(arguments[end + 1 :])
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def _end_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)  # it died before the kernel knew of us


if __name__ == "__main__":
    main(sys.argv[1:])
