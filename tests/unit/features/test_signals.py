"""The two forms of the ranking signals, their range and what they make of missing values."""

from itertools import pairwise
from math import log, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.signals import RAW_COLUMNS, SIGNALS, ranking_signals, ranking_signals_columns

DAY = 86_400_000_000
NOW = 20_000 * DAY
MISSING = st.sampled_from([None, nan])
TIMES = st.one_of(MISSING, st.integers(0, 2**53 - 1))
COUNTS = st.one_of(MISSING, st.integers(0, 10_000))
FLAGS = st.one_of(MISSING, st.booleans())
ROW = st.tuples(TIMES, COUNTS, COUNTS, FLAGS, FLAGS, st.one_of(st.none(), st.integers(0, 2**53 - 1)))
ROWS = st.lists(ROW, max_size=20)


def inputs_of(rows: list[tuple[object, ...]]) -> dict[str, list[object]]:
    return {name: [row[place] for row in rows] for place, name in enumerate((*RAW_COLUMNS, "now"))}


def one(name: str, **values: object) -> float:
    raw: dict[str, object] = {"last_activity": NOW, "replies": 0, "reactions": 0, "resolved": False, "official": False}
    return ranking_signals({key: [value] for key, value in (raw | {"now": NOW} | values).items()})[name][0]


@pytest.mark.parametrize(("age_days", "recency"), [(0, 1.0), (180, 0.5), (360, 0.25), (-5, 1.0)])
def test_recency_halves_every_half_life_and_is_full_for_a_time_to_come(age_days: int, recency: float) -> None:
    assert one("recency", last_activity=NOW - age_days * DAY) == recency


def test_the_half_life_can_be_given() -> None:
    raw = dict.fromkeys(RAW_COLUMNS, np.zeros(1)) | {"last_activity": np.array([NOW - 30 * DAY])}
    assert ranking_signals_columns(raw, NOW, half_life_days=30.0)["recency"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("count", "value"), [(0, 0.0), (1, log(2) / log(51)), (9, log(10) / log(51)), (50, 1.0), (9000, 1.0), (-3, 0.0)]
)
def test_helpfulness_grows_with_the_logarithm_of_the_reactions(count: int, value: float) -> None:
    assert one("helpfulness", reactions=count) == pytest.approx(value)


@pytest.mark.parametrize(("count", "value"), [(0, 0.0), (5, log(6) / log(31)), (30, 1.0), (31, 1.0)])
def test_engagement_grows_with_the_logarithm_of_the_replies(count: int, value: float) -> None:
    assert one("engagement", replies=count) == pytest.approx(value)


def test_each_signal_reads_its_own_column() -> None:
    assert (one("resolved", resolved=True), one("official", resolved=True)) == (1.0, 0.0)
    assert (one("resolved", official=True), one("official", official=True)) == (0.0, 1.0)
    assert (one("helpfulness", replies=9), one("engagement", reactions=9)) == (0.0, 0.0)


@pytest.mark.parametrize("missing", [None, nan])
def test_an_unknown_document_gives_zeros_beside_a_known_one(missing: object) -> None:
    signals = ranking_signals(inputs_of([(missing,) * 5 + (NOW,), (NOW, 30, 50, True, True, NOW)]))
    assert signals == {name: [0.0, 1.0] for name in SIGNALS}


def test_an_unknown_time_of_the_request_gives_no_recency() -> None:
    assert one("recency", now=None) == 0.0


def test_no_documents_give_empty_lists() -> None:
    assert ranking_signals(inputs_of([])) == {name: [] for name in SIGNALS}


@given(rows=ROWS)
def test_every_signal_lies_between_zero_and_one(rows: list[tuple[object, ...]]) -> None:
    signals = ranking_signals(inputs_of(rows))
    assert list(signals) == list(SIGNALS)
    for values in signals.values():
        assert len(values) == len(rows)
        assert all(type(value) is float and 0.0 <= value <= 1.0 for value in values)


@given(rows=ROWS)
def test_lists_and_columns_give_the_same_bits(rows: list[tuple[object, ...]]) -> None:
    inputs = inputs_of(rows)
    columns = {name: np.array([nan if v is None else v for v in values], float) for name, values in inputs.items()}
    by_column = ranking_signals_columns(columns, columns["now"])
    by_list = ranking_signals(inputs)
    assert {name: values.tobytes() for name, values in by_column.items()} == {
        name: np.array(values, dtype=np.float64).tobytes() for name, values in by_list.items()
    }


@given(counts=st.lists(st.integers(0, 10_000), max_size=20), stride=st.integers(1, 3))
def test_integer_columns_one_instant_and_strides_give_the_same_bits(counts: list[int], stride: int) -> None:
    inputs = inputs_of([(NOW - n * DAY, n, n, n % 2 == 0, n % 3 == 0, NOW) for n in counts])
    columns = {name: np.repeat(np.array(inputs[name], dtype=np.int64), stride)[::stride] for name in RAW_COLUMNS}
    by_column = ranking_signals_columns(columns, NOW)
    by_list = ranking_signals(inputs)
    assert {name: values.tolist() for name, values in by_column.items()} == by_list


@given(rows=ROWS)
def test_a_document_has_the_same_bits_alone_as_among_others(rows: list[tuple[object, ...]]) -> None:
    together = ranking_signals(inputs_of(rows))
    alone = [ranking_signals(inputs_of([row])) for row in rows]
    assert together == {name: [signals[name][0] for signals in alone] for name in SIGNALS}


@given(ages=st.lists(st.integers(0, 10_000 * DAY), min_size=2))
def test_the_older_of_two_documents_is_never_the_more_recent(ages: list[int]) -> None:
    signals = ranking_signals(inputs_of([(NOW - age, 0, 0, False, False, NOW) for age in sorted(ages)]))
    assert all(newer >= older for newer, older in pairwise(signals["recency"]))
