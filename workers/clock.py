"""`python -m workers.clock`: passes rings on to the broker, rings again for forgotten runs, starts scheduled ones.

Everything it does is one transaction and a ring, so it may be killed anywhere, and two clocks do no harm.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import FrameType

import structlog

from core import clock, telemetry
from core.catalog import queue
from core.clock import Clock
from core.database import Database
from core.errors import ThreadwiseError
from core.settings import QueueSettings, load_settings
from core.words import Instant
from workers.app import celery_app
from workers.bell import Bell
from workers.logs import take_over_logging

BATCH = 100
BUSY_SECONDS = 60.0
"""While rings wait at the broker its workers are busy, not deaf: then a run is rung for once in this time."""

SCHEDULE_SECONDS = 5.0
FORGET_SECONDS = 3600.0
KEPT_MICROS = 86_400_000_000  # a day of sent rings stays, to look at
LONGEST_BACKOFF = 10.0
FAREWELL_SECONDS = 0.8  # a transaction that still waits for the disk is left to the operating system

log = structlog.get_logger(__name__)


def relay(database: Database, ring: Callable[[str], None], now: Clock) -> int:
    """Pass on what waits in the outbox, oldest first; returns how many rings the broker took.

    A ring is marked after the broker has it: a crash in between rings twice. Raises what `ring` raises, once what
    the broker took before is marked.
    """
    with database.read() as session:
        waiting = queue.unsent(session, BATCH)
    sent: list[int] = []
    try:
        for number, run_id in waiting:
            ring(run_id)
            sent.append(number)
    finally:
        if sent:
            with database.write() as session:
                queue.mark_sent(session, sent, now())
    return len(sent)


def sweep(database: Database, waiting: Callable[[], int], now: Clock, *, quiet_seconds: float) -> int:
    """Put a ring into the outbox for every open run that nobody holds and nobody rang for; returns how many."""
    quiet = max(quiet_seconds, BUSY_SECONDS) if waiting() else quiet_seconds
    with database.write() as session:
        forgotten = queue.ring_forgotten(session, quiet_seconds=quiet, now=now())
    if forgotten:
        log.info("rang_again", runs=len(forgotten))
    return len(forgotten)


def schedule(database: Database, now: Clock) -> int:
    """Queue a run of every source whose time has come; returns how many. Two clocks queue one run."""
    at = now()
    with database.read() as session:
        if not queue.due_sources(session, at):
            return 0
    with database.write() as session:
        return len(queue.submit_due(session, at))


def forget(database: Database, now: Clock) -> int:
    """Delete rings that were sent more than a day ago; returns how many."""
    with database.write() as session:
        return queue.forget_sent(session, Instant(now() - KEPT_MICROS))


@dataclass(slots=True)
class Duty:
    """Something that is done again and again. `failures` counts those since it last succeeded."""

    name: str
    every_seconds: float
    act: Callable[[], int]
    failures: int = 0
    due: float = 0.0

    def do(self, now: float, jitter: Callable[[], float]) -> None:
        """Act, and set when to act next: sooner or later by a fifth, so that two clocks do not march in step.

        A dependency that is down is reported once, and tried ever more rarely. Other errors are raised.
        """
        try:
            self.act()
        except ThreadwiseError as error:
            if not error.retryable:
                raise
            self.failures += 1
            if self.failures == 1:
                log.warning("duty_waits", duty=self.name, code=error.code)
        else:
            if self.failures:
                log.warning("duty_goes_on", duty=self.name, failures=self.failures)
            self.failures = 0
        pause = min(LONGEST_BACKOFF, self.every_seconds * 2 ** min(self.failures, 16))
        self.due = now + (pause if self.failures else self.every_seconds) * (0.8 + 0.4 * jitter())


def keep(duties: Sequence[Duty], stop: threading.Event) -> None:
    """Do each duty when it is due, until told to stop."""
    while not stop.is_set():
        now = time.monotonic()
        for duty in duties:
            if duty.due <= now and not stop.is_set():
                duty.do(now, random.random)
        stop.wait(max(0.0, min(duty.due for duty in duties) - time.monotonic()))


def duties_of(opened: Callable[[], Database], bell: Bell, settings: QueueSettings, now: Clock) -> list[Duty]:
    """What a clock does, and how often. The catalogue is opened by the first duty that finds it there."""
    quiet = settings.sweep_seconds
    return [
        Duty("relay", settings.relay_seconds, lambda: relay(opened(), bell.ring, now)),
        Duty("sweep", settings.sweep_seconds, lambda: sweep(opened(), bell.waiting, now, quiet_seconds=quiet)),
        Duty("schedule", SCHEDULE_SECONDS, lambda: schedule(opened(), now)),
        Duty("forget", FORGET_SECONDS, lambda: forget(opened(), now)),
    ]


def main() -> None:
    """Keep time until SIGTERM."""
    settings = load_settings()
    os.umask(0o077)  # what is written is for its owner alone
    telemetry.configure(verbose=True)
    take_over_logging()

    @cache
    def opened() -> Database:
        database = Database(settings.resolved_database_url)
        database.migrate()
        return database

    duties = duties_of(opened, Bell(celery_app(settings.queue)), settings.queue, clock.now)
    sys.exit(_run(duties))


def _run(duties: Sequence[Duty]) -> int:
    """Keep the duties until SIGTERM: 0 then, 1 when they ended by themselves.

    They have a thread of their own, because a signal does not interrupt one that waits for SQLite's lock.
    """
    told, stop = threading.Event(), threading.Event()

    def body() -> None:
        try:
            keep(duties, stop)
        except ThreadwiseError as error:
            log.error("clock_stopped", code=error.code)  # noqa: TRY400 - a traceback would show what it worked on
        finally:
            stop.set()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        told.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    stop.wait()
    thread.join(FAREWELL_SECONDS)
    return 0 if told.is_set() else 1


if __name__ == "__main__":
    main()
