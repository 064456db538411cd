"""Collapsing near-duplicates against the definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.duplicates import collapse

ANGLES = st.lists(st.tuples(st.integers(0, 35), st.integers(0, 4), st.sampled_from("abcdefghij")), max_size=15)


def on_circle(*degrees: float) -> NDArray[np.float64]:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def brute_force(
    scores: NDArray[np.float64], vectors: NDArray[np.float64], keys: list[str], threshold: float
) -> tuple[list[int], list[int]]:
    kept: list[int] = []
    standing_for = [-1] * len(scores)
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        twins = [j for j in kept if keys[i] == keys[j] or vectors[i] @ vectors[j] >= threshold]
        standing_for[i] = twins[0] if twins else i
        if not twins:
            kept.append(i)
    return kept, standing_for


def test_the_better_copy_stands_for_an_equal_text_and_for_a_close_vector() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.7])
    kept, standing_for = collapse(
        scores, on_circle(0, 90, 91, 45), text_keys=["same", "same", "b", "c"], threshold=0.99
    )
    assert kept.tolist() == [1, 3]
    assert standing_for.tolist() == [1, 1, 1, 3]


def test_a_chain_of_near_copies_is_not_collapsed_into_one() -> None:
    kept, standing_for = collapse(
        np.array([3.0, 2.0, 1.0]), on_circle(0, 10, 20), text_keys=["a", "b", "c"], threshold=float(np.cos(0.2))
    )
    assert kept.tolist() == [0, 2]
    assert standing_for.tolist() == [0, 0, 2]


def test_of_equal_scores_the_first_is_kept() -> None:
    kept, _ = collapse(np.ones(3), on_circle(0, 0, 90), text_keys=["a", "b", "c"], threshold=0.98)
    assert kept.tolist() == [0, 2]


def test_a_vector_whose_rounded_length_is_below_one_still_stands_for_itself() -> None:
    vectors = np.array([[0.6, 0.79999995]], dtype=np.float32)
    kept, standing_for = collapse(np.ones(1), vectors, text_keys=["a"], threshold=1.0)
    assert (kept.tolist(), standing_for.tolist()) == ([0], [0])


def test_an_empty_pool_stays_empty() -> None:
    kept, standing_for = collapse(np.empty(0), np.empty((0, 2)), text_keys=[], threshold=0.9)
    assert kept.dtype == standing_for.dtype == np.intp
    assert len(kept) == len(standing_for) == 0


@given(pool=ANGLES, threshold=st.sampled_from([0.5, 0.9, 0.98]))
def test_any_pool_collapses_as_defined(pool: list[tuple[int, int, str]], threshold: float) -> None:
    vectors = on_circle(*(10.5 * step for step, _, _ in pool)).reshape(-1, 2)
    scores = np.array([score for _, score, _ in pool], dtype=np.float64)
    keys = [key for _, _, key in pool]
    kept, standing_for = collapse(scores, vectors, text_keys=keys, threshold=threshold)
    assert (kept.tolist(), standing_for.tolist()) == brute_force(scores, vectors, keys, threshold)
