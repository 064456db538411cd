"""Work items on both databases: claimed once, fenced, counted, accounted for."""

import threading

import pytest
from sqlalchemy import select, update

from core import tables as t
from core.catalog import leases, queue, runs
from core.catalog.runs import Outcome, WorkItem
from core.database import Database
from core.errors import LostClaimError
from tests.support.documents import NOW, new_target

DONE = Outcome(state="committed", chunks=2, embedded=1)
MAX_ATTEMPTS = 3


def plan(database: Database, count: int) -> str:
    """A run with so many pending items, that nobody holds."""
    target = new_target(database)
    with database.write() as session:
        runs.add_work(session, target.run_id, [(f"d{place}", "added", "b" * 64) for place in range(count)])
        session.execute(update(t.run).values(lease_token=""))
    return target.run_id


def hold(database: Database, run_id: str, token: str) -> None:
    """Take the run, if nobody has it."""
    with database.write() as session:
        assert queue.claim_run(session, run_id, token=token)


def lose(database: Database, run_id: str) -> None:
    """Its worker has died, and somebody has found that out."""
    with database.write() as session:
        seen = leases.holders(session)[run_id]
        assert leases.rescue(session, run_id, seen, max_attempts=MAX_ATTEMPTS, now=NOW)


def take(database: Database, run_id: str, token: str, *, limit: int = 8) -> list[WorkItem]:
    """Claim as the run loop does."""
    with database.write() as session:
        return runs.claim(session, run_id, token=token, limit=limit)


def test_an_item_is_claimed_by_one_thread_only(database: Database) -> None:
    run_id = plan(database, 40)
    hold(database, run_id, "a")
    taken: list[list[int]] = []

    def work() -> None:
        while items := take(database, run_id, "a", limit=3):
            taken.append([item.id for item in items])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [number for batch in taken for number in batch]
    assert len(ids) == len(set(ids)) == 40


def test_an_attempt_is_counted_before_the_work(database: Database) -> None:
    run_id = plan(database, 1)
    for attempt, token in enumerate("abc", start=1):
        hold(database, run_id, token)
        assert [item.attempt for item in take(database, run_id, token)] == [attempt]
        lose(database, run_id)


def test_whoever_has_lost_its_run_neither_claims_settles_finishes_beats_nor_gives_back(database: Database) -> None:
    run_id = plan(database, 2)
    hold(database, run_id, "zombie")
    [old] = take(database, run_id, "zombie", limit=1)
    lose(database, run_id)
    hold(database, run_id, "new")
    new = take(database, run_id, "new")
    with pytest.raises(LostClaimError):
        take(database, run_id, "zombie")
    with database.write() as session, pytest.raises(LostClaimError):
        runs.finish(session, run_id, "zombie", NOW)
    with database.write() as session:
        assert runs.still_held(session, [old, *new]) == {item.id for item in new}
        assert not leases.beat(session, run_id, "zombie")
        assert not leases.is_held(session, run_id, "zombie")
        assert not queue.release_run(session, run_id, "zombie", refund=True)
        assert runs.release(session, "zombie") == 0
    with database.write() as session:
        assert leases.is_held(session, run_id, "new")
        assert runs.still_held(session, new) == {item.id for item in new}


def test_a_settled_item_is_held_by_nobody(database: Database) -> None:
    run_id = plan(database, 1)
    hold(database, run_id, "a")
    [item] = take(database, run_id, "a")
    with database.write() as session:
        runs.settle(session, [(item, DONE)], NOW)
        assert runs.still_held(session, [item]) == set()


def test_what_was_in_hand_when_a_worker_died_is_tried_alone_and_given_up_in_the_end(database: Database) -> None:
    run_id = plan(database, 3)
    hold(database, run_id, "a")
    assert len(take(database, run_id, "a", limit=2)) == 2
    lose(database, run_id)
    tried = []
    for place in range(5):
        token = f"b{place}"
        hold(database, run_id, token)
        tried.append([(item.external_id, item.attempt) for item in take(database, run_id, token)])
        assert take(database, run_id, token) == [], "nothing is claimed beside it"
        lose(database, run_id)
    assert tried[0] == [("d2", 1)], "what nobody has tried goes first: it is not kept waiting"
    assert tried[1:] == [[("d0", 2)], [("d1", 2)], [("d2", 2)], [("d0", 3)]]
    hold(database, run_id, "c")
    assert [item.external_id for item in take(database, run_id, "c")] == ["d1"]
    with database.read() as session:
        given_up = runs.quarantined(session, run_id)
        stages = session.execute(select(t.dead_letter.c.stage, t.dead_letter.c.attempts)).all()
    assert given_up == [("d0", "worker_lost", "Its worker died at every attempt.")]
    assert [tuple(row) for row in stages] == [("worker", MAX_ATTEMPTS)]


def test_an_item_that_waits_for_its_next_try_is_left_out(database: Database) -> None:
    run_id = plan(database, 2)
    hold(database, run_id, "a")
    items = take(database, run_id, "a")
    failed = Outcome(state="pending", error_code="unexpected", error="OSError")
    with database.write() as session:
        runs.settle(session, [(item, failed) for item in items], NOW)
        both = {item.id for item in items}
        assert runs.claim(session, run_id, token=items[0].token, limit=8, waiting=both) == []
        [again] = runs.claim(session, run_id, token=items[0].token, limit=8, waiting={items[0].id})
    assert (again.id, again.attempt) == (items[1].id, 2)


def test_what_is_given_back_on_purpose_was_no_attempt(database: Database) -> None:
    run_id = plan(database, 3)
    hold(database, run_id, "a")
    first, *others = take(database, run_id, "a")
    with database.write() as session:
        assert runs.release(session, "a", [item.id for item in others]) == 2
        assert runs.still_held(session, [first, *others]) == {first.id}
    assert [(item.id, item.attempt) for item in take(database, run_id, "a")] == [(item.id, 1) for item in others]


def test_a_newer_run_takes_everything_away_from_an_unfinished_one(database: Database) -> None:
    run_id = plan(database, 2)
    hold(database, run_id, "a")
    [item] = take(database, run_id, "a", limit=1)
    with database.write() as session:
        source = session.execute(select(t.source.c.id)).scalar_one()
        runs.supersede_unfinished(session, source, NOW)
    with database.write() as session:
        assert runs.still_held(session, [item]) == set()
    with database.write() as session, pytest.raises(LostClaimError):
        runs.finish(session, run_id, "a", NOW)
    with database.read() as session:
        assert runs.progress(session, run_id).state == "superseded"


def test_the_ledger_of_a_quarantined_document_moves_to_failed_and_still_adds_up(database: Database) -> None:
    run_id = plan(database, 2)
    lines = {("d0", "hr", "merged", ""): 5, ("d1", "hr", "indexed", ""): 1, ("", "hr", "filtered", "join"): 3}
    failed = Outcome(state="quarantined", error_code="text_too_long", error="…")
    with database.write() as session:
        runs.add_ledger(session, run_id, lines)
    hold(database, run_id, "a")
    good, bad = sorted(take(database, run_id, "a"), key=lambda item: item.external_id, reverse=True)
    with database.write() as session:
        runs.settle(session, [(good, DONE), (bad, failed)], NOW)
        assert runs.finish(session, run_id, "a", NOW) == ("succeeded_with_quarantine", "f")
        assert runs.ledger_buckets(session, run_id) == {"failed": 5, "indexed": 1, "filtered": 3}


def test_an_unchanged_source_repeats_the_ledger_of_its_last_good_run(database: Database) -> None:
    run_id = plan(database, 0)
    hold(database, run_id, "a")
    with database.write() as session:
        runs.add_ledger(session, run_id, {("d0", "hr", "merged", ""): 5, ("d1", "hr", "merged", ""): 2})
        runs.finish(session, run_id, "a", NOW)
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
