"""The database ends in the middle: PostgreSQL stopped as by a power switch, SQLite with whoever was committing."""

import itertools
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from core.errors import DatabaseUnavailableError
from tests.support.databases import current_mode
from tests.support.faults import jobs
from tests.support.faults.corpus import Undisturbed, assert_as_undisturbed
from tests.support.faults.household import Household, household
from tests.support.faults.nursery import Nursery
from tests.support.faults.postgres import MortalPostgres

PAUSE = 0.004
COMMITS = 12  # a worker dies in one of its first
LONGEST_DELAY = 0.004  # seconds after a commit has begun


LONG_PAUSE = 0.2  # seconds for a text while PostgreSQL is stopped twenty times


def die_in_commits(home: Household, runs: Mapping[str, str], draw: Random, most: int) -> int:
    """Workers that end in the middle of a commit, until there is nothing left to do; how many."""
    for kills in range(most):
        if not home.open_runs(runs):
            return kills
        moment = draw.randint(1, COMMITS), draw.uniform(0, LONGEST_DELAY)
        home.start(jobs.poll_and_die_in_a_commit, *moment, PAUSE).wait()
    return most


@pytest.mark.embedded_only("SQLite commits in the process that is killed")
def test_a_run_ends_like_an_undisturbed_one_although_every_worker_dies_in_a_commit(
    nursery: Nursery,
    corpus: Undisturbed,
    tmp_path: Path,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    kills, wanted = 0, 100 if full_size else 5
    for life in itertools.count():
        with household(nursery, tmp_path / str(life) / "data") as home:
            runs = home.submit(corpus.sources)
            kills += die_in_commits(home, runs, draw, wanted - kills)
            home.worker()
            home.await_end(runs)
            assert_as_undisturbed(home.house, runs, corpus)
        if kills == wanted:
            print(f"{kills} workers died in a commit of {life + 1} lives")
            return


def stop_once(home: Household, server: MortalPostgres, sources: Mapping[str, Path], moments: Random) -> None:
    time.sleep(moments.uniform(0.1, 0.8))
    server.stop()
    with pytest.raises(DatabaseUnavailableError):
        home.submit(sources)
    time.sleep(moments.uniform(0, 0.5))
    server.start()


def test_a_run_ends_like_an_undisturbed_one_although_its_server_is_stopped_at_once_again_and_again(
    nursery: Nursery,
    corpus: Undisturbed,
    tmp_path: Path,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    if current_mode() == "embedded":
        pytest.skip("is about PostgreSQL")
    with closing(MortalPostgres()) as server:
        place = tmp_path / "data"
        with household(nursery, place, DATABASE_URL=server.url_of(place)) as home:
            runs, worker = home.submit(corpus.sources), home.worker(LONG_PAUSE if full_size else PAUSE)
            for _ in range(20 if full_size else 2):
                stop_once(home, server, corpus.sources, draw)
            last = time.monotonic()
            home.await_end(runs)
            print(f"ended {time.monotonic() - last:.1f} s after the last stop")
            assert worker.status() is None, "the same worker has gone on"
            assert_as_undisturbed(home.house, runs, corpus)
