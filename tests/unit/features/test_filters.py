"""What a filter means, and which of Feast's filters can be said with it."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import FilterError
from features.filters import PassageFilter, from_feast

NOW = 1_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """Has the fields of `feast.filter_models.ComparisonFilter`, without Feast's import of several seconds."""

    type: str
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Compound:
    type: str
    filters: list[Any]


def translated(*filters: Any, kind: str = "and") -> PassageFilter:  # noqa: ANN401 - any shape of filter
    wanted: Any = Compound(kind, list(filters))
    return from_feast(wanted, NOW)


READABLE = Comparison("in", "audience_id", [3, 1])


def test_a_filter_without_times_asks_for_now() -> None:
    assert translated(READABLE) == PassageFilter(audience_ids=(1, 3), at=NOW)


def test_every_condition_of_a_conjunction_is_kept() -> None:
    found = translated(
        READABLE,
        Compound("and", [Comparison("lte", "valid_from", 7), Comparison("gt", "valid_to", 7)]),
        Comparison("eq", "source", "slack"),
        Comparison("in", "kind", ["thread", "page"]),
        Comparison("eq", "author", "Ada"),
        Comparison("in", "chunk_id", ["b", "a"]),
    )
    assert found == PassageFilter((1, 3), 7, ("slack",), ("page", "thread"), ("Ada",), ("a", "b"))


def test_a_search_that_names_no_audiences_is_refused() -> None:
    with pytest.raises(FilterError, match="whose passages"):
        from_feast(None, NOW)
    with pytest.raises(FilterError, match="whose passages"):
        translated(Comparison("eq", "source", "slack"))


def test_an_administrator_asks_for_every_audience_in_so_many_words() -> None:
    assert translated(Comparison("gte", "audience_id", 0)).audience_ids is None
    assert translated(Comparison("gte", "audience_id", 0), READABLE).audience_ids == (1, 3)


@pytest.mark.parametrize("key", ["audience_id", "source", "kind", "author", "chunk_id"])
def test_an_empty_list_matches_nothing_instead_of_everything(key: str) -> None:
    assert translated(READABLE, Comparison("in", key, [])).matches_nothing


def test_two_conditions_on_one_column_leave_what_both_allow() -> None:
    first, second = Comparison("in", "source", ["a", "b"]), Comparison("in", "source", ["b", "c"])
    assert translated(READABLE, first, second).sources == ("b",)
    assert translated(READABLE, Comparison("eq", "audience_id", 2)).matches_nothing


@pytest.mark.parametrize(
    "wrong",
    [
        Comparison("in", "salary", [1]),
        Comparison("nin", "audience_id", [1]),
        Comparison("gte", "audience_id", 1),
        Comparison("ne", "source", "slack"),
        Comparison("in", "audience_id", ["1"]),
        Comparison("in", "audience_id", 1),
        Comparison("in", "audience_id", [True]),
        Comparison("eq", "source", 4),
        Comparison("lte", "valid_from", 5),
        Comparison("gte", "valid_from", 5),
        Compound("and", [Comparison("lte", "valid_from", 5), Comparison("gt", "valid_to", 6)]),
        Compound("and", [Comparison("lte", "valid_from", 5.0), Comparison("gt", "valid_to", 5.0)]),
        Compound("or", [READABLE, READABLE]),
    ],
)
def test_what_the_engines_cannot_answer_is_refused(wrong: object) -> None:
    with pytest.raises(FilterError) as refused:
        translated(READABLE, wrong)
    assert refused.value.code == "invalid_filter"


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=4))
def test_no_conjunction_ever_widens_the_audiences(lists: list[list[int]]) -> None:
    found = translated(*(Comparison("in", "audience_id", ids) for ids in lists)).audience_ids
    assert found == tuple(sorted(set.intersection(*map(set, lists))))
