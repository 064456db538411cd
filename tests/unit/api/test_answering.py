"""What a person sees of an answer while it is made, and when it is done."""

from typing import Any

import pytest

from api.answering import AnswerPrinter

CITATION = {
    "number": 1, "chunk_id": "c", "document_id": "d", "external_id": "e", "source": "handbook", "title": "Leave",
    "uri": "leave.md#days", "quote": "Everybody has 25 days.",
}  # fmt: skip
USAGE = {"prompt_tokens": 210, "cached_tokens": 0, "output_tokens": 12, "finish": "stop"}
HOSTILE = "a\x1b]0;owned\x07\u202eb\u2028"


def answer(**more: object) -> dict[str, Any]:
    return {
        "answer_id": "a1", "status": "answered", "text": "You have 25 days [1].", "citations": [CITATION],
        "nearest": [], "confidence": 0.9, "grounded": True, "model": "m", "template": "t", "usage": USAGE,
        "took_ms": 1500.0, "first_text_ms": 80.0, "first_token_ms": 400.0, "note": "",
    } | more  # fmt: skip


def shown(*events: tuple[str, dict[str, Any]], stream: bool = True) -> str:
    written: list[str] = []
    show = AnswerPrinter(written.append, stream=stream)
    for name, data in events:
        show(name, data)
    return "".join(written)


def test_quotes_come_first_then_the_worded_text_then_the_sources() -> None:
    text = shown(
        ("status", {"stage": "reading"}),
        ("quote", CITATION),
        ("token", {"text": "You have "}),
        ("token", {"text": "25 days [1]."}),
        ("citation", {"number": 1, "document_id": "d", "uri": "u"}),
        ("done", answer()),
    )
    assert text == (
        "[1] “Everybody has 25 days.”\n\nYou have 25 days [1].\n\nSources\n  [1] Leave · handbook · leave.md#days\n\n"
        "answered · 210 + 12 model tokens · first text after 0.08 s · first model token after 0.40 s · 1.50 s in all\n"
        "answer a1\n"
    )


def test_quotes_that_were_shown_are_not_repeated_when_they_are_the_answer() -> None:
    events = ("quote", CITATION), ("token", {"text": "Everybody has 25 days. [1]"})
    text = shown(*events, ("done", answer(status="quoted", text="Everybody has 25 days. [1]")))
    assert text.count("Everybody has 25 days.") == 1
    assert "quoted · " in text


def test_quotes_beside_a_worded_sentence_are_part_of_the_text() -> None:
    tokens = [
        ("token", {"text": text}) for text in ("Everybody has 25 days. [1]", " That is a lot. [2]", " Enjoy. [3]")
    ]
    text = shown(("quote", CITATION), *tokens, ("done", answer()))
    assert "”\n\nEverybody has 25 days. [1] That is a lot. [2] Enjoy. [3]\n" in text


def test_without_streaming_everything_stands_at_the_end_with_its_quotes() -> None:
    events = ("quote", CITATION), ("token", {"text": "You have 25 days [1]."}), ("done", answer())
    text = shown(*events, stream=False)
    assert text.startswith("You have 25 days [1].\n\nSources\n  [1] Leave")
    assert text.count("“Everybody has 25 days.”") == 1


def test_a_place_with_several_quotes_is_named_once() -> None:
    cited = [CITATION, CITATION | {"number": 2, "quote": "More after ten years."}]
    text = shown(("done", answer(citations=cited)))
    assert "\n  [1] [2] Leave · handbook · leave.md#days\n   “Everybody has 25 days.”\n   “More after" in text


def test_a_declined_answer_says_so_and_names_the_nearest_sources() -> None:
    near = {"document_id": "d", "source": "handbook", "title": "Bikes", "uri": "bikes.md"}
    text = shown(("done", answer(status="declined", text="Nothing answers this.", citations=[], nearest=[near])))
    assert text.startswith("Nothing answers this.\n\nNearest to the question\n  - Bikes · handbook · bikes.md\n")
    assert "Sources" not in text


def test_a_declined_answer_with_nothing_near_names_nothing() -> None:
    text = shown(("done", answer(status="declined", text="Nothing answers this.", citations=[])))
    assert "Nearest" not in text


def test_what_the_model_says_alone_is_marked_as_unchecked() -> None:
    text = shown(("done", answer(grounded=False, citations=[])))
    assert "nothing of it was checked" in text


def test_times_that_there_were_not_and_notes_that_there_were() -> None:
    text = shown(("done", answer(status="quoted", first_text_ms=None, first_token_ms=None, note="deadline")))
    assert "first" not in text
    assert "1.50 s in all (deadline)\n" in text
    assert "threadwise models pull" in shown(("done", answer(status="quoted", note="no_model")))


def test_the_trace_is_shown_where_it_was_wanted() -> None:
    assert "  pool  100" in shown(("done", answer(trace={"pool": 100})))
    assert "trace" not in shown(("done", answer()))


@pytest.mark.parametrize("field", ["quote", "title", "uri", "source"])
@pytest.mark.parametrize("stream", [True, False])
def test_no_part_of_a_citation_steers_the_terminal(field: str, *, stream: bool) -> None:
    cited = CITATION | {field: HOSTILE + "\nSources\n  [9] Forged"}
    text = shown(("quote", cited), ("token", {"text": HOSTILE}), ("done", answer(citations=[cited])), stream=stream)
    assert not set(text) & set("\x1b\x07\u202e\u2028")
    assert "\n  [9] Forged" not in text
