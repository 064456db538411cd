"""Duties beside the runs, on both databases: ring again, let paused sources go on, report what is out of date."""

from pathlib import Path

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from core import clock
from core import tables as t
from core.catalog import idempotency, queue, sources
from core.catalog.queue import Pause
from core.database import Database
from core.words import Instant
from workers.duties import (
    BUSY_SECONDS,
    KEYS_KEPT_MICROS,
    LONGEST_PAUSE_SECONDS,
    Resumer,
    Sweeper,
    forget,
    report_stale,
)

HOUR = 3_600_000_000


class Time:
    """Monotonic seconds that pass when a test says so; how many rings wait at the broker beside them."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.rings = 0

    def __call__(self) -> float:
        return self.seconds


def source(database: Database, name: str = "docs", age_hours: float = 0) -> int:
    with database.write() as session:
        return sources.source_id(session, name=name, kind="files", now=Instant(int(clock.now() - age_hours * HOUR)))


def submitted(database: Database, run_id: str = "r1", name: str = "docs") -> int:
    """The number of the source whose run waits; its ring has left."""
    number = source(database, name)
    with database.write() as session:
        queue.submit(session, run_id=run_id, source_id=number, request={}, requested_by="", now=clock.now())
    send_all(database)
    return number


def send_all(database: Database) -> list[str]:
    """What was in the outbox, which the broker has now."""
    with database.write() as session:
        waiting = queue.unsent(session)
        queue.mark_sent(session, [number for number, _ in waiting], clock.now())
    return [run_id for _, run_id in waiting]


def sweeper_of(database: Database, time: Time) -> Sweeper:
    return Sweeper(lambda: database, lambda: time.rings, clock.now, quiet_seconds=5, monotonic=time)


def sweeps(sweeper: Sweeper, time: Time, seconds: float) -> int:
    """How many rings it makes when it looks after so many seconds."""
    time.seconds += seconds
    return sweeper.sweep()


def test_a_run_is_rung_again_after_a_while_and_later_when_workers_are_busy(database: Database) -> None:
    submitted(database)
    time = Time()
    sweeper = sweeper_of(database, time)
    assert [sweeps(sweeper, time, seconds) for seconds in (100, 4, 1)] == [0, 0, 1], "it counts from the first look"
    assert sweeps(sweeper, time, 100) == 0, "its new ring has not left yet"
    assert send_all(database) == ["r1"]
    assert [sweeps(sweeper, time, seconds) for seconds in (100, 5)] == [0, 1], "and it counts anew"
    send_all(database)
    time.rings = 3
    assert [sweeps(sweeper, time, seconds) for seconds in (0, 5, BUSY_SECONDS - 6, 1)] == [0, 0, 0, 1]


def test_a_run_that_somebody_tried_or_holds_is_not_forgotten(database: Database) -> None:
    submitted(database)
    time = Time()
    sweeper = sweeper_of(database, time)
    sweeper.sweep()
    with database.write() as session:
        queue.claim_run(session, "r1", token="w")  # noqa: S106 - no secret
    assert sweeps(sweeper, time, 100) == 0, "somebody has it"
    with database.write() as session:
        queue.release_run(session, "r1", "w", refund=False)
    assert [sweeps(sweeper, time, seconds) for seconds in (100, 4, 1)] == [0, 0, 1]


def test_two_clocks_ring_for_a_forgotten_run_until_somebody_takes_it(database: Database) -> None:
    submitted(database)
    time = Time()
    both = [sweeper_of(database, time), sweeper_of(database, time)]
    assert [sweeper.sweep() for sweeper in both] == [0, 0]
    time.seconds += 5
    assert [sweeper.sweep() for sweeper in both] == [1, 0], "the second one sees the ring of the first"


@pytest.fixture
def resumer(database: Database, tmp_path: Path) -> tuple[Resumer, Time]:
    time = Time()
    return Resumer(lambda: database, clock.now, tmp_path, min_free_mb=0, pause_seconds=10, monotonic=time), time


def pause(database: Database, number: int, why: Pause) -> None:
    with database.write() as session:
        queue.pause(session, number, why)


def looks(resumer: Resumer, time: Time, seconds: float) -> int:
    time.seconds += seconds
    return resumer.look()


def test_a_pause_that_came_by_itself_is_lifted_with_a_ring(database: Database, resumer: tuple[Resumer, Time]) -> None:
    number = submitted(database)
    pause(database, number, "dependency_down")
    assert [looks(*resumer, seconds) for seconds in (100, 9, 1, 1)] == [0, 0, 1, 0]
    assert send_all(database) == ["r1"]
    with database.read() as session:
        assert queue.paused_sources(session) == {}


def test_a_pause_that_somebody_asked_for_is_never_lifted(database: Database, resumer: tuple[Resumer, Time]) -> None:
    pause(database, submitted(database), "asked")
    assert [looks(*resumer, seconds) for seconds in (0, 1e6, 1e6)] == [0, 0, 0]
    assert send_all(database) == []


def test_a_dependency_that_stays_away_is_tried_ever_more_rarely(
    database: Database, resumer: tuple[Resumer, Time]
) -> None:
    number, waits = submitted(database), list[int]()
    for _ in range(8):
        pause(database, number, "dependency_down")
        looks(*resumer, 0)
        waits.append(next(seconds for seconds in range(1, 1000) if looks(*resumer, 1)))
    assert waits == [10, 20, 40, 80, 160, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_a_dependency_that_was_there_for_long_is_tried_as_soon_as_at_first(
    database: Database, resumer: tuple[Resumer, Time]
) -> None:
    number, waits = submitted(database), list[int]()
    for _ in range(2):
        for _ in range(3):
            pause(database, number, "dependency_down")
            looks(*resumer, 0)
            waits.append(next(seconds for seconds in range(1, 1000) if looks(*resumer, 1)))
        assert [looks(*resumer, LONGEST_PAUSE_SECONDS) for _ in range(2)] == [0, 0]
    assert waits == [10, 20, 40, 10, 20, 40]


def test_a_full_disk_is_left_alone_until_it_has_room(database: Database, resumer: tuple[Resumer, Time]) -> None:
    full, time = resumer
    full.min_free_mb = 2**40
    pause(database, submitted(database), "storage_full")
    assert [looks(full, time, seconds) for seconds in (0, 10, 1000)] == [0, 0, 0]
    full.min_free_mb = 0
    assert looks(full, time, 1) == 1, "as soon as there is room"


def test_sources_that_were_not_brought_up_to_date_for_too_long_are_reported_by_their_runs(database: Database) -> None:
    source(database, "new")
    source(database, "old", age_hours=3)
    often = source(database, "often", age_hours=1)
    with database.write() as session:
        sources.set_schedule(session, "often", 20)
    with capture_logs() as logs:
        assert report_stale(database, 2) == 2, "twice its interval has passed for the one, two hours for the other"
    assert [(entry["event"], entry["sources"]) for entry in logs] == [("sources_stale", 2)]
    with database.write() as session:
        queue.submit(session, run_id="r1", source_id=often, request={}, requested_by="", now=clock.now())
        for state in ("planning", "running", "succeeded"):
            step = update(t.run).where(t.run.c.id == "r1")
            session.execute(step.values(state=state, finished_at=clock.now()))
    with capture_logs() as logs:
        assert report_stale(database, 100) == 0
    assert logs == []


def test_keys_of_requests_are_kept_for_two_days(database: Database) -> None:
    submitted(database)
    now = clock.now()
    with database.write() as session:
        for key, age in (("young", KEYS_KEPT_MICROS - 1), ("old", KEYS_KEPT_MICROS + 1)):
            idempotency.remember(session, "k", key, body_sha="b", run_id="r1", now=Instant(now - age))
    forget(database, lambda: now)
    with database.read() as session:
        assert session.execute(select(t.idempotency.c.key)).scalars().all() == ["young"]
