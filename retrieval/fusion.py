"""Two rankings of one pool made into one: a convex combination of normalised scores, or reciprocal ranks.

Both take the cosine (n,) of every candidate and its BM25 score (n,), which is 0 without a lexical match, and give
float64 (n,) in [0, 1]. Neither depends on the order of the pool, and a better score in one leg never costs a
candidate its lead over another.
"""

import numpy as np
from numpy.typing import NDArray


def convex(dense: NDArray[np.floating], lexical: NDArray[np.floating], *, dense_weight: float) -> NDArray[np.float64]:
    """`dense_weight` in [0, 1] times the dense leg plus the rest times the lexical one, each scaled to [0, 1].

    The lexical leg is scaled from its theoretical minimum 0, the dense one from the lowest cosine of the pool:
    cosines of real text never come near their theoretical -1 (Bruch et al. 2023, arXiv 2210.11934). A leg that
    gives all candidates the same score says nothing and counts as 0.
    """
    lowest = float(np.min(dense, initial=np.inf))
    return dense_weight * _scaled(dense, lowest) + (1.0 - dense_weight) * _scaled(lexical, 0.0)


def rrf(dense: NDArray[np.floating], lexical: NDArray[np.floating], *, k: int = 60) -> NDArray[np.float64]:
    """Reciprocal rank fusion (Cormack et al. 2009): the sum of 1 / (k + rank), divided by the best sum of the pool.

    Equal scores share a rank. A candidate without a lexical match gets nothing from the lexical leg.
    """
    score = 1.0 / (k + _ranks(dense)) + np.where(lexical > 0, 1.0 / (k + _ranks(lexical)), 0.0)
    return score / np.max(score, initial=0.0) if len(score) else score


def _scaled(scores: NDArray[np.floating], low: float) -> NDArray[np.float64]:
    """(scores - low) / (highest - low), zeros when all scores are equal."""
    exact = np.asarray(scores, dtype=np.float64)
    if not len(exact) or exact.max() == exact.min():
        return np.zeros(len(exact))
    scaled: NDArray[np.float64] = (exact - low) / (exact.max() - low)
    return scaled


def _ranks(scores: NDArray[np.floating]) -> NDArray[np.intp]:
    """1 + how many scores are strictly better, so that equal candidates are treated alike."""
    falling = -np.asarray(scores, dtype=np.float64)
    return 1 + np.searchsorted(np.sort(falling), falling)
