"""Measuring retrieval: figures that can be checked by hand, from the path that answers a user."""

import json
from math import log2
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from tests.support.databases import NOT_NAMED
from threadwise.evaluation import NotAnEvaluationSetError, evaluate_set, read_set

pytestmark = pytest.mark.embedded_only("a measurement makes a catalogue of its own, a SQLite file in every mode")

CORPUS = {
    "bikes": ("Bike leasing", "A bike is leased for three years and paid from your gross salary."),
    "leave": ("Annual leave", "Everybody has 25 days of annual leave a year."),
    "fire": ("Fire alarm", "When the fire alarm rings we gather on the grass behind the house."),
    "wifi": ("Guest wifi", "Visitors get a code for the guest wifi at reception."),
}
QUERIES = {
    "q1": "How long is a bike leased?",
    "q2": "How many days of annual leave are there?",
    "q3": "Where do we gather when the fire alarm rings?",
    "unjudged": "What is the code of the wifi?",
}
QRELS = [("q1", "bikes", 1), ("q2", "leave", 2), ("q2", "never ingested", 1), ("q3", "fire", 1), ("q3", "wifi", 0)]
SHAPE = {
    "ndcg@10", "recall@10", "recall@100", "mrr@10", "queries", "documents", "search_ms_p50", "search_ms_p99",
    "embed_query_ms_p50", "ingest_seconds", "embed_seconds",
}  # fmt: skip


def write_set(place: Path, **replaced: str) -> Path:
    """The set above in BEIR form; a part is replaced by its file's text."""
    texts = {
        "corpus": "".join(lines_of({"_id": k, "title": title, "text": text} for k, (title, text) in CORPUS.items())),
        "queries": "".join(lines_of({"_id": k, "text": text} for k, text in QUERIES.items())),
        "qrels": "".join(["query-id\tcorpus-id\tscore\n", *(f"{q}\t{d}\t{grade}\n" for q, d, grade in QRELS)]),
    } | replaced
    (place / "qrels").mkdir(parents=True)
    (place / "corpus.jsonl").write_text(texts["corpus"], encoding="utf-8")
    (place / "queries.jsonl").write_text(texts["queries"], encoding="utf-8")
    (place / "qrels" / "test.tsv").write_text(texts["qrels"], encoding="utf-8")
    return place


def lines_of(rows: Any) -> list[str]:  # noqa: ANN401 - anything that yields objects
    return [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]


def measure(directory: Path, settings: Settings, keep: Path | None = None) -> dict[str, Any]:
    return evaluate_set(directory, settings, keep=keep, report=lambda *_: None)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """The set, the catalogue that was kept of it, and the figures of the first measurement."""
    place = tmp_path_factory.mktemp("kept")
    directory, keep = write_set(place / "set"), place / "data"
    return directory, keep, measure(directory, Settings(), keep)


def test_the_figures_are_those_that_one_reckons_by_hand(kept: tuple[Path, Path, dict[str, Any]]) -> None:
    _, _, figures = kept
    # Every question finds its document first. Of q2's two relevant documents (grades 2 and 1) the second cannot be
    # found: 2 of the 2 + 1/log2(3) that an ideal order gains, and half of the relevant ones.
    second = 2 / (2 + 1 / log2(3))
    assert figures["ndcg@10"] == pytest.approx((1 + second + 1) / 3, abs=1e-5)
    assert figures["recall@10"] == pytest.approx((1 + 0.5 + 1) / 3, abs=1e-5)
    assert figures["recall@100"] == figures["recall@10"]
    assert figures["mrr@10"] == 1.0
    assert (figures["queries"], figures["documents"]) == (3, 4)
    assert figures["without_mmr"]["ndcg@10"] == figures["ndcg@10"]


def test_the_figures_have_the_shape_that_tools_rely_on(kept: tuple[Path, Path, dict[str, Any]]) -> None:
    figures = json.loads(json.dumps(kept[2]))
    assert set(figures) >= SHAPE
    assert 0 < figures["search_ms_p50"] <= figures["search_ms_p99"]
    assert figures["embed_query_ms_p50"] > 0
    assert figures["embed_seconds"] > 0
    assert figures["ingest_seconds"] > 0


@pytest.mark.parametrize("own", ["sqlite:///{folder}/own.sqlite3", NOT_NAMED])
def test_a_measurement_leaves_the_installations_own_catalogue_alone(tmp_path: Path, own: str) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=own.format(folder=tmp_path))
    measure(write_set(tmp_path / "set"), settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_a_catalogue_that_was_kept_is_not_embedded_again_and_gives_the_same_figures(
    kept: tuple[Path, Path, dict[str, Any]],
) -> None:
    directory, keep, first = kept
    again = measure(directory, Settings(), keep)
    assert (first["chunks"], again["chunks"]) == (4, 0)
    assert again["embed_seconds"] == 0.0
    assert again["documents"] == first["documents"]
    quality = ("ndcg@10", "recall@10", "recall@100", "mrr@10", "without_mmr", "queries")
    assert {name: again[name] for name in quality} == {name: first[name] for name in quality}


def test_a_corpus_that_changed_is_measured_as_it_is_now(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    assert measure(write_set(tmp_path / "a"), Settings(), keep)["documents"] == 4
    smaller = write_set(tmp_path / "b", corpus=lines_of([{"_id": "bikes", "title": "", "text": CORPUS["bikes"][1]}])[0])
    figures = measure(smaller, Settings(), keep)
    assert figures["documents"] == 1
    assert figures["recall@10"] == pytest.approx(1 / 3, abs=1e-5)


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_folder_that_lacks_a_file_is_no_evaluation_set(tmp_path: Path, missing: str) -> None:
    directory = write_set(tmp_path / "set")
    (directory / missing).unlink()
    with pytest.raises(NotAnEvaluationSetError, match=missing.rpartition("/")[2]):
        measure(directory, Settings(data_dir=tmp_path / "data"))


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("queries", "{"),
        ("queries", "[1]\n"),
        ("queries", '{"_id": "q1"}\n'),
        ("queries", '{"_id": "q1", "text": null}\n'),
        ("queries", '{"_id": "q1", "text": " "}\n'),
        ("qrels", "query-id\tcorpus-id\tscore\nq1 bikes 1\n"),
        ("qrels", "query-id\tcorpus-id\tscore\nq1\tbikes\thigh\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_no_evaluation_set(tmp_path: Path, part: str, text: str) -> None:
    with pytest.raises(NotAnEvaluationSetError):
        read_set(write_set(tmp_path / "set", **{part: text}))


def test_a_path_that_is_no_folder_is_no_evaluation_set(tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", write_set(tmp_path / "set") / "corpus.jsonl"):
        with pytest.raises(NotAnEvaluationSetError):
            read_set(place)


def test_line_ends_of_other_systems_and_blank_lines_are_no_part_of_a_file(tmp_path: Path) -> None:
    plain = read_set(write_set(tmp_path / "a"))
    places = ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
    texts = [(tmp_path / "a" / name).read_text().replace("\n", "\r\n") + "\r\n" for name in places]
    assert read_set(write_set(tmp_path / "b", corpus=texts[0], queries=texts[1], qrels=texts[2])) == plain


def test_unicodes_own_line_ends_inside_a_question_do_not_end_its_line(tmp_path: Path) -> None:
    queries = lines_of([{"_id": "q1", "text": "How long is a bike\u2028leased\u0085?"}])[0]
    assert read_set(write_set(tmp_path / "set", queries=queries)).queries == {
        "q1": "How long is a bike\u2028leased\u0085?"
    }


def test_only_judged_questions_are_asked(tmp_path: Path) -> None:
    assert set(read_set(write_set(tmp_path / "set")).queries) == {"q1", "q2", "q3"}


def test_a_set_without_a_judged_question_gives_zeros_and_no_error(tmp_path: Path) -> None:
    empty = write_set(tmp_path / "set", qrels="query-id\tcorpus-id\tscore\n")
    figures = measure(empty, Settings(data_dir=tmp_path / "data"))
    assert (figures["queries"], figures["ndcg@10"], figures["search_ms_p99"]) == (0, 0.0, 0.0)
