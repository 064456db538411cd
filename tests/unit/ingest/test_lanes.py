"""Threads that prepare documents: one that is stuck is left behind, and nothing of it comes late."""

import threading
from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from core.catalog.runs import WorkItem
from core.words import ChangeKind
from ingest import lanes
from ingest.lanes import ABANDONED, Lanes
from ingest.prepare import Prepared, Preparer, Watched
from tests.support.doorbell import eventually


def item(number: int, change: ChangeKind = "added") -> WorkItem:
    return WorkItem(id=number, external_id=f"d{number}", change=change, blob_sha="b", attempt=1, token="t")  # noqa: S106


class ScriptedPreparer:
    """Prepares at once, but stands still at one item until it is let go."""

    def __init__(self, stuck_at: int = 0) -> None:
        self.stuck_at = stuck_at
        self.let_go = threading.Event()
        self.begun: list[int] = []

    def prepare(self, items: Sequence[WorkItem], watched: Watched) -> Iterator[Prepared]:
        """Each item as it comes."""
        for one in items:
            watched.begin(one)
            self.begun.append(one.id)
            if one.id == self.stuck_at:
                self.let_go.wait(20)
            yield Prepared(item=one)


class Claims:
    """Hands out batches, then nothing."""

    def __init__(self, *batches: list[WorkItem]) -> None:
        self.batches = list(batches)
        self.lock = threading.Lock()

    def __call__(self) -> list[WorkItem]:
        with self.lock:
            return self.batches.pop(0) if self.batches else []


def working(preparer: ScriptedPreparer, claims: Claims, room: int = 100) -> Lanes:
    return Lanes(claims, cast("Preparer", preparer), room=room)


def test_everything_claimed_is_handed_over_once_and_in_order() -> None:
    work = working(ScriptedPreparer(), Claims([item(1), item(2)], [item(3)]))
    work.start(1)
    got = [work.ready.get(timeout=10).item.id for _ in range(3)]
    assert got == [1, 2, 3]
    assert work.close() == []


def test_a_lane_that_is_stuck_is_left_behind_with_what_else_it_had_and_another_takes_its_place() -> None:
    preparer = ScriptedPreparer(stuck_at=2)
    work = working(preparer, Claims([item(1), item(2), item(3)], [item(4)]))
    work.start(1)
    assert work.ready.get(timeout=10).item.id == 1
    eventually(lambda: 2 in preparer.begun)
    assert work.stuck(60) == [], "it has not been at it for long"
    [(late, others)] = work.stuck(-1)
    assert (late.id, others) == (2, {3})
    assert work.ready.get(timeout=10).item.id == 4, "the others go on"
    preparer.let_go.set()
    eventually(lambda: not any(thread.name == ABANDONED for thread in threading.enumerate()))
    assert work.close() == []
    assert preparer.begun == [1, 2, 4], "what was left behind hands nothing over and begins nothing"


def test_a_lane_with_nothing_at_hand_is_never_stuck() -> None:
    work = working(ScriptedPreparer(), Claims([item(1)]))
    work.start(2)
    assert work.ready.get(timeout=10).item.id == 1
    eventually(lambda: work.stuck(-1) == [])
    work.close()


def test_what_is_ready_when_the_run_stops_is_returned() -> None:
    preparer = ScriptedPreparer()
    work = working(preparer, Claims([item(1), item(2)], [item(3)]), room=2)
    work.start(1)
    eventually(lambda: 3 in preparer.begun)
    assert [one.item.id for one in work.close()] == [1, 2], "there was no room for the third"


def test_a_stop_does_not_wait_for_a_document_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "FAREWELL_SECONDS", 0.05)
    preparer = ScriptedPreparer(stuck_at=1)
    work = working(preparer, Claims([item(1)]))
    work.start(2)
    eventually(lambda: 1 in preparer.begun)
    assert work.close() == []
    assert [thread.name for thread in threading.enumerate()].count(ABANDONED) == 1
    preparer.let_go.set()
    eventually(lambda: not any(thread.name == ABANDONED for thread in threading.enumerate()))


def test_what_ends_a_lane_is_raised_by_whoever_commits() -> None:
    def claim() -> list[WorkItem]:
        raise ZeroDivisionError

    work = Lanes(claim, cast("Preparer", ScriptedPreparer()), room=1)
    work.start(1)
    eventually(lambda: bool(work.crashes))
    assert isinstance(work.crashes[0], ZeroDivisionError)
    work.close()
