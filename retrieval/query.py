"""What is asked, by whom, and about which documents."""

from dataclasses import dataclass

from core.catalog.passages import Reader
from core.words import Instant
from retrieval.errors import InvalidTopKError

MAX_TOP_K = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question. Empty filters do not restrict; a missing number takes the setting.

    Half a character (a lone surrogate, which JSON and a command line can bring) is asked for as a question mark.
    Raises `InvalidTopKError`.
    """

    text: str
    reader: Reader
    top_k: int | None = None
    mmr_lambda: float | None = None
    at: Instant | None = None
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.top_k is not None and not 1 <= self.top_k <= MAX_TOP_K:
            raise InvalidTopKError(f"top_k is {self.top_k}.", hint=f"Choose 1 to {MAX_TOP_K}.")
        object.__setattr__(self, "text", _whole(self.text))
        for name in ("sources", "kinds", "authors"):
            object.__setattr__(self, name, tuple(_whole(value) for value in getattr(self, name)))


def _whole(text: str) -> str:
    return text.encode(errors="replace").decode()
