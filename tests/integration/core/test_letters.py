"""Dead letters on both databases: open until somebody decides, resolved by a later run that takes the document."""

from contextlib import suppress

import pytest

from core.catalog import leases, letters, plans, queue, retries, runs
from core.catalog.documents import Target
from core.catalog.letters import Letter
from core.catalog.runs import Outcome
from core.database import Database
from core.errors import ValueRefusedError
from core.words import Instant
from tests.support.documents import NOW, new_target

POISON = Outcome(state="quarantined", error_code="poison", error="It cannot be cut.", stage="cut", size=12)
LATER = Instant(NOW + 1)


def new_run(database: Database, target: Target, run_id: str) -> None:
    """A run of the same source that is at work, under its own name as the token."""
    with database.write() as session:
        queue.submit(
            session, run_id=run_id, source_id=target.source_id, request={}, requested_by="", now=Instant(LATER + 1)
        )
        assert queue.claim_run(session, run_id, token=run_id)
        plans.start(session, run_id, fingerprint="f", unchanged=0, now=LATER)


def failed(database: Database, *names: str) -> Target:
    """A run that has ended and could not take these documents."""
    target = new_target(database)
    fail(database, target.run_id, *names)
    return target


def fail(database: Database, run_id: str, *names: str, blob: str = "b" * 64) -> None:
    with database.write() as session:
        token = leases.holders(session)[run_id][0]
        runs.add_work(session, run_id, [(name, "added", blob) for name in names])
        runs.add_ledger(session, run_id, {(name, "hr", "indexed", ""): 2 for name in names})
        items = runs.claim(session, run_id, token=token, limit=8)
        runs.settle(session, [(item, POISON) for item in items], NOW)
        runs.finish(session, run_id, token, NOW)


def listed(database: Database, state: str | None = "open") -> list[Letter]:
    with database.read() as session:
        return letters.listing(session, state=state)


def test_a_letter_says_what_failed_where_and_how_often(database: Database) -> None:
    target = failed(database, "a.md")
    [letter] = listed(database)
    assert (letter.source, letter.kind, letter.place, letter.change) == ("docs", "document", "a.md", "added")
    assert (letter.stage, letter.code, letter.reason, letter.size) == ("cut", "poison", "It cannot be cut.", 12)
    assert (letter.run_id, letter.attempts, letter.blob_sha) == (target.run_id, 1, "b" * 64)
    with database.read() as session:
        assert letters.find(session, letter.id) == letter
        assert letters.find(session, letter.id + 1) is None
        assert letters.of_run(session, target.run_id) == [letter]


def test_the_same_document_failing_again_leaves_one_open_letter(database: Database) -> None:
    target = failed(database, "a.md")
    new_run(database, target, "run2")
    fail(database, "run2", "a.md", blob="c" * 64)
    assert [(letter.run_id, letter.blob_sha) for letter in listed(database)] == [("run2", "c" * 64)]
    assert sorted(letter.state for letter in listed(database, None)) == ["open", "resolved"]


def test_a_letter_is_resolved_by_whoever_takes_its_document_and_by_nothing_else(database: Database) -> None:
    target = failed(database, "a.md", "b.md")
    with database.write() as session:
        letters.resolve_documents(session, target.source_id, ["a.md", "c.md"], LATER)
        letters.resolve_documents(session, target.source_id + 1, ["b.md"], LATER)
    assert [letter.place for letter in listed(database)] == ["b.md"]
    [resolved] = listed(database, "resolved")
    assert resolved.settled_at == LATER


def test_a_letter_that_is_settled_is_not_settled_again(database: Database) -> None:
    failed(database, "a.md")
    [letter] = listed(database)
    with database.write() as session:
        assert letters.mark(session, [letter.id], "ignored", LATER) == 1
        assert letters.mark(session, [letter.id], "retried", LATER) == 0
    assert [one.state for one in listed(database, None)] == ["ignored"]


def test_a_place_that_is_ignored_stays_so_until_it_fails_in_another_way(database: Database) -> None:
    target = new_target(database)
    with database.write() as session:
        letters.add_places(session, target.run_id, [("a.md", "not_utf8", "…"), ("b.md", "not_utf8", "…")], NOW)
        first = letters.listing(session)
        letters.mark(session, [letter.id for letter in first if letter.place == "a.md"], "ignored", NOW)
        letters.add_places(session, target.run_id, [("a.md", "not_utf8", "…"), ("b.md", "not_utf8", "…")], LATER)
    assert [letter.place for letter in listed(database)] == ["b.md"], "the older one of b.md is resolved"
    with database.write() as session:
        letters.add_places(session, target.run_id, [("a.md", "unreadable", "…")], LATER)
    assert [(letter.place, letter.code) for letter in listed(database)] == [("a.md", "unreadable")]


def test_retried_letters_are_work_from_the_stored_form_and_keep_the_ledger_right(database: Database) -> None:
    target = failed(database, "a.md", "b.md")
    chosen = listed(database)
    with database.write() as session:
        count = retries.submit(
            session, chosen, run_id="again", source_id=target.source_id, requested_by="k1", now=Instant(LATER + 5)
        )
        assert count == 2
        assert [run_id for _, run_id in queue.unsent(session)] == ["again"]
        assert runs.progress(session, "again").states == {"pending": 2}
        assert runs.ledger_buckets(session, "again") == {"indexed": 4}
        assert (
            retries.submit(session, chosen, run_id="twice", source_id=target.source_id, requested_by="k1", now=LATER)
            == 0
        ), "they are being retried already"
    assert listed(database) == []


def test_a_retry_leaves_out_what_a_later_run_has_settled_or_is_about_to(database: Database) -> None:
    target = failed(database, "a.md", "b.md")
    with database.write() as session:
        retries.submit(
            session, letters.listing(session), run_id="again", source_id=target.source_id, requested_by="", now=NOW
        )
    new_run(database, target, "run2")
    with database.write() as session:
        runs.add_work(session, "run2", [("a.md", "added", "c" * 64)])
        assert queue.release_run(session, "run2", "run2", refund=True)
        claimed = queue.claim_run(session, "again", token="me")  # noqa: S106 - no secret
        assert claimed
        retries.start(session, claimed, LATER)
        assert runs.progress(session, "again").states == {"pending": 1, "superseded": 1}


def test_a_plan_that_nobody_has_applied_takes_nothing_from_a_retry(database: Database) -> None:
    target = failed(database, "a.md")
    with database.write() as session:
        retries.submit(
            session, letters.listing(session), run_id="again", source_id=target.source_id, requested_by="", now=NOW
        )
        queue.submit(
            session, run_id="plan", source_id=target.source_id, request={}, requested_by="", now=Instant(LATER + 1)
        )
        queue.claim_run(session, "plan", token="planner")  # noqa: S106 - no secret
        runs.add_work(session, "plan", [("a.md", "added", "c" * 64)])
        plans.keep(session, "plan", plan_hash="h", plan={}, fingerprint="", unchanged=0)
        claimed = queue.claim_run(session, "again", token="me")  # noqa: S106 - no secret
        assert claimed
        retries.start(session, claimed, LATER)
        assert runs.progress(session, "again").states == {"pending": 1}


@pytest.mark.parametrize("end", ["cancelled", "overtaken"])
def test_letters_are_open_again_when_their_retry_is_cut_short(database: Database, end: str) -> None:
    target = failed(database, "a.md", "b.md")
    with database.write() as session:
        retries.submit(
            session, letters.listing(session), run_id="again", source_id=target.source_id, requested_by="", now=NOW
        )
        claimed = queue.claim_run(session, "again", token="me")  # noqa: S106 - no secret
        assert claimed
        retries.start(session, claimed, LATER)
        [item] = runs.claim(session, "again", token=claimed.token, limit=1)
        runs.settle(session, [(item, Outcome(state="committed"))], LATER)
        letters.resolve_documents(session, target.source_id, [item.external_id], LATER)
        if end == "cancelled":
            assert queue.end_run(session, "again", state="cancelled", now=LATER)
        else:
            runs.supersede_unfinished(session, target.source_id, LATER)
    [still] = listed(database)
    assert still.place != item.external_id
    assert still.settled_at is None


def submit_retry(database: Database, target: Target, run_id: str = "again") -> None:
    with database.write() as session:
        waiting = letters.listing(session)
        retries.submit(session, waiting, run_id=run_id, source_id=target.source_id, requested_by="", now=LATER)


def test_a_plan_of_the_whole_source_settles_letters_about_any_other_state(database: Database) -> None:
    target = failed(database, "same.md", "other.md", "gone.md")
    submit_retry(database, target)
    new_run(database, target, "run2")
    with database.write() as session:
        runs.add_work(session, "run2", [("same.md", "added", "b" * 64), ("other.md", "added", "c" * 64)])
        letters.overtake(session, target.source_id, "run2", LATER)
        letters.overtake(session, target.source_id + 1, "run1", LATER)
        assert queue.end_run(session, "run2", state="cancelled", now=LATER)
        claimed = queue.claim_run(session, "again", token="me")  # noqa: S106 - no secret
        assert claimed
        retries.start(session, claimed, LATER)
        assert {letter.place: letter.state for letter in letters.listing(session, state=None)} == {
            "same.md": "open",
            "other.md": "resolved",
            "gone.md": "resolved",
        }
        [item] = runs.claim(session, "again", token="me", limit=8)  # noqa: S106 - no secret
        assert item.external_id == "same.md"


def test_letters_wait_again_when_the_run_that_was_to_read_their_source_ends_early(database: Database) -> None:
    target = failed(database, "a.md", "b.md")
    with database.write() as session:
        letters.add_places(session, target.run_id, [("f.md", "not_utf8", "…")], NOW)
        here = {letter.place: letter for letter in letters.listing(session)}
        letters.mark(session, [here["f.md"].id, here["a.md"].id], "retried", LATER)
    submit_retry(database, target)
    with database.write() as session:
        queue.submit(session, run_id="read", source_id=target.source_id, request={}, requested_by="", now=LATER)
        assert queue.request_cancel(session, "read", LATER)
    assert {letter.place for letter in listed(database)} == {"f.md", "a.md"}
    assert [letter.place for letter in listed(database, "retried")] == ["b.md"], "another run is about to try it"


def test_a_number_that_is_too_large_for_any_letter_names_none(database: Database) -> None:
    failed(database, "a.md")
    with suppress(ValueRefusedError), database.read() as session:
        assert letters.find(session, 10**26) is None
