import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from api.ledger import COLUMNS, TRIGGERS, ledger_csv


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_a_ledger_begins_with_its_columns() -> None:
    assert read(ledger_csv([])) == [list(COLUMNS)]


@given(st.lists(st.tuples(st.text(), st.text(), st.text(), st.integers(0, 10**9))))
def test_no_cell_is_computed_by_a_spreadsheet_and_none_is_lost(rows: list[tuple[str, str, str, int]]) -> None:
    lines = [dict(zip(COLUMNS, row, strict=True)) for row in rows if "\0" not in "".join(row[:3])]
    shown = read(ledger_csv(lines))[1:]
    assert len(shown) == len(lines)
    assert not any(cell.startswith(TRIGGERS) for row in shown for cell in row)
    assert [int(row[3]) for row in shown] == [line["items"] for line in lines]
