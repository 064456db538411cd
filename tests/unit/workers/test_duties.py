"""How often a duty is done, and how rarely while what it needs is down."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from core.errors import DatabaseUnavailableError, SchemaTooNewError
from workers.clock import LONGEST_BACKOFF, Duty, keep


def failing() -> int:
    message = "down"
    raise DatabaseUnavailableError(message)


@given(st.floats(0.05, 4000), st.floats(0, 1))
def test_a_duty_that_succeeds_is_due_again_after_its_time_give_or_take_a_fifth(every: float, jitter: float) -> None:
    duty = Duty("d", every, lambda: 0)
    duty.do(100.0, lambda: jitter)
    assert 0.79 * every <= duty.due - 100.0 <= 1.21 * every


@given(st.floats(0.05, 4000), st.integers(1, 60))
def test_a_duty_that_fails_waits_longer_each_time_but_never_long(every: float, failures: int) -> None:
    duty, waits = Duty("d", every, failing), list[float]()
    for _ in range(failures):
        duty.do(0.0, lambda: 0.5)
        waits.append(duty.due)
    assert waits == sorted(waits)
    assert waits[-1] <= LONGEST_BACKOFF


def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    duty = Duty("d", 1, failing)
    with capture_logs() as logs:
        for _ in range(5):
            duty.do(0.0, lambda: 0.5)
        duty.act = lambda: 0
        for _ in range(5):
            duty.do(0.0, lambda: 0.5)
    assert [entry["event"] for entry in logs] == ["duty_waits", "duty_goes_on"]
    assert duty.due == 1.0


def test_what_does_not_pass_by_itself_ends_the_clock() -> None:
    def act() -> int:
        message = "newer"
        raise SchemaTooNewError(message)

    with pytest.raises(SchemaTooNewError):
        keep([Duty("d", 1, act)], threading.Event())


def test_duties_are_done_each_in_its_own_time_until_told_to_stop() -> None:
    stop, done = threading.Event(), list[str]()

    def often() -> int:
        done.append("often")
        if done.count("often") == 5:
            stop.set()
        return 0

    def rarely() -> int:
        done.append("rarely")
        return 0

    keep([Duty("often", 0.001, often), Duty("rarely", 1000, rarely)], stop)
    assert done == ["often", "rarely", *["often"] * 4]
