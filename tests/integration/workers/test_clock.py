"""What the clock does, on both databases, with brokers that refuse, lose and repeat; and the clock as a process."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update

from core import clock
from core import tables as t
from core.catalog import queue, sources
from core.database import Database
from core.words import Instant
from tests.support.databases import url_of
from tests.support.doorbell import Doorbell, Service, eventually
from workers.clock import BATCH, relay
from workers.duties import Sweeper, forget, schedule
from workers.errors import DoorbellUnreachableError

MINUTE = 60_000_000


def source(database: Database, name: str = "handbook", every_minutes: int = 0, age_minutes: int = 0) -> int:
    """A source that was made so many minutes ago."""
    made = Instant(clock.now() - age_minutes * MINUTE)
    with database.write() as session:
        number = sources.source_id(session, name=name, kind="files", now=made)
        session.execute(update(t.source).where(t.source.c.id == number).values(every_minutes=every_minutes))
    return number


def submit(database: Database, source_id: int, count: int) -> list[str]:
    """So many queued runs with their rings."""
    ids = [f"{source_id:016x}{i:016x}" for i in range(count)]
    with database.write() as session:
        for run_id in ids:
            queue.submit(session, run_id=run_id, source_id=source_id, request={}, requested_by="test", now=clock.now())
    return ids


def outbox(database: Database) -> list[tuple[str, bool]]:
    """(run, whether the broker has it)."""
    with database.read() as session:
        rows = session.execute(select(t.outbox.c.run_id, t.outbox.c.sent_at).order_by(t.outbox.c.id))
        return [(row[0], row[1] is not None) for row in rows]


def together(act: Callable[[], object], count: int = 2) -> None:
    """The same act in several threads at once."""
    gate = threading.Barrier(count)
    threads = [threading.Thread(target=lambda: (gate.wait(), act())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_rings_go_out_once_and_in_order(database: Database) -> None:
    ids = submit(database, source(database), BATCH + 3)
    rung: list[str] = []
    counts = [relay(database, rung.append, clock.now) for _ in range(3)]
    assert counts == [BATCH, 3, 0]
    assert rung == ids


def test_what_the_broker_refuses_stays_and_what_it_took_is_not_sent_again(database: Database) -> None:
    ids = submit(database, source(database), 5)
    rung: list[str] = []

    def full_after_two(run_id: str) -> None:
        if len(rung) == 2:
            message = "full"
            raise DoorbellUnreachableError(message)
        rung.append(run_id)

    with pytest.raises(DoorbellUnreachableError):
        relay(database, full_after_two, clock.now)
    assert [run for run, sent in outbox(database) if sent] == ids[:2]
    relay(database, rung.append, clock.now)
    assert rung == ids


def test_two_clocks_leave_no_ring_and_lose_none(database: Database) -> None:
    ids = submit(database, source(database), 20)
    rung: list[str] = []
    together(lambda: relay(database, rung.append, clock.now))
    assert set(rung) == set(ids)
    assert max(Counter(rung).values()) <= 2
    assert all(sent for _, sent in outbox(database))


def test_a_broker_that_loses_most_rings_still_has_every_run_claimed_once(database: Database) -> None:
    ids = [submit(database, source(database, f"source {i}"), 1)[0] for i in range(20)]
    draw = random.Random(7)
    claimed: Counter[str] = Counter()

    def lossy(run_id: str) -> None:
        for _ in range(draw.choice((0, 0, 0, 1, 3))):
            with database.write() as session:
                if queue.claim_run(session, run_id, token=run_id):
                    claimed[run_id] += 1

    passing = itertools.count()
    sweeper = Sweeper(lambda: database, lambda: 0, clock.now, quiet_seconds=1, monotonic=lambda: float(next(passing)))
    for _ in range(25):
        relay(database, lossy, clock.now)
        sweeper.sweep()
        sweeper.sweep()
    assert claimed == dict.fromkeys(ids, 1)


def test_two_clocks_start_a_due_source_once_an_interval(database: Database) -> None:
    source(database, "due", every_minutes=10, age_minutes=11)
    source(database, "young", every_minutes=10, age_minutes=9)
    source(database, "asked", every_minutes=0, age_minutes=1000)
    together(lambda: schedule(database, clock.now), count=3)
    with database.read() as session:
        rows = session.execute(select(t.run.c.requested_by, t.run.c.due_at.is_not(None))).all()
    assert [tuple(row) for row in rows] == [("schedule", True)]
    assert len(outbox(database)) == 1
    assert schedule(database, clock.now) == 0


def test_only_rings_that_left_more_than_a_day_ago_are_deleted(database: Database) -> None:
    (run_id,) = submit(database, source(database), 1)
    now = clock.now()
    with database.write() as session:
        for hours in (1, 25, 48):
            sent = now - hours * 60 * MINUTE
            session.execute(insert(t.outbox).values(run_id=run_id, created_at=sent, sent_at=sent))
    assert forget(database, lambda: now) == 2
    assert [sent for _, sent in outbox(database)] == [False, True]


def test_the_clock_waits_for_its_broker_and_stops_at_once_even_while_the_catalogue_is_locked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    database = Database(url_of(data))
    database.migrate()
    submit(database, source(database), 3)
    doorbell = Doorbell()
    service = Service("clock", data, doorbell.url)
    try:
        eventually(lambda: "duty_waits" in service.text)
        doorbell.start()
        eventually(lambda: all(sent for _, sent in outbox(database)))
        assert doorbell.bell().waiting() == 3
        assert service.text.count('"duty_waits"') <= 2, "an outage is told once by each duty"
        with database.write() as session:
            if not database.is_sqlite:  # there it is locked by now
                session.execute(text("LOCK TABLE run, outbox, source"))
            quieten_at = time.monotonic() + 0.5
            eventually(lambda: time.monotonic() > quieten_at)
            service.terminate()  # which ends though this lock is still held
    finally:
        service.close()
        doorbell.close()
        database.close()
