"""PDF as paragraphs under headings, page by page."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.layout import HYPHEN, Line, Part, paragraphs, running_lines, sentences_whole
from ingest.formats.parsed import (
    DocumentTooLargeError,
    EncryptedDocumentError,
    NoTextError,
    Parsed,
    UnreadableDocumentError,
)
from ingest.formats.pdf import parse
from tests.support.pdf_files import Placed, encrypted, file_of, lines, pdf

LONG = "Everybody who works here has twenty-five days of leave in each year, and"
SECOND = "more of them later on."


def read(*pages: list[Placed], bookmarks: tuple[tuple[str, int], ...] = (), **properties: str) -> Parsed:
    (found,) = parse(pdf(pages, properties=properties, bookmarks=bookmarks), "a.pdf")
    return found


def numbered(number: int) -> Placed:
    return (str(number), 10, 300, 40)


def shown(found: Parsed) -> list[tuple[str, tuple[str, ...], str]]:
    return [(block.anchor, block.heading, block.text) for block in found.blocks]


def test_pages_become_paragraphs_with_their_page_as_anchor() -> None:
    found = read(lines(LONG, SECOND), lines("Next page."))
    assert shown(found) == [("page=1", (), f"{LONG} {SECOND}"), ("page=2", (), "Next page.")]


def test_a_sentence_that_a_page_cuts_stands_as_a_whole_where_it_begins() -> None:
    found = read(lines(LONG), lines(SECOND + " Then the year ends."), lines("Nobody waits."))
    assert shown(found) == [
        ("page=1", (), f"{LONG} {SECOND}"),
        ("page=2", (), "Then the year ends."),
        ("page=3", (), "Nobody waits."),
    ]


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("It had ended.", "so this is another one."),
        ("It goes on", "Nobody knows with what."),
        ("the first of a list", "b) its second"),
        ("Page 1 of 2", "and so on."),
        ("It goes on", "and on " * 100),
    ],
)
def test_what_is_no_rest_of_a_sentence_stays_on_its_page(above: str, below: str) -> None:
    pages = [[Part(above, 0)], [Part(below, 0)]]
    assert sentences_whole(pages) == pages


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("The bonus of each of the watchmen amounts to", "3400 crowns."),
        ("We keep this list together with the", "Director."),
        ("The list is with Ms.", "Ottoline."),
        ("It is kept by", "her (and by Dr. Able, too)."),
        ("Ask in room No.", "12 for it."),
    ],
)
def test_a_sentence_goes_on_over_the_page_after_a_word_that_ends_none(above: str, below: str) -> None:
    rest = Part("More.", 0)
    assert sentences_whole([[Part(above, 0)], [Part(f"{below} More.", 0)]]) == [[Part(f"{above} {below}", 0)], [rest]]


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("Who we are", "People."),
        ("The number of all of the keys to", "12"),
        ("You have to bring all of the", "1. keys"),
        ("Nobody wants this one. No.", "Nobody."),
        ("All that anybody has told us of", "Nothing. " + "a" * 500),
        ("It did not go on for", "N" * 500),
    ],
)
def test_what_begins_in_no_small_letter_is_seldom_the_rest_of_a_sentence(above: str, below: str) -> None:
    pages = [[Part(above, 0)], [Part(below, 0), Part("More.", 0)]]
    assert sentences_whole(pages) == pages


def test_a_page_with_nothing_but_its_number_is_an_empty_one() -> None:
    texts: tuple[list[str], ...] = (["Everybody must not"], [], ["take keys. Nor", "doors."], ["One more."])
    found = read(*[[*lines(*page), numbered(number)] for number, page in enumerate(texts, start=1)])
    assert shown(found) == [
        ("page=1", (), "Everybody must not take keys."),
        ("page=3", (), "Nor doors."),
        ("page=4", (), "One more."),
    ]


def test_two_pages_are_enough_to_know_their_own_numbers() -> None:
    found = read([*lines("Bring the"), numbered(1)], [*lines("keys. Nor", "doors."), numbered(2)])
    assert [block.text for block in found.blocks] == ["Bring the keys.", "Nor doors."]


@pytest.mark.parametrize("first", [1, 12])
def test_a_file_of_page_numbers_holds_no_text(first: int) -> None:
    with pytest.raises(NoTextError):
        parse(pdf([[numbered(first + page)] for page in range(3)]), "a.pdf")


def test_numbers_that_do_not_count_along_are_what_the_page_says() -> None:
    found = read(*[[*lines(f"Rooms of {name}"), numbered(rooms)] for name, rooms in (("A", 4), ("B", 7), ("C", 3))])
    assert [block.text for block in found.blocks] == ["Rooms of A", "4", "Rooms of B", "7", "Rooms of C", "3"]
    assert [block.text for block in read([numbered(4)], [numbered(4)], [numbered(4)]).blocks] == ["4"] * 3


@pytest.mark.parametrize("footer", [True, False])
@pytest.mark.parametrize(
    ("cut", "below", "whole"),
    [
        ("the recep-", "tionist there. More", "the receptionist there."),
        ("no name-", "brand. A name-brand one", "no name-brand."),
        ("the recep-", "Nobody. More", "the recep-"),
    ],
)
def test_a_word_that_a_page_cuts_is_whole_again(*, cut: str, below: str, whole: str, footer: bool) -> None:
    pages = [lines("Ask for", cut), lines(below, "of it."), lines("More.")]
    found = read(*[[*page, numbered(n)] if footer else page for n, page in enumerate(pages, start=1)])
    assert found.blocks[0].text == f"Ask for {whole}"


def test_a_paragraph_goes_on_after_a_word_that_was_cut() -> None:
    found = read(lines("Everybody here may ask the recep-", "tionist, who will", "be glad to help."))
    assert [block.text for block in found.blocks] == [
        "Everybody here may ask the receptionist, who will be glad to help."
    ]


def test_headings_carry_no_sentence_on() -> None:
    for pages in ([[Part("Time", 1)], [Part("off.", 0)]], [[Part("Time", 0)], [Part("off", 1)]]):
        assert sentences_whole(pages) == pages


def test_a_page_with_nothing_but_the_rest_of_a_sentence_keeps_it() -> None:
    pages = [[Part("It goes", 0)], [], [Part("on and", 0)], [Part("on.) And ends.", 0)]]
    assert sentences_whole(pages) == [[Part("It goes", 0)], [], [Part("on and on.)", 0)], [Part("And ends.", 0)]]


def test_a_wider_space_a_short_line_and_a_list_begin_paragraphs() -> None:
    text = [*lines(LONG, SECOND, "A short one before."), *lines("After a space.", top=600)]
    marked = lines("\u2022 first", "\u2022 second", "2. third", top=500)
    assert [block.text for block in read([*text, *marked]).blocks] == [
        *(f"{LONG} {SECOND}", "A short one before.", "After a space."),
        *("- first", "- second", "2. third"),
    ]


def test_larger_letters_are_headings_and_the_largest_first_one_is_the_title() -> None:
    page = [
        *lines("Time off", size=24, top=740),
        *lines(LONG, SECOND, top=700),
        *lines("Carry over", size=16, top=650),
        *lines("Until March.", top=620),
        *lines("Exceptions", size=14, top=590),
    ]
    found = read(page, lines("None at all."))
    assert (found.title, shown(found)) == (
        "Time off",
        [
            ("page=1", (), f"{LONG} {SECOND}"),
            ("page=1", ("Carry over",), "Until March."),
            ("page=2", ("Carry over", "Exceptions"), "None at all."),
        ],
    )


def test_bookmarks_name_the_headings_where_there_are_some() -> None:
    page = [*lines("Not a heading", size=20), *lines("Travel", LONG, top=690)]
    found = read(page, bookmarks=(("Travel", 0), ("Elsewhere", 0)), Title="Rules")
    assert shown(found) == [("page=1", (), "Not a heading"), ("page=1", ("Travel",), LONG)]


def test_a_cover_is_the_title() -> None:
    cover = [*lines("Acme", size=30), *lines("Travel rules", size=24, top=600)]
    found = read(cover, lines(LONG, SECOND))
    assert (found.title, shown(found)) == ("Acme Travel rules", [("page=2", (), f"{LONG} {SECOND}")])


def test_what_runs_through_the_document_is_dropped_and_everything_else_stays() -> None:
    pages = [
        [
            *lines("Acme, confidential", top=770),
            *lines(f"Text {word}.", "Always the same.", "And more of it.", f"Unlike {word}.", top=700),
            *lines(f"Page {number} of 5", top=30),
        ]
        for number, word in enumerate(("one", "two", "three", "four", "five"), start=1)
    ]
    texts = [block.text for block in read(*pages).blocks]
    assert "confidential" not in str(texts)
    assert "Page" not in str(texts)
    assert all(f"{word}." in str(texts) for word in ("one", "two", "three", "four", "five"))
    assert str(texts).count("Always the same.") == 5


def test_a_page_that_says_only_what_others_say_keeps_it() -> None:
    assert [block.text for block in read(*[lines("Draft")] * 5).blocks] == ["Draft"] * 5


@pytest.mark.parametrize(
    ("broken", "elsewhere", "whole"),
    [
        (("The remu-", "neration"), "", "The remuneration"),
        (("A name-", "brand drug"), "the name-brand one", "A name-brand"),
        (("An X-", "Ray"), "", "X-Ray"),
    ],
)
def test_a_word_that_was_cut_at_the_end_of_a_line_is_whole_again(
    broken: tuple[str, str], elsewhere: str, whole: str
) -> None:
    text = " ".join(block.text for block in read([*lines(*broken), *lines(elsewhere or "x", top=500)]).blocks)
    assert whole in text
    assert "\ufffe" not in text


@pytest.mark.parametrize("title", ["", "Untitled", "Microsoft Word - draft.docx", "leave.pdf", "Slide 1"])
def test_a_title_that_no_person_gave_is_none(title: str) -> None:
    page = [*lines("Time off", size=20), *lines(LONG, SECOND, top=690)]
    assert read(page, Title=title).title == "Time off"
    assert read(lines(LONG, SECOND), Title=title).title == ""


def test_properties_say_who_wrote_it_and_when() -> None:
    found = read(lines("text"), Author="HR", ModDate="D:20230306135720-08'00'", CreationDate="D:2020")
    assert found.author == "HR"
    assert found.modified == int(datetime(2023, 3, 6, 21, 57, 20, tzinfo=UTC).timestamp()) * 1_000_000
    assert read(lines("text"), Author="python-docx").author == ""


@pytest.mark.parametrize("date", ["", "soon", "D:20231399", "D:0001", "D:99991231235959-23'59'", "D:1969"])
def test_a_date_that_is_none_says_nothing(date: str) -> None:
    assert read(lines("text"), ModDate=date).modified is None


def test_a_password_and_a_scan_are_named_as_such() -> None:
    with pytest.raises(EncryptedDocumentError):
        parse(encrypted(), "a.pdf")
    with pytest.raises(NoTextError):
        parse(pdf([[], []]), "a.pdf")


@pytest.mark.parametrize("raw", [b"", b"%PDF-1.7", b"PK\3\4", pdf([lines("x")] * 9)[:1500]])
def test_what_is_no_whole_pdf_is_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableDocumentError):
        parse(raw, "a.pdf")


def test_why_a_file_is_refused_does_not_depend_on_the_file_before_it() -> None:
    lying = file_of({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [] /Count 100000000 >>"})
    for _ in range(2):
        with pytest.raises(UnreadableDocumentError):
            parse(lying, "a.pdf")
        with pytest.raises(EncryptedDocumentError):
            parse(encrypted(), "a.pdf")


def test_more_pages_than_any_document_has_are_refused() -> None:
    loop = file_of({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [2 0 R] /Count 1000000 >>"})
    with pytest.raises(DocumentTooLargeError):
        parse(loop, "a.pdf")


PLACES = st.tuples(st.integers(0, 600), st.integers(0, 600), st.integers(0, 800), st.integers(6, 40))
TEXTS = st.text("ab .", min_size=1).filter(str.strip).map(str.strip)


@given(st.lists(st.tuples(TEXTS, PLACES, st.integers(0, 2))), st.floats(0.5, 4))
def test_no_line_of_a_page_is_lost_or_comes_twice(page: list[tuple[str, tuple[int, ...], int]], pitch: float) -> None:
    written = [Line(text, left, right, bottom, bottom + size) for text, (left, right, bottom, size), _ in page]
    parts = list(paragraphs(written, [level for _, _, level in page], pitch))
    assert " ".join(part.text for part in parts) == " ".join(line.text for line in written)


SAID = st.lists(st.sampled_from(["to", "it", "It", "end.", "Ms.", "No.", "12", "cut-", "(on)", "-"]), min_size=1).map(
    " ".join
)


@given(st.lists(st.lists(st.builds(Part, SAID, st.integers(0, 1)), max_size=4), max_size=6))
def test_making_sentences_whole_loses_and_moves_no_word_and_empties_no_page(pages: list[list[Part]]) -> None:
    def letters(shown: list[list[Part]]) -> str:
        written = "".join(part.text for page in shown for part in page)
        return written.replace(" ", "").replace(HYPHEN, "-")

    whole = sentences_whole(pages)
    assert letters(whole) == letters(pages)
    assert [bool(page) for page in whole] == [bool(page) for page in pages]


@given(st.lists(st.lists(TEXTS, max_size=8), max_size=6))
def test_dropping_what_runs_through_a_document_empties_no_page_of_words(texts: list[list[str]]) -> None:
    pages = [[Line(text, 0, 9, 100 - number, 110 - number) for number, text in enumerate(page)] for page in texts]
    dropped = running_lines(pages)
    for number, page in enumerate(pages):
        assert not page or any((number, place) not in dropped for place in range(len(page)))
