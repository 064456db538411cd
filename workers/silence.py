"""A worker that lives and hears nothing ends itself: its supervisor starts another one.

Celery's consumer has stopped listening in more than one way: a ring that could not be acknowledged because the broker
was away stays counted as being worked on (`workers.app` switches that count off). This is for the ways not known yet.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from workers.errors import DoorbellUnreachableError

LOOK_SECONDS: Final = 5.0
PATIENCE: Final = 6  # looks in a row that find rings waiting and nobody working
SILENT: Final = 70  # the exit status of a worker that gave itself up: EX_SOFTWARE

log = structlog.get_logger(__name__)


class Silence:
    """Counts looks at which rings wait although this worker works on nothing."""

    def __init__(self, waiting: Callable[[], int], is_working: Callable[[], bool], patience: int = PATIENCE) -> None:
        self._waiting = waiting
        self._is_working = is_working
        self._patience = patience
        self._looks = 0

    def look(self) -> bool:
        """Whether it has lasted too long. A broker that does not answer says nothing about the worker."""
        try:
            deaf = not self._is_working() and self._waiting() > 0
        except DoorbellUnreachableError:
            deaf = False
        self._looks = self._looks + 1 if deaf else 0
        return self._looks >= self._patience


def watch(silence: Silence, *, seconds: float = LOOK_SECONDS, give_up: Callable[[int], object] = os._exit) -> None:
    """Look every few seconds, on a thread of its own, for as long as the process lives."""

    def run() -> None:
        while not silence.look():
            time.sleep(seconds)
        log.error("worker_silent")
        # No farewell: what would say it is what does not answer.
        give_up(SILENT)

    threading.Thread(target=run, name="silence", daemon=True).start()
