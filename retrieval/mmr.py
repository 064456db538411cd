"""Maximal marginal relevance (Carbonell & Goldstein 1998), exact and greedy.

Each pick maximises `mmr_lambda * relevance - (1 - mmr_lambda) * (highest cosine to what was picked before)`.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InvalidLambdaError


def mmr_order(
    relevance: NDArray[np.floating], vectors: NDArray[np.floating], *, k: int, mmr_lambda: float
) -> NDArray[np.intp]:
    """Pick the first `min(k, n)` indices for `relevance` (n,) and unit `vectors` (n, d), all of them finite.

    The first pick is the most relevant; ties go to the lower index, so `mmr_lambda` = 1 is the stable order of
    relevance. At 0 only dissimilarity counts after the first pick. Costs O(k·n·d). Raises `InvalidLambdaError`.
    """
    if not 0.0 <= mmr_lambda <= 1.0:
        message = f"mmr_lambda is {mmr_lambda}."
        raise InvalidLambdaError(message, hint="Choose 0 (most diverse) to 1 (most relevant).")
    order = np.empty(max(0, min(k, len(relevance))), dtype=np.intp)
    if not len(order):
        return order
    gain = mmr_lambda * np.asarray(relevance, dtype=np.float64)
    closest = np.full(len(relevance), -np.inf)
    pick = order[0] = np.argmax(relevance)
    for place in range(1, len(order)):
        gain[pick] = -np.inf
        np.maximum(closest, vectors @ vectors[pick], out=closest)
        pick = order[place] = np.argmax(gain - (1.0 - mmr_lambda) * closest)
    return order
