"""The inbox: kept once, worked by one, in order, whoever dies."""

import threading
from collections.abc import Iterator

import pytest

from core.catalog.inbox import Entry
from core.database import Database
from threadwise.inbox import Inbox


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(database, lease_seconds=60)


def asked(inbox: Inbox, number: int, *, line: str = "", message: str = "", kind: str = "question") -> bool:
    return inbox.accept(
        entry_id=f"E{number}", kind=kind, line=line or f"line{number}", payload={"n": number}, message=message
    )


def claimed(inbox: Inbox) -> Iterator[Entry]:
    while (entry := inbox.claim()) is not None:
        yield entry


def test_the_same_event_is_kept_once(inbox: Inbox) -> None:
    assert [asked(inbox, 1), asked(inbox, 1)] == [True, False]
    assert [entry.payload for entry in claimed(inbox)] == ['{"n": 1}']


def test_two_events_about_one_message_are_one_question(inbox: Inbox) -> None:
    assert asked(inbox, 1, message="C1/1.2")
    assert not asked(inbox, 2, message="C1/1.2")
    assert [entry.id for entry in claimed(inbox)] == ["E1"]


def test_entries_without_a_message_do_not_exclude_each_other(inbox: Inbox) -> None:
    assert asked(inbox, 1)
    assert asked(inbox, 2)


def test_nobody_gets_what_somebody_holds(inbox: Inbox) -> None:
    asked(inbox, 1)
    assert inbox.claim() is not None
    assert inbox.claim() is None


def test_a_line_is_worked_one_after_the_other_and_others_do_not_wait_for_it(inbox: Inbox) -> None:
    asked(inbox, 1, line="thread")
    asked(inbox, 2, line="thread")
    asked(inbox, 3, line="elsewhere")
    first, other = claimed(inbox)
    assert (first.id, other.id) == ("E1", "E3")
    assert inbox.settle(first, "done")
    second = inbox.claim()
    assert second is not None
    assert second.id == "E2"


def test_who_takes_over_is_told_that_a_reply_may_be_visible(database: Database) -> None:
    inbox = Inbox(database, lease_seconds=0)
    asked(inbox, 1)
    first = inbox.claim()
    assert first is not None
    assert not first.is_posting
    assert inbox.begin_posting(first, "a" * 32)
    second = inbox.claim()
    assert second is not None
    assert second.is_posting
    assert second.attempt == 2


def test_whoever_lost_an_entry_can_neither_post_nor_settle_it(database: Database) -> None:
    inbox = Inbox(database, lease_seconds=0)
    asked(inbox, 1)
    first, second = inbox.claim(), inbox.claim()
    assert first is not None
    assert second is not None
    assert not inbox.begin_posting(first)
    assert not inbox.settle(first, "done")
    assert not inbox.release(first, seconds=0)
    assert inbox.begin_posting(second)
    assert inbox.settle(second, "done")


def test_what_is_settled_stays_settled(inbox: Inbox) -> None:
    asked(inbox, 1)
    entry = inbox.claim()
    assert entry is not None
    assert inbox.settle(entry, "failed", "slack_refused")
    assert not inbox.settle(entry, "done")
    assert not asked(inbox, 1)
    assert inbox.claim() is None


def test_an_entry_given_back_is_due_later_and_may_be_refunded(inbox: Inbox) -> None:
    asked(inbox, 1)
    entry = inbox.claim()
    assert entry is not None
    assert inbox.release(entry, seconds=3600)
    assert inbox.claim() is None
    asked(inbox, 2)
    other = inbox.claim()
    assert other is not None
    assert inbox.release(other, seconds=-1, refund=True, error_code="busy")
    again = inbox.claim()
    assert again is not None
    assert (again.id, again.attempt, again.error_code) == ("E2", 1, "busy")


def test_a_withdrawn_message_gets_no_reply_even_from_who_is_at_it(inbox: Inbox) -> None:
    asked(inbox, 1, message="C1/1.2")
    entry = inbox.claim()
    assert entry is not None
    assert inbox.withdraw("C1/1.2")
    assert not inbox.begin_posting(entry)
    assert inbox.claim() is None


def test_a_reply_that_may_be_visible_is_not_withdrawn(inbox: Inbox) -> None:
    asked(inbox, 1, message="C1/1.2")
    entry = inbox.claim()
    assert entry is not None
    assert inbox.begin_posting(entry)
    assert not inbox.withdraw("C1/1.2")
    assert inbox.settle(entry, "done")


def test_what_was_asked_before_in_a_line_is_found_newest_first_once_answered(inbox: Inbox) -> None:
    for number in (1, 2, 3):
        asked(inbox, number, line="thread")
    for _ in range(2):
        entry = inbox.claim()
        assert entry is not None
        inbox.settle(entry, "done")
    last = inbox.claim()
    assert last is not None
    assert [payload["n"] for _, payload in inbox.earlier(last)] == [2, 1]


def test_standing_counts_what_has_no_reply(inbox: Inbox) -> None:
    assert inbox.standing() == (0, 0.0)
    asked(inbox, 1)
    asked(inbox, 2)
    entry = inbox.claim()
    assert entry is not None
    inbox.settle(entry, "done")
    count, waited = inbox.standing()
    assert count == 1
    assert waited >= 0


def test_a_lease_is_kept_while_somebody_works(database: Database) -> None:
    inbox = Inbox(database, lease_seconds=0.3)
    asked(inbox, 1)
    entry = inbox.claim()
    assert entry is not None
    with inbox.kept(entry):
        threading.Event().wait(0.6)
        assert inbox.claim() is None
        assert inbox.begin_posting(entry)


def test_many_workers_share_the_entries_and_none_is_worked_twice(database: Database) -> None:
    inbox = Inbox(database, lease_seconds=60)
    for number in range(40):
        asked(inbox, number)
    found: list[str] = []

    def work() -> None:
        for entry in claimed(inbox):
            found.append(entry.id)
            inbox.settle(entry, "done")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == sorted(f"E{number}" for number in range(40))


def test_only_what_was_settled_is_forgotten(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadwise.inbox.KEPT_SECONDS", -1.0)
    asked(inbox, 1)
    asked(inbox, 2)
    entry = inbox.claim()
    assert entry is not None
    inbox.settle(entry, "done")
    assert inbox.forget() == 1
    assert inbox.standing()[0] == 1
