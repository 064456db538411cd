"""How well the confidence tells questions with an answer from those without, and how often the first quote has it.

    THREADWISE_EVAL_DATA=FOLDER .venv/bin/python benchmarks/refusal.py [--limit N] [--fit] [SET …]

Asks the demonstration company's questions as a member of no private channel, then the questions of each set of
FOLDER/beir through the real search. A question without an answer is one that the set marks as such (`own`), one whose
relevant documents were taken out of its ranking (`removed`), or one of another set (`foreign`). Prints by set the
AUROC, the share kept and refused at the threshold, and how often a quote holds the answer (`first`, `any`
of three), as far as words can tell.
`--fit` prints the weights that the fitting sets give; contoso_hr is never one of them, and no chosen weight is fitted.
"""

import argparse
import json
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.catalog.passages import Reader
from core.settings import Settings
from core.words import Passage, document_id_of
from generation.asking import terms
from generation.evidence import ANSWER_THRESHOLD, CHOSEN, CONFIDENCE_WEIGHTS, Evidence, EvidenceFinder
from retrieval.query import Query
from threadwise.evaluation import SOURCE
from threadwise.runtime import Threadwise

DEMO = Path(__file__).parents[1] / "demo"
DEMO_READER = "T05LQ8R2PNK/U05LQUZN7GK"
FITTED = ("squad2", "clapnq", "product_docs", "xquad_en", "feedbackqa", "handbook_faq", "mtrag_un", "intents_curekart")
HELD_OUT = ("contoso_hr",)
FOREIGN = {"handbook_faq": "product_docs", "product_docs": "handbook_faq", "feedbackqa": "handbook_faq"}
LONG = 4  # content words that two texts have to share before one can be a part of the other
FITTED_FIGURES = [name for name in CONFIDENCE_WEIGHTS if name not in CHOSEN]
OWNER = Reader(principals=(), unrestricted=True)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question as it was found; `right` says of each quote whether it holds the answer, None where unknown."""

    kind: str
    answerable: bool
    found: Evidence
    right: tuple[bool, ...] | None = None
    relevant: bool = False  # the first quote is from a relevant document


def rows(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def relevant(folder: Path) -> dict[str, set[str]]:
    """The ids of the documents that answer each question."""
    found: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").split("\n")[1:]:
        if line.strip():
            question, document, grade = line.split("\t")
            if int(grade) > 0:
                found.setdefault(question, set()).add(document_id_of(SOURCE, document))
    return found


def holds(quote: str, passage: Passage, gold: set[str], answers: Sequence[str]) -> bool:
    """Whether a quote is from a relevant document and has the answer, or is a part of a long one by its words."""
    if passage.document_id not in gold:
        return False
    said = terms(quote)
    for answer in answers:
        wanted = terms(answer)
        shared = len(wanted & said)
        part_of_it = shared >= LONG and shared >= 0.6 * len(said)
        if answer.lower() in quote.lower() or part_of_it or (wanted and 4 * shared >= len(wanted) + len(said)):
            return True
    return False


def cases(threadwise: Threadwise, finder: EvidenceFinder, folder: Path, limit: int) -> Iterator[Case]:
    """The cases of one set, from at most `limit` questions of each kind."""
    gold, questions = relevant(folder), rows(folder / "queries.jsonl")
    random.Random(5).shuffle(questions)
    answerable = [q for q in questions if q["_id"] in gold and q.get("metadata", {}).get("answerable", True)]
    for question in answerable[:limit]:
        right = gold[question["_id"]]
        vector, passages = asked(threadwise, question["text"], 8)
        found = finder.find(question["text"], vector, passages[:5])
        answers = question.get("metadata", {}).get("answers", [])
        held = tuple(holds(one.text, passages[one.passage], right, answers) for one in found.quotes)
        first = bool(held) and passages[found.quotes[0].passage].document_id in right
        yield Case(kind="own", answerable=True, found=found, right=held if answers else None, relevant=first)
        rest = [passage for passage in passages if passage.document_id not in right][:5]
        yield Case(kind="removed", answerable=False, found=finder.find(question["text"], vector, rest))
    others = [(q["text"], "own") for q in questions if not q.get("metadata", {}).get("answerable", True)][:limit]
    if foreign := FOREIGN.get(folder.name):
        others += [(q["text"], "foreign") for q in rows(folder.parent / foreign / "queries.jsonl")[: limit // 2]]
    for text, kind in others:
        yield Case(kind=kind, answerable=False, found=finder.find(text, *asked(threadwise, text, 5)))


def asked(
    threadwise: Threadwise, text: str, top_k: int, reader: Reader = OWNER
) -> tuple[NDArray[np.float32], list[Passage]]:
    """The question's vector and its passages."""
    query = Query(text=text, reader=reader, top_k=top_k)
    ranking = threadwise.search(query)
    return ranking.vector, ranking.passages


def demo_cases(threadwise: Threadwise, finder: EvidenceFinder) -> Iterator[Case]:
    """The demonstration's questions; what only the private channel answers has no answer for this reader."""
    reader = threadwise.reader(DEMO_READER)
    for question in rows(DEMO / "questions.jsonl"):
        vector, passages = asked(threadwise, question["question"], 5, reader)
        found = finder.find(question["question"], vector, passages)
        right = tuple(passages[quote.passage].external_id in question["where"] for quote in found.quotes)
        answerable = question["answerable"] and not question["private"]
        yield Case(
            kind="own", answerable=answerable, found=found, right=right if answerable else None, relevant=any(right[:1])
        )


def auroc(high: Sequence[float], low: Sequence[float]) -> float:
    """The chance that one of `high` is above one of `low`, a tie counting half."""
    first, second = np.asarray(high)[:, None], np.asarray(low)[None, :]
    return float(np.mean((first > second) + 0.5 * (first == second)))


def report(name: str, found: Sequence[Case]) -> None:
    """Print the lines of one set."""
    kept = [case.found.confidence for case in found if case.answerable]
    known = [case.right for case in found if case.right is not None]
    hits = [np.mean([any(right[:depth]) for right in known]) if known else float("nan") for depth in (1, 3)]
    share, near = np.mean(np.asarray(kept) >= ANSWER_THRESHOLD), np.mean([c.relevant for c in found if c.answerable])
    quotes = f"first {hits[0]:.2f}  any {hits[1]:.2f}  first from a relevant document {near:.2f}"
    print(f"{name:<18} {len(kept):>4} answerable  kept {share:.2f}  {quotes}", flush=True)
    for kind in ("own", "removed", "foreign"):
        low = [case.found.confidence for case in found if not case.answerable and case.kind == kind]
        if low:
            refused = np.mean(np.asarray(low) < ANSWER_THRESHOLD)
            print(f"{'':<18} {len(low):>4} {kind:<10}  refused {refused:.2f}  AUROC {auroc(kept, low):.3f}", flush=True)


def fitted(sets: dict[str, list[Case]]) -> tuple[dict[str, float], float]:
    """Weights and bias of a logistic regression (Newton's method, L2 penalty 1 on standardised features).

    Each set counts alike, and in it the answerable and the unanswerable questions, and of these each kind.
    """
    features, labels, weights = [], [], []
    for found in sets.values():
        groups: dict[tuple[bool, str], list[Case]] = {}
        for case in found:
            if case.found.features:
                groups.setdefault((case.answerable, case.kind), []).append(case)
        for (answerable, _), members in groups.items():
            share = 1.0 if answerable else 1.0 / max(len(groups) - 1, 1)
            features += [[case.found.features[name] for name in FITTED_FIGURES] for case in members]
            labels += [float(answerable)] * len(members)
            weights += [share / len(members)] * len(members)
    raw = np.asarray(features)
    mean, spread = raw.mean(axis=0), raw.std(axis=0) + 1e-9
    solved = newton((raw - mean) / spread, np.asarray(labels), np.asarray(weights))
    slopes = solved[:-1] / spread
    return dict(zip(FITTED_FIGURES, slopes.round(2).tolist(), strict=True)), float(solved[-1] - slopes @ mean)


def newton(standard: Floats, labels: Floats, weights: Floats) -> Floats:
    """The coefficients, the constant last."""
    design = np.column_stack([standard, np.ones(len(standard))])
    penalty = np.eye(design.shape[1])
    penalty[-1, -1] = 0.0
    weights, solved = weights / weights.mean(), np.zeros(design.shape[1])
    for _ in range(30):
        expected = 1 / (1 + np.exp(-design @ solved))
        curvature = (design * (weights * expected * (1 - expected))[:, None]).T @ design + penalty
        solved += np.linalg.solve(curvature, design.T @ (weights * (labels - expected)) - penalty @ solved)
    return solved


def measure(folder: Path, limit: int) -> list[Case]:
    """Ingest and ask one set."""
    with tempfile.TemporaryDirectory() as place, Threadwise(Settings(data_dir=Path(place))) as threadwise:
        threadwise.ingest(folder, name=SOURCE, kind="beir")
        found = list(cases(threadwise, EvidenceFinder(threadwise.embedder.embed_documents), folder, limit))
    report(folder.name, found)
    return found


def measure_demo() -> None:
    """Ingest and ask the demonstration."""
    with tempfile.TemporaryDirectory() as place, Threadwise(Settings(data_dir=Path(place))) as threadwise:
        for part in ("slack-export", "handbook"):
            threadwise.ingest(DEMO / part, name=part)
        report("demo", list(demo_cases(threadwise, EvidenceFinder(threadwise.embedder.embed_documents))))


def main() -> None:
    """Measure the sets that were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[*FITTED, *HELD_OUT])
    parser.add_argument("--limit", type=int, default=150)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    measure_demo()
    data = os.environ.get("THREADWISE_EVAL_DATA")
    if not data:
        print("THREADWISE_EVAL_DATA is not set: no other question sets at hand")
        return
    found = {name: measure(Path(data) / "beir" / name, options.limit) for name in options.sets}
    if options.fit:
        weights, bias = fitted({name: each for name, each in found.items() if name in FITTED})
        print(json.dumps(weights), f"bias {bias:.2f}")


if __name__ == "__main__":
    main()
