"""A disk that is full: what has been accepted waits, nobody's attempt is counted, and it goes on once there is room."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import select

from core import tables as t
from core.settings import sqlite_url
from tests.support.databases import Mode
from tests.support.doorbell import eventually
from tests.support.faults.corpus import Undisturbed, assert_as_undisturbed
from tests.support.faults.household import Household, household
from tests.support.faults.nursery import Nursery
from tests.support.faults.postgres import MortalPostgres
from tests.support.faults.small_disk import SmallDisk, small_disk
from threadwise.digest import catalogue_digest

PATIENCE = 30.0
QUICK: dict[str, object] = {"INGEST__PAUSE_SECONDS": 0.5}
SPARE = {"embedded": 192 * 1024, "server": 0}
"""Bytes that are left: enough to begin with."""


@contextmanager
def on_a_small_disk(nursery: Nursery, folder: Path, mode: Mode) -> Iterator[tuple[Household, SmallDisk]]:
    """An installation whose database is on a disk of its own."""
    with ExitStack() as stack:
        if mode == "embedded":
            disk = stack.enter_context(small_disk(folder / "small"))
            url = sqlite_url(disk.folder / "threadwise.sqlite3")
        else:
            server = MortalPostgres()
            stack.callback(server.close)
            # The server may not look into the folders of whoever runs the tests.
            disk = stack.enter_context(small_disk(server.folder / "small"))
            url = server.url_of(folder / "data")
            server.move(folder / "data", disk.folder / "space")
        home = stack.enter_context(household(nursery, folder / "data", DATABASE_URL=url, **QUICK))
        yield home, disk


def pauses(home: Household) -> set[str]:
    return {row.paused for row in home.house.runs.sources()}


def assert_no_attempt_was_counted(home: Household) -> None:
    with home.house.database.read() as session:
        assert set(session.execute(select(t.work.c.attempt)).scalars()) == {1}
        assert set(session.execute(select(t.run.c.attempt)).scalars()) == {1}
    assert home.house.runs.letters() == []


def test_a_database_without_room_makes_everybody_wait_and_nothing_is_lost(
    nursery: Nursery, corpus: Undisturbed, tmp_path: Path, run_mode: Mode
) -> None:
    with on_a_small_disk(nursery, tmp_path, run_mode) as (home, disk):
        runs = home.submit(corpus.sources)
        disk.fill(SPARE[run_mode])
        worker = home.worker()
        eventually(lambda: "storage_full" in worker.text, PATIENCE)
        assert home.open_runs(runs), "some of them wait"
        disk.empty()
        home.await_end(runs)
        assert worker.status() is None, "the same worker has gone on by itself"
        assert_no_attempt_was_counted(home)
        assert_as_undisturbed(home.house, runs, corpus)


def test_a_source_whose_documents_find_no_room_is_paused_and_goes_on_by_itself(
    nursery: Nursery, corpus: Undisturbed, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "data" / "blobs") as disk, household(nursery, tmp_path / "data", **QUICK) as home:
        disk.fill()
        runs = home.submit(corpus.sources)
        home.worker()
        eventually(lambda: "storage_full" in pauses(home), PATIENCE)
        disk.empty()
        home.await_end(runs)
        assert pauses(home) == {""}
        assert_no_attempt_was_counted(home)
        assert_as_undisturbed(home.house, runs, corpus)


def test_engines_without_room_are_behind_until_there_is_some(
    nursery: Nursery, corpus: Undisturbed, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "data" / "engines") as disk, household(nursery, tmp_path / "data", **QUICK) as home:
        disk.fill()
        runs = home.submit(corpus.sources)
        home.worker()
        home.await_end(runs)
        behind = catalogue_digest(home.house)
        parts = {name for name in behind if behind[name] != corpus.digest[name]}
        assert parts == {"words", "all"}, "the catalogue has everything"
        disk.empty()
        assert_as_undisturbed(home.house, runs, corpus)
