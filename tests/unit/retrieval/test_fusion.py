"""Fusion of two rankings: hand-computed values, bounds, monotony, equivariance."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.fusion import convex, rrf

Scores = NDArray[np.float64]
Fusion = Callable[[Scores, Scores], Scores]

COSINES = st.floats(-1.0, 1.0, allow_nan=False)
BM25 = st.one_of(st.just(0.0), st.floats(0.01, 40.0))
POOLS = st.lists(st.tuples(COSINES, BM25), max_size=30).map(
    lambda pool: np.array(pool, dtype=np.float64).reshape(-1, 2)
)


def balanced(dense: Scores, lexical: Scores) -> Scores:
    return convex(dense, lexical, dense_weight=0.7)


def ranked(dense: Scores, lexical: Scores) -> Scores:
    return rrf(dense, lexical, k=60)


FUSIONS = pytest.mark.parametrize("fusion", [balanced, ranked])


def never_inverts(fused: Scores, leg: Scores) -> bool:
    return bool(np.all(np.diff(fused[np.argsort(leg, kind="stable")]) >= 0))


def test_convex_scales_the_dense_leg_from_its_lowest_and_the_lexical_one_from_zero() -> None:
    fused = convex(np.array([0.2, 0.4, 0.6]), np.array([4.0, 0.0, 2.0]), dense_weight=0.75)
    assert fused == pytest.approx([0.25, 0.375, 0.75 + 0.125])


def test_the_weakest_lexical_match_still_counts_when_every_candidate_matches() -> None:
    fused = convex(np.array([0.3, 0.3]), np.array([8.0, 2.0]), dense_weight=0.0)
    assert fused.tolist() == [1.0, 0.25]


def test_a_leg_that_says_the_same_of_all_counts_as_nothing() -> None:
    flat, rising = np.full(3, 0.7), np.array([1.0, 2.0, 4.0])
    assert convex(flat, flat, dense_weight=0.5).tolist() == [0.0, 0.0, 0.0]
    assert convex(flat, rising, dense_weight=0.5).tolist() == [0.125, 0.25, 0.5]
    assert convex(rising, np.zeros(3), dense_weight=1.0).tolist() == [0.0, 1 / 3, 1.0]


def test_reciprocal_ranks_are_added_and_scaled_by_the_best() -> None:
    fused = rrf(np.array([0.9, 0.5, 0.1]), np.array([3.0, 0.0, 5.0]), k=60)
    sums = np.array([1 / 61 + 1 / 62, 1 / 62, 1 / 63 + 1 / 61])
    assert fused == pytest.approx(sums / sums.max())


def test_reciprocal_ranks_treat_equal_scores_alike_and_leave_out_what_did_not_match() -> None:
    fused = rrf(np.array([0.5, 0.5, 0.1]), np.zeros(3), k=1)
    assert fused == pytest.approx([1.0, 1.0, (1 / 4) / (1 / 2)])


@FUSIONS
def test_an_empty_pool_gives_nothing(fusion: Fusion) -> None:
    assert fusion(np.empty(0), np.empty(0)).shape == (0,)


@FUSIONS
def test_single_precision_legs_give_double_precision(fusion: Fusion) -> None:
    legs = np.array([[0.1, 0.2], [3.0, 1.0]], dtype=np.float32)
    assert fusion(legs[0], legs[1]).dtype == np.float64


@FUSIONS
@given(pool=POOLS)
def test_scores_stay_between_zero_and_one(fusion: Fusion, pool: Scores) -> None:
    fused = fusion(pool[:, 0], pool[:, 1])
    assert np.all((fused >= 0.0) & (fused <= 1.0))


@FUSIONS
@given(pool=POOLS, seed=st.integers(0, 2**32 - 1))
def test_a_shuffled_pool_gives_shuffled_scores(fusion: Fusion, pool: Scores, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(len(pool))
    assert np.array_equal(fusion(pool[:, 0], pool[:, 1])[shuffled], fusion(pool[shuffled, 0], pool[shuffled, 1]))


@FUSIONS
@given(pool=POOLS)
def test_what_is_better_in_both_legs_is_never_worse_in_the_sum(fusion: Fusion, pool: Scores) -> None:
    fused = fusion(pool[:, 0], pool[:, 1])
    dominates = (pool[:, None, 0] >= pool[:, 0]) & (pool[:, None, 1] >= pool[:, 1])
    assert np.all((fused[:, None] >= fused)[dominates])


@FUSIONS
@given(pool=POOLS.filter(len), leg=st.integers(0, 1), gain=st.floats(0.0, 1.0))
def test_a_better_score_never_costs_a_candidate_its_lead(fusion: Fusion, pool: Scores, leg: int, gain: float) -> None:
    better = pool.copy()
    better[0, leg] += gain
    before, after = fusion(pool[:, 0], pool[:, 1]), fusion(better[:, 0], better[:, 1])
    assert np.all(after[0] >= after[before[0] > before + 1e-9])


@given(pool=POOLS)
def test_a_weight_of_one_is_the_dense_order_and_of_zero_the_lexical_one(pool: Scores) -> None:
    dense, lexical = pool[:, 0], pool[:, 1]
    assert never_inverts(convex(dense, lexical, dense_weight=1.0), dense)
    assert never_inverts(convex(dense, lexical, dense_weight=0.0), lexical)


def test_a_weight_of_one_or_zero_tells_all_candidates_of_its_leg_apart() -> None:
    dense, lexical = np.array([0.3, 0.1, 0.2]), np.array([0.0, 2.0, 1.0])
    assert np.argsort(convex(dense, lexical, dense_weight=1.0)).tolist() == [1, 2, 0]
    assert np.argsort(convex(dense, lexical, dense_weight=0.0)).tolist() == [0, 2, 1]
