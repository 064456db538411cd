"""Measuring retrieval on a set in BEIR form, through the same path that answers a user."""

import json
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.catalog.passages import Reader
from core.errors import ThreadwiseError
from core.settings import Settings
from core.words import document_id_of
from ingest.pipeline import IngestReport
from ingest.work import Report
from retrieval.query import Query
from threadwise.metrics import Grades, mean_scores
from threadwise.runtime import Threadwise

DEPTH = 100  # documents ranked for recall@100
SOURCE = "evaluation"


class NotAnEvaluationSetError(ThreadwiseError):
    """The folder is not in BEIR form."""

    code = "not_an_evaluation_set"


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Questions by id, and for each the grades by document id."""

    queries: dict[str, str]
    judgements: dict[str, Grades]


@dataclass(frozen=True, slots=True)
class Measured:
    """Rankings of documents by question, with and without MMR, and the milliseconds each question took."""

    with_mmr: dict[str, list[str]]
    without_mmr: dict[str, list[str]]
    search_ms: list[float]
    embed_ms: list[float]


def evaluate_set(directory: Path, settings: Settings, *, keep: Path | None, report: Report) -> dict[str, object]:
    """Ingest the corpus into a catalogue of its own, ask every judged question, return the figures.

    Raises `NotAnEvaluationSetError` when a file is missing or unreadable.
    """
    wanted = read_set(directory)
    place = nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory(prefix="threadwise-eval-")
    with place as folder, Threadwise(_isolated(settings, Path(folder))) as threadwise:
        ingested = threadwise.ingest(directory, name=SOURCE, kind="beir", report=report)
        measured = _ask_all(threadwise, wanted.queries)
    return _figures(wanted, measured, ingested)


def read_set(directory: Path) -> EvaluationSet:
    """Read `queries.jsonl` and `qrels/test.tsv`; questions that no document is judged for are left out."""
    try:
        with (directory / "corpus.jsonl").open("rb"):
            pass  # it is read by the ingestion; that it is there is worth knowing before
        judgements = _read_qrels(_lines(directory / "qrels" / "test.tsv"))
        rows = map(json.loads, _lines(directory / "queries.jsonl"))
        queries = {row["_id"]: _question(row) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAnEvaluationSetError(
            f"{directory} is not an evaluation set: {error}.",
            hint="It needs corpus.jsonl, queries.jsonl and qrels/test.tsv.",
        ) from error
    return EvaluationSet({name: text for name, text in queries.items() if name in judgements}, judgements)


def _lines(path: Path) -> list[str]:
    """The lines that are not blank. Unicode's own line ends may stand inside a JSON text and do not end a line."""
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _question(row: dict[str, str]) -> str:
    if not row["text"].strip():
        raise ValueError(f"the question {row['_id']!r} is empty")
    return row["text"]


def _read_qrels(lines: Sequence[str]) -> dict[str, Grades]:
    judgements: dict[str, dict[str, int]] = {}
    for line in lines[1:]:
        query, document, grade = line.split("\t")
        judgements.setdefault(query, {})[document_id_of(SOURCE, document)] = int(grade)
    return dict(judgements)


def _isolated(settings: Settings, folder: Path) -> Settings:
    # A measurement never touches the installation's own catalogue.
    return settings.model_copy(update={"data_dir": folder, "database_url": ""})


def _ask_all(threadwise: Threadwise, queries: dict[str, str]) -> Measured:
    reader = Reader(principals=(), unrestricted=True)
    measured = Measured({}, {}, [], [])
    threadwise.warm()  # loading is not part of answering the first question
    for name, text in queries.items():
        query = Query(text=text, reader=reader)
        ranking = threadwise.search(query)
        measured.embed_ms.append(ranking.embed_ms)
        measured.search_ms.append(ranking.took_ms - ranking.embed_ms)
        pool = threadwise.retriever.candidates(query)
        for rankings, mmr_lambda in ((measured.with_mmr, None), (measured.without_mmr, 1.0)):
            order = threadwise.retriever.order(pool, len(pool.places), mmr_lambda)
            found = dict.fromkeys(pool.places[row].document_id for row in order.tolist())
            rankings[name] = list(found)[:DEPTH]
    return measured


def _figures(wanted: EvaluationSet, measured: Measured, ingested: IngestReport) -> dict[str, object]:
    relevant = {name: grades for name, grades in wanted.judgements.items() if name in wanted.queries}
    return {
        **_quality(measured.with_mmr, relevant),
        "queries": len(wanted.queries),
        "documents": ingested.added + ingested.changed + ingested.unchanged,
        "search_ms_p50": _percentile(measured.search_ms, 50),
        "search_ms_p99": _percentile(measured.search_ms, 99),
        "embed_query_ms_p50": _percentile(measured.embed_ms, 50),
        "ingest_seconds": round(ingested.seconds, 3),
        "embed_seconds": round(ingested.embed_seconds, 3),
        "chunks": ingested.chunks,
        "without_mmr": _quality(measured.without_mmr, relevant),
    }


def _quality(rankings: dict[str, list[str]], judgements: dict[str, Grades]) -> dict[str, float]:
    at_10 = mean_scores(rankings, judgements, k=10)
    at_100 = mean_scores(rankings, judgements, k=DEPTH)
    names = {"ndcg@10": at_10, "recall@10": at_10, "recall@100": at_100, "mrr@10": at_10}
    return {name: round(scores[name], 5) for name, scores in names.items()}


def _percentile(values: list[float], percent: float) -> float:
    return round(float(np.percentile(values, percent)), 3) if values else 0.0
