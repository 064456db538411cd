"""Queued runs on both databases: submitted with their ring, held by one worker, rung again when forgotten."""

import threading
from typing import Any

from core.catalog import queue, sources
from core.catalog.queue import ClaimedRun
from core.catalog.runs import MICROS
from core.database import Database
from core.words import Instant
from tests.support.documents import NOW


def source_of(database: Database, name: str = "docs") -> int:
    with database.write() as session:
        return sources.source_id(session, name=name, kind="files", now=NOW)


def submit(database: Database, run_id: str, source: str = "docs", due_at: Instant | None = None) -> bool:
    number = source_of(database, source)
    with database.write() as session:
        return queue.submit(
            session,
            run_id=run_id,
            source_id=number,
            request={"path": f"/{run_id}"},
            requested_by="k1",
            now=NOW,
            due_at=due_at,
        )


def claim(database: Database, run_id: str, holder: str = "me", lease_seconds: float = 30) -> ClaimedRun | None:
    with database.write() as session:
        return queue.claim_run(session, run_id, token=holder, lease_seconds=lease_seconds)


def unsent(database: Database) -> list[str]:
    with database.read() as session:
        return [run_id for _, run_id in queue.unsent(session)]


def send_all(database: Database) -> None:
    with database.write() as session:
        queue.mark_sent(session, [number for number, _ in queue.unsent(session)], NOW)


def ring_forgotten(database: Database, quiet_seconds: float) -> list[str]:
    with database.write() as session:
        return queue.ring_forgotten(session, quiet_seconds=quiet_seconds, now=NOW)


def value(database: Database, run_id: str, name: str) -> Any:  # noqa: ANN401 - any column
    from sqlalchemy import select  # noqa: PLC0415

    from core import tables as t  # noqa: PLC0415

    with database.read() as session:
        return session.execute(select(t.run.c[name]).where(t.run.c.id == run_id)).scalar_one()


def test_a_run_is_submitted_together_with_its_ring(database: Database) -> None:
    assert submit(database, "r1")
    assert unsent(database) == ["r1"]
    send_all(database)
    assert unsent(database) == []


def test_a_due_run_of_a_schedule_is_queued_once_by_however_many_clocks(database: Database) -> None:
    assert submit(database, "r1", due_at=NOW)
    assert not submit(database, "r2", due_at=NOW)
    assert submit(database, "r3", due_at=Instant(NOW + MICROS))
    assert unsent(database) == ["r1", "r3"]


def test_of_many_workers_one_gets_a_run(database: Database) -> None:
    submit(database, "r1")
    taken: list[ClaimedRun | None] = []

    def take(token: str) -> None:
        taken.append(claim(database, "r1", token))

    threads = [threading.Thread(target=take, args=(f"worker{place}",)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [one for one in taken if one]
    assert [(one.state, one.attempt, one.request) for one in won] == [("planning", 1, {"path": "/r1"})]


def test_two_runs_of_one_source_are_worked_one_after_the_other(database: Database) -> None:
    submit(database, "r1")
    submit(database, "r2")
    submit(database, "r3", source="other")
    assert claim(database, "r1")
    assert claim(database, "r2") is None
    assert claim(database, "r3")
    with database.write() as session:
        assert queue.end_run(session, "r1", state="succeeded", now=NOW)
    assert claim(database, "r2")


def test_a_lease_that_ran_out_lets_the_next_worker_in_and_the_old_one_writes_nothing(database: Database) -> None:
    submit(database, "r1")
    assert claim(database, "r1", "old", lease_seconds=-1)
    again = claim(database, "r1", "new")
    assert again
    assert again.attempt == 2
    with database.write() as session:
        assert not queue.holds_run(session, "r1", "old")
        assert not queue.renew_run(session, "r1", "old", 30)
        assert not queue.release_run(session, "r1", "old", refund=True)
        assert queue.holds_run(session, "r1", "new")


def test_a_run_that_is_given_back_costs_no_attempt(database: Database) -> None:
    submit(database, "r1")
    assert claim(database, "r1")
    with database.write() as session:
        assert queue.release_run(session, "r1", "me", refund=True)
    again = claim(database, "r1")
    assert again
    assert (again.attempt, again.state) == (1, "planning")


def test_only_a_forgotten_run_is_rung_again(database: Database) -> None:
    submit(database, "r1")
    assert ring_forgotten(database, -1) == [], "its first ring still waits"
    send_all(database)
    assert ring_forgotten(database, 60) == [], "rung just now"
    assert ring_forgotten(database, -1) == ["r1"]
    assert unsent(database) == ["r1"]
    send_all(database)
    claim(database, "r1")
    assert ring_forgotten(database, -1) == [], "somebody has it"


def test_a_run_whose_worker_died_is_rung_again(database: Database) -> None:
    submit(database, "r1")
    send_all(database)
    claim(database, "r1", lease_seconds=-1)
    assert ring_forgotten(database, -1) == ["r1"]


def test_a_waiting_run_is_cancelled_at_once_and_a_held_one_is_told(database: Database) -> None:
    submit(database, "waiting")
    submit(database, "held", source="other")
    claim(database, "held")
    with database.write() as session:
        assert queue.request_cancel(session, "waiting", NOW)
        assert queue.request_cancel(session, "held", NOW)
        assert queue.is_cancel_requested(session, "held")
    assert (value(database, "waiting", "state"), value(database, "held", "state")) == ("cancelled", "planning")
    assert claim(database, "waiting") is None


def test_a_run_that_has_ended_stays_as_it_ended(database: Database) -> None:
    submit(database, "r1")
    claim(database, "r1")
    with database.write() as session:
        assert queue.end_run(session, "r1", state="failed", now=NOW, error_code="x", error="y")
        assert not queue.end_run(session, "r1", state="succeeded", now=NOW)
        assert not queue.request_cancel(session, "r1", NOW)
    assert claim(database, "r1") is None
    assert value(database, "r1", "state") == "failed"


def test_a_scheduled_source_is_due_a_whole_interval_after_its_last_run(database: Database) -> None:
    number = source_of(database)
    with database.write() as session:
        assert sources.set_schedule(session, "docs", 10)
        assert not sources.set_schedule(session, "nothing", 10)
    ten = 10 * 60 * MICROS
    with database.read() as session:
        assert queue.due_sources(session, Instant(NOW + ten - 1)) == []
        assert queue.due_sources(session, Instant(NOW + ten)) == [(number, "docs", NOW + ten)]
    submit(database, "r1")
    with database.read() as session:
        assert queue.due_sources(session, Instant(NOW + ten - 1)) == []


def test_a_worker_learns_whether_another_source_waits(database: Database) -> None:
    submit(database, "r1")
    claim(database, "r1")
    submit(database, "r2")
    with database.read() as session:
        assert not queue.others_wait(session, "r1"), "the same source has to wait anyway"
    submit(database, "r3", source="other")
    with database.read() as session:
        assert queue.others_wait(session, "r1")
        assert sorted(queue.open_paths(session)) == ["/r1", "/r2", "/r3"]
