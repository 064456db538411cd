"""What the trade of MMR and the weight of fusion cost and bring, on sets in BEIR form.

    THREADWISE_EVAL_DATA=FOLDER .venv/bin/python benchmarks/ranking.py [SET …]

Ingests each set of FOLDER/beir once; prints nDCG@10, recall@10, recall@100 (x 100) and the diversity of the first ten
(1 - mean cosine), without MMR and at several lambdas, and at several weights of the dense leg. FULL=1 asks every
question, otherwise the first 300 of a set.
"""

import os
import sys
import tempfile
from pathlib import Path

from core.catalog.passages import Reader
from core.settings import RetrievalSettings, Settings
from retrieval.query import Query
from retrieval.retriever import Pool
from threadwise.evaluation import SOURCE, EvaluationSet, read_set
from threadwise.metrics import diversity, mean_scores
from threadwise.runtime import Threadwise

DEFAULT_SETS = ("cranfield", "feedbackqa", "contoso_hr")
LAMBDAS = (1.0, 0.95, 0.9, 0.8, 0.5)
WEIGHTS = (0.5, 0.6, 0.65, 0.7, 0.8)
OWNER = Reader(principals=(), unrestricted=True)


def pools(threadwise: Threadwise, wanted: EvaluationSet, limit: int | None) -> dict[str, Pool]:
    """The candidates of each question under the present settings."""
    asked = list(wanted.queries.items())[:limit]
    return {name: threadwise.retriever.candidates(Query(text=text, reader=OWNER)) for name, text in asked}


def line(threadwise: Threadwise, found: dict[str, Pool], wanted: EvaluationSet, mmr_lambda: float) -> str:
    """One row of the table."""
    rankings, spread = {}, []
    for name, pool in found.items():
        order = threadwise.retriever.order(pool, len(pool.places), mmr_lambda)
        rankings[name] = list(dict.fromkeys(pool.places[row].document_id for row in order.tolist()))
        spread.append(diversity(pool.vectors[order[:10]]))
    judged = {name: wanted.judgements[name] for name in found}
    ten, hundred = mean_scores(rankings, judged, k=10), mean_scores(rankings, judged, k=100)
    figures = (100 * ten["ndcg@10"], 100 * ten["recall@10"], 100 * hundred["recall@100"])
    return "  ".join(f"{figure:6.2f}" for figure in figures) + f"  {sum(spread) / len(spread):.3f}"


def measure(folder: Path, limit: int | None) -> None:
    """Print the table of one set."""
    wanted = read_set(folder)
    with tempfile.TemporaryDirectory() as place, Threadwise(Settings(data_dir=Path(place))) as threadwise:
        threadwise.ingest(folder, name=SOURCE, kind="beir")
        threadwise.warm()
        default = RetrievalSettings()
        found = pools(threadwise, wanted, limit)
        for mmr_lambda in LAMBDAS:
            print(
                f"{folder.name:<18} lambda {mmr_lambda:<5}  {line(threadwise, found, wanted, mmr_lambda)}", flush=True
            )
        for weight in WEIGHTS:
            threadwise.retriever.settings = default.model_copy(update={"dense_weight": weight})
            found = pools(threadwise, wanted, limit)
            row = line(threadwise, found, wanted, default.mmr_lambda)
            print(f"{folder.name:<18} weight {weight:<5}  {row}", flush=True)


def main() -> None:
    """Measure the sets that were named."""
    data = os.environ.get("THREADWISE_EVAL_DATA")
    if not data:
        print("THREADWISE_EVAL_DATA is not set: no question sets at hand")
        return
    print(f"{'set':<18} {'':<12}  {'nDCG@10':>6}  {'R@10':>5}  {'R@100':>6}  diversity")
    for name in sys.argv[1:] or DEFAULT_SETS:
        measure(Path(data) / "beir" / name, None if os.environ.get("FULL") == "1" else 300)


if __name__ == "__main__":
    main()
