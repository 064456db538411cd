"""Work items on both databases: claimed once, fenced, counted, accounted for."""

import threading

import pytest
from sqlalchemy import select, update

from core import tables as t
from core.catalog import runs
from core.catalog.runs import Outcome, WorkItem
from core.database import Database
from core.errors import LostClaimError
from tests.support.documents import NOW, new_target

DONE = Outcome(state="committed", chunks=2, embedded=1)


def plan(database: Database, count: int) -> str:
    """A run with so many pending items."""
    target = new_target(database)
    with database.write() as session:
        runs.add_work(session, target.run_id, [(f"d{place}", "added", "b" * 64) for place in range(count)])
    return target.run_id


def take(database: Database, run_id: str, token: str, *, limit: int = 8, lease_seconds: float = 30) -> list[WorkItem]:
    """Claim as the run loop does, three attempts at most."""
    with database.write() as session:
        return runs.claim(session, run_id, token=token, limit=limit, lease_seconds=lease_seconds, max_attempts=3)


def test_an_item_is_claimed_by_one_worker_only(database: Database) -> None:
    run_id = plan(database, 40)
    taken: list[list[int]] = []

    def work(token: str) -> None:
        while items := take(database, run_id, token, limit=3):
            taken.append([item.id for item in items])

    threads = [threading.Thread(target=work, args=(f"worker{place}",)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [number for batch in taken for number in batch]
    assert len(ids) == len(set(ids)) == 40


def test_an_attempt_is_counted_before_the_work(database: Database) -> None:
    run_id = plan(database, 1)
    assert [item.attempt for item in take(database, run_id, "a", lease_seconds=-1)] == [1]
    assert [item.attempt for item in take(database, run_id, "b", lease_seconds=-1)] == [2]


def test_a_claim_that_ran_out_cannot_commit(database: Database) -> None:
    run_id = plan(database, 1)
    [slow] = take(database, run_id, "slow", lease_seconds=-1)
    [fast] = take(database, run_id, "fast")
    with database.write() as session:
        assert runs.still_held(session, [slow, fast]) == {fast.id}
        assert runs.still_held(session, [slow]) == set()
        runs.settle(session, [(fast, DONE)])
        assert runs.progress(session, run_id).settled == 1


def test_a_settled_item_is_held_by_nobody(database: Database) -> None:
    run_id = plan(database, 1)
    [item] = take(database, run_id, "a")
    with database.write() as session:
        runs.settle(session, [(item, DONE)])
        assert runs.still_held(session, [item]) == set()


def test_a_renewed_lease_keeps_the_item(database: Database) -> None:
    run_id = plan(database, 1)
    take(database, run_id, "a", lease_seconds=-1)
    with database.write() as session:
        assert runs.renew(session, "a", 30) == 1
    assert take(database, run_id, "b") == []


def test_an_item_whose_workers_keep_dying_is_quarantined(database: Database) -> None:
    run_id = plan(database, 2)
    assert len(take(database, run_id, "a", lease_seconds=-1)) == 2
    alone = [take(database, run_id, token, lease_seconds=-1) for token in "bcde"]
    assert [[(item.external_id, item.attempt) for item in taken] for taken in alone] == [
        [("d0", 2)],
        [("d1", 2)],
        [("d0", 3)],
        [("d1", 3)],
    ], "what may have killed a worker is tried alone"
    assert take(database, run_id, "f") == []
    with database.read() as session:
        assert runs.quarantined(session, run_id) == [
            ("d0", "worker_lost", "Its worker died at every attempt."),
            ("d1", "worker_lost", "Its worker died at every attempt."),
        ]


def test_a_newer_run_takes_everything_away_from_an_unfinished_one(database: Database) -> None:
    run_id = plan(database, 2)
    [item] = take(database, run_id, "a", limit=1)
    with database.write() as session:
        source = session.execute(select(t.source.c.id)).scalar_one()
        runs.supersede_unfinished(session, source, NOW)
    with database.write() as session:
        assert runs.still_held(session, [item]) == set()
    with database.write() as session, pytest.raises(LostClaimError):
        runs.finish(session, run_id, NOW)
    with database.read() as session:
        assert runs.progress(session, run_id).state == "superseded"


def test_the_ledger_of_a_quarantined_document_moves_to_failed_and_still_adds_up(database: Database) -> None:
    run_id = plan(database, 2)
    lines = {("d0", "hr", "merged", ""): 5, ("d1", "hr", "indexed", ""): 1, ("", "hr", "filtered", "join"): 3}
    failed = Outcome(state="quarantined", error_code="text_too_long", error="…")
    with database.write() as session:
        runs.add_ledger(session, run_id, lines)
    good, bad = sorted(take(database, run_id, "a"), key=lambda item: item.external_id, reverse=True)
    with database.write() as session:
        runs.settle(session, [(good, DONE), (bad, failed)])
        assert runs.finish(session, run_id, NOW) == "succeeded_with_quarantine"
        assert runs.ledger_buckets(session, run_id) == {"failed": 5, "indexed": 1, "filtered": 3}


def test_an_unchanged_source_repeats_the_ledger_of_its_last_good_run(database: Database) -> None:
    run_id = plan(database, 0)
    with database.write() as session:
        runs.add_ledger(session, run_id, {("d0", "hr", "merged", ""): 5, ("d1", "hr", "merged", ""): 2})
        runs.finish(session, run_id, NOW)
        source = session.execute(select(t.source.c.id)).scalar_one()
        assert runs.repeat_last_run(session, source, run_id="again", now=NOW) == 0
        assert runs.ledger_buckets(session, "again") == {"merged": 7}
        assert runs.progress(session, "again").state == "succeeded"


def test_a_source_without_a_good_run_takes_no_short_cut(database: Database) -> None:
    run_id = plan(database, 0)
    with database.write() as session:
        session.execute(update(t.run).where(t.run.c.id == run_id).values(state="failed"))
        source = session.execute(select(t.source.c.id)).scalar_one()
        assert runs.repeat_last_run(session, source, run_id="again", now=NOW) is None
