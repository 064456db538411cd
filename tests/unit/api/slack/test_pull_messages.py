"""The rules of a pull: times without floats, what stays of the last one, and names that lead nowhere else."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.slack.pull_messages import (
    DAY_MICROS,
    Window,
    day_of,
    folders_of,
    has_replies,
    is_as_known,
    is_kept,
    is_message,
    is_ts,
    micros_of,
    root_of,
    standing_of,
    ts_of,
    ts_of_day,
    window_of,
)

MOMENTS = st.integers(1, 9_999_999_999_999_999)
STAMPS = st.builds(ts_of, MOMENTS)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | STAMPS,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["ts", "text", "user", "thread_ts", "x"]), inner),
    max_leaves=5,
)


@given(MOMENTS)
def test_a_timestamp_and_its_microseconds_are_one_and_the_same(micros: int) -> None:
    assert is_ts(ts_of(micros))
    assert micros_of(ts_of(micros)) == micros
    assert micros_of(ts_of_day(date.fromisoformat(day_of(ts_of(micros))))) == micros // DAY_MICROS * DAY_MICROS


@given(ANYTHING)
@settings(max_examples=40)
def test_anything_is_a_message_or_not_and_a_message_has_a_day_and_a_root(row: Any) -> None:  # noqa: ANN401 - anything
    if is_message(row):
        assert len(day_of(row["ts"])) == 10
        assert is_ts(root_of(row))
        assert has_replies(row) in {True, False}


@pytest.mark.parametrize(
    "row",
    [
        {"ts": 1700000000.0001},
        {"ts": "1700000000.0001"},
        {"ts": "1700000000.000100", "thread_ts": "soon"},
        {"ts": "1700000000.000100", "user": {"id": "U1"}},
        {"ts": "\u0661700000000.000100"},
        {"ts": "1700000000.000100\n"},
    ],
)
def test_what_has_no_time_of_slack_or_another_shape_is_no_message(row: dict[str, object]) -> None:
    assert not is_message(row)


def test_what_was_never_read_or_not_from_early_enough_is_read_whole() -> None:
    early, late = ts_of_day(date(2026, 1, 1)), ts_of_day(date(2026, 2, 1))
    assert window_of(newest="", seen_since="", since=late, overlap_days=9) == Window(start=late)
    assert window_of(newest=late, seen_since=late, since=early, overlap_days=9) == Window(start=early)
    assert window_of(newest=late, seen_since=early, since="", overlap_days=9) == Window()


@given(newest=STAMPS, seen_since=st.just("") | STAMPS, days=st.integers(0, 40_000))
def test_a_window_reaches_back_from_the_last_message_but_not_before_what_was_read(
    newest: str, seen_since: str, days: int
) -> None:
    window = window_of(newest=newest, seen_since=seen_since, since=seen_since, overlap_days=days)
    assert window.newest == newest
    assert micros_of(window.start) == max(micros_of(newest) - days * DAY_MICROS, micros_of(seen_since), 0)


@given(root=MOMENTS, later=st.integers(0, 10**12), start=MOMENTS, unchanged=st.booleans())
def test_an_old_message_stays_where_its_thread_was_not_asked_for_or_is_as_it_was(
    root: int, later: int, start: int, *, unchanged: bool
) -> None:
    row = {"ts": ts_of(root + later), "thread_ts": ts_of(root)}
    kept = is_kept(row, Window(start=ts_of(start)), {ts_of(root)} if unchanged else set())
    assert kept == (root < start or unchanged)


def test_a_thread_is_as_known_when_nothing_came_or_went_and_its_last_reply_is_old() -> None:
    row = {
        "ts": ts_of(DAY_MICROS),
        "thread_ts": ts_of(DAY_MICROS),
        "reply_count": 2,
        "latest_reply": ts_of(2 * DAY_MICROS),
    }
    now = ts_of(9 * DAY_MICROS)
    assert is_as_known(row, standing_of(row), now)
    assert not is_as_known(row, standing_of(row | {"reply_count": 1}), now)
    assert not is_as_known(row, standing_of(row | {"latest_reply": now}), now)
    assert not is_as_known(row, standing_of(row), ts_of(3 * DAY_MICROS))
    assert not is_as_known(row, None, now)


@given(
    st.dictionaries(
        st.from_regex(r"[CGD][A-Z0-9]{1,8}", fullmatch=True),
        st.text(max_size=90) | st.sampled_from(["hr", "HR", "..", "a/b", "C1"]),
        max_size=8,
    )
)
def test_every_conversation_has_a_folder_of_its_own_that_is_one_plain_name(names: dict[str, str]) -> None:
    folders = folders_of(names)
    assert set(folders) == set(names)
    assert len({folder.casefold() for folder in folders.values()}) == len(names)
    assert all(
        folder and not set(folder) & set("/\\.\0 ") and len(folder.encode()) < 255 for folder in folders.values()
    )
    assert all(folder in {names[place], place} for place, folder in folders.items())


def test_a_plain_name_is_the_folder_as_in_exports() -> None:
    assert folders_of({"C1": "hr-fragen", "C2": "büro", "C3": "c1"}) == {"C1": "hr-fragen", "C2": "büro", "C3": "C3"}
