"""A process of the pool: opens late, stops when told, starts afresh after what can pass."""

import os
import signal
from collections.abc import Callable, Sequence
from functools import cached_property

import pytest

from core.errors import DatabaseUnavailableError, RunNotFoundError, ThreadwiseError
from core.settings import Settings
from ingest.work import Report
from threadwise.run_queue import RunQueue
from threadwise.runtime import Threadwise
from workers.child import AtWork, Child, StopFlag

RUN_ID = "0" * 32


class ScriptedRuns(RunQueue):
    """Runs that only do what a test says."""

    def __init__(self, act: Callable[[Callable[[], bool]], None], waiting: list[str]) -> None:
        self.act = act
        self.waiting = waiting

    def work_next(self, stop: Callable[[], bool], report: Report = lambda _s, _t, _c: None) -> str | None:  # noqa: ARG002
        self.act(stop)
        return self.waiting.pop(0) if self.waiting else None


class ScriptedInstallation(Threadwise):
    """An installation with such runs, which notes that it was closed."""

    def __init__(self, act: Callable[[Callable[[], bool]], None], waiting: Sequence[str]) -> None:
        super().__init__(Settings())
        self.act = act
        self.waiting = list(waiting)
        self.is_closed = False

    @cached_property
    def runs(self) -> RunQueue:
        """The scripted runs."""
        return ScriptedRuns(self.act, self.waiting)

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class Openings:
    """Opens scripted installations and keeps them."""

    def __init__(self, act: Callable[[Callable[[], bool]], None], *waiting: str) -> None:
        self.act = act
        self.waiting = waiting
        self.opened: list[ScriptedInstallation] = []

    def __call__(self) -> Threadwise:
        self.opened.append(ScriptedInstallation(self.act, self.waiting))
        return self.opened[-1]


def raising(error: ThreadwiseError) -> Callable[[Callable[[], bool]], None]:
    def act(_stop: Callable[[], bool]) -> None:
        raise error

    return act


def test_the_installation_is_opened_by_the_first_ring_and_serves_the_next() -> None:
    openings = Openings(lambda _stop: None)
    child = Child(openings, StopFlag(), AtWork())
    assert not openings.opened
    child.work(RUN_ID)
    child.work(RUN_ID)
    assert len(openings.opened) == 1
    child.close()
    assert openings.opened[0].is_closed


def test_after_a_failure_that_can_pass_the_next_ring_meets_a_fresh_installation() -> None:
    openings = Openings(raising(DatabaseUnavailableError("gone")))
    child = Child(openings, StopFlag(), AtWork())
    child.work(RUN_ID)
    child.work(RUN_ID)
    assert [installation.is_closed for installation in openings.opened] == [True, True]


def test_a_ring_for_a_run_that_does_not_exist_costs_nothing() -> None:
    openings = Openings(raising(RunNotFoundError("none")))
    child = Child(openings, StopFlag(), AtWork())
    child.work(RUN_ID)
    assert not openings.opened[0].is_closed


def test_what_nobody_expects_is_not_swallowed() -> None:
    def act(_stop: Callable[[], bool]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Child(Openings(act), StopFlag(), AtWork()).work(RUN_ID)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # nothing but the flag is used after it
def test_a_run_hears_that_the_worker_stops_through_memory_shared_with_its_parent() -> None:
    flag, seen = StopFlag(), list[bool]()

    def act(stop: Callable[[], bool]) -> None:
        seen.append(stop())
        pid = os.fork()
        if pid == 0:  # the parent of a pool sets it; here the other way round, because a test cannot leave its process
            flag.set()
            os._exit(0)
        os.waitpid(pid, 0)
        seen.append(stop())

    child = Child(Openings(act), flag, AtWork())
    child.work(RUN_ID)
    assert seen == [False, True]
    child.work(RUN_ID)
    assert len(seen) == 2, "it takes no further run"


def test_a_ring_works_every_run_that_there_is() -> None:
    openings = Openings(lambda _stop: None, "r1", "r2", "r3")
    Child(openings, StopFlag(), AtWork()).work(RUN_ID)
    assert openings.opened[0].waiting == []


def test_a_child_that_is_asked_to_end_gives_this_run_back_and_only_this_one() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), list[bool]()

    def act(stop: Callable[[], bool]) -> None:
        if not seen:
            os.kill(os.getpid(), signal.SIGTERM)
        seen.append(stop())

    child = Child(Openings(act), StopFlag(), AtWork())
    child.work(RUN_ID)
    child.work(RUN_ID)
    assert seen == [True, False]
    assert signal.getsignal(signal.SIGTERM) is before


def test_whoever_works_is_known_to_its_parent_until_it_ends_or_dies() -> None:
    at_work = AtWork()
    assert not at_work.anybody()
    with at_work.marked():
        assert at_work.anybody()
    assert not at_work.anybody()
    child = os.fork()
    if not child:
        with at_work.marked():
            os._exit(0)  # as a kill would: nothing is taken back
    os.waitpid(child, 0)
    assert not at_work.anybody()
