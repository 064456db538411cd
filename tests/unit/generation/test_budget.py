"""Arithmetic of the prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.budget import WindowTooSmallError, check_room, context_room, estimated_tokens, fitting

TOKENS = st.integers(0, 5000)


@given(TOKENS, TOKENS, TOKENS)
def test_a_longer_question_never_leaves_more_room_for_passages(context: int, one: int, other: int) -> None:
    shorter, longer = sorted((one, other))
    assert context_room(context, shorter) >= context_room(context, longer)
    assert context // 3 <= context_room(context, longer) <= context


def test_a_usual_question_leaves_all_the_room_and_a_long_one_a_third() -> None:
    assert [context_room(384, question) for question in (5, 32, 132, 4000)] == [384, 384, 284, 128]


@given(st.lists(st.integers(0, 400)), TOKENS)
def test_what_fits_is_the_longest_run_from_the_first(costs: list[int], room: int) -> None:
    count = fitting(costs, room)
    assert sum(costs[:count]) <= room
    assert count == len(costs) or sum(costs[: count + 1]) > room


def test_the_first_that_does_not_fit_ends_the_run_and_is_not_counted() -> None:
    assert fitting([100, 300, 10], 384) == 1
    assert fitting([400, 10], 384) == 0
    assert fitting([200, 184], 384) == 2


def test_what_the_start_needs_is_added_up_and_refused_with_every_number() -> None:
    assert (
        check_room(window=2048, reserve=160, template_tokens=300, question_tokens=64, top_k=3, chunk_tokens=400) == 324
    )
    with pytest.raises(WindowTooSmallError) as refused:
        check_room(window=1024, reserve=160, template_tokens=300, question_tokens=64, top_k=3, chunk_tokens=400)
    for number in ("1200", "300", "64", "160", "1724", "1024"):
        assert number in refused.value.message


def test_a_window_that_is_filled_to_the_last_token_is_enough() -> None:
    assert check_room(window=100, reserve=40, template_tokens=20, question_tokens=10, top_k=3, chunk_tokens=10) == 0


def test_the_preview_takes_75_words_for_about_100_tokens() -> None:
    assert 97.5 <= estimated_tokens(75) <= 100
