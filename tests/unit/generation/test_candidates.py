import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import Passage
from generation.asking import Asked
from generation.candidates import LONG_CHARACTERS, QUOTE_CHARACTERS, candidates

FALSE = "The following claims are false:"
LONG = "Bring the form in writing to the desk and"


def passage(text: str, title: str = "") -> Passage:
    return Passage(
        chunk_id="", document_id="", external_id="", source="", title=title, uri="", text=text, score=0.5, signals={}
    )


def quoted(text: str, title: str = "") -> list[str]:
    """What would be quoted for each sentence."""
    return [text[slice(*one.extent)] for one in candidates(Asked.of("What is it?"), [passage(text, title)])]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (f"{FALSE}\n- Leave lapses.\n- Bikes are free.", f"{FALSE}\n- Leave lapses.\n- Bikes are free."),
        (f"{FALSE} • Leave lapses • Bikes are free", f"{FALSE} • Leave lapses • Bikes are free"),
        ("We pay none of the following.\n- Bikes", "We pay none of the following.\n- Bikes"),
        ("Never covered\n- Hearing aids", "Never covered\n- Hearing aids"),
        ("What we do not pay for\n\n* Hearing aids", "What we do not pay for\n\n* Hearing aids"),
        ("Leave is paid. These days are not:\n- Sundays", "Leave is paid. These days are not:\n- Sundays"),
        ("Ana: We do not pay for:\n- Taxis", "Ana: We do not pay for:\n- Taxis"),
    ],
)
def test_an_item_is_quoted_with_what_opens_its_list(text: str, last: str) -> None:
    assert quoted(text)[-1] == last
    assert not [one for one in quoted(text) if "false" not in one and one.startswith(("Bikes", "Leave lapses", "- "))]


def test_an_item_under_a_heading_that_only_names_it_stands_alone() -> None:
    assert quoted("Driving\n- Your car: 45p a mile.") == ["Your car: 45p a mile."]


def test_an_item_too_far_from_what_opens_its_list_is_not_quoted() -> None:
    items = "\n".join(f"- Item number {number} is as wrong as all the others are." for number in range(40))
    found = quoted(f"{FALSE}\n{items}")
    assert found
    assert all(one.startswith(FALSE) and len(one) <= LONG_CHARACTERS for one in found)


def test_what_opens_a_list_is_quoted_with_its_items() -> None:
    assert quoted("These are exempt: • Dogs • Cats")[0] == "These are exempt: • Dogs • Cats"


def test_a_list_is_quoted_with_what_announces_it() -> None:
    text = "There are a few exceptions to it. The following are exempt: • Dogs • Cats"
    assert quoted(text)[1] == text


def test_what_opens_no_list_is_not_quoted() -> None:
    assert quoted("Bikes are free. Tips:") == ["Bikes are free."]


NOT_PAID = "Things we do not pay for"


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (f"{NOT_PAID}\nFlights of partners.", f"{NOT_PAID}\nFlights of partners."),
        (f"## {NOT_PAID}\n\nFlights of partners.", f"{NOT_PAID}\n\nFlights of partners."),
        (f"{NOT_PAID}\nFlights.\nOther journeys by train.", f"{NOT_PAID}\nFlights.\nOther journeys by train."),
        ("No longer valid since 2024\nThe fee is 70.", "No longer valid since 2024\nThe fee is 70."),
        ("Old rules\nThe fee is 70.", "Old rules\nThe fee is 70."),
        ("Do's and don'ts\nShare your password.", "Do's and don'ts\nShare your password."),
        ("Example of a bad answer\nIt is free.", "Example of a bad answer\nIt is free."),
        ("What is not paid?\nFlights of partners.", "What is not paid?\nFlights of partners."),
        ("Never do this!\nShare your password.", "Never do this!\nShare your password."),
        ("Not paid:\nFlights of partners.\nTrains.", "Not paid:\nFlights of partners.\nTrains."),
        (f"{NOT_PAID}\nFlights\nThose of partners.", f"{NOT_PAID}\nFlights\nThose of partners."),
        ("# Myths\n## Leave\nIt lapses.\n## Pay\nIt is low.", "Myths\n## Leave\nIt lapses.\n## Pay\nIt is low."),
        ("# Myths\nIt lapses.\nPay\nIt is low.", "Myths\nIt lapses.\nPay\nIt is low."),
        (f"{NOT_PAID}\nExamples are:\n- Flights", f"{NOT_PAID}\nExamples are:\n- Flights"),
        (f"{NOT_PAID}\nTaxis: at night.", f"{NOT_PAID}\nTaxis: at night."),
    ],
)
def test_a_sentence_is_quoted_with_the_heading_that_turns_it(text: str, last: str) -> None:
    assert quoted(text)[-1] == last


@pytest.mark.parametrize(
    ("text", "last"),
    [
        (f"{NOT_PAID}\nFlights.\nThings we pay for\nTrains.", "Trains."),
        (f"## {NOT_PAID}\nFlights.\n## Trains\nTrains are paid.", "Trains are paid."),
        ("### Old\nIt was 5.\n## New\nIt is 6.", "It is 6."),
        ("What is not paid?\nFlights.\nWhat is paid?\nTrains.", "Trains."),
        ("We pay none of these:\n- Flights.\nTrains are paid.", "Trains are paid."),
    ],
)
def test_a_heading_turns_nothing_under_the_next_one(text: str, last: str) -> None:
    assert quoted(text)[-1] == last


def test_a_sentence_too_far_from_the_heading_that_turns_it_is_not_quoted() -> None:
    lines = "\n".join(f"Flight number {number} is paid as all the others are." for number in range(40))
    found = quoted(f"{NOT_PAID}\n{lines}")
    assert found
    assert all(one.startswith(NOT_PAID) and len(one) <= LONG_CHARACTERS for one in found)


@pytest.mark.parametrize(
    "title", ["Common myths", "What you must never do", "No longer valid", "What is not paid?", "Superseded", "Don'ts"]
)
def test_under_a_title_that_turns_it_only_what_shows_the_title_is_quoted(title: str) -> None:
    assert quoted("Share your password.\n- Flights of partners", title) == []
    assert quoted(f"# {title}\n\nShare your password.", title)[-1].startswith(title)


@pytest.mark.parametrize(
    "title", ["Rates", "Why can I not log in?", "How do I avoid a fee?", "Can I not claim it?", "Nothing Hill"]
)
def test_a_title_that_turns_nothing_is_not_needed(title: str) -> None:
    assert quoted("Share your form.", title) == ["Share your form."]


def test_the_title_of_a_conversation_is_a_message_and_turns_nothing() -> None:
    text = "Ana: The wifi does not work.\nBo: Restart it."
    assert quoted(text, "#it-help: The wifi does not work.")[-1] == "Bo: Restart it."
    assert quoted("Restart it.", "#it-help: The wifi does not work.") == []


TABLE = "| Grade | Remote | Overtime |\n|---|:-:|---|\n| Apprentice | no | yes |\n| Master | yes | no |"


def test_a_row_is_quoted_with_the_row_that_names_its_columns() -> None:
    first, last = quoted(f"Rates\n{TABLE}\nAsk Ana.")[:2]
    assert first == TABLE.rpartition("\n")[0]
    assert last == TABLE


def test_a_row_of_a_table_without_outer_bars_is_a_row() -> None:
    table = "Grade | Remote | Overtime pay for work on a Sunday or at night\n---|---|---\nApprentice | no. Ask | yes"
    assert set(quoted(table)) == {table}


def test_a_row_without_the_names_of_its_columns_is_not_quoted() -> None:
    assert quoted("| Apprentice | no | yes |\n| Master | yes | no |\nAsk Ana.") == ["Ask Ana."]


def test_a_row_too_far_from_the_names_of_its_columns_is_not_quoted() -> None:
    rows = "\n".join(f"| Grade {number} | yes | no |" for number in range(40))
    found = quoted(f"| Grade | Remote | Overtime |\n|---|---|---|\n{rows}")
    assert found
    assert all(one.startswith("| Grade | Remote") and len(one) <= QUOTE_CHARACTERS for one in found)


def test_the_rows_of_each_table_have_their_own_names() -> None:
    assert quoted("| A | B |\n|---|---|\n| 1 | 2 |\n| C | D |\n|---|---|\n| 3 | 4 |") == [
        "| A | B |\n|---|---|\n| 1 | 2 |",
        "| C | D |\n|---|---|\n| 3 | 4 |",
    ]


def test_what_one_person_says_is_not_quoted_as_if_another_did() -> None:
    text = "Ada: Great news. Ruth: The bagpipe is paid.\nIt is so! Ruth: All of it."
    assert quoted(text)[1:] == ["Ada: Great news. Ruth: The bagpipe is paid.", text]
    assert (
        quoted("Two rules hold for every one of the staff. One: The bagpipe is paid.")[-1]
        == "One: The bagpipe is paid."
    )


def test_text_without_full_stops_is_not_quoted_and_a_long_sentence_is() -> None:
    text = f"{LONG} " * (QUOTE_CHARACTERS // len(LONG) + 1)
    assert quoted(text) == []
    assert quoted(f"{text}go.") == [f"{text}go."]
    assert quoted(f"{text}{text}go.") == []


def test_a_heading_that_has_run_into_its_sentence_is_read_above_it() -> None:
    text = "Tips for Staff Staff should park behind the hall. Any staff may."
    (first, *_) = candidates(Asked.of("What is it?"), [passage(text)])
    assert first.text == text[slice(*first.extent)] == "Staff should park behind the hall."
    assert first.above == "Tips for Staff"


def test_a_heading_is_cut_off_a_sentence_that_another_one_refers_back_to() -> None:
    text = "Tips for Staff Staff should park behind the hall. They pay nothing. Any staff may."
    assert quoted(text)[1] == "Staff should park behind the hall. They pay nothing."


def test_who_speaks_is_no_heading() -> None:
    text = "Ana: Ana here.\nBo: Bo too."
    assert quoted(text) == ["Ana: Ana here.", "Bo: Bo too."]


def test_what_announces_a_list_is_vacuous_without_it() -> None:
    one, other = (
        candidates(Asked.of("What is it?"), [passage(f"There are a few exceptions to this rule{rest}")])[0].vacuous
        for rest in (".", ": • Dogs • Cats")
    )
    assert one
    assert not other


PIECES = st.sampled_from(
    [
        "# Old",
        "Not ok",
        "| a | b |",
        "|---|---|",
        "Taxi | no",
        FALSE,
        "- a dog",
        "• b cat",
        "Not so",
        "It is so.",
        "They go.",
        "Ana: hi",
        "1. one",
        LONG,
        "\n",
    ]
)


@given(st.lists(PIECES, max_size=30), st.sampled_from([" ", "\n"]))
def test_no_quote_is_longer_than_allowed_and_each_holds_its_sentence(pieces: list[str], gap: str) -> None:
    text = gap.join(pieces)
    for one in candidates(Asked.of("What is it?"), [passage(text)]):
        start, end = one.extent
        assert 0 < end - start <= LONG_CHARACTERS
        assert one.sentence.end <= end
        if one.sentence.lead_in:
            assert start <= one.sentence.lead_in[0] + len("1. ")
        assert not one.sentence.turned or start <= one.sentence.turned[0] + len("# ")
        assert not one.sentence.row or (one.sentence.columns and start <= one.sentence.columns[0] + len("# "))
