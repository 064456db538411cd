"""Workbooks: a document for each row of a sheet that asks and answers; every other sheet is part of one page.

What a formula gave when the file was saved is read, never the formula. Hidden sheets, rows and columns are left out.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from io import BytesIO
from itertools import chain
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, iterparse

from openpyxl import load_workbook  # type: ignore[import-untyped]
from openpyxl.cell.read_only import ReadOnlyCell  # type: ignore[import-untyped]
from openpyxl.worksheet._reader import COL_TAG, ROW_TAG, WorkSheetParser  # type: ignore[import-untyped]

from core.words import Block
from ingest.formats import faq
from ingest.formats.office_text import checked, properties
from ingest.formats.parsed import DocumentTooLargeError, Parsed
from ingest.formats.tables import COLUMNS, texts_of
from ingest.markup import clean, one_line

CELLS = 1_000_000
NAME_CHARACTERS = 100
ON = ("1", "true")

Sheet = Any  # the library has no types


def parse(raw: bytes, name: str) -> list[Parsed]:  # noqa: ARG001 - one shape for every parser
    """The questions of a workbook and a page of the rest; raises RefusedError, or what the library raises."""
    with checked(raw) as archive:
        about = properties(archive)
    with warnings.catch_warnings():
        # The library warns of what it leaves out: colours, rules, extensions. None of that is text.
        warnings.simplefilter("ignore")
        workbook = load_workbook(BytesIO(raw), read_only=True, data_only=True, keep_links=False)
        reader = _Reader()
        for sheet in workbook.worksheets:
            if sheet.sheet_state == "visible":
                reader.take(sheet)
    questions = [replace(one, modified=one.modified or about.modified) for one in reader.questions]
    if not reader.blocks:
        return questions
    page = Parsed(
        blocks=tuple(reader.blocks),
        title=about.title,
        author=about.author,
        valid_from=about.valid_from,
        modified=about.modified,
    )
    return [page, *questions]


@dataclass(slots=True)
class _Reader:
    """What the sheets so far have said."""

    blocks: list[Block] = field(default_factory=list)
    questions: list[Parsed] = field(default_factory=list)
    cells: int = 0

    def take(self, sheet: Sheet) -> None:
        """Read one sheet. Raises DocumentTooLargeError."""
        title = one_line(sheet.title, NAME_CHARACTERS)
        rows = self._rows(sheet)
        first = next((row for row in rows if any(map(str.strip, row))), [])
        if roles := faq.roles_of(first):
            self.questions += faq.of_rows(roles, rows, within=title)
            return
        anchor = f"sheet={quote(title, safe='')}"
        texts = (text for _, text in texts_of(chain((first,), rows)))
        self.blocks += (Block(text=text, anchor=anchor, heading=(title,)) for text in texts)

    def _rows(self, sheet: Sheet) -> Iterator[list[str]]:
        """The texts of the rows that are shown, without those of the columns that are not."""
        shown = _Shown(sheet)
        for row in _elements(sheet, shown.hidden):
            cells = shown.texts(row)
            self.cells += sum(map(bool, cells))
            if self.cells > CELLS:
                raise DocumentTooLargeError(f"It has more than the {CELLS} cells allowed.", hint="Split the workbook.")
            yield cells


class _Shown:
    """What a reader of a sheet sees of its rows; `hidden` are the numbers of the columns that are not shown."""

    def __init__(self, sheet: Sheet) -> None:
        book = sheet.parent
        # The library's own reader of a sheet parses in Python what is safe by now, makes every cell that a sheet only
        # claims to have, and passes over what is hidden. Its reader of one row does none of that.
        self._parser = WorkSheetParser(
            None,
            sheet._shared_strings,  # noqa: SLF001 - what its own reader is given, here and below
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,  # noqa: SLF001
            timedelta_formats=book._timedelta_formats,  # noqa: SLF001
        )
        self._sheet = sheet
        self._shares: dict[int, bool] = {}
        self.hidden: set[int] = set()

    def texts(self, row: Element) -> list[str]:
        """The texts of a row's cells, each at its place. Raises DocumentTooLargeError."""
        _, cells = self._parser.parse_row(row)
        said = {cell["column"]: text for cell in cells if (text := self._text(cell)).strip()}
        width = max(said, default=0)
        if width > COLUMNS:
            raise DocumentTooLargeError(f"A row has more than the {COLUMNS} columns allowed.")
        return ["" if column in self.hidden else said.get(column, "") for column in range(1, width + 1)]

    def _text(self, cell: dict[str, Any]) -> str:
        value = cell["value"]
        if value is None or cell["data_type"] == "e":
            return ""
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, float | int):
            if self._is_share(cell):
                return f"{value * 100:.12g}%"
            return f"{value:.15g}" if isinstance(value, float) else str(value)
        return _moment(value) if isinstance(value, date | time) else clean(str(value))

    def _is_share(self, cell: dict[str, Any]) -> bool:
        style = cell["style_id"]
        if style not in self._shares:
            self._shares[style] = "%" in (ReadOnlyCell(self._sheet, **cell).number_format or "")
        return self._shares[style]


def _elements(sheet: Sheet, hidden: set[int]) -> Iterator[Element]:
    """The rows of a sheet that are shown; what comes before them says which columns are `hidden`."""
    with sheet._get_source() as source:  # noqa: SLF001 - the only way to the part of a sheet
        for _, element in iterparse(source):  # noqa: S314 - by now no XML of the file declares entities
            if element.tag == COL_TAG and element.get("hidden") in ON:
                last = min(int(element.get("max", 0)), COLUMNS)
                hidden.update(range(int(element.get("min", 0)), last + 1))
            elif element.tag == ROW_TAG:
                if element.get("hidden") not in ON:
                    yield element
                element.clear()


def _moment(value: date | time) -> str:
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    return value.isoformat("seconds") if isinstance(value, time) else value.isoformat()
