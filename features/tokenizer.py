"""How a model sees text: tokens, their number and their places.

A `tokenizer.json` may have truncation and padding baked in (MiniLM's cuts at 128 tokens and pads up to them). Counting
with it would call every long text 128 tokens long, and what lies behind would be lost unnoticed: both are removed here.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

REMEMBERED = 512  # texts: a chunk is counted when it is cut and encoded again, soon after, when it is embedded
_MEANING = ("added_tokens", "model", "normalizer", "post_processor", "pre_tokenizer")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """The text with each lone surrogate (half an emoji in broken JSON) replaced by U+FFFD; offsets stay the same."""
    return _LONE_SURROGATE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """A model's own tokenizer, never cutting and never padding; safe to share between threads."""

    encode: Callable[[str], "tokenizers.Encoding"] = field(repr=False, compare=False)
    special: int  # how many tokens the model puts around every text
    fingerprint: str  # SHA-256 (hex) of all that decides which tokens a text becomes

    @classmethod
    def from_json(cls, definition: str) -> "Tokenizer":
        """A tokenizer from the text of a `tokenizer.json`."""
        import tokenizers  # noqa: PLC0415

        data = json.loads(definition)
        meaning = json.dumps({name: data.get(name) for name in _MEANING}, sort_keys=True)
        inner = tokenizers.Tokenizer.from_str(definition)
        inner.no_truncation()
        inner.no_padding()
        return cls(
            encode=lru_cache(REMEMBERED)(inner.encode),
            special=inner.num_special_tokens_to_add(is_pair=False),
            fingerprint=hashlib.sha256(meaning.encode()).hexdigest(),
        )

    @classmethod
    def from_file(cls, path: Path) -> "Tokenizer":
        """A tokenizer from a `tokenizer.json`; raises `OSError` where there is none."""
        return cls.from_json(path.read_text(encoding="utf-8"))

    def count(self, text: str) -> int:
        """Number of tokens without the special ones."""
        return len(self.encode(encodable(text))) - self.special

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Character offsets (start, end) of each token, without the special ones."""
        encoded = self.encode(encodable(text))
        return [span for span, special in zip(encoded.offsets, encoded.special_tokens_mask, strict=True) if not special]

    def ids(self, text: str) -> list[int]:
        """Token ids as the model reads them, the special ones included."""
        return self.encode(encodable(text)).ids
