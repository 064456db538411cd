"""Markdown and plain text as blocks: paragraphs, with lists, tables and fenced code kept whole.

A reader of structure, not a renderer: the text of a block is the author's own, byte for byte within its lines.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.words import Block

HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})")
LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])[ \t]")
PROPERTY = re.compile(r"([A-Za-z][\w-]*)[ \t]*:[ \t]*(.*)")
NOT_IN_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Page:
    """A parsed page; `title` is empty where it has neither a first heading nor a property of that name."""

    title: str
    properties: dict[str, str]
    blocks: tuple[Block, ...]


def parse_markdown(text: str) -> Page:
    """The blocks of a Markdown page under their headings. The heading that is its title is not repeated in them."""
    properties, lines = _front_matter(text.split("\n"))
    reader = _Reader(title=properties.get("title", ""))
    for line in lines:
        reader.take(line)
    return Page(reader.title, properties, tuple(reader.finished()))


def paragraphs(text: str) -> tuple[Block, ...]:
    """The paragraphs of plain text: what blank lines separate."""
    return tuple(Block(text=part.strip("\n")) for part in re.split(r"\n(?:[ \t]*\n)+", text) if part.strip())


@dataclass(slots=True)
class _Heading:
    level: int
    text: str
    slug: str
    used: bool = False


@dataclass(slots=True)
class _Reader:
    """The state of one pass over the lines."""

    title: str
    blocks: list[Block] = field(default_factory=list)
    headings: list[_Heading] = field(default_factory=list)
    slugs: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    fence: str = ""
    blank: bool = False  # a blank line that may turn out to lie inside a list
    seen_heading: bool = False

    def take(self, line: str) -> None:
        """Read one line."""
        if self.fence:
            self._inside_fence(line)
        elif match := FENCE.match(line):
            self._open_fence(line, match[1])
        elif not line.strip():
            self._blank_line()
        elif match := HEADING.fullmatch(line):
            self._open_heading(len(match[1]), match[2] or "")
        elif len(self.lines) == 1 and not self.blank and not self._in_list and (match := UNDERLINE.fullmatch(line)):
            text = self.lines.pop()
            self._open_heading(1 if match[1][0] == "=" else 2, text)
        elif RULE.fullmatch(line):
            self._flush()
        else:
            self._text_line(line)

    def finished(self) -> list[Block]:
        """Every block, once all lines are taken."""
        self._flush()
        self._leave(0)
        return self.blocks

    @property
    def _in_list(self) -> bool:
        return bool(self.lines) and LIST_ITEM.match(self.lines[0]) is not None

    def _open_fence(self, line: str, marks: str) -> None:
        if self.blank and not self._in_list:
            self._flush()
        self._keep(line)
        self.fence = marks

    def _inside_fence(self, line: str) -> None:
        self.lines.append(line)
        marks = line.strip()
        if marks and len(marks) >= len(self.fence) and not marks.strip(self.fence[0]):
            self.fence = ""
            if not self._in_list:
                self._flush()

    def _blank_line(self) -> None:
        self.blank = bool(self.lines)
        if not self._in_list:
            self._flush()

    def _text_line(self, line: str) -> None:
        goes_on = self._in_list and (line[:1] in " \t" or LIST_ITEM.match(line))
        if self.blank and not goes_on:
            self._flush()
        self._keep(line)

    def _keep(self, line: str) -> None:
        if self.blank:
            self.lines.append("")
            self.blank = False
        self.lines.append(line)

    def _flush(self) -> None:
        if any(map(str.strip, self.lines)):
            self._add("\n".join(self.lines), self.headings)
            for heading in self.headings:
                heading.used = True
        self.lines.clear()
        self.blank = False

    def _add(self, text: str, under: Sequence[_Heading]) -> None:
        path = tuple(heading.text for heading in under if heading.text)
        self.blocks.append(Block(text=text, anchor=under[-1].slug if under else "", heading=path))

    def _open_heading(self, level: int, text: str) -> None:
        self._flush()
        text = text.strip()
        self._leave(level)
        slug = self._slug(text)
        first, self.seen_heading = not self.seen_heading, True
        if level == 1 and first and (not self.title or self.title == text):
            self.title = text
            return
        if self.headings:
            self.headings[-1].used = True
        self.headings.append(_Heading(level, text, slug))

    def _leave(self, level: int) -> None:
        """Close headings of this level or deeper; one with nothing below it still says something."""
        while self.headings and self.headings[-1].level >= level:
            heading = self.headings.pop()
            if heading.text and not heading.used:
                path = tuple(above.text for above in self.headings if above.text)
                self.blocks.append(Block(text=heading.text, anchor=heading.slug, heading=path))

    def _slug(self, text: str) -> str:
        """The anchor that GitHub gives a heading; a repeated one is numbered."""
        slug = NOT_IN_SLUG.sub("", text.lower()).replace(" ", "-")
        number = self.slugs.get(slug, 0)
        self.slugs[slug] = number + 1
        return f"{slug}-{number}" if number else slug


def _front_matter(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    if not lines or lines[0].strip() != "---":
        return {}, lines
    for index, line in enumerate(lines[1:], start=1):
        if line.strip() in ("---", "..."):
            return dict(_properties(lines[1:index])), lines[index + 1 :]
    return {}, lines


def _properties(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if match := PROPERTY.fullmatch(line.rstrip()):
            yield match[1].lower(), match[2].strip("\"' ")
