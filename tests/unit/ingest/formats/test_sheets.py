"""Workbooks."""

import io
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from openpyxl import Workbook  # type: ignore[import-untyped]

from core.words import Instant
from ingest.formats import sheets
from ingest.formats.parsed import DocumentTooLargeError, Parsed
from ingest.formats.sheets import parse

Sheet = Any  # of the library


def read(made: Any) -> list[Parsed]:  # noqa: ANN401 - a workbook of the library
    stream = io.BytesIO()
    made.save(stream)
    return parse(stream.getvalue(), "a.xlsx")


def sheet_of(rows: list[list[object]], title: str = "Desks") -> tuple[Any, Sheet]:
    made = Workbook()
    made.active.title = title
    for row in rows:
        made.active.append(row)
    return made, made.active


def texts(rows: list[list[object]]) -> list[str]:
    (page,) = read(sheet_of(rows)[0])
    return [block.text for block in page.blocks]


def test_a_sheet_is_headed_by_its_name_and_addressed_by_it() -> None:
    made, _ = sheet_of([["Name", "Desk"], ["Ada", 3]], title="Our desks")
    made.create_sheet("Numbers").append([1, 2])
    (page,) = read(made)
    assert [(block.text, block.anchor, block.heading) for block in page.blocks] == [
        ("Name: Ada; Desk: 3", "sheet=Our%20desks", ("Our desks",)),
        ("1 | 2", "sheet=Numbers", ("Numbers",)),
    ]


def test_values_read_as_people_write_them() -> None:
    half_past = datetime.combine(date(2024, 3, 1), time(9, 30))
    assert texts([[1.0, 0.1 + 0.2, 123_456_789_012, True]]) == ["1 | 0.3 | 123456789012 | TRUE"]
    assert texts([[date(2024, 3, 1), half_past, time(9, 30)]]) == ["2024-03-01 | 2024-03-01 09:30:00 | 09:30:00"]


def test_a_share_is_a_percentage_where_it_is_shown_as_one() -> None:
    made, sheet = sheet_of([[0.255, 0.5]])
    sheet["A1"].number_format = "0.0%"
    (page,) = read(made)
    assert page.blocks[0].text == "25.5% | 0.5"


def test_formulas_and_errors_are_not_text() -> None:
    assert texts([["=1+1", "#N/A", "Text"]]) == ["Text"]


def test_hidden_sheets_rows_and_columns_are_left_out() -> None:
    made, sheet = sheet_of([["Name", "Pay", "Desk"], ["Ada", 9, 3], ["Grace", 8, 4]])
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["B"].hidden = True
    hidden = made.create_sheet("Hidden")
    hidden.append(["secret"])
    hidden.sheet_state = "hidden"
    (page,) = read(made)
    assert [block.text for block in page.blocks] == ["Name: Ada; Desk: 3"]


def test_a_sheet_of_questions_is_a_document_for_each_row() -> None:
    made, _ = sheet_of([["Name", "Desk"], ["Ada", 3]])
    made.properties.modified = datetime(2024, 3, 1, tzinfo=UTC).replace(tzinfo=None)
    questions = made.create_sheet("FAQ")
    for row in (["ID", "Question", "Answer"], [7, "How many days?", 25], [8, "When?", None]):
        questions.append(row)
    page, first, second = read(made)
    assert (page.kind, first.kind, first.part, first.title) == ("page", "faq", "FAQ/7", "How many days?")
    assert [block.text for block in first.blocks] == ["25"]
    assert (second.part, second.blocks) == ("FAQ/8", ())
    assert first.modified == page.modified
    assert page.modified
    assert page.modified > Instant(0)


def test_more_cells_than_a_workbook_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "CELLS", 3)
    with pytest.raises(DocumentTooLargeError):
        texts([["a", "b"], ["c", "d"]])


def test_a_column_far_out_is_refused_where_something_stands_in_it() -> None:
    made, sheet = sheet_of([["a"]])
    sheet["XFD1"] = " "
    (page,) = read(made)
    assert page.blocks[0].text == "a"
    sheet["XFD1"] = "b"
    with pytest.raises(DocumentTooLargeError):
        read(made)


def test_rows_that_a_sheet_only_states_cost_nothing() -> None:
    made, sheet = sheet_of([["a"]])
    sheet["A1048576"] = "b"
    (page,) = read(made)
    assert [block.text for block in page.blocks] == ["a", "b"]


def test_an_empty_workbook_has_nothing_to_read() -> None:
    assert read(Workbook()) == []
