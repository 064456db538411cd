"""A process that feeds the lexical index is killed; the next one repairs what it left."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from features.filters import PassageFilter
from features.words import WordIndex
from tests.support import catalog_rows as rows

SPACE = rows.space_of(4)
VECTOR = rows.unit_vectors(1, 4)[0]
FEED = """
import os, signal, sys
from pathlib import Path
from core.database import Database
from features import words
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
url, folder, point = sys.argv[1:]
database = Database(url)
kept, seen = words.schema.document, []
def dying_document(row):
    seen.append(row)
    return die() if len(seen) == 3 else kept(row)
if point == "writing":
    words.schema.document = dying_document
else:
    words.write_whole = die
words.WordIndex(Path(folder), 1).feed(database)
"""


@pytest.mark.parametrize("fed_before", [True, False])
@pytest.mark.parametrize("point", ["writing", "after the commit"])
def test_a_feeder_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path, point: str, *, fed_before: bool) -> None:
    database = rows.create(tmp_path)
    generation = rows.start_generation(database, SPACE)
    index = WordIndex(tmp_path / "words", generation)
    if fed_before:
        rows.write(database, generation, SPACE, [rows.Row(name="0", text="vpn 0", vector=VECTOR)])
        index.feed(database)
    new = [rows.Row(name=str(i), text=f"vpn {i}", vector=VECTOR) for i in range(6)]
    rows.write(database, generation, SPACE, new)
    arguments = [sys.executable, "-c", FEED, database.url, str(tmp_path / "words"), point]
    killed = subprocess.run(arguments, check=False, cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    index.refresh()
    assert len(index) in ({1, 6} if fed_before else {0})
    index.feed(database)
    ids, _ = index.search("vpn", 50, PassageFilter(None, 1))
    assert sorted(ids) == sorted(row.chunk_id for row in new)
    assert sum(part.is_dir() for part in (tmp_path / "words").iterdir()) == 1
    database.close()
