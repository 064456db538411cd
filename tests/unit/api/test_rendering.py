"""What a person sees: nothing in a document, a name or an address can steer the terminal."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import rendering
from core.words import Passage
from ingest.pipeline import IngestReport

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROL = "".join(chr(code) for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\t\n")
HOSTILE = f"pay{CONTROL}{BIDI}\u2028roll"


def passage(text: str = "Everybody has 25 days.", **more: str) -> Passage:
    """One passage with a score of .5."""
    named: dict[str, Any] = {"source": "docs", "title": "Leave", "uri": "leave.md#days"} | more
    return Passage(chunk_id="c", document_id="d", external_id="e", text=text, score=0.5, signals={}, **named)


def ranking(*passages: Passage) -> dict[str, object]:
    return {"passages": [asdict(found) for found in passages], "took_ms": 4.2}


def report(**more: object) -> dict[str, object]:
    """A run of ten messages in two documents."""
    fields: dict[str, object] = {
        "run_id": "r", "state": "succeeded", "added": 1, "changed": 1, "unchanged": 0, "removed": 0, "quarantined": 0,
        "chunks": 3, "embedded": 2, "buckets": {"merged": 9, "indexed": 1}, "seconds": 1.25,
    }  # fmt: skip
    return IngestReport(**(fields | more)).as_json()  # type: ignore[arg-type]


def unsafe(shown: str) -> set[str]:
    return set(shown) & (set(CONTROL) | set(BIDI) | {"\u2028", "\u2029"})


@given(st.text(st.characters() | st.sampled_from(sorted(CONTROL + BIDI))))
def test_cleaned_text_keeps_every_letter_and_nothing_that_steers(text: str) -> None:
    shown = rendering.clean(text)
    assert not unsafe(shown)
    assert [c for c in shown if c.isalnum()] == [c for c in text if c.isalnum()]


def test_tabs_and_line_ends_of_a_text_stay() -> None:
    assert rendering.clean("a\tb\nc") == "a\tb\nc"


@pytest.mark.parametrize("field", ["text", "title", "uri", "source"])
def test_no_part_of_a_passage_steers_the_terminal(field: str) -> None:
    shown = rendering.ranking_text(ranking(passage(**{field: HOSTILE})))
    assert not unsafe(shown)
    assert "payroll" in shown


@pytest.mark.parametrize("field", ["title", "uri", "source"])
def test_a_name_cannot_pretend_to_be_another_line(field: str) -> None:
    shown = rendering.ranking_text(ranking(passage(**{field: "leave\n2. Forged  [0.999]"})))
    assert "\n2." not in shown


def test_what_could_not_be_taken_cannot_steer_the_terminal_or_forge_a_line() -> None:
    shown = rendering.quarantine_text([("a\nerror: forged", "not_utf8", HOSTILE)])
    assert not unsafe(shown)
    assert shown.count("\n") == 1


def test_a_long_list_of_what_could_not_be_taken_is_cut_and_counted() -> None:
    shown = rendering.quarantine_text([(f"{n}.md", "not_utf8", "no") for n in range(25)])
    assert "19.md" in shown
    assert "20.md" not in shown
    assert shown.endswith("… and 5 more")


def test_a_run_is_summed_up_with_a_ledger_that_adds_up() -> None:
    shown = rendering.ingest_text(report(), f"ac{HOSTILE}me")
    assert not unsafe(shown)
    assert "1 added, 1 changed" in shown
    assert "10 items: indexed 1, merged 9" in shown


def test_passages_show_their_place_score_title_and_address() -> None:
    shown = rendering.ranking_text(ranking(passage(), passage("Bikes are leased.", title="Bikes")))
    assert shown.startswith("1. Leave  [0.500]\n   docs · leave.md#days\n   Everybody has 25 days.")
    assert "\n2. Bikes  [0.500]" in shown
    assert shown.endswith("2 passages in 4 ms")


def test_a_long_passage_is_cut_at_a_word() -> None:
    shown = rendering.ranking_text(ranking(passage("ladder " * 200)))
    assert "ladder …" in shown
    assert len(shown) < 2 * rendering.SNIPPET


def test_finding_nothing_says_nothing_about_what_others_may_read() -> None:
    assert rendering.ranking_text(ranking()) == "Nothing that you may read answers this."


def test_figures_stand_in_a_column_under_a_clean_title() -> None:
    shown = rendering.table_text(f"set{HOSTILE}", {"ndcg@10": 0.5, "queries": 3})
    assert not unsafe(shown)
    assert shown.endswith("\n  ndcg@10  0.5\n  queries  3")
    assert not unsafe(rendering.table_text("trace", {"raw": HOSTILE}))


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from(sorted(CONTROL + BIDI))))
def test_a_program_reads_exactly_what_was_stored_from_json_that_cannot_steer_a_terminal(text: str) -> None:
    shown = rendering.json_text({"text": text})
    assert not unsafe(shown)
    assert shown.encode(), "lone surrogates are escaped too"
    assert "\n" not in shown
    assert json.loads(shown) == json.loads(json.dumps({"text": text}))


def test_json_keeps_other_alphabets_readable() -> None:
    assert rendering.json_text(["£30 für 中文 😀"]) == '["£30 für 中文 😀"]'


@given(st.text())
def test_json_for_an_ascii_stream_means_the_same(text: str) -> None:
    written = rendering.ascii_json(rendering.json_text({text: [text]}))
    assert written.isascii()
    assert json.loads(written) == {text: [text]}


def test_of_a_long_text_the_part_is_shown_that_the_question_asks_for() -> None:
    text = "\n".join(
        [*(f"Paragraph {place} about parking." for place in range(40)), "Dogs are welcome on Fridays.", "End."]
    )
    shown = rendering.snippet(text, "is a dog allowed at the office?")
    assert shown.startswith("… Dogs are welcome on Fridays.")
    assert rendering.snippet(text, "").startswith("Paragraph 0")


@given(st.text(max_size=3000), st.text(max_size=50))
def test_a_snippet_is_bounded_and_taken_from_the_text(text: str, question: str) -> None:
    shown = rendering.snippet(text, question)
    assert len(shown) <= rendering.SNIPPET + 4
    assert shown.removeprefix("… ").removesuffix(" …") in text


PLAN: dict[str, Any] = {
    "run_id": "r1", "source": "docs", "plan_hash": "0a1b", "state": "planned", "chunks": 30, "chunks_to_embed": 12,
    "documents": {
        "added": [f"p{n}.md" for n in range(12)], "changed": ["a\nb.md"], "removed": [], "audience_changed": [],
    },
    "counts": {"added": 12, "changed": 1, "removed": 0, "audience_changed": 0, "unchanged": 4, "refused": 1},
    "expected_minutes": 0.4, "ledger": {"total": 18, "buckets": {"indexed": 17, "failed": 1}},
}  # fmt: skip


def test_a_plan_says_what_would_be_done_and_how_to_have_it_done() -> None:
    lines = rendering.plan_text(PLAN).splitlines()
    assert lines[:4] == [
        "docs: planned",
        "  documents  12 added, 1 changed, 0 removed, 0 audience changed, 4 unchanged, 1 refused",
        "  chunks     30 to write, 12 to embed, less than a minute",
        "  ledger     18 items: failed 1, indexed 17",
    ]
    assert lines[-1] == "Nothing of it is done yet. To do it: threadwise runs apply 0a1b"


def test_a_plan_names_the_first_ten_of_each_kind_and_each_in_one_line() -> None:
    lines = rendering.plan_text(PLAN).splitlines()
    at = lines.index("  added")
    assert lines[at + 1 : at + 12] == [f"    p{n}.md" for n in range(10)] + ["    … and 2 more (--json names them)"]
    assert lines[at + 12 : at + 14] == ["  changed", "    a b.md"]
    assert "  removed" not in lines


def test_a_plan_that_was_applied_does_not_ask_to_be_applied() -> None:
    assert "runs apply" not in rendering.plan_text(PLAN | {"state": "succeeded", "expected_minutes": 7.2})
    assert "about 7 min" in rendering.plan_text(PLAN | {"expected_minutes": 7.2})
