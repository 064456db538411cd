"""Token buckets: never more than the burst and the rate allow, whatever the clock does in between."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rest.limits import Buckets


@dataclass
class Clock:
    """Seconds that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    burst=st.integers(1, 20),
    per_minute=st.integers(1, 600),
    steps=st.lists(st.floats(0, 5, allow_nan=False), max_size=200),
)
def test_in_no_window_of_time_more_is_granted_than_burst_and_rate_allow(
    burst: int, per_minute: int, steps: list[float]
) -> None:
    clock = Clock()
    buckets = Buckets(per_second=per_minute / 60, burst=burst, clock=clock)
    granted: list[float] = []
    for step in steps:
        clock.now += step
        if buckets.take("key") == 0:
            granted.append(clock.now)
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            window = granted[last] - granted[first]
            assert last - first + 1 <= burst + window * per_minute / 60 + 1e-6


def test_a_burst_at_the_edge_of_a_minute_brings_no_second_one() -> None:
    clock = Clock(59.9)
    buckets = Buckets(per_second=1, burst=5, clock=clock)
    before = sum(buckets.take("key") == 0 for _ in range(10))
    clock.now = 60.1
    after = sum(buckets.take("key") == 0 for _ in range(10))
    assert (before, after) == (5, 0)


def test_whoever_waits_as_long_as_it_was_told_is_served() -> None:
    clock = Clock()
    buckets = Buckets(per_second=0.5, burst=1, clock=clock)
    assert buckets.take("key") == 0
    seconds = buckets.take("key")
    assert seconds == pytest.approx(2)
    clock.now += seconds
    assert buckets.take("key") == 0


def test_one_name_takes_nothing_from_another() -> None:
    buckets = Buckets(per_second=1, burst=1, clock=Clock())
    assert buckets.take("one") == 0
    assert buckets.take("one") > 0
    assert buckets.take("two") == 0


def test_a_thousand_names_take_the_room_of_ten() -> None:
    buckets = Buckets(per_second=1, burst=1, clock=Clock(), names=10)
    for number in range(1000):
        buckets.take(str(number))
    assert len(buckets) == 10


def test_the_name_in_use_is_not_the_one_that_is_forgotten() -> None:
    buckets = Buckets(per_second=0.001, burst=1, clock=Clock(), names=3)
    buckets.take("busy")
    for number in range(20):
        buckets.take(str(number))
        assert buckets.take("busy") > 0
