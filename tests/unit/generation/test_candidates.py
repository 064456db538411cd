import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import Passage
from generation.asking import Asked
from generation.candidates import LONG_CHARACTERS, QUOTE_CHARACTERS, candidates

FALSE = "The following claims are false:"
LONG = "Bring the form in writing to the desk and"


def passage(text: str) -> Passage:
    return Passage(
        chunk_id="", document_id="", external_id="", source="", title="", uri="", text=text, score=0.5, signals={}
    )


def quoted(text: str) -> list[str]:
    """What would be quoted for each sentence."""
    return [text[slice(*one.extent)] for one in candidates(Asked.of("What is it?"), [passage(text)])]


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
    [FALSE, "- a dog", "• b cat", "Not so", "It is so.", "They go.", "Ana: hi", "1. one", LONG, "\n"]
)


@given(st.lists(PIECES, max_size=30), st.sampled_from([" ", "\n"]))
def test_no_quote_is_longer_than_allowed_and_each_holds_its_sentence(pieces: list[str], gap: str) -> None:
    text = gap.join(pieces)
    for one in candidates(Asked.of("What is it?"), [passage(text)]):
        start, end = one.extent
        assert 0 < end - start <= LONG_CHARACTERS
        assert one.sentence.end <= end or one.sentence.row
        if one.sentence.lead_in:
            assert start <= one.sentence.lead_in[0] + len("1. ")
