"""Word documents: what a reader of the page sees, under its headings.

Deleted and hidden text, comments, headers, footers and tables of contents are left out; tracked insertions are read
like any other text.
"""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Self

from docx import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml

from core.words import Block
from ingest.formats.office_text import checked, properties
from ingest.formats.outline import Outline
from ingest.formats.parsed import Parsed
from ingest.formats.tables import texts_of
from ingest.markup import clean

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
HEADING = re.compile(r"heading ([1-9])")
CONTENTS = re.compile(r"toc (?:[1-9]|heading)")
NOTES = {
    "footnoteReference": ("Footnote", RELATIONSHIP_TYPE.FOOTNOTES),
    "endnoteReference": ("Endnote", RELATIONSHIP_TYPE.ENDNOTES),
}
HEADING_CHARACTERS = 200  # more is text, whatever its style says
BODY_LEVEL = 9  # an outline level that says: no heading
MOST_COLUMNS = 63  # that a table of Word has
WRAPPERS = frozenset({"sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo"})
LEFT_OUT = frozenset({"del", "moveFrom", "instrText", "delText", "delInstrText", "rt", "pPr", "rPr", "txbxContent"})
SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
OFF = ("0", "false", "off")

Element = Any  # lxml has no types


def parse(raw: bytes, name: str) -> list[Parsed]:  # noqa: ARG001 - one shape for every parser
    """The document as one page; raises RefusedError, or whatever the library raises for a damaged file."""
    with checked(raw) as archive:
        about = properties(archive)
    part = Document(BytesIO(raw)).part
    notes = {kind: _notes(_related(part, relation)) for kind, (_, relation) in NOTES.items()}
    reader = _Reader(Outline(title=about.title), _Styles.of(_related(part, RELATIONSHIP_TYPE.STYLES)), notes)
    blocks = reader.read(part.element.body)
    if not blocks:
        return []
    title = reader.outline.title
    return [
        Parsed(blocks=blocks, title=title, author=about.author, valid_from=about.valid_from, modified=about.modified)
    ]


@dataclass(frozen=True, slots=True)
class _Style:
    level: int | None = None  # of a heading, from 1 on; 0 = the title
    listed: bool = False
    left_out: bool = False


@dataclass(frozen=True, slots=True)
class _Styles:
    """What the styles of a document mean, by their ids."""

    elements: dict[str, Element]
    known: dict[str, _Style] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Element | None) -> Self:
        """The styles of their part, which a document may lack."""
        found = () if root is None else root.iterchildren(f"{W}style")
        return cls({style.get(f"{W}styleId", ""): style for style in found})

    def get(self, style_id: str) -> _Style:
        """The meaning of a style: its own, or that of the one it is based on."""
        above: dict[str, None] = {}
        while style_id not in self.known and style_id in self.elements and style_id not in above:
            above[style_id] = None
            style_id = _value(self.elements[style_id].find(f"{W}basedOn"))
        meaning = self.known.get(style_id, _Style())
        for one in reversed(above):
            meaning = self.known[one] = _meaning(self.elements[one], meaning)
        return meaning


@dataclass(slots=True)
class _Reader:
    """The state of one pass over the body."""

    outline: Outline
    styles: _Styles
    notes: dict[str, dict[str, Element]]
    items: list[str] = field(default_factory=list)  # of a list that may go on
    noted: list[str] = field(default_factory=list)  # notes to what is being read

    def read(self, body: Element) -> tuple[Block, ...]:
        """Every block of a body."""
        self._take(body)
        self._end_list()
        return self.outline.finished()

    def _take(self, parent: Element) -> None:
        for element in _found(parent, {"p", "tbl"}):
            if _local(element) == "tbl":
                self._end_list()
                self._table(element)
            else:
                self._paragraph(element)

    def _paragraph(self, element: Element) -> None:
        style = self._style(element)
        text = "" if style.left_out else self._text(element).strip()
        if text and style.level is None and style.listed:
            depth = int(_value(element.find(f"{W}pPr/{W}numPr/{W}ilvl")) or 0)
            self.items.append(f"{'  ' * min(depth, BODY_LEVEL)}- {text}")
            self.items += self.noted
            self.noted.clear()
        elif text:
            self._end_list()
            self._say(style.level, text)
            self._say_notes()
        if next(element.iter(f"{W}txbxContent"), None) is not None:
            for box in _boxes(element):
                self._take(box)

    def _say(self, level: int | None, text: str) -> None:
        folded = " ".join(text.split())
        if level is None or len(folded) > HEADING_CHARACTERS:
            self.outline.add(text)
        elif level:
            self.outline.open(level, folded)
        else:
            if not self.outline.blocks and not self.outline.first_heading:
                self.outline.title = folded
            self.outline.open(1, folded)

    def _say_notes(self) -> None:
        for note in self.noted:
            self.outline.add(note)
        self.noted.clear()

    def _end_list(self) -> None:
        self.outline.add("\n".join(self.items))
        self.items.clear()

    def _table(self, element: Element) -> None:
        rows = [list(_found(row, {"tc"})) for row in _found(element, {"tr"}) if not _row_is_gone(row)]
        if len(rows) <= 1 or all(len(row) <= 1 for row in rows):
            # It only lays out what stands in it.
            for cell in (cell for row in rows for cell in row):
                self._take(cell)
            self._end_list()
        else:
            self.outline.add("\n".join(text for _, text in texts_of(self._grid(rows))))
            self._say_notes()

    def _grid(self, rows: list[list[Element]]) -> Iterator[list[str]]:
        """The texts of a table's cells; what is merged down stands in each of its rows."""
        above: dict[int, str] = {}
        for row in rows:
            cells: list[str] = []
            for cell in row:
                merged = cell.find(f"{W}tcPr/{W}vMerge")
                goes_on = merged is not None and _value(merged) != "restart"
                text = above.get(len(cells), "") if goes_on else self._cell(cell)
                above[len(cells)] = text
                wide = int(_value(cell.find(f"{W}tcPr/{W}gridSpan")) or 1)
                cells += [text, *[""] * (min(wide, MOST_COLUMNS) - 1)]
            yield cells

    def _cell(self, cell: Element) -> str:
        parts: list[str] = []
        for element in _found(cell, {"p", "tbl"}):
            if _local(element) == "tbl":
                rows = [row for row in _found(element, {"tr"}) if not _row_is_gone(row)]
                parts += (self._cell(inner) for row in rows for inner in _found(row, {"tc"}))
            elif not self._style(element).left_out:
                parts.append(self._text(element))
        return " ".join(filter(None, map(str.strip, parts)))

    def _style(self, paragraph: Element) -> _Style:
        own = paragraph.find(f"{W}pPr")
        if own is None:
            return _Style()
        return _meaning(paragraph, self.styles.get(_value(own.find(f"{W}pStyle"))))

    def _text(self, element: Element) -> str:
        pieces: list[str] = []
        self._collect(element, pieces)
        return clean("".join(pieces))

    def _collect(self, parent: Element, pieces: list[str]) -> None:
        for element in parent.iterchildren("*"):
            name = _local(element)
            if name == "t":
                pieces.append(element.text or "")
            elif name in SIGNS:
                pieces.append(SIGNS[name])
            elif name in NOTES:
                self._note(name, element.get(f"{W}id", ""))
            elif name not in LEFT_OUT and not (name == "r" and self._hidden(element)):
                self._collect(_chosen(element), pieces)

    def _note(self, kind: str, note_id: str) -> None:
        # Taken out, a note that refers to itself ends there.
        note = self.notes[kind].pop(note_id, None)
        text = " ".join(self._text(paragraph) for paragraph in note.iter(f"{W}p")).strip() if note is not None else ""
        if text:
            self.noted.append(f"{NOTES[kind][0]}: {text}")

    def _hidden(self, run: Element) -> bool:
        own = run.find(f"{W}rPr")
        if own is None:
            return False
        vanish = own.find(f"{W}vanish")
        return _on(vanish) if vanish is not None else self.styles.get(_value(own.find(f"{W}rStyle"))).left_out


def _meaning(element: Element, based: _Style) -> _Style:
    """What a style means, or a paragraph of a style, by what it says itself and what it is based on."""
    name = _value(element.find(f"{W}name")).casefold()
    outline = _value(element.find(f"{W}pPr/{W}outlineLvl"))
    vanish = element.find(f"{W}rPr/{W}vanish")
    numbered = element.find(f"{W}pPr/{W}numPr/{W}numId")
    level = based.level
    if match := HEADING.fullmatch(name):
        level = int(match[1])
    elif name == "title":
        level = 0
    elif outline:
        level = int(outline) + 1 if 0 <= int(outline) < BODY_LEVEL else None
    return _Style(
        level=level,
        listed=based.listed if numbered is None else _value(numbered) != "0",
        left_out=CONTENTS.fullmatch(name) is not None or (based.left_out if vanish is None else _on(vanish)),
    )


def _found(parent: Element, names: AbstractSet[str]) -> Iterator[Element]:
    """The elements of these names in a parent, whatever else they are wrapped in there."""
    for element in _chosen(parent).iterchildren("*"):
        name = _local(element)
        if name in names:
            yield element
        elif name in WRAPPERS or name == "AlternateContent":
            yield from _found(element, names)


def _boxes(parent: Element) -> Iterator[Element]:
    """The text boxes that are anchored in a paragraph."""
    for element in _chosen(parent).iterchildren("*"):
        if element.tag == f"{W}txbxContent":
            yield element
        else:
            yield from _boxes(element)


def _chosen(element: Element) -> Element:
    """Of alternatives the first, which says the same as the others; every other element is itself."""
    if element.tag != f"{COMPATIBLE}AlternateContent":
        return element
    return next(element.iterchildren(f"{COMPATIBLE}Choice", f"{COMPATIBLE}Fallback"), element)


def _row_is_gone(row: Element) -> bool:
    about = row.find(f"{W}trPr")
    return about is not None and (about.find(f"{W}del") is not None or _on(about.find(f"{W}hidden")))


def _on(switch: Element | None) -> bool:
    return switch is not None and _value(switch) not in OFF


def _value(element: Element | None) -> str:
    return "" if element is None else element.get(f"{W}val", "")


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _related(part: Any, relation: str) -> Element | None:  # noqa: ANN401 - a part of the library's package, untyped
    """The root of the part that has this relation, None where there is none."""
    try:
        return parse_xml(part.part_related_by(relation).blob)
    except KeyError:
        return None


def _notes(root: Element | None) -> dict[str, Element]:
    return {} if root is None else {note.get(f"{W}id", ""): note for note in root.iterchildren("*")}
