"""How good a ranked list of documents is against judgements, as BEIR and trec_eval count it.

`ranking` holds document ids, best first; a document that appears again counts once, at its best place. `grades`
holds the judged grade by document id; a document is relevant when its grade is above 0.
"""

from collections.abc import Mapping, Sequence
from math import log2

import numpy as np
from numpy.typing import NDArray

Grades = Mapping[str, int]


def ndcg(ranking: Sequence[str], grades: Grades, *, k: int) -> float:
    """Discounted cumulative gain of the first k over that of the ideal order, in [0, 1] (Järvelin & Kekäläinen 2002).

    The gain of a document is its grade, divided by log2(rank + 1), as in trec_eval. 0 when nothing is relevant.
    """
    ideal = _discounted(sorted(_gains(grades, list(grades)), reverse=True)[:k])
    return _discounted(_gains(grades, _first(ranking, k))) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], grades: Grades, *, k: int) -> float:
    """Tell the share of the relevant documents that is among the first k, in [0, 1]. 0 when nothing is relevant."""
    relevant = _relevant(grades)
    return len(relevant.intersection(_first(ranking, k))) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Grades, *, k: int) -> float:
    """1 / the rank of the first relevant document among the first k, else 0."""
    relevant = _relevant(grades)
    ranks = (rank for rank, document in enumerate(_first(ranking, k), start=1) if document in relevant)
    return 1.0 / next(ranks, float("inf"))


def hit(ranking: Sequence[str], grades: Grades, *, k: int) -> float:
    """1 when a relevant document is among the first k, else 0."""
    return float(not _relevant(grades).isdisjoint(_first(ranking, k)))


def diversity(vectors: NDArray[np.floating]) -> float:
    """1 - the mean cosine over all pairs of unit `vectors` (n, d) of one list; 0 for fewer than two."""
    count = len(vectors)
    if count < 2:  # noqa: PLR2004 a pair needs two
        return 0.0
    exact = np.asarray(vectors, dtype=np.float64)
    together = exact.sum(axis=0)
    return float(1.0 - (together @ together - np.vdot(exact, exact)) / (count * (count - 1)))


def mean_scores(rankings: Mapping[str, Sequence[str]], judgements: Mapping[str, Grades], *, k: int) -> dict[str, float]:
    """`ndcg@k`, `recall@k`, `mrr@k` and `hit@k`, each the mean over the queries with a relevant document.

    Both mappings are by query id. A query without a ranking counts with 0. All are 0 when no query counts.
    """
    counted = {query: grades for query, grades in judgements.items() if _relevant(grades)}
    measures = {"ndcg": ndcg, "recall": recall, "mrr": reciprocal_rank, "hit": hit}
    return {
        f"{name}@{k}": sum(measure(rankings.get(query, ()), grades, k=k) for query, grades in counted.items())
        / max(1, len(counted))
        for name, measure in measures.items()
    }


def _first(ranking: Sequence[str], k: int) -> list[str]:
    """Give the first k different documents."""
    return list(dict.fromkeys(ranking))[:k]


def _relevant(grades: Grades) -> set[str]:
    return {document for document, grade in grades.items() if grade > 0}


def _gains(grades: Grades, documents: Sequence[str]) -> list[int]:
    """Unjudged documents and negative grades gain nothing."""
    return [max(0, grades.get(document, 0)) for document in documents]


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))
