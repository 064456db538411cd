"""A tokenizer that costs nothing and counts what everybody can count."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """A token for each word."""

    special: int = 2

    def count(self, text: str) -> int:
        """How many tokens the text has."""
        return len(text.split())

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The offsets of each token."""
        return [match.span() for match in re.finditer(r"\S+", text)]
