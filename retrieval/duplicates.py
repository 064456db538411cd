"""Near-duplicates of one question: a text that was posted twice takes one place, that of its better copy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def collapse(
    order_scores: NDArray[np.floating], vectors: NDArray[np.floating], *, text_keys: Sequence[str], threshold: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the kept indices in descending score, and for each of the n candidates the kept one that stands for it.

    Greedy: from the best score down (ties: lower index first), a candidate is collapsed into the best kept one
    that has an equal text key or, for unit `vectors` (n, d), a cosine of at least `threshold`.
    """
    first: dict[str, int] = {}
    codes = np.array([first.setdefault(key, place) for place, key in enumerate(text_keys)], dtype=np.intp)
    twins = (vectors @ vectors.T >= threshold) | (codes[:, None] == codes)
    standing_for = np.full(len(codes), -1, dtype=np.intp)
    kept: list[int] = []
    for best in np.argsort(-order_scores, kind="stable").tolist():
        if standing_for[best] < 0:
            kept.append(best)
            standing_for[twins[best] & (standing_for < 0)] = best
    return np.array(kept, dtype=np.intp), standing_for
