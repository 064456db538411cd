"""A prepared interpreter that forks processes of the product: each costs milliseconds instead of all the imports.

What it forks is a function by its name, with an environment of its own, in a process group of its own. All of it ends
with whoever started the nursery.
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[3]
PRELOADED: Final = ("tests.support.faults.jobs",)
_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG
CRASHED: Final = 137
"""How a process ends that died at a crash point."""


class Nursery:
    """The prepared interpreter. Several threads may ask it for processes."""

    def __init__(self) -> None:
        given = {name: value for name, value in os.environ.items() if not name.startswith("THREADWISE_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.nursery"],
            cwd=ROOT,
            env=given | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._asking = threading.Lock()
        self.ask({"ready": True})

    def start(self, job: Callable[..., object], *arguments: object, log: Path, variables: Mapping[str, str]) -> "Grown":
        """A new process that does this job, a function of a module, with arguments that JSON can carry."""
        log.touch()
        name = f"{job.__module__}:{job.__qualname__}"
        asked = {"job": name, "arguments": arguments, "variables": dict(variables), "log": str(log)}
        return Grown(pid=int(self.ask(asked)["pid"]), log=log, nursery=self)

    def ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        """One request, one reply."""
        with self._asking:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            reply: dict[str, Any] = json.loads(self._process.stdout.readline())
        return reply

    def close(self) -> None:
        """End it and everything that it has forked."""
        self._process.communicate()


@dataclass(slots=True)
class Grown:
    """A process of the nursery's."""

    pid: int
    log: Path
    nursery: Nursery
    _status: int | None = None

    def status(self) -> int | None:
        """How it ended: its exit status, the negative number of a signal, None while it runs."""
        if self._status is None:
            self._status = self.nursery.ask({"wait": self.pid})["status"]
        return self._status

    def wait(self, seconds: float = 60.0) -> int:
        """How it ended; fails when it has not within so many seconds."""
        deadline = time.monotonic() + seconds
        while (status := self.status()) is None:
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"still running after {seconds} s:\n{self.text[-3000:]}")
            time.sleep(0.01)
        return status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """A signal for it and its children; SIGKILL waits until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        if number == signal.SIGKILL:
            self.wait()

    def children(self) -> list[int]:
        """The processes it has forked itself."""
        with contextlib.suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")


def main() -> None:
    """Fork on request, until nobody asks any more."""
    for name in PRELOADED:
        importlib.import_module(name)
    mine: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_answered(request, mine)), flush=True)
    for pid in mine:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _answered(request: dict[str, Any], mine: set[int]) -> Mapping[str, int | None]:
    if "job" in request:
        return _forked(request, mine)
    return _waited(request["wait"], mine) if "wait" in request else {}


def _waited(pid: int, mine: set[int]) -> dict[str, int | None]:
    found, status = os.waitpid(pid, os.WNOHANG)
    if not found:
        return {"status": None}
    mine.discard(pid)
    return {"status": os.waitstatus_to_exitcode(status)}


def _forked(request: dict[str, Any], mine: set[int]) -> dict[str, int]:
    pid = os.fork()
    if not pid:
        _become(request)
    mine.add(pid)
    # Set on both sides: whoever kills the group must not come before it is one.
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    return {"pid": pid}


def _become(request: dict[str, Any]) -> None:
    """Do the job in this process, and end it."""
    status = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number, place in ((os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)):
            os.dup2(number, place)
        os.environ.update(request["variables"])
        from core import crashpoints  # noqa: PLC0415 - read anew: what was imported before knows no place to die

        importlib.reload(crashpoints)
        module, _, name = request["job"].partition(":")
        getattr(importlib.import_module(module), name)(*request["arguments"])
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - the process ends here, and its log says why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
