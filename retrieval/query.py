"""What is asked, by whom, and about which documents."""

from dataclasses import dataclass

from core.catalog.passages import Reader
from core.words import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question. Empty filters do not restrict; a missing number takes the setting."""

    text: str
    reader: Reader
    top_k: int | None = None
    mmr_lambda: float | None = None
    at: Instant | None = None
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
