"""Markdown and plain text as blocks: paragraphs, with lists, tables and fenced code kept whole.

A reader of structure, not a renderer: the text of a block is the author's own, byte for byte within its lines.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from core.words import Block
from ingest.formats.outline import Outline

HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})")
LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])[ \t]")
PROPERTY = re.compile(r"([A-Za-z][\w-]*)[ \t]*:[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class Page:
    """A parsed page; `title` is empty where it has neither a first heading nor a property of that name."""

    title: str
    properties: dict[str, str]
    blocks: tuple[Block, ...]


def parse_markdown(text: str) -> Page:
    """The blocks of a Markdown page under their headings. The heading that is its title is not repeated in them.

    Raises DocumentTooLargeError.
    """
    properties, lines = _front_matter(text.split("\n"))
    reader = _Reader(Outline(title=properties.get("title", "")))
    for line in lines:
        reader.take(line)
    blocks = reader.finished()
    return Page(reader.outline.title, properties, blocks)


def paragraphs(text: str) -> tuple[Block, ...]:
    """The paragraphs of plain text: what blank lines separate."""
    return tuple(Block(text=part.strip("\n")) for part in re.split(r"\n(?:[ \t]*\n)+", text) if part.strip())


@dataclass(slots=True)
class _Reader:
    """The state of one pass over the lines."""

    outline: Outline
    lines: list[str] = field(default_factory=list)
    fence: str = ""
    blank: bool = False  # a blank line that may turn out to lie inside a list

    def take(self, line: str) -> None:
        """Read one line."""
        if self.fence:
            self._inside_fence(line)
        elif match := FENCE.match(line):
            self._open_fence(line, match[1])
        elif not line.strip():
            self._blank_line()
        elif match := HEADING.fullmatch(line):
            self._flush()
            self.outline.open(len(match[1]), (match[2] or "").strip())
        elif len(self.lines) == 1 and not self.blank and not self._in_list and (match := UNDERLINE.fullmatch(line)):
            self.outline.open(1 if match[1][0] == "=" else 2, self.lines.pop().strip())
        elif RULE.fullmatch(line):
            self._flush()
        else:
            self._text_line(line)

    def finished(self) -> tuple[Block, ...]:
        """Every block, once all lines are taken."""
        self._flush()
        return self.outline.finished()

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
        self.outline.add("\n".join(self.lines))
        self.lines.clear()
        self.blank = False


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
