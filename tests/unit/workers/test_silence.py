"""A worker gives itself up when rings wait and wait although it works on nothing, and never otherwise."""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import DoorbellUnreachableError
from workers.silence import SILENT, Silence, watch

PATIENCE = 3


def silence(rings: Sequence[int | None], working: Sequence[bool]) -> Silence:
    """What each look finds: rings that wait, None for a broker that does not answer, and whether somebody works."""
    waiting = iter(rings)
    at_work = iter(working)

    def count() -> int:
        found = next(waiting)
        if found is None:
            raise DoorbellUnreachableError("It does not answer.")
        return found

    return Silence(count, lambda: next(at_work), patience=PATIENCE)


def test_rings_that_nobody_takes_end_its_patience() -> None:
    watched = silence([1, 2, 2], [False] * 3)
    assert [watched.look() for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("found", [0, None])
def test_an_empty_or_a_silent_broker_begins_its_patience_anew(found: int | None) -> None:
    watched = silence([1, 1, found, 1, 1], [False] * 5)
    assert not any(watched.look() for _ in range(5))


@given(st.lists(st.integers(0, 5), max_size=20))
def test_a_worker_that_works_is_never_given_up(rings: list[int]) -> None:
    watched = silence(rings, [True] * len(rings))
    assert not any(watched.look() for _ in rings)


def test_the_watch_ends_the_process_with_a_status_of_its_own() -> None:
    ended, statuses = threading.Event(), list[int]()

    def give_up(status: int) -> None:
        statuses.append(status)
        ended.set()

    watch(silence([1] * 3, [False] * 3), seconds=0.001, give_up=give_up)
    assert ended.wait(5)
    assert statuses == [SILENT]
