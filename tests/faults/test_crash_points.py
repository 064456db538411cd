"""A process that dies at a named place, three times at each: whoever comes after it makes whole what it left."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

import pytest
from sqlalchemy import func, select

from core import tables as t
from tests.support.faults import jobs
from tests.support.faults.corpus import Undisturbed, assert_as_undisturbed, undisturbed
from tests.support.faults.household import Household, household
from tests.support.faults.nursery import CRASHED, Grown, Nursery

ACCEPT: Final = ("accept.before_commit", "accept.after_commit")
RESCUE: Final = "rescue.before"
RELEASE: Final = "release.before"
WORK: Final[Mapping[str, Sequence[int]]] = {
    "claim.after": (1, 1, 1),
    "plan.before_commit": (1, 1, 1),
    "plan.after_commit": (1, 1, 1),
    "work.claimed": (1, 1, 1),
    "work.prepared": (1, 3, 6),
    "commit.before": (1, 1, 2),
    "commit.after": (1, 1, 2),
    "link.sketched": (1,),
    "finish.before": (1, 1, 1),
    "finish.after": (1, 1, 1),
    RELEASE: (1, 1, 1),
}
"""At which passing of each place a worker dies."""

DOCUMENTS = 6
PAUSE = 0.05  # seconds for a text: a run needs several transactions
STOPPED_AFTER = 0.15
AT_ONCE = 4


def cases() -> Iterator[tuple[str, str]]:
    """(source, crash point with its count) of every request and every worker that dies."""
    for point in ACCEPT:
        yield from ((f"{point}-{place}", f"{point}:1") for place in range(3))
    for point, times in WORK.items():
        yield from ((f"{point}-{place}", f"{point}:{count}") for place, count in enumerate(times))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """One source for each process that dies."""
    return undisturbed(tmp_path_factory.mktemp("crashes"), [name for name, _ in cases()], DOCUMENTS)


def die(home: Household, sources: Undisturbed, runs: dict[str, str]) -> None:
    """Everybody dies at a place of their own; the runs of those who only accept are found by asking again."""

    def start(source: str, place: str) -> Grown:
        path = str(sources.sources[source])
        if place.startswith("accept."):
            return home.start(jobs.accept, source, path, source, CRASH_AT=place)
        runs[source] = home.house.runs.submit(jobs.request_with(source, path, source))
        until = STOPPED_AFTER if place.startswith(RELEASE) else jobs.FOREVER
        return home.start(jobs.work, runs[source], PAUSE, until, CRASH_AT=place)

    listed = list(cases())
    for first in range(0, len(listed), AT_ONCE):
        started = {place: start(source, place) for source, place in listed[first : first + AT_ONCE]}
        assert {place: grown.wait() for place, grown in started.items()} == dict.fromkeys(started, CRASHED)
    for source, place in listed:
        if place.startswith("accept."):
            path = str(sources.sources[source])
            runs[source] = home.house.runs.submit(jobs.request_with(source, path, source))


def test_whoever_dies_at_a_named_place_leaves_what_can_be_made_whole(
    nursery: Nursery, sources: Undisturbed, tmp_path: Path, draw: Random
) -> None:
    runs: dict[str, str] = {}
    with household(nursery, tmp_path / "data") as home:
        die(home, sources, runs)
        for count in (1, draw.randint(1, 3), draw.randint(1, 3)):
            assert home.start(jobs.poll, CRASH_AT=f"{RESCUE}:{count}").wait() == CRASHED
        home.worker()
        home.await_end(runs)
        assert_as_undisturbed(home.house, runs, sources)
        with home.house.database.read() as session:
            counted = select(func.count()).select_from(t.run)
            assert session.execute(counted).scalar_one() == len(runs), "no request has made a second run"
