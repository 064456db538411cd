"""What has to be done again and again beside the runs: free them, ring for them, start scheduled ones, end pauses.

Everything is one short transaction, so it may be killed anywhere, and two processes that do the same do no harm. How
long something has lasted is judged by this process's own monotonic clock.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from core.catalog import idempotency, overview, queue
from core.clock import Clock
from core.database import Database
from core.errors import StorageFullError
from core.room import require_room
from core.words import Instant
from ingest.stillness import Stillness

BUSY_SECONDS = 60.0
"""While rings wait at the broker its workers are busy, not deaf: then a run is rung for once in this time."""

LOOKS = 4
"""Looks within the time after which something is done: so late is it at most, beyond that time, by a part of it."""

LONGEST_PAUSE_SECONDS = 300.0
KEPT_MICROS = 86_400_000_000  # a day of sent rings stays, to look at
KEYS_KEPT_MICROS = 2 * KEPT_MICROS
FOREVER = float("inf")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Sweeper:
    """Rings for the next run of every source, where it could be taken and nobody has for `quiet_seconds`."""

    opened: Callable[[], Database]
    waiting: Callable[[], int]  # rings at the broker
    now: Clock
    quiet_seconds: float
    monotonic: Callable[[], float] = time.monotonic
    _stillness: Stillness[str] = field(default_factory=lambda: Stillness(FOREVER))
    _rung: Counter[str] = field(default_factory=Counter)

    def sweep(self) -> int:
        """Put rings into the outbox; returns how many. Raises what `waiting` raises."""
        quiet = max(self.quiet_seconds, BUSY_SECONDS) if self.waiting() else self.quiet_seconds
        with self.opened().read() as session:
            free = queue.free_runs(session)
        still = self._stillness.look({run: (tried, self._rung[run]) for run, tried in free.items()}, self.monotonic())
        forgotten = [run_id for run_id in free if still[run_id] >= quiet]
        if forgotten:
            with self.opened().write() as session:
                for run_id in forgotten:
                    queue.ring(session, run_id, self.now())
            log.info("rang_again", runs=len(forgotten))
        self._rung = Counter({run_id: self._rung[run_id] for run_id in free})
        self._rung.update(forgotten)
        return len(forgotten)


@dataclass(slots=True)
class Resumer:
    """Lets sources go on that a full disk or a lost dependency has paused: is it still so, they pause again."""

    opened: Callable[[], Database]
    now: Clock
    folder: Path
    min_free_mb: int
    pause_seconds: float
    monotonic: Callable[[], float] = time.monotonic
    _stillness: Stillness[int] = field(default_factory=lambda: Stillness(FOREVER))
    _tries: Counter[int] = field(default_factory=Counter)
    _calm: Stillness[int] = field(default_factory=lambda: Stillness(FOREVER))

    def look(self) -> int:
        """Lift the pauses whose time has come; returns how many."""
        with self.opened().read() as session:
            paused = {number: why for number, why in queue.paused_sources(session).items() if why != "asked"}
        # One that has been let go and is paused again begins anew, though no look has seen it go on.
        tried = {number: (why, self._tries[number]) for number, why in paused.items()}
        still = self._stillness.look(tried, self.monotonic())
        due = [number for number, seconds in still.items() if seconds >= self._patience(number, paused)]
        lifted = [number for number in due if paused[number] != "storage_full" or self._has_room()]
        for number in lifted:
            with self.opened().write() as session:
                queue.resume(session, number, paused[number], self.now())
        self._tries.update(lifted)
        self._forgive(paused)
        return len(lifted)

    def _forgive(self, paused: Mapping[int, str]) -> None:
        """Forget how often a source was let go once it has been going on for longer than any pause lasts."""
        calm = self._calm.look({number: number in paused for number in self._tries}, self.monotonic())
        for number, seconds in calm.items():
            if number not in paused and seconds >= LONGEST_PAUSE_SECONDS:
                del self._tries[number]

    def _patience(self, number: int, paused: Mapping[int, str]) -> float:
        """A dependency that stays away is tried ever more rarely; room is looked for, which costs nothing."""
        if paused[number] == "storage_full":
            return self.pause_seconds
        return min(LONGEST_PAUSE_SECONDS, self.pause_seconds * 2.0 ** min(self._tries[number], 16))

    def _has_room(self) -> bool:
        try:
            require_room(self.folder, self.min_free_mb)
        except StorageFullError:
            return False
        return True


def schedule(database: Database, now: Clock) -> int:
    """Queue a run of every source whose time has come; returns how many. Two processes queue one run."""
    at = now()
    with database.read() as session:
        if not queue.due_sources(session, at):
            return 0
    with database.write() as session:
        return len(queue.submit_due(session, at))


def forget(database: Database, now: Clock) -> int:
    """Delete rings that were sent more than a day ago, and keys of requests after two; returns how many rings."""
    with database.write() as session:
        idempotency.forget(session, Instant(now() - KEYS_KEPT_MICROS))
        return queue.forget_sent(session, Instant(now() - KEPT_MICROS))


def report_stale(database: Database, stale_hours: float) -> int:
    """Say in the log that sources have not been brought up to date for too long; returns how many."""
    with database.read() as session:
        stale = [row for row in overview.sources(session, stale_hours=stale_hours) if row.stale]
    if stale:
        log.warning("sources_stale", sources=len(stale), last_runs=[row.last_run for row in stale])
    return len(stale)
