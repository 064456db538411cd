"""Maximal marginal relevance against its definition, a peer and its properties."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.errors import InvalidSettingError
from retrieval.errors import InvalidLambdaError
from retrieval.mmr import mmr_order

SEED = 20240611
LAMBDAS = st.floats(0.0, 1.0)
SEEDS = st.integers(0, 2**32 - 1)


class Case(NamedTuple):
    """A question with its pool."""

    query: NDArray[np.float64]
    vectors: NDArray[np.float64]
    k: int
    mmr_lambda: float

    @property
    def relevance(self) -> NDArray[np.float64]:
        """The query's cosines."""
        cosines: NDArray[np.float64] = self.vectors @ self.query
        return cosines

    def order(self) -> list[int]:
        """What is under test."""
        return [int(pick) for pick in mmr_order(self.relevance, self.vectors, k=self.k, mmr_lambda=self.mmr_lambda)]


def random_case(rng: np.random.Generator) -> Case:
    vectors = rng.standard_normal((rng.integers(1, 40), rng.integers(2, 32)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = rng.standard_normal((vectors.shape[1],))
    query /= np.linalg.norm(query)
    return Case(query, vectors, int(rng.integers(0, 13)), float(rng.random()))


def brute_force(case: Case) -> list[int]:
    relevance, similarity = case.relevance, case.vectors @ case.vectors.T
    chosen: list[int] = []
    while len(chosen) < min(case.k, len(relevance)):
        rest = [i for i in range(len(relevance)) if i not in chosen]
        value = {
            i: case.mmr_lambda * relevance[i] - (1 - case.mmr_lambda) * max(similarity[i][j] for j in chosen)
            if chosen
            else relevance[i]
            for i in rest
        }
        chosen.append(max(rest, key=lambda i: (value[i], -i)))
    return chosen


def test_a_thousand_random_cases_equal_the_definition() -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    for number in range(1000):
        case = random_case(rng)
        assert case.order() == brute_force(case), f"case {number}"


def test_a_thousand_random_cases_equal_the_function_of_langchain() -> None:
    from langchain_core.vectorstores.utils import maximal_marginal_relevance  # noqa: PLC0415

    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    for number in range(1000):
        case = random_case(rng)
        theirs = maximal_marginal_relevance(case.query, case.vectors.tolist(), case.mmr_lambda, case.k)
        assert case.order() == theirs, f"case {number}"


def test_lambda_one_is_the_stable_order_of_relevance() -> None:
    relevance = np.array([0.2, 0.9, 0.5, 0.9, 0.5, -0.3])
    order = mmr_order(relevance, np.eye(6, dtype=np.float32), k=6, mmr_lambda=1.0)
    assert order.tolist() == [1, 3, 2, 4, 0, 5]


def test_lambda_zero_starts_with_the_most_relevant_and_then_takes_the_least_similar() -> None:
    angles = np.radians([0.0, 10.0, 90.0, 170.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    order = mmr_order(np.array([0.9, 0.8, 0.1, 0.0]), vectors, k=4, mmr_lambda=0.0)
    assert order.tolist() == [0, 3, 2, 1]


def test_equal_candidates_are_taken_in_their_order() -> None:
    vectors = np.tile([1.0, 0.0], (4, 1))
    for mmr_lambda in (0.0, 0.5, 1.0):
        assert mmr_order(np.full(4, 0.5), vectors, k=3, mmr_lambda=mmr_lambda).tolist() == [0, 1, 2]


@pytest.mark.parametrize("mmr_lambda", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_lambda_outside_its_range_is_refused(mmr_lambda: float) -> None:
    with pytest.raises(InvalidLambdaError) as caught:
        mmr_order(np.ones(1), np.ones((1, 1)), k=1, mmr_lambda=mmr_lambda)
    assert isinstance(caught.value, InvalidSettingError)
    assert (caught.value.code, caught.value.retryable) == ("invalid_lambda", False)


@pytest.mark.parametrize(("n", "k", "length"), [(0, 5, 0), (3, 0, 0), (3, -1, 0), (3, 9, 3), (1, 1, 1)])
def test_no_more_is_picked_than_asked_for_and_than_there_is(n: int, k: int, length: int) -> None:
    order = mmr_order(np.zeros(n), np.eye(n, 4, dtype=np.float32), k=k, mmr_lambda=0.5)
    assert order.dtype == np.intp
    assert sorted(order.tolist()) == list(range(length))


def test_the_input_is_left_as_it_was() -> None:
    case = random_case(np.random.default_rng(SEED))
    relevance = case.relevance
    before = relevance.copy()
    mmr_order(relevance, case.vectors, k=5, mmr_lambda=1.0)
    assert np.array_equal(relevance, before)


def test_five_copies_do_not_keep_another_kind_out_of_the_first_two() -> None:
    rng = np.random.default_rng(SEED)
    copies = np.array([1.0, 0.0, 0.0]) + 0.01 * rng.standard_normal((5, 3))
    vectors = np.vstack([copies, [[0.5, np.sqrt(0.75), 0.0]]]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    relevance = vectors @ np.array([1.0, 0.0, 0.0], dtype=np.float32)
    plain = mmr_order(relevance, vectors, k=2, mmr_lambda=1.0)
    diverse = mmr_order(relevance, vectors, k=2, mmr_lambda=0.4)
    assert 5 not in plain
    assert diverse.tolist() == [plain[0], 5]


@given(seed=SEEDS, mmr_lambda=LAMBDAS)
def test_a_longer_order_starts_with_the_shorter_one(seed: int, mmr_lambda: float) -> None:
    case = random_case(np.random.default_rng(seed))
    longer = case._replace(k=case.k + 1, mmr_lambda=mmr_lambda).order()
    assert longer[: case.k] == case._replace(mmr_lambda=mmr_lambda).order()


@given(seed=SEEDS)
def test_the_order_of_the_pool_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    shuffled = rng.permutation(len(case.vectors))
    assert shuffled[case._replace(vectors=case.vectors[shuffled]).order()].tolist() == case.order()


@given(seed=SEEDS, mmr_lambda=LAMBDAS)
def test_nothing_is_picked_twice(seed: int, mmr_lambda: float) -> None:
    case = random_case(np.random.default_rng(seed))
    order = mmr_order(
        case.relevance.astype(np.float32), case.vectors.astype(np.float32), k=case.k, mmr_lambda=mmr_lambda
    )
    assert len(set(order.tolist())) == len(order) == min(case.k, len(case.vectors))
