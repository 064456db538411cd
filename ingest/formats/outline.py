"""Blocks under their headings, gathered in the order of reading."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.words import Block
from ingest.formats.parsed import DocumentTooLargeError

MAX_CHARACTERS = 32_000_000
"""Of one file's text: ten thousand full pages."""

NOT_IN_SLUG = re.compile(r"[^\w\- ]")


@dataclass(slots=True)
class _Heading:
    level: int
    text: str
    anchor: str
    used: bool = False


@dataclass(slots=True)
class Outline:
    """The state of one pass over a document; `title` may be known before and is else the first heading of level 1.

    A piece has no title: what stands at its top is a heading like the others.
    """

    title: str = ""
    is_piece: bool = False
    blocks: list[Block] = field(default_factory=list)
    first_heading: str = ""
    _headings: list[_Heading] = field(default_factory=list)
    _slugs: dict[str, int] = field(default_factory=dict)
    _characters: int = 0

    def add(self, text: str, anchor: str | None = None) -> None:
        """A paragraph, with the anchor of its heading unless it has one; raises DocumentTooLargeError."""
        if not text.strip():
            return
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            raise DocumentTooLargeError(f"Its text has more than {MAX_CHARACTERS} characters.")
        for heading in self._headings:
            heading.used = True
        last = self._headings[-1].anchor if self._headings else ""
        path = tuple(heading.text for heading in self._headings)
        self.blocks.append(Block(text=text, anchor=last if anchor is None else anchor, heading=path))

    def open(self, level: int, text: str, anchor: str | None = None) -> None:
        """A heading, with the anchor that GitHub would give it unless it has one."""
        self._leave(level)
        if not text:
            return
        anchor = self._slug(text) if anchor is None else anchor
        first, self.first_heading = not self.first_heading, self.first_heading or text
        if first and level == 1 and not self.is_piece and self.title in ("", text):
            self.title = text
            return
        if self._headings:
            self._headings[-1].used = True
        self._headings.append(_Heading(level, text, anchor))

    def finished(self) -> tuple[Block, ...]:
        """Every block, once all was read. A heading with nothing below it still says something."""
        self._leave(0)
        return tuple(self.blocks)

    def _leave(self, level: int) -> None:
        while self._headings and self._headings[-1].level >= level:
            heading = self._headings.pop()
            if not heading.used:
                path = tuple(above.text for above in self._headings)
                self.blocks.append(Block(text=heading.text, anchor=heading.anchor, heading=path))

    def _slug(self, text: str) -> str:
        slug = unique = NOT_IN_SLUG.sub("", text.lower()).replace(" ", "-")
        while unique in self._slugs:
            self._slugs[slug] += 1
            unique = f"{slug}-{self._slugs[slug]}"
        self._slugs[unique] = 0
        return unique


def text_of(blocks: Iterable[Block], apart: str = "\n") -> str:
    """Blocks as one text, with each heading by itself above the first that stands under it."""
    lines: list[str] = []
    above: tuple[str, ...] = ()
    for block in blocks:
        path = block.heading
        lines += (name for depth, name in enumerate(path, start=1) if path[:depth] != above[:depth])
        lines.append(block.text)
        above = path
    return apart.join(lines)
