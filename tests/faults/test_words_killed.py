"""A process that feeds the lexical index is killed; what it left can be read, and the next one repairs it."""

import signal
import time
from pathlib import Path
from random import Random

import pytest

from core.database import Database
from features.filters import PassageFilter
from features.words import WordIndex
from tests.support import catalog_rows as rows
from tests.support.faults import jobs
from tests.support.faults.nursery import Grown, Nursery

SPACE = rows.space_of(4)
VECTOR = rows.unit_vectors(1, 4)[0]
BATCH = 20


def add(database: Database, generation: int, names: range) -> list[str]:
    """Rows for the catalogue; their chunk ids."""
    new = [rows.Row(name=str(i), text=f"vpn {i}", vector=VECTOR) for i in names]
    rows.write(database, generation, SPACE, new)
    return [row.chunk_id for row in new]


def found(index: WordIndex) -> list[str]:
    return sorted(index.search("vpn", 10_000, PassageFilter(None, 1))[0])


def start_feeder(nursery: Nursery, database: Database, folder: Path, generation: int, point: str = "") -> Grown:
    arguments = (database.url, str(folder / "words"), generation, point)
    return nursery.start(jobs.feed_words, *arguments, log=folder / "feeder.log", variables={})


@pytest.mark.parametrize("fed_before", [True, False])
@pytest.mark.parametrize("point", ["writing", "after the commit"])
def test_a_feeder_killed_anywhere_loses_and_doubles_nothing(
    tmp_path: Path, nursery: Nursery, point: str, *, fed_before: bool
) -> None:
    database = rows.create(tmp_path)
    generation = rows.start_generation(database, SPACE)
    index = WordIndex(tmp_path / "words", generation)
    if fed_before:
        add(database, generation, range(1))
        index.feed(database)
    new = add(database, generation, range(6))
    killed = start_feeder(nursery, database, tmp_path, generation, point)
    assert killed.wait() == -signal.SIGKILL, killed.text
    index.refresh()
    assert len(index) in ({1, 6} if fed_before else {0})
    index.feed(database)
    assert found(index) == sorted(new)
    assert sum(part.is_dir() for part in (tmp_path / "words").iterdir()) == 1
    database.close()


def test_an_index_can_be_read_whenever_its_feeder_was_killed(
    tmp_path: Path,
    nursery: Nursery,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    database = rows.create(tmp_path)
    generation = rows.start_generation(database, SPACE)
    ids, usual, kills, missed = add(database, generation, range(BATCH)), 0.0, 0, 0
    index = WordIndex(tmp_path / "words", generation)
    for place in range(1, 10_000):
        # Every third one lives: so that there is something to damage, and to know how long it takes.
        is_spared, started = place % 3 == 1, time.monotonic()
        feeder = start_feeder(nursery, database, tmp_path, generation)
        if is_spared:
            assert feeder.wait() == 0, feeder.text
            usual = time.monotonic() - started
        time.sleep(0 if is_spared else draw.uniform(0.1, 1.0) * usual)
        feeder.kill()
        kills += feeder.wait() == -signal.SIGKILL
        before = set(found(index))
        # A reader of its own opens the files anew, as the next process will.
        reader = WordIndex(tmp_path / "words", generation)
        reader.refresh()
        missed += len(reader) < len(ids)
        assert before <= set(found(reader)) <= set(ids), "what could be found still can, and nothing else"
        if kills == (200 if full_size else 10):
            break
        ids += add(database, generation, range(BATCH * place, BATCH * (place + 1)))
        index.refresh()
    print(f"killed {kills} feeders, {missed} of them before what they fed could be found")
    index.feed(database)
    assert found(index) == sorted(ids)
    database.close()
