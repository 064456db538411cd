"""Named places at which a test can let the process die, as if it had been killed there. In ordinary life: nothing.

`THREADWISE_CRASH_AT=commit.before` dies the first time that place is passed, `commit.before:3` the third time.
"""

import os
import threading

from core.settings import chosen_crash_point

_NAME, _, _TIMES = chosen_crash_point().partition(":")
_LEFT = [int(_TIMES or 1)]
_COUNTING = threading.Lock()
KILLED = 137
"""The exit status of a process that SIGKILL ended."""


def crashpoint(name: str) -> None:
    """End this process here, without any farewell, if this place was chosen."""
    if name != _NAME:
        return
    with _COUNTING:
        _LEFT[0] -= 1
        if _LEFT[0] == 0:
            os._exit(KILLED)
