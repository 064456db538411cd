"""The database ends in the middle: PostgreSQL stopped as by a power switch, SQLite with whoever was committing."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from core.errors import DatabaseUnavailableError
from tests.support.databases import Mode
from tests.support.faults import jobs
from tests.support.faults.corpus import Undisturbed, assert_as_undisturbed
from tests.support.faults.household import Household, household
from tests.support.faults.nursery import Nursery
from tests.support.faults.postgres import MortalPostgres

PAUSE = 0.004
COMMITS = 12  # a worker dies in one of its first
LONGEST_DELAY = 0.004  # seconds after a commit has begun


@pytest.fixture
def home(nursery: Nursery, tmp_path: Path, run_mode: Mode) -> Iterator[Household]:
    """An installation whose database may be stopped."""
    if run_mode == "embedded":
        with household(nursery, tmp_path / "data") as made:
            yield made
        return
    server = MortalPostgres()
    try:
        with household(nursery, tmp_path / "data", DATABASE_URL=server.url_of(tmp_path / "data")) as made:
            made.server = server
            yield made
    finally:
        server.close()


def kill_in_commits(home: Household, draw: Random, kills: int) -> None:
    for _ in range(kills):
        home.start(
            jobs.poll_and_die_in_a_commit, draw.randint(1, COMMITS), draw.uniform(0, LONGEST_DELAY), PAUSE
        ).wait()


def stop_the_server(home: Household, corpus: Undisturbed, draw: Random, stops: int) -> None:
    assert home.server is not None
    home.worker(PAUSE)
    for _ in range(stops):
        time.sleep(draw.uniform(0.1, 0.8))
        home.server.stop()
        with pytest.raises(DatabaseUnavailableError):
            home.submit(corpus.sources)
        time.sleep(draw.uniform(0, 0.5))
        home.server.start()


def test_every_accepted_run_ends_although_the_database_dies_in_the_middle(
    home: Household,
    corpus: Undisturbed,
    run_mode: Mode,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    runs = home.submit(corpus.sources)
    begun = time.monotonic()
    if run_mode == "embedded":
        kill_in_commits(home, draw, 100 if full_size else 5)
        home.worker()
    else:
        stop_the_server(home, corpus, draw, 20 if full_size else 2)
    last = time.monotonic()
    home.await_end(runs)
    print(f"faults for {last - begun:.1f} s, ended {time.monotonic() - last:.1f} s after the last")
    assert_as_undisturbed(home.house, runs, corpus)
