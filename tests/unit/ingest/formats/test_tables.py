"""CSV and TSV."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import NotUtf8Error, RefusedError
from ingest.formats import tables
from ingest.formats.parsed import DocumentTooLargeError, UnreadableDocumentError
from ingest.formats.tables import COLUMNS, NUMBER, parse, texts_of

CELLS = st.text("aB3 \n\"',;|-=é\u2028\U0001f600", max_size=12)


def refusal(raw: bytes) -> str:
    try:
        parse(raw, "a.csv")
    except RefusedError as error:
        return error.code
    return ""


def lines(text: str, name: str = "a.csv") -> list[str]:
    (page,) = parse(text.encode(), name)
    return [block.text for block in page.blocks]


def test_a_table_of_questions_is_a_document_for_each_row() -> None:
    raw = b'Topic,Question,Answer,ID\nLeave,"How many, really?","25.\nNo more.",7\n,,,\nPay,When?,,8\n'
    first, second = parse(raw, "faq.csv")
    assert (first.kind, first.title, first.part, first.context) == ("faq", "How many, really?", "7", "Leave")
    assert [block.text for block in first.blocks] == ["25.\nNo more."]
    assert (second.title, second.blocks) == ("When?", ())


def test_any_other_table_is_a_page_of_rows_that_name_their_columns() -> None:
    (page,) = parse(b"Name,Desk\n\nAda,3\nGrace,\n", "desks.csv")
    assert [(block.text, block.anchor) for block in page.blocks] == [
        ("Name: Ada; Desk: 3", "row=3"),
        ("Name: Grace", "row=4"),
    ]


def test_a_first_row_of_numbers_names_no_columns() -> None:
    assert lines("2024-01-01,3\n2024-01-02,4\n") == ["2024-01-01 | 3", "2024-01-02 | 4"]


def test_headings_alone_are_read_as_a_row() -> None:
    assert lines("Name,Desk\n") == ["Name | Desk"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Name;Desk\nAda, B.;3\n", "a.csv"),
        ("Name\tDesk\nAda, B.\t3\n", "a.tsv"),
        ("Name|Desk\nAda, B.|3\n", "a.csv"),
        ("sep=;\nName;Desk\nAda, B.;3\n", "a.csv"),
        ('"Name";"Desk"\r"Ada, B.";3\r', "a.csv"),
        ('"Name, all of it";x\n', "a.csv"),
    ],
)
def test_the_delimiter_is_found(text: str, name: str) -> None:
    assert lines(text, name)[0] in ("Name: Ada, B.; Desk: 3", "Name, all of it | x")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_tells_the_encoding(encoding: str) -> None:
    (page,) = parse("Größe,Stück\nä,3\n".encode(encoding), "a.csv")
    assert page.blocks[0].text == "Größe: ä; Stück: 3"


def test_other_encodings_are_refused() -> None:
    with pytest.raises(NotUtf8Error):
        parse("Größe,Stück\n".encode("cp1252"), "a.csv")


def test_control_characters_are_left_out() -> None:
    assert lines("Name,De\0sk\nA\x1fda,3\n") == ["Name: Ada; Desk: 3"]


@pytest.mark.parametrize("raw", [b'a,b\n"c,d\ne,f\n', b'a,b\nc,"' + b"x\n" * 100_000, b'"'])
def test_a_quotation_mark_that_is_never_closed_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableDocumentError):
        parse(raw, "a.csv")


@pytest.mark.parametrize("raw", [b"a" + b"," * 1_000_000, b"a,b\n" + b"c," * (COLUMNS + 1), b'"\n",' * 1_000_000])
def test_more_columns_than_a_table_has_are_refused(raw: bytes) -> None:
    with pytest.raises(DocumentTooLargeError):
        parse(raw, "a.csv")


def test_a_hostile_table_takes_little_memory() -> None:
    raw = b'"\n",' * 4_000_000
    tracemalloc.start()
    with pytest.raises(DocumentTooLargeError):
        parse(raw, "a.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 1024 * 1024


def test_headings_that_are_repeated_cannot_make_a_small_file_large() -> None:
    header = ",".join(f"{'x' * 50}{n}" for n in range(900))
    with pytest.raises(DocumentTooLargeError):
        parse(f"{header}\n{('1,' * 900)}\n{('1,' * 900 + chr(10)) * 900}".encode(), "a.csv")


def test_more_lines_than_a_table_has_are_refused_even_if_blank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LINES", 10)
    with pytest.raises(DocumentTooLargeError):
        parse(b"\n" * 11, "a.csv")


def test_a_file_of_nothing_but_blank_lines_says_nothing() -> None:
    assert parse(b"\n \n,,\n", "a.csv") == []
    assert parse(b"", "a.csv") == []


@pytest.mark.parametrize("text", ["3", "-3.50", "$3", "12%", "2024-03-01", "12:30", "(3)"])
def test_numbers_and_times_name_nothing(text: str) -> None:
    assert NUMBER.fullmatch(text)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), st.sampled_from([",", ";", "\t"]))
def test_each_question_with_an_answer_is_one_document(rows: list[tuple[str, str]], delimiter: str) -> None:
    made = io.StringIO()
    csv.writer(made, delimiter=delimiter).writerows([("Question", "Answer"), *rows])
    found = parse(made.getvalue().encode(), "faq.csv")
    said = [row for row in rows if any(map(str.strip, row))]
    assert [bool(one.blocks) for one in found] == [bool(answer.strip()) for _, answer in said]
    assert len({one.part for one in found}) == len(said)


@given(st.lists(st.lists(CELLS, max_size=5), max_size=6))
def test_every_cell_below_the_first_row_is_in_the_text(rows: list[list[str]]) -> None:
    text = "\n".join(said for _, said in texts_of(rows))
    filled = [cells for row in rows if any(cells := [" ".join(cell.split()) for cell in row])]
    assert all(cell in text for cells in filled[1:] for cell in cells)


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_nothing_but_a_refusal_is_raised(raw: bytes) -> None:
    assert refusal(raw) in ("", "not_utf8", "unreadable_document", "document_too_large")
