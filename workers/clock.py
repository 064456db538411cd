"""`python -m workers.clock`: passes rings on to the broker, and keeps every other duty (`workers.duties`)."""

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
from core.catalog import queue, tombstones
from core.clock import Clock
from core.database import Database
from core.errors import ThreadwiseError
from core.settings import Settings, load_settings
from ingest.rescue import Rescuer
from workers.app import celery_app
from workers.bell import Bell
from workers.duties import LOOKS, Resumer, Sweeper, forget, report_stale, schedule
from workers.logs import take_over_logging
from workers.upkeep import Upkeep

BATCH = 100
SCHEDULE_SECONDS = 5.0
PURGE_SECONDS = 30.0
FSCK_SECONDS = 86_400.0
SETTLED_SECONDS = 120.0
FORGET_SECONDS = 3600.0
LONGEST_BACKOFF = 2.0
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


def lasting_duties(opened: Callable[[], Database], settings: Settings, now: Clock) -> list[Duty]:
    """What is done with or without a broker. The catalogue is opened by the first duty that finds it there."""
    ingest, queue_settings = settings.ingest, settings.queue
    rescuer = cache(lambda: Rescuer(opened(), now, ingest.lease_seconds, ingest.max_attempts))
    upkeep = Upkeep()
    resumer = Resumer(opened, now, settings.data_dir, ingest.min_free_mb, ingest.pause_seconds)
    return [
        Duty("rescue", ingest.lease_seconds / LOOKS, lambda: len(rescuer().look())),
        Duty("resume", ingest.pause_seconds / LOOKS, resumer.look),
        Duty("schedule", SCHEDULE_SECONDS, lambda: schedule(opened(), now)),
        Duty("forget", FORGET_SECONDS, lambda: forget(opened(), now)),
        Duty("stale", FORGET_SECONDS, lambda: report_stale(opened(), queue_settings.stale_hours)),
        Duty("purge", PURGE_SECONDS, lambda: purge(opened(), upkeep, settings.ask.grace_seconds)),
        # Soon after every start, which may follow a power cut, and then every night.
        Duty("fsck", FSCK_SECONDS, lambda: upkeep.start("fsck"), due=time.monotonic() + SETTLED_SECONDS),
    ]


def purge(database: Database, upkeep: Upkeep, grace_seconds: float) -> int:
    """Have deletions finished that were cut short; returns how many processes were started for it."""
    with database.read() as session:
        unfinished = tombstones.due(session, grace_seconds)
    return upkeep.start("purge") if unfinished else 0


def duties_of(opened: Callable[[], Database], bell: Bell, settings: Settings, now: Clock) -> list[Duty]:
    """What a clock does, and how often."""
    quiet = settings.queue.sweep_seconds
    sweeper = Sweeper(opened, bell.waiting, now, quiet)
    return [
        Duty("relay", settings.queue.relay_seconds, lambda: relay(opened(), bell.ring, now)),
        Duty("sweep", quiet / LOOKS, sweeper.sweep),
        *lasting_duties(opened, settings, now),
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

    duties = duties_of(opened, Bell(celery_app(settings.queue)), settings, clock.now)
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
