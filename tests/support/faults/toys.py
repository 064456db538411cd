"""An embedder that costs nothing and gives each text vectors of its own, and the ways in which a text can be poison."""

import hashlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from core.words import Space
from features.tokenizer import Tokenizer

if TYPE_CHECKING:
    import tokenizers

DIMENSION: Final = 16
HOARD: Final = 32 << 20
SPACE: Final = Space(model="toy", revision="1", runtime="none", dimension=DIMENSION, max_tokens=256)
EXITS, LOOPS, HOGS, RAISES = "poison-exit", "poison-loop", "poison-hog", "poison-raise"
"""Words that a text is poisoned with: its process ends, is busy for ever, needs all memory, meets an error."""

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class _Encoding:
    offsets: list[tuple[int, int]]
    special_tokens_mask: list[int]
    ids: list[int]

    def __len__(self) -> int:
        return len(self.ids)


def _encode(text: str) -> "tokenizers.Encoding":
    spans = [(0, 0), *(found.span() for found in _WORD.finditer(text)), (0, 0)]
    mask = [1, *([0] * (len(spans) - 2)), 1]
    return cast("tokenizers.Encoding", _Encoding(spans, mask, list(range(len(spans)))))


class ToyEmbedder:
    """Every word is a token, every text has a vector drawn from its hash. A text takes `pause` seconds."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.space = SPACE
        self.tokenizer = Tokenizer(encode=_encode, special=2, fingerprint="toy")

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, d), unless a text is poison."""
        for text in texts:
            time.sleep(self.pause)
            _swallow(text)
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """A unit vector (d,)."""
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        raw = np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
        return np.asarray(raw / np.linalg.norm(raw), dtype=np.float32)


def _swallow(text: str) -> None:
    if EXITS in text:
        os._exit(137)
    while LOOPS in text:
        time.sleep(0.001)  # as native code does, which leaves the interpreter to the others
    if HOGS in text:
        hoard = []
        while True:
            hoard.append(b"x" * HOARD)
            time.sleep(0.005)
    if RAISES in text:
        raise RuntimeError(RAISES)
