"""A block that is too long for one chunk, cut at the best boundaries that it has."""

from collections.abc import Callable
from typing import Protocol

SEPARATORS = [r"\n\s*\n", r"\n", r"(?<=[.!?;:])\s+", r"\s+"]
"""Where to cut, the best first."""


class Tokenizer(Protocol):
    """The embedder's own way to cut text into tokens."""

    @property
    def special(self) -> int:
        """How many tokens are put around every text."""

    def count(self, text: str) -> int:
        """The tokens of a text without the special ones."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each of them begins and ends, in characters."""


def pieces(text: str, room: int, known: dict[str, int], tokenizer: Tokenizer) -> list[str]:
    """Parts that join to exactly `text`, of at most `room` tokens each and of about equal length.

    `known` holds tokens of texts that were counted before, that of `text` among them, and is added to.
    """
    tokens = known[text]

    def length(part: str) -> int:
        if part not in known:
            known[part] = tokenizer.count(part)
        return known[part]

    parts = max(-(-tokens // room), 1)
    found = _split(text, min(room, -(-tokens // parts) + room // 16), tokenizer, length)
    if len(found) > parts:  # no boundary where it was wanted: as many parts, but without a tiny last one
        found = _split(text, min(room, -(-tokens // len(found)) + room // 16), tokenizer, length)
    return found


def _split(text: str, size: int, tokenizer: Tokenizer, length: Callable[[str], int]) -> list[str]:
    from langchain_text_splitters import RecursiveCharacterTextSplitter  # noqa: PLC0415 - .6 s, for long blocks only

    splitter = RecursiveCharacterTextSplitter(
        separators=SEPARATORS,
        is_separator_regex=True,
        keep_separator="end",
        strip_whitespace=False,
        chunk_size=size,
        chunk_overlap=0,
        length_function=length,
    )
    parts: list[str] = []
    for piece in splitter.split_text(text):
        one_word = not piece.split(maxsplit=1)[1:]  # anything else was put together within the size
        parts += _split_word(piece, size, tokenizer) if one_word and length(piece) > size else [piece]
    return parts


def _split_word(text: str, size: int, tokenizer: Tokenizer) -> list[str]:
    """What has no white space to split at, cut between tokens."""
    from langchain_text_splitters.base import Tokenizer as TokenCut  # noqa: PLC0415
    from langchain_text_splitters.base import split_text_on_tokens  # noqa: PLC0415

    starts = [0, *(start for start, _ in tokenizer.spans(text)[1:]), len(text)]
    cut = TokenCut(
        chunk_overlap=0,
        tokens_per_chunk=size,
        encode=lambda _: list(range(len(starts) - 1)),
        decode=lambda ids: text[starts[ids[0]] : starts[ids[-1] + 1]],
    )
    return split_text_on_tokens(text=text, tokenizer=cut)
