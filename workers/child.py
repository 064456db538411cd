"""What one process of the worker's pool keeps: the opened installation, and whether it has been told to stop."""

import mmap
import os
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog

from core.errors import ThreadwiseError
from ingest.lanes import ABANDONED
from threadwise.runtime import Threadwise

STUCK = 71
"""The exit status of a worker that gave itself up because a document never came to an end."""

_NUMBER = struct.Struct("q")

log = structlog.get_logger(__name__)


class StopFlag:
    """One byte that a process shares with the children it forks: no lock that a killed child could keep."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Tell everybody, once and for all. Safe inside a signal handler."""
        self._shared[0] = 1

    def is_set(self) -> bool:
        """Whether somebody has."""
        return self._shared[0] == 1


class AtWork:
    """The number of the process that works on a run, 0 for none, known to the parent of the pool.

    A child that was killed at work does not take it back; it is not alive, and so not at work.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _NUMBER.size)

    @contextmanager
    def marked(self) -> Iterator[None]:
        """This process works as long as the block lasts."""
        self._put(os.getpid())
        try:
            yield
        finally:
            self._put(0)

    def anybody(self) -> bool:
        """Whether a living process works."""
        (pid,) = _NUMBER.unpack(self._shared[:])
        return pid != 0 and Path(f"/proc/{pid}").exists()

    def _put(self, number: int) -> None:
        self._shared[:] = _NUMBER.pack(number)


def work_all(threadwise: Threadwise, stop: Callable[[], bool]) -> int:
    """Work one run after the other until there is none to take or `stop` turns true; returns how many there were.

    A process with a thread that no document's preparation ever ended ends itself: it would only get slower.
    """
    worked = 0
    while not stop() and (run_id := threadwise.runs.work_next(stop)) is not None:
        worked += 1
        log.info("run_worked", run=run_id)
        if any(thread.name == ABANDONED for thread in threading.enumerate()):
            log.warning("worker_has_stuck_threads")
            os._exit(STUCK)
    return worked


class Child:
    """Works one run at a time. The installation is opened by the first ring, so that no connection crosses a fork."""

    def __init__(self, open_installation: Callable[[], Threadwise], stop: StopFlag, at_work: AtWork) -> None:
        self._open_installation = open_installation
        self._stop = stop
        self._at_work = at_work
        self._opened: Threadwise | None = None
        self._told = False

    def work(self, run_id: str) -> None:
        """Answer a ring, in the main thread of a process: work whichever runs are next until there are none.

        What fails is left to the sweeper, with a fresh installation where trying again can help.
        """
        with self._at_work.marked(), self._listening():
            try:
                self._opened = self._opened or self._open_installation()
                work_all(self._opened, self.is_stopping)
            except ThreadwiseError as error:
                log.warning("run_not_worked", rung=run_id, code=error.code)
                if error.retryable:
                    self.close()

    def is_stopping(self) -> bool:
        """Whether the run at hand is to be given back: the worker stops, or this process alone was asked to."""
        return self._told or self._stop.is_set()

    def close(self) -> None:
        """Close the installation, if it was opened."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Who stops a whole group of processes stops the child too, which would die with its run in hand."""
        self._told = False
        before = signal.signal(signal.SIGTERM, self._hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._told = True
