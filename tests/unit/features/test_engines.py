"""Both engines together: whose words they are, and what a search does when the lexical index is damaged."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

from core import tables as t
from core.database import Database
from core.settings import IndexSettings
from features.engine_pair import EnginePair
from features.engines import Engines
from features.filters import PassageFilter
from features.words import WordIndex
from tests.support import catalog_rows as rows

SPACE = rows.space_of(4)
VECTOR = rows.unit_vectors(1, 4)[0]
ALL = PassageFilter(audience_ids=None, at=500)


class Place:
    """A data folder with a catalogue, and engines that are opened anew for every search."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = self.new_catalogue(created_at=1)

    def new_catalogue(self, created_at: int) -> Database:
        self.home = self.folder / f"catalogue-{created_at}"
        self.database = rows.create(self.home)
        self.generation = rows.start_generation(self.database, SPACE)
        with self.database.write() as session:
            session.execute(update(t.generation).values(created_at=created_at))
        return self.database

    def write(self, *texts: str) -> None:
        made = [rows.Row(name=text, text=text, vector=VECTOR) for text in texts]
        rows.write(self.database, self.generation, SPACE, made)

    def engines(self) -> EnginePair:
        opened = Engines(self.database, self.folder, IndexSettings()).serving()
        assert opened is not None
        return opened

    def worded(self, question: str, engines: EnginePair | None = None) -> list[str]:
        """The chunks with a lexical score, found by words alone."""
        found = (engines or self.engines()).search(None, question, pool=9, passage_filter=ALL)
        return [key for key, score in zip(found.chunk_ids, found.lexical.tolist(), strict=True) if score > 0]

    @property
    def segments(self) -> Path:
        (meta,) = self.folder.glob("engines/*/words/*/meta.json")
        return meta.parent


def chunk(text: str) -> str:
    return rows.Row(name=text, text=text, vector=VECTOR).chunk_id


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.database.close()


def test_another_catalogue_in_the_same_folder_gets_words_of_its_own(place: Place) -> None:
    place.write("vpn", "lunch")
    assert place.worded("vpn") == [chunk("vpn")]
    place.database.close()
    place.new_catalogue(created_at=2)
    place.write("leave", "holiday", "payroll")
    assert place.worded("leave") == [chunk("leave")]
    assert place.worded("vpn") == []


def test_the_generation_before_answers_while_the_next_one_is_loaded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("vpn")
    engines = Engines(place.database, place.folder, IndexSettings())
    first = engines.serving()
    assert first is not None
    may_load, load = threading.Event(), EnginePair.catch_up

    def slowly(pair: EnginePair, newest: int | None = None) -> None:
        assert pair.generation_id == first.generation_id or may_load.wait(60)
        load(pair, newest)

    monkeypatch.setattr(EnginePair, "catch_up", slowly)
    place.generation = rows.start_generation(place.database, SPACE, pipeline="p2")
    place.write("lunch")
    assert [engines.serving() for _ in range(3)] == [first] * 3
    assert place.worded("vpn", first) == [chunk("vpn")]
    may_load.set()
    engines.close()
    second = engines.serving()
    assert second is not None
    assert second.generation_id == place.generation
    assert place.worded("lunch", second) == [chunk("lunch")]
    assert place.worded("vpn", first) == [chunk("vpn")], "who began with the first one may end with it"


def test_who_finds_the_generation_before_deleted_waits_for_the_next(place: Place) -> None:
    place.write("vpn")
    engines = Engines(place.database, place.folder, IndexSettings())
    engines.serving()
    first, place.generation = place.generation, rows.start_generation(place.database, SPACE, pipeline="p2")
    with place.database.write() as session:
        session.execute(update(t.generation).where(t.generation.c.id == first).values(state="retired"))
        session.execute(update(t.generation).where(t.generation.c.id == first).values(state="deleted"))
    second = engines.serving()
    assert second is not None
    assert second.generation_id == place.generation


def test_what_cannot_be_loaded_is_tried_again_and_leaves_the_generation_before(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("vpn")
    engines = Engines(place.database, place.folder, IndexSettings())
    first = engines.serving()
    place.generation = rows.start_generation(place.database, SPACE, pipeline="p2")
    with monkeypatch.context() as broken:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        broken.setattr(EnginePair, "__init__", full)
        for _ in range(2):
            assert engines.serving() is first
            engines.close()
    assert engines.serving() is first
    engines.close()
    second = engines.serving()
    assert second is not None
    assert second.generation_id == place.generation


@pytest.mark.embedded_only("sets the file of the catalogue back")
def test_a_catalogue_that_was_set_back_loses_the_words_it_no_longer_has(place: Place) -> None:
    place.write("vpn")
    place.engines()
    with closing(sqlite3.connect(place.folder / "backup")) as backup, place.database.read() as session:
        session.connection.backup(backup)
    place.write("lunch")
    assert place.worded("lunch") == [chunk("lunch")]
    place.database.close()
    for old in place.home.glob("threadwise.sqlite3*"):
        old.unlink()
    (place.folder / "backup").rename(place.home / "threadwise.sqlite3")
    place.database = Database(place.database.url)
    assert place.worded("lunch") == []
    assert place.worded("vpn") == [chunk("vpn")]


def remove(file: Path) -> None:
    file.unlink()


def replace_by(file: Path, content: bytes) -> None:
    """Another file of that name: whoever has the old one open must not lose the ground under it."""
    file.unlink()
    file.write_bytes(content)


def empty(file: Path) -> None:
    replace_by(file, b"")


def halve(file: Path) -> None:
    replace_by(file, file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("damage", [remove, empty, halve])
@pytest.mark.parametrize("suffix", ["idx", "pos", "store", "term", "fieldnorm", "fast"])
def test_a_damaged_segment_costs_no_search_its_words(place: Place, suffix: str, damage: Callable[[Path], None]) -> None:
    place.write("vpn", "lunch")
    place.engines()
    for file in place.segments.glob(f"*.{suffix}"):
        damage(file)
    assert place.worded("vpn") == [chunk("vpn")]
    place.write("holiday")
    assert place.worded("holiday") == [chunk("holiday")]


def test_words_that_cannot_be_repaired_leave_the_vectors(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("vpn", "lunch")
    engines = place.engines()
    builds: list[object] = []
    build = WordIndex._build

    def watched(index: WordIndex, session: object) -> None:
        builds.append(session)
        build(index, session)  # type: ignore[arg-type]

    def damaged(*_: object) -> None:
        message = "File does not exist"
        raise ValueError(message)

    with monkeypatch.context() as broken:
        broken.setattr(WordIndex, "_build", watched)
        for name in ("search", "scores"):
            broken.setattr(WordIndex, name, damaged)
        for _ in range(3):
            found = engines.search(VECTOR, "vpn", pool=9, passage_filter=ALL)
            assert sorted(found.chunk_ids) == sorted([chunk("vpn"), chunk("lunch")])
            assert found.lexical.tolist() == [0.0, 0.0]
    assert len(builds) == 1, "what a new build did not repair, the next will not either"


def test_a_full_disk_while_repairing_leaves_the_vectors(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("vpn")
    engines = place.engines()
    calls: list[int] = []

    def full(*_: object) -> None:
        calls.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WordIndex, "search", full)
    monkeypatch.setattr(WordIndex, "_build", full)
    found = engines.search(VECTOR, "vpn", pool=9, passage_filter=ALL)
    assert found.chunk_ids == [chunk("vpn")]
    assert len(calls) == 2


def test_who_comes_second_uses_what_the_first_has_repaired(place: Place) -> None:
    place.write("vpn")
    first, second = place.engines(), place.engines()
    before = place.segments
    assert first.words.repair(place.database)
    built = place.segments
    assert second.words.repair(place.database)
    assert before != built == place.segments
    assert place.worded("vpn", second) == [chunk("vpn")]
    shutil.rmtree(built)
    assert place.worded("vpn") == [chunk("vpn")]
