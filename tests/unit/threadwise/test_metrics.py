"""Retrieval metrics against values computed by hand."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadwise.metrics import diversity, hit, mean_scores, ndcg, recall, reciprocal_rank

GRADES = {"a": 3, "b": 1, "c": 0, "d": 2}
DOCUMENTS = st.sampled_from("abcdefgh")
RANKINGS = st.lists(DOCUMENTS, max_size=12)
JUDGED = st.dictionaries(DOCUMENTS, st.integers(-1, 4), max_size=8)
CUTS = st.integers(1, 10)


def test_ndcg_divides_grades_by_the_logarithm_of_the_rank_and_by_the_ideal() -> None:
    gained = 1 / log2(2) + 0 / log2(3) + 3 / log2(4)
    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert ndcg(["b", "x", "a"], GRADES, k=3) == pytest.approx(gained / ideal)


def test_ndcg_cuts_the_ideal_order_too() -> None:
    assert ndcg(["b", "a"], GRADES, k=1) == pytest.approx(1 / 3)
    assert ndcg(["a"], GRADES, k=1) == 1.0


def test_a_negative_grade_gains_nothing_and_costs_nothing() -> None:
    assert ndcg(["spam", "a"], {"spam": -2, "a": 1}, k=5) == pytest.approx(1 / log2(3))
    assert recall(["spam"], {"spam": -2, "a": 1}, k=5) == 0.0


def test_recall_is_the_share_of_all_relevant_documents() -> None:
    assert recall(["a", "c", "b", "d"], GRADES, k=2) == pytest.approx(1 / 3)
    assert recall(["a", "c", "b", "d"], GRADES, k=3) == pytest.approx(2 / 3)


def test_the_reciprocal_rank_is_that_of_the_first_relevant_document_within_the_cut() -> None:
    assert reciprocal_rank(["x", "c", "d", "a"], GRADES, k=10) == pytest.approx(1 / 3)
    assert reciprocal_rank(["x", "c", "d", "a"], GRADES, k=2) == 0.0


def test_a_hit_is_any_relevant_document_within_the_cut() -> None:
    assert [hit(["x", "c", "d"], GRADES, k=k) for k in (1, 2, 3)] == [0.0, 0.0, 1.0]


def test_a_document_that_comes_again_counts_once_and_takes_one_rank() -> None:
    assert ndcg(["a", "a", "d"], {"a": 1, "d": 1}, k=2) == 1.0
    assert recall(["a", "a", "d"], {"a": 1, "d": 1}, k=2) == 1.0
    assert reciprocal_rank(["x", "x", "a"], GRADES, k=2) == 0.5


def test_diversity_is_one_minus_the_mean_cosine_of_all_pairs() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)
    assert diversity(vectors) == pytest.approx(1 - (0.0 + 0.6 + 0.8) / 3)
    assert diversity(np.tile([[0.6, 0.8]], (4, 1))) == pytest.approx(0.0)
    assert diversity(np.eye(5)) == 1.0


@pytest.mark.parametrize("count", [0, 1])
def test_a_list_without_a_pair_has_no_diversity(count: int) -> None:
    assert diversity(np.ones((count, 1))) == 0.0


def test_the_mean_counts_a_query_without_ranking_and_leaves_out_one_without_relevant_documents() -> None:
    judgements = {"found": {"a": 1}, "missed": {"a": 1}, "hopeless": {"a": 0}, "empty": {}}
    rankings = {"found": ["x", "a"], "hopeless": ["a"], "unjudged": ["a"]}
    assert mean_scores(rankings, judgements, k=10) == pytest.approx(
        {"ndcg@10": 1 / log2(3) / 2, "recall@10": 0.5, "mrr@10": 0.25, "hit@10": 0.5}
    )


def test_the_mean_over_no_query_is_zero() -> None:
    assert mean_scores({}, {"q": {"a": 0}}, k=5) == {"ndcg@5": 0.0, "recall@5": 0.0, "mrr@5": 0.0, "hit@5": 0.0}


@given(ranking=RANKINGS, grades=JUDGED, k=CUTS)
def test_every_metric_lies_between_zero_and_one(ranking: list[str], grades: dict[str, int], k: int) -> None:
    for value in mean_scores({"q": ranking}, {"q": grades}, k=k).values():
        assert 0.0 <= value <= 1.0


@given(grades=JUDGED.filter(lambda grades: any(grade > 0 for grade in grades.values())), k=CUTS)
def test_a_perfect_ranking_scores_one(grades: dict[str, int], k: int) -> None:
    perfect = sorted(grades, key=lambda document: -grades[document])
    scores = mean_scores({"q": perfect}, {"q": grades}, k=k)
    relevant = sum(grade > 0 for grade in grades.values())
    assert scores == pytest.approx(
        {f"ndcg@{k}": 1.0, f"recall@{k}": min(1.0, k / relevant), f"mrr@{k}": 1.0, f"hit@{k}": 1.0}
    )


@given(ranking=RANKINGS, grades=JUDGED, k=CUTS)
def test_a_deeper_cut_never_loses_recall_hits_or_reciprocal_rank(
    ranking: list[str], grades: dict[str, int], k: int
) -> None:
    for metric in (recall, hit, reciprocal_rank):
        assert metric(ranking, grades, k=k) <= metric(ranking, grades, k=k + 1)
