"""CSV and TSV: a document for each row where a table asks and answers, else one page with a line for each row.

It reads in the main process and line by line, so that no file needs more memory than what it says.
"""

import csv
import io
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat

from core.words import Block
from ingest.errors import NotUtf8Error
from ingest.formats import faq
from ingest.formats.parsed import DocumentTooLargeError, Parsed, UnreadableDocumentError
from ingest.markup import clean

ROW_CHARACTERS = 256 * 1024
CHARACTERS = 32 * 1024 * 1024  # of what a table becomes, its repeated headings included
LINES = 1_000_000  # blank ones included: they take time, and nothing else bounds them
ROWS = 200_000
COLUMNS = 1_000
LABEL_CHARACTERS = 60
DELIMITERS = (",", ";", "\t", "|")  # the earlier one where two are equally common
QUOTED = re.compile(r'"[^"]*+(?:"|$)')
NUMBER = re.compile(r"[-+(]?[^\w\s]?[\d.,:/\s-]*\d[\d.,:/\s-]*[%)]?")
SEPARATOR = re.compile(r"sep=([^\w\n\" ])\s*", re.IGNORECASE)
END = "end"


def parse(raw: bytes, name: str) -> list[Parsed]:
    """The questions of a table with such columns, else the table as one page.

    Raises NotUtf8Error, UnreadableDocumentError or DocumentTooLargeError.
    """
    rows = records(raw, name)
    skipped, first = next(((n, row) for n, row in enumerate(rows) if any(map(str.strip, row))), (0, []))
    if roles := faq.roles_of(first):
        return faq.of_rows(roles, rows)
    texts = texts_of(chain((first,), rows))
    blocks = tuple(Block(text=text, anchor=f"row={skipped + number}") for number, text in texts)
    return [Parsed(blocks=blocks)] if blocks else []


def records(raw: bytes, name: str) -> Iterator[list[str]]:
    """The rows of a table as its cells, cleaned. Raises as `parse` does."""
    lines = _lines(raw)
    head = next(lines, "")
    if match := SEPARATOR.fullmatch(head):
        delimiter, head = match[1], ""
    else:
        delimiter = "\t" if name.lower().endswith((".tsv", ".tab")) else _commonest(head)
    row_lines = _RowLines(chain((head,), lines), end=f"{END}{delimiter}{END}")
    reader = csv.reader(row_lines, delimiter=delimiter)
    try:
        for row in reader:
            if row_lines.ended:
                _check_end(row)
                return
            row_lines.characters = 0
            yield [clean(cell) for cell in row]
    except csv.Error as error:
        raise UnreadableDocumentError(f"Line {reader.line_num} is none of a table: {error}.") from error


def texts_of(rows: Iterable[Sequence[str]]) -> Iterator[tuple[int, str]]:
    """The number and the text of each row that says anything, counted from 1 with the headings.

    `Heading: value; Heading: value` where the first row reads like headings and is not all there is, else
    `value | value`. Raises DocumentTooLargeError.
    """
    folded = ((number, [" ".join(cell.split()) for cell in row]) for number, row in enumerate(rows, start=1))
    filled = ((number, cells) for number, cells in folded if any(cells))
    head = list(islice(filled, 2))
    labels = _labels(head[0][1]) if len(head) > 1 else []
    characters = 0
    for count, (number, cells) in enumerate(chain(head[1:] if labels else head, filled)):
        _check_size(count, sum(map(bool, cells)), characters)
        text = _text(labels, cells)
        characters += len(text)
        yield number, text


def _labels(cells: Sequence[str]) -> list[str]:
    """The cells of a first row that names columns; nothing if it reads like any other row."""
    named = [cell for cell in cells if cell]
    distinct = len({cell.casefold() for cell in named}) == len(named)
    short = all(len(cell) <= LABEL_CHARACTERS and not NUMBER.fullmatch(cell) for cell in named)
    return list(cells) if len(named) > 1 and distinct and short else []


def _text(labels: Sequence[str], cells: Sequence[str]) -> str:
    if not labels:
        return " | ".join(filter(None, cells))
    named = zip(cells, chain(labels, repeat("")), strict=False)
    return "; ".join(f"{label}: {cell}" if label else cell for cell, label in named if cell)


def _check_size(rows: int, columns: int, characters: int) -> None:
    if rows > ROWS or columns > COLUMNS or characters > CHARACTERS:
        raise DocumentTooLargeError(
            f"It is larger than the {ROWS} rows, {COLUMNS} columns and {CHARACTERS} characters allowed.",
            hint="Leave out what nobody asks for, or split it.",
        )


@dataclass(slots=True)
class _RowLines:
    """The lines that rows are read from, and one that ends them; whoever reads them resets `characters` for each row.

    An open quotation mark makes many lines one row, and swallows the end with the rest.
    """

    lines: Iterator[str]
    end: str
    ended: bool = False
    characters: int = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.ended:
            raise StopIteration
        line = next(self.lines, self.end)
        self.ended = line is self.end
        self.characters += len(line)
        if self.characters > ROW_CHARACTERS:
            raise DocumentTooLargeError(f"A row is longer than the {ROW_CHARACTERS} characters allowed.")
        return line


def _lines(raw: bytes) -> Iterator[str]:
    """The lines of a file; of one that is too long no more than tells so."""
    wide = raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    stream = io.TextIOWrapper(io.BytesIO(raw), "utf-16" if wide else "utf-8-sig", newline=None)
    number = 0
    try:
        while line := stream.readline(ROW_CHARACTERS + 1):
            number += 1
            if number > LINES:
                raise DocumentTooLargeError(f"It has more than the {LINES} lines allowed.", hint="Split it.")
            yield line
    except UnicodeError as error:
        raise NotUtf8Error(f"After line {number} it is not UTF-8.", hint="Save it as UTF-8.") from error


def _commonest(line: str) -> str:
    bare = QUOTED.sub("", line)
    return max(DELIMITERS, key=bare.count)


def _check_end(row: Sequence[str]) -> None:
    if list(row) != [END, END]:
        raise UnreadableDocumentError("A quotation mark is opened and never closed.", hint="Close or double it.")
