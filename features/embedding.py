"""Text to vectors: what every embedder promises, and how the configured one is opened."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.settings import EmbeddingSettings
from core.words import Space
from features.minilm import MiniLM, prepare
from features.sentence_transformer import SentenceTransformerEmbedder
from features.tokenizer import Tokenizer

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors of length 1; the same text gives the same bytes, whatever is embedded beside it.

    Both methods raise `TextTooLongError` for a text (with the space's prefix and the special tokens) that is longer
    than `space.max_tokens`. They may be called from several threads at once.
    """

    @property
    def space(self) -> Space:
        """Which vectors these can be compared with."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of documents' texts: float32, shape (len(texts), space.dimension)."""

    def embed_query(self, text: str) -> Vectors:
        """The vector of a question: float32, shape (space.dimension,)."""


def open_embedder(settings: EmbeddingSettings) -> Embedder:
    """The configured embedder; raises `ModelUnavailableError` or `ModelCheckError` where it cannot be trusted."""
    if settings.model == "minilm":
        return MiniLM(prepare(settings.cache_dir), threads=settings.threads)
    return SentenceTransformerEmbedder(settings.model, threads=settings.threads)


def document_room(embedder: Embedder) -> int:
    """How many tokens of its own a document's text may have, beside prefix and special tokens."""
    return _room(embedder, embedder.space.document_prefix)


def embed_question(embedder: Embedder, text: str) -> Vectors:
    """The vector of a question of any length, shape (dimension,): a long one is the mean of its windows.

    The windows cover the whole text and are nearly equal in length, so each has the same weight.
    """
    room = _room(embedder, embedder.space.query_prefix)
    parts = windows(embedder.tokenizer, text, room)
    if len(parts) == 1:
        return embedder.embed_query(text)
    mean = np.mean([embedder.embed_query(part) for part in parts], axis=0, dtype=np.float32)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def windows(tokenizer: Tokenizer, text: str, room: int) -> list[str]:
    """The text in stretches of at most `room` tokens each, cut between words where there is a gap."""
    spans = tokenizer.spans(text)
    if len(spans) <= room:
        return [text]
    size = -(-len(spans) // -(-len(spans) // room))
    parts, first = [], 0
    while first < len(spans):
        last = _fitting(tokenizer, text, spans[first:], size=size, room=room) + first
        parts.append(text[spans[first][0] : spans[last - 1][1]])
        first = last
    return parts


def _fitting(tokenizer: Tokenizer, text: str, spans: list[tuple[int, int]], *, size: int, room: int) -> int:
    last = _gap(spans, min(size, len(spans)))
    # The rest of a word that was cut can need more tokens than it had inside the word.
    while last > 1 and tokenizer.count(text[spans[0][0] : spans[last - 1][1]]) > room:
        last -= 1
    return last


def _gap(spans: list[tuple[int, int]], last: int) -> int:
    if last == len(spans):
        return last
    gaps = (cut for cut in range(last, last // 2, -1) if spans[cut][0] > spans[cut - 1][1])
    return next(gaps, last)


def _room(embedder: Embedder, prefix: str) -> int:
    # One token is kept free where a prefix may merge with the text into other tokens than both have alone.
    taken = embedder.tokenizer.count(prefix) + 1 if prefix else 0
    return embedder.space.max_tokens - embedder.tokenizer.special - taken
