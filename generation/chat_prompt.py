"""Takes a rendered chat prompt apart into the template's own text and the messages' texts.

Only the template may speak in control tokens. So the template is rendered around placeholders instead of the real
texts, and each text is put back as data, to be tokenised with special parsing off: no spelling in a message can
become a control token.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from generation.errors import ModelRefusedError
from generation.model import Message, Role

_FIRST = 0xE000  # private use: no template contains these characters, and none is white space that it would strip
_LAST = 0xF8FF
_PLACEHOLDER = re.compile(f"([{chr(_FIRST)}-{chr(_LAST)}])")

Render = Callable[[Sequence[tuple[Role, str]]], str]
"""Renders turns with a model's chat template, ready for the assistant to go on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a prompt: the template's, where control tokens count, or a message's, where they are text."""

    text: str
    control: bool


def pieces_of(messages: Sequence[Message], render: Render) -> list[Piece]:
    """The prompt in order, without empty pieces; raises `ModelRefusedError` where the template drops a message."""
    if len(messages) > _LAST - _FIRST:
        raise ModelRefusedError(f"{len(messages)} messages are too many.", hint="Leave out the oldest.")
    rendered = render([(message.role, chr(_FIRST + number)) for number, message in enumerate(messages)])
    parts = _PLACEHOLDER.split(rendered)
    if [ord(place) - _FIRST for place in parts[1::2]] != list(range(len(messages))):
        raise ModelRefusedError(
            "The model's chat template does not show every message once and in order.",
            hint="Start with at most one system message, then let user and assistant take turns.",
        )
    pieces = [Piece(part, control=True) for part in parts]
    pieces[1::2] = [Piece(message.text, control=False) for message in messages]
    return [piece for piece in pieces if piece.text]


def plain_pieces(messages: Sequence[Message]) -> list[Piece]:
    """The prompt of a model without a chat template: the texts, a blank line between them, to be continued."""
    return [Piece("\n\n".join(message.text for message in messages), control=False)]
