"""Queued runs on both databases: submitted with their ring, held by one worker, taken in turn, paused."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from core import tables as t
from core.catalog import overview, queue, runs, sources
from core.catalog.queue import ClaimedRun
from core.database import Database, Session
from core.words import MICROS, Instant
from tests.support.documents import NOW

RUN_STEPS = {
    "queued": {"planning", "cancelled", "failed", "superseded"},
    "planning": {"queued", "planned", "running", "succeeded", "cancelled", "failed", "superseded"},
    "planned": {"running", "cancelled", "superseded"},
    "running": {"succeeded", "succeeded_with_quarantine", "cancelled", "failed", "superseded"},
    "succeeded": set(),
    "succeeded_with_quarantine": set(),
    "failed": set(),
    "cancelled": set(),
    "superseded": set(),
}
"""Every step that a run may take."""

WORK_STEPS = {
    "pending": {"running", "quarantined", "cancelled", "superseded"},
    "running": {"pending", "committed", "quarantined", "cancelled", "superseded"},
    "committed": set(),
    "quarantined": set(),
    "cancelled": set(),
    "superseded": set(),
}
"""Every step that the work on a document may take."""


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


def claim(database: Database, run_id: str, holder: str = "me") -> ClaimedRun | None:
    with database.write() as session:
        return queue.claim_run(session, run_id, token=holder)


def claim_next(database: Database, holder: str = "me") -> ClaimedRun | None:
    with database.write() as session:
        return queue.claim_next(session, token=holder)


def release(database: Database, run_id: str, holder: str = "me") -> None:
    with database.write() as session:
        assert queue.release_run(session, run_id, holder, refund=True)


def unsent(database: Database) -> list[str]:
    with database.read() as session:
        return [run_id for _, run_id in queue.unsent(session)]


def send_all(database: Database) -> None:
    with database.write() as session:
        queue.mark_sent(session, [number for number, _ in queue.unsent(session)], NOW)


def free_runs(database: Database) -> list[str]:
    with database.read() as session:
        return list(queue.free_runs(session))


def together(act: Callable[[str], object], count: int) -> None:
    """The same act in so many threads at once, each with a name of its own; what one of them raises is raised."""
    errors: list[BaseException] = []

    def body(name: str) -> None:
        try:
            act(name)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=body, args=(f"worker{place}",)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def value(database: Database, run_id: str, name: str) -> Any:  # noqa: ANN401 - any column
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


def test_a_due_run_that_another_clock_has_queued_is_not_rung_twice(database: Database) -> None:
    number = source_of(database)
    with database.write() as session:
        sources.set_schedule(session, "docs", 10)
    due = Instant(NOW + 10 * 60 * MICROS)
    with database.read() as session:
        [(_, name, at)] = queue.due_sources(session, due)
    assert submit(database, "r1", due_at=at)
    assert not submit(database, "r1", due_at=at), "the other clock gives it the same id"
    assert (name, unsent(database)) == ("docs", ["r1"])
    with database.write() as session:
        assert queue.waiting_runs(session, number) == 1


def test_of_many_workers_one_gets_a_run(database: Database) -> None:
    submit(database, "r1")
    taken: list[ClaimedRun | None] = []
    together(lambda name: taken.append(claim(database, "r1", name)), 6)
    won = [one for one in taken if one]
    assert [(one.state, one.attempt, one.request) for one in won] == [("planning", 1, {"path": "/r1"})]


def test_the_source_that_was_served_the_longest_time_ago_is_next(database: Database) -> None:
    for run_id, source in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c")):
        submit(database, run_id, source=source)
    served = []
    while claimed := claim_next(database):
        served.append(claimed.id)
        with database.write() as session:
            queue.end_run(session, claimed.id, state="succeeded", now=NOW)
    assert served == ["a1", "b1", "c1", "a2", "a3"]


def test_many_workers_never_hold_two_runs_of_one_source_at_once(database: Database) -> None:
    for place in range(8):
        submit(database, f"a{place}", source="a")
        submit(database, f"b{place}", source="b")
    most: list[int] = []

    def most_held(session: Session) -> int:
        held = select(func.count().label("held")).where(t.run.c.lease_token != "").group_by(t.run.c.source_id)
        return int(session.execute(select(func.max(held.subquery().c.held))).scalar_one() or 1)

    def work(name: str) -> None:
        for turn in range(4):
            token = f"{name}.{turn}"
            with database.write() as session:
                claimed = queue.claim_next(session, token=token)
            if claimed is None:
                continue
            with database.read() as session:
                most.append(most_held(session))
            with database.write() as session:
                assert queue.end_run(session, claimed.id, state="succeeded", now=NOW)

    together(work, 16)
    while claimed := claim_next(database, "last"):
        with database.write() as session:
            queue.end_run(session, claimed.id, state="succeeded", now=NOW)
        most.append(1)
    assert len(most) == 16, "each run was held once"
    assert set(most) == {1}


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


def test_workers_that_come_too_late_for_one_source_do_not_wait_for_one_another(database: Database) -> None:
    for source in "abcd":
        submit(database, f"{source}1", source=source)
    taken: list[str] = []

    def work(name: str) -> None:
        for turn in range(6):
            claimed = claim_next(database, f"{name}.{turn}")
            if claimed is not None:
                taken.append(claimed.id)
                release(database, claimed.id, claimed.token)

    together(work, 6)
    assert {run_id[0] for run_id in taken} == set("abcd")
    assert all(value(database, run_id, "attempt") == 0 for run_id in taken)


def test_a_run_that_is_given_back_costs_no_attempt(database: Database) -> None:
    submit(database, "r1")
    assert claim(database, "r1")
    with database.write() as session:
        assert queue.release_run(session, "r1", "me", refund=True)
    again = claim(database, "r1")
    assert again
    assert (again.attempt, again.state) == (1, "planning")


def test_a_run_is_free_for_the_sweeper_once_its_ring_has_left_and_until_somebody_has_it(database: Database) -> None:
    submit(database, "r1")
    assert free_runs(database) == [], "its first ring still waits"
    send_all(database)
    assert free_runs(database) == ["r1"]
    claim(database, "r1")
    assert free_runs(database) == [], "somebody has it"
    release(database, "r1")
    assert free_runs(database) == ["r1"]


def test_a_waiting_run_is_rung_for_when_the_one_before_it_has_ended(database: Database) -> None:
    for run_id in ("r1", "r2"):
        submit(database, run_id)
    send_all(database)
    claim(database, "r1")
    with database.write() as session:
        queue.end_run(session, "r1", state="succeeded", now=NOW)
        queue.ring_next(session, source_of_run(session, "r1"), NOW)
    assert unsent(database) == ["r2"]


def source_of_run(session: Session, run_id: str) -> int:
    return int(session.execute(select(t.run.c.source_id).where(t.run.c.id == run_id)).scalar_one())


def test_no_run_of_a_paused_source_is_taken(database: Database) -> None:
    submit(database, "r1")
    send_all(database)
    number = source_of(database)
    with database.write() as session:
        queue.pause(session, number, "asked")
    assert claim(database, "r1") is None
    assert claim_next(database) is None
    assert free_runs(database) == []
    with database.write() as session:
        assert queue.resume(session, number, "asked", NOW)
    assert unsent(database) == ["r1"], "it is rung for as soon as it may go on"
    assert claim(database, "r1")


def test_a_pause_that_somebody_asked_for_outranks_one_that_came_by_itself(database: Database) -> None:
    number = source_of(database)
    with database.write() as session:
        queue.pause(session, number, "dependency_down")
        queue.pause(session, number, "storage_full")
        assert queue.paused_sources(session) == {number: "dependency_down"}, "the first reason stands"
        queue.pause(session, number, "asked")
        queue.pause(session, number, "storage_full")
        assert queue.paused_sources(session) == {number: "asked"}
        assert not queue.resume(session, number, "dependency_down", NOW), "only a person lifts it"
        assert queue.resume(session, number, "asked", NOW)
        assert queue.paused_sources(session) == {}
        assert not queue.resume(session, number, "", NOW), "it is not paused"


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


def test_a_source_may_be_read_as_rarely_as_once_a_year(database: Database) -> None:
    source_of(database)
    year = 365 * 24 * 60
    with database.write() as session:
        sources.set_schedule(session, "docs", year)
        assert queue.due_sources(session, Instant(NOW + year * 60 * MICROS - 1)) == []
        assert len(queue.due_sources(session, Instant(NOW + year * 60 * MICROS))) == 1
        assert [row.every_minutes for row in overview.sources(session, stale_hours=1)] == [year]


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


def test_an_upload_is_needed_as_long_as_its_plan_may_be_applied(database: Database) -> None:
    submit(database, "r1")
    with database.write() as session:
        for state in ("planning", "planned"):
            session.execute(update(t.run).where(t.run.c.id == "r1").values(state=state))
            assert queue.open_paths(session) == ["/r1"]
        queue.request_cancel(session, "r1", NOW)
        assert queue.open_paths(session) == []


def is_allowed(session: Session, table: str, before: str, after: str) -> bool:
    """Whether the database lets a row go from one state to the other; nothing is left of the try."""
    one = t.metadata.tables[table]
    attempt = session.begin_nested()
    try:
        session.execute(update(one).where(one.c.state == before).values(state=after))
    except IntegrityError:
        return False
    else:
        return True
    finally:
        attempt.rollback()


@pytest.mark.parametrize(("table", "steps"), [("run", RUN_STEPS), ("work", WORK_STEPS)])
def test_the_database_itself_refuses_every_step_that_is_not_listed(
    database: Database, table: str, steps: dict[str, set[str]]
) -> None:
    number = source_of(database)
    with database.write() as session:
        for state in RUN_STEPS:
            values = {"id": state, "source_id": number, "state": state, "fingerprint": "", "unchanged": 0}
            session.execute(insert(t.run).values(values | {"started_at": NOW}))
        runs.add_work(session, "running", [(state, "added", "") for state in WORK_STEPS])
        for state in WORK_STEPS.keys() - {"pending"}:
            way = ("running", state) if state == "committed" else (state,)
            for step in way:
                session.execute(update(t.work).where(t.work.c.external_id == state).values(state=step))
        for before, listed in steps.items():
            found = {after for after in steps if after != before and is_allowed(session, table, before, after)}
            assert found == listed, before
