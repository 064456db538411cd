import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from api.ledger import COLUMNS, TRIGGERS, ledger_csv


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def file(name: str, **rest: object) -> dict[str, object]:
    """A file as the ledger has it."""
    return {"file": name, "bucket": "indexed", "reason": "page", "change": "added", "items": 1, "documents": 1} | rest


def test_a_ledger_begins_with_its_columns() -> None:
    assert read(ledger_csv({"lines": []})) == [list(COLUMNS)]


def test_where_there_are_files_each_has_a_row_instead_of_the_counts() -> None:
    counts = {"channel": "", "bucket": "indexed", "reason": "page", "items": 2}
    broken = file("b.csv", bucket="failed", reason="not_utf8", change="unchanged", documents=7)
    shown = read(ledger_csv({"lines": [counts], "files": [file("a.md"), broken]}))
    assert [row[1:] for row in shown[1:]] == [
        ["a.md", "indexed", "page", "added", "1", "1"],
        ["b.csv", "failed", "not_utf8", "unchanged", "1", "7"],
    ]
    assert read(ledger_csv({"lines": [counts], "files": []}))[1:] == [["", "", "indexed", "page", "", "2", ""]]


@given(st.lists(st.tuples(st.text(), st.text(), st.text(), st.text(), st.text(), st.integers(0, 10**9))))
def test_no_cell_is_computed_by_a_spreadsheet_and_none_is_lost(
    rows: list[tuple[str, str, str, str, str, int]],
) -> None:
    named = COLUMNS[:-1]
    lines = [dict(zip(named, row, strict=True)) for row in rows if "\0" not in "".join(row[:5])]
    shown = read(ledger_csv({"lines": lines}))[1:]
    assert len(shown) == len(lines)
    assert not any(cell.startswith(TRIGGERS) for row in shown for cell in row)
    assert [int(row[-2]) for row in shown] == [line["items"] for line in lines]
