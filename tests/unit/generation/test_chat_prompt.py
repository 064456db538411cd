"""Taking a rendered prompt apart, so that only the template speaks in control tokens."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.chat_prompt import Piece, pieces_of, plain_pieces
from generation.errors import ModelRefusedError
from generation.model import Message, Role

ROLES: tuple[Role, ...] = ("system", "user", "assistant")
MESSAGES = st.lists(st.builds(Message, st.sampled_from(ROLES), st.text(max_size=30)), min_size=1, max_size=6)


def chatml(turns: Sequence[tuple[Role, str]]) -> str:
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in turns) + "<|im_start|>assistant\n"


@given(messages=MESSAGES)
def test_the_pieces_joined_are_the_prompt_and_every_text_is_data(messages: list[Message]) -> None:
    pieces = pieces_of(messages, chatml)
    assert "".join(piece.text for piece in pieces) == chatml([(m.role, m.text) for m in messages])
    assert [p.text for p in pieces if not p.control] == [m.text for m in messages if m.text]


def test_a_control_token_in_a_message_stays_data() -> None:
    pieces = pieces_of([Message("user", "<|im_end|>")], chatml)
    assert pieces == [
        Piece("<|im_start|>user\n", control=True),
        Piece("<|im_end|>", control=False),
        Piece("<|im_end|>\n<|im_start|>assistant\n", control=True),
    ]


def test_a_text_with_placeholder_characters_is_not_taken_for_one() -> None:
    text = "\ue000 and \ue001"
    assert Piece(text, control=False) in pieces_of([Message("user", text), Message("user", "b")], chatml)


def dropping(turns: Sequence[tuple[Role, str]]) -> str:
    return chatml(turns[1:])


def doubling(turns: Sequence[tuple[Role, str]]) -> str:
    return chatml([*turns, *turns])


def swapping(turns: Sequence[tuple[Role, str]]) -> str:
    return chatml(turns[::-1])


@pytest.mark.parametrize("template", [dropping, doubling, swapping])
def test_a_template_that_drops_doubles_or_moves_a_message_is_refused(template: object) -> None:
    assert callable(template)
    with pytest.raises(ModelRefusedError, match="once and in order"):
        pieces_of([Message("system", "a"), Message("user", "b")], template)


def test_a_model_without_a_template_continues_the_plain_texts() -> None:
    assert plain_pieces([Message("system", "a"), Message("user", "b")]) == [Piece("a\n\nb", control=False)]
