"""The lexical index: what it finds, how it filters, and that its folder is only a view of the catalogue."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features import words as words_module
from features.files import exclusive
from features.filters import PassageFilter
from features.words import WordIndex
from tests.support import catalog_rows as rows

SPACE = rows.space_of(4)
ALL = PassageFilter(audience_ids=None, at=500)
VECTOR = rows.unit_vectors(1, 4)[0]


class Catalogue:
    """A small catalogue with a lexical index beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "words"
        self.database = rows.create(folder)
        self.generation = rows.start_generation(self.database, SPACE)
        self.index = WordIndex(self.folder, self.generation)

    def write(self, *new: rows.Row) -> None:
        rows.write(self.database, self.generation, SPACE, new)

    def texts(self, **texts: str) -> None:
        self.write(*(row(name, text) for name, text in texts.items()))

    def found(self, question: str, passage_filter: PassageFilter = ALL, index: WordIndex | None = None) -> list[str]:
        ids, _ = (index or self.index).search(question, 50, passage_filter)
        with self.database.read() as session:
            names = dict(
                session.connection.execute("SELECT c.id, d.title FROM chunk c JOIN document d ON d.id = c.document_id")
            )
        return [names[chunk_id] for chunk_id in ids]


def row(name: str, text: str) -> rows.Row:
    return rows.Row(name=name, text=text, vector=VECTOR)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(tmp_path)
    yield made
    made.database.close()


def test_words_match_across_case_accents_and_english_endings(catalogue: Catalogue) -> None:
    catalogue.texts(leave="Requesting parental leaves", cafe="The CAFÉ opens at nine", other="laptops")
    catalogue.index.feed(catalogue.database)
    assert catalogue.found("request leave") == ["leave"]
    assert catalogue.found("cafes?") == ["cafe"]
    assert catalogue.found("unheard") == []


@pytest.mark.parametrize(
    "question", ["", "?!", '"', "laptop AND (", 'body:laptop"', "-laptop +", "title:x laptop~9 [a TO"]
)
def test_no_question_is_read_as_query_syntax(catalogue: Catalogue, question: str) -> None:
    catalogue.texts(one="my laptop")
    catalogue.index.feed(catalogue.database)
    assert catalogue.found(question) == (["one"] if "laptop" in question else [])


def test_scores_are_those_of_bm25(catalogue: Catalogue) -> None:
    texts = {"a": "vpn vpn access", "b": "vpn for the office in the north", "c": "lunch menu"}
    catalogue.texts(**texts)
    catalogue.index.feed(catalogue.database)
    ids, scores = catalogue.index.search("vpn", 5, ALL)
    average = sum(len(text.split()) for text in texts.values()) / 3
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = [
        idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / average))
        for frequency, length in ((2, 3), (1, 7))
    ]
    assert ids == [row("a", "").chunk_id, row("b", "").chunk_id]
    assert scores == pytest.approx(expected, rel=1e-5)


def test_every_filter_column_is_respected_and_changes_no_score(catalogue: Catalogue) -> None:
    plain = row("plain", "vpn access")
    catalogue.write(
        plain,
        replace(plain, name="private", audience=("C1",)),
        replace(plain, name="slack", source="slack"),
        replace(plain, name="faq", kind="faq"),
        replace(plain, name="ada", author="Ada"),
        replace(plain, name="later", valid_from=501),
        replace(plain, name="over", valid_to=500),
    )
    catalogue.index.feed(catalogue.database)
    everyone = rows.audience_of(catalogue.database, "everyone")

    def found(**conditions: object) -> set[str]:
        return set(catalogue.found("vpn", replace(ALL, **conditions)))  # type: ignore[arg-type]

    assert found() == {"plain", "private", "slack", "faq", "ada"}
    assert found(audience_ids=(everyone,)) == {"plain", "slack", "faq", "ada"}
    assert found(audience_ids=(everyone, *range(1_000, 6_000))) == {"plain", "slack", "faq", "ada"}
    assert found(audience_ids=()) == set()
    assert found(sources=("slack",)) == {"slack"}
    assert found(kinds=("faq",)) == {"faq"}
    assert found(authors=("Ada",)) == {"ada"}
    assert found(at=501) == {"plain", "private", "slack", "faq", "ada", "later"}
    assert found(chunk_ids=(plain.chunk_id, "unknown")) == {"plain"}
    narrow = catalogue.index.search("vpn", 9, replace(ALL, audience_ids=(everyone,), kinds=("faq",)))
    wide = catalogue.index.search("vpn", 9, ALL)
    assert set(narrow[1].tolist()) == set(wide[1].tolist())


def test_named_chunks_get_the_score_a_search_gives_them(catalogue: Catalogue) -> None:
    catalogue.texts(**{f"t{i}": "vpn " * (i + 1) + "office" for i in range(5)}, none="lunch")
    catalogue.index.feed(catalogue.database)
    ids, scores = catalogue.index.search("office vpn", 9, ALL)
    wanted = [*ids, row("none", "").chunk_id, "unknown"]
    assert catalogue.index.scores("office vpn", wanted).tolist() == pytest.approx([*scores.tolist(), 0.0, 0.0])
    assert catalogue.index.scores("", wanted).tolist() == [0.0] * 7


def test_a_very_long_question_keeps_its_rarest_words(catalogue: Catalogue) -> None:
    catalogue.texts(one="zebra", **{f"t{i}": " ".join(f"word{j}" for j in range(90)) for i in range(3)})
    catalogue.index.feed(catalogue.database)
    question = " ".join(f"word{j}" for j in range(90)) + " zebra"
    assert "one" in catalogue.found(question)


def test_feeding_follows_changes_and_removals(catalogue: Catalogue) -> None:
    catalogue.texts(a="vpn", b="vpn")
    catalogue.index.feed(catalogue.database)
    catalogue.texts(a="lunch", c="vpn")
    rows.remove(catalogue.database, catalogue.generation, [row("b", "").chunk_id])
    catalogue.index.feed(catalogue.database)
    assert (catalogue.found("vpn"), catalogue.found("lunch")) == (["c"], ["a"])
    assert catalogue.index.text_shas([row("c", "").chunk_id, row("b", "").chunk_id]).keys() == {row("c", "").chunk_id}


def test_feeding_again_after_a_lost_sidecar_doubles_nothing(catalogue: Catalogue) -> None:
    catalogue.texts(a="vpn")
    catalogue.index.feed(catalogue.database)
    sidecar = catalogue.folder / "fed.json"
    before = sidecar.read_bytes()
    catalogue.texts(b="vpn")
    catalogue.index.feed(catalogue.database)
    sidecar.write_bytes(before)  # as after a crash between Tantivy's commit and the sidecar
    again = WordIndex(catalogue.folder, catalogue.generation)
    again.feed(catalogue.database)
    assert sorted(catalogue.found("vpn", index=again)) == ["a", "b"]
    assert len(again) == 2


def test_whoever_does_not_get_the_lock_searches_what_is_there(catalogue: Catalogue) -> None:
    catalogue.texts(a="vpn")
    catalogue.index.feed(catalogue.database)
    catalogue.texts(b="vpn")
    with exclusive(catalogue.folder / "lock", wait=False):
        assert catalogue.index.feed(catalogue.database) is False
        assert catalogue.found("vpn") == ["a"]
    assert catalogue.index.feed(catalogue.database) is True
    assert sorted(catalogue.found("vpn")) == ["a", "b"]


def test_what_one_process_feeds_the_other_sees(catalogue: Catalogue) -> None:
    other = WordIndex(catalogue.folder, catalogue.generation)
    other.refresh()
    assert other.sequence == -1
    catalogue.texts(a="vpn")
    catalogue.index.feed(catalogue.database)
    other.refresh()
    assert catalogue.found("vpn", index=other) == ["a"]
    catalogue.index.rebuild(catalogue.database)
    catalogue.texts(b="vpn")
    catalogue.index.feed(catalogue.database)
    assert catalogue.found("vpn", index=other) == ["a"]
    other.refresh()
    assert sorted(catalogue.found("vpn", index=other)) == ["a", "b"]


def cut_meta(folder: Path) -> None:
    meta = next(folder.glob("*/meta.json"))
    meta.write_bytes(meta.read_bytes()[:20])


def cut_segments(folder: Path) -> None:
    for file in folder.glob("*/*.term"):
        file.unlink()  # a process that still has it open must not lose the ground under it
        file.write_bytes(b"")


def drop_sidecar(folder: Path) -> None:
    (folder / "fed.json").unlink()


def garble_sidecar(folder: Path) -> None:
    (folder / "fed.json").write_bytes(b"{")


def age_format(folder: Path) -> None:
    stored = json.loads((folder / "fed.json").read_bytes())
    (folder / "fed.json").write_text(json.dumps(stored | {"format": "0 tantivy 0.1"}))


def run_ahead(folder: Path) -> None:
    stored = json.loads((folder / "fed.json").read_bytes())
    (folder / "fed.json").write_text(json.dumps(stored | {"sequence": 10_000}))


@pytest.mark.parametrize("damage", [cut_meta, cut_segments, drop_sidecar, garble_sidecar, age_format, run_ahead])
def test_a_folder_that_cannot_be_trusted_is_built_again(catalogue: Catalogue, damage: Callable[[Path], None]) -> None:
    catalogue.texts(a="vpn", b="lunch")
    catalogue.index.feed(catalogue.database)
    damage(catalogue.folder)
    again = WordIndex(catalogue.folder, catalogue.generation)
    again.refresh()
    again.feed(catalogue.database)
    assert catalogue.found("vpn lunch", index=again) in (["a", "b"], ["b", "a"])
    assert sum(part.is_dir() for part in catalogue.folder.iterdir()) == 1


def test_a_folder_that_cannot_be_written_leaves_searches_with_what_is_there(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.texts(a="vpn")
    catalogue.index.feed(catalogue.database)
    catalogue.texts(b="vpn")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(words_module, "write_whole", full)
        assert catalogue.index.feed(catalogue.database) is False
        assert catalogue.found("vpn") == ["a"]
    assert catalogue.index.feed(catalogue.database) is True
    assert sorted(catalogue.found("vpn")) == ["a", "b"]


def test_an_index_that_cannot_take_changes_is_built_again(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.texts(a="vpn")
    catalogue.index.feed(catalogue.database)
    catalogue.texts(b="vpn")

    def damaged(*_: object) -> None:
        message = "An IO error occurred: a segment is shorter than its footer says"
        raise ValueError(message)

    monkeypatch.setattr(WordIndex, "_apply", damaged)
    assert catalogue.index.feed(catalogue.database) is True
    assert sorted(catalogue.found("vpn")) == ["a", "b"]


def test_many_deletions_lead_to_a_new_build_because_they_blur_the_statistics(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words_module, "STALE_FEW", 3)
    catalogue.texts(**{f"t{i}": "vpn office" for i in range(6)})
    catalogue.index.feed(catalogue.database)
    (first,) = (part.name for part in catalogue.folder.iterdir() if part.is_dir())
    for _ in range(2):
        catalogue.texts(t0="vpn", t1="office")
        catalogue.index.feed(catalogue.database)
    (second,) = (part.name for part in catalogue.folder.iterdir() if part.is_dir())
    assert first != second
    assert len(catalogue.index) == 6
