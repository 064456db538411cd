"""Questions and answers, from JSON and from rows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import Instant
from ingest.errors import RefusedError
from ingest.formats import faq
from ingest.formats.faq import parse
from ingest.formats.parsed import DocumentTooLargeError

WORDS = st.text(max_size=30)


def refusal(raw: bytes) -> str:
    try:
        parse(raw, "faq.json")
    except RefusedError as error:
        return error.code
    return ""


@pytest.mark.parametrize("key", ["", "faqs", "items", "questions", "data"])
def test_a_list_of_objects_is_read_bare_or_under_a_usual_key(key: str) -> None:
    rows = [{"Question": "How many days?", "Answer": "25."}]
    (one,) = parse(json.dumps({key: rows, "version": 2} if key else rows).encode(), "faq.json")
    assert (one.kind, one.title, [block.text for block in one.blocks]) == ("faq", "How many days?", ["25."])


def test_what_a_row_says_beside_question_and_answer_is_kept() -> None:
    row = {
        "id": 17,
        "frage": "Wie viele Tage?",
        "antwort": ["Es sind 25.", "Mehr nicht."],
        "topic": "Leave",
        "owner": "HR",
        "link": "https://example.com/leave",
        "effective_date": "2024-03-01",
        "updated": "2024-05-01T12:00:00Z",
    }
    (one,) = parse(json.dumps([row]).encode(), "faq.json")
    assert (one.part, one.context, one.author) == ("17", "Leave", "HR")
    assert [block.text for block in one.blocks] == ["Es sind 25.\nMehr nicht.", "https://example.com/leave"]
    assert one.valid_from == Instant(1_709_251_200_000_000)
    assert one.modified == Instant(1_714_564_800_000_000)


def test_a_link_that_is_no_address_of_the_web_is_not_read() -> None:
    (one,) = parse(json.dumps([{"q": "Who?", "a": "Me.", "url": "javascript:alert(1)"}]).encode(), "faq.json")
    assert [block.text for block in one.blocks] == ["Me."]


def test_a_question_that_is_too_long_for_a_title_stands_in_the_text_too() -> None:
    question = "Why " * 100
    (one,) = parse(json.dumps([{"q": question, "a": "Because."}]).encode(), "faq.json")
    assert one.title.endswith("…")
    assert [block.text for block in one.blocks] == [question.strip(), "Because."]


def test_a_row_without_an_answer_is_a_document_without_text() -> None:
    rows = [{"q": "Who?", "a": "Me."}, {"q": "When?"}, {"q": "Where?", "a": " "}, {"note": "none"}]
    found = parse(json.dumps(rows).encode(), "faq.json")
    assert [(one.title, len(one.blocks)) for one in found] == [("Who?", 1), ("When?", 0), ("Where?", 0), ("", 0)]


def test_the_same_question_twice_is_told_apart_by_a_number() -> None:
    rows = [{"q": "Who?", "a": "Me."}, {"q": "Who?", "a": "You."}]
    first, second = parse(json.dumps(rows).encode(), "faq.json")
    assert len(first.part) == 16
    assert second.part == f"{first.part}-2"


def test_a_part_stays_when_rows_are_put_before_it() -> None:
    (alone,) = parse(b'[{"q": "Who?", "a": "Me."}]', "faq.json")
    _, below = parse(b'[{"q": "When?", "a": "Now."}, {"q": "Who?", "a": "You."}]', "faq.json")
    assert alone.part == below.part


def prose(*texts: str) -> dict[str, object]:
    """Rich text as editors store it."""
    parts = [{"type": "paragraph", "content": [{"type": "text", "text": text}]} for text in texts]
    return {"type": "doc", "version": 1, "content": parts}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (True, "true"),
        (False, "false"),
        (25, "25"),
        (2.50, "2.5"),
        ({"text": "25 days."}, "25 days."),
        ({"text": "", "value": "25 days."}, "25 days."),
        ([{"text": "25 days."}, {"text": "No more."}], "25 days.\nNo more."),
        ({"paragraphs": ["25 days.", "No more."]}, "25 days.\nNo more."),
        (prose("25 days.", "No more."), "25 days.\nNo more."),
        ([{"type": "image", "src": "a.png"}, {"type": "p", "text": "See above."}], "See above."),
        ({"Full time": "25 days", "Part time": 12, "Paid": True}, "Full time: 25 days\nPart time: 12\nPaid: true"),
        ({"Leave": {"Full time": "25 days"}, "Note": None}, "Leave: Full time: 25 days"),
    ],
)
def test_an_answer_with_a_structure_is_read_by_its_words(answer: object, text: str) -> None:
    (one,) = parse(json.dumps([{"q": "How many days?", "a": answer}]).encode(), "faq.json")
    assert ([block.text for block in one.blocks], one.trouble) == ([text], "")


@pytest.mark.parametrize("answer", [None, "", [], {}, [" "], {"text": ""}, prose(), {"note": None}])
def test_an_answer_that_says_nothing_is_empty_and_no_trouble(answer: object) -> None:
    (one,) = parse(json.dumps([{"q": "How many days?", "a": answer}]).encode(), "faq.json")
    assert (one.blocks, one.trouble) == ((), "")


@pytest.mark.parametrize("picture", [{"type": "image", "src": "a.png"}, [{"@type": "ImageObject", "url": "a.png"}]])
def test_an_answer_without_words_is_a_trouble_of_its_own_row(picture: object) -> None:
    rows = [{"q": "How many?", "a": picture}, {"q": "Who?", "a": "Me."}, {"q": picture, "a": "Because."}]
    found = parse(json.dumps(rows).encode(), "faq.json")
    assert [(one.trouble, len(one.blocks)) for one in found] == [("unknown_json", 0), ("", 1), ("unknown_json", 0)]
    assert len({one.part for one in found}) == 3


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from(["text", "type"]), inner),
    max_leaves=8,
)


@given(NESTED)
def test_whatever_an_answer_is_made_of_it_is_read_or_empty_or_in_trouble(answer: object) -> None:
    (one,) = parse(json.dumps([{"q": "Why?", "a": answer}]).encode(), "faq.json")
    assert not (one.blocks and one.trouble)
    if isinstance(answer, bool | int):
        assert one.blocks


@pytest.mark.parametrize("value", [{}, {"faqs": 3}, {"faqs": [1]}, [1], "text", 3, None, [{"name": "x"}], [{}]])
def test_other_json_is_refused(value: object) -> None:
    assert refusal(json.dumps(value).encode()) == "unknown_json"


def test_an_empty_list_has_nothing_to_read() -> None:
    assert parse(b'{"faqs": []}', "faq.json") == []


def test_more_text_than_a_file_may_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faq, "CHARACTERS", 10)
    with pytest.raises(DocumentTooLargeError):
        parse(b'[{"q": "Who?", "a": "Everybody."}]', "faq.json")


@given(st.lists(st.fixed_dictionaries({"q": WORDS, "a": WORDS}, optional={"id": WORDS}), max_size=8))
def test_each_question_with_an_answer_is_one_document_with_a_part_of_its_own(rows: list[dict[str, str]]) -> None:
    found = parse(json.dumps(rows).encode(), "faq.json")
    assert len(found) == len(rows) == len({one.part for one in found})
    for row, one in zip(rows, found, strict=True):
        assert not one.blocks or row["a"].strip()
        assert one.blocks or not any(letter.isalnum() for letter in row["a"])


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_nothing_but_a_refusal_is_raised(raw: bytes) -> None:
    assert refusal(raw) in ("", "broken_json", "unknown_json")
