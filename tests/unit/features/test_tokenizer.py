"""Counting and placing tokens, and cutting long questions by them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.embedding import windows
from features.minilm_export import wheel_folder
from features.tokenizer import Tokenizer, encodable

DEFINITION = (wheel_folder() / "tokenizer.json").read_text(encoding="utf-8")
TOKENIZER = Tokenizer.from_json(DEFINITION)
WORDS = st.lists(st.sampled_from(["leave", "vacation", "tenure-track", "Übergangszeit", "📦", "x" * 30, "VPN,"]))


def test_the_packaged_definition_still_cuts_and_pads_at_128() -> None:
    data = json.loads(DEFINITION)
    assert data["truncation"]["max_length"] == 128
    assert data["padding"]["strategy"] == {"Fixed": 128}


@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 254, 255, 1000])
def test_a_text_of_any_length_is_counted_whole_and_without_padding(length: int) -> None:
    text = " ".join(["leave"] * length)
    assert TOKENIZER.count(text) == length
    assert len(TOKENIZER.spans(text)) == length
    assert len(TOKENIZER.ids(text)) == length + TOKENIZER.special


def test_the_model_puts_two_special_tokens_around_a_text() -> None:
    assert TOKENIZER.special == 2
    assert TOKENIZER.ids("") == [101, 102]


def test_spans_are_character_offsets_also_behind_umlauts_and_emoji() -> None:
    text = "Über 📦 Löwen"
    words = [text[start:end] for start, end in TOKENIZER.spans(text)]
    assert words[0] == "Über"
    assert words[1] == "📦"
    assert "".join(words[2:]) == "Löwen"


def test_half_an_emoji_from_broken_json_is_counted_and_keeps_its_place() -> None:
    text = "pay \ud83d day"
    assert [text[start:end] for start, end in TOKENIZER.spans(text)] == ["pay", "day"]
    assert len(encodable(text)) == len(text)


def test_the_fingerprint_ignores_cutting_and_padding_and_layout() -> None:
    data = json.loads(DEFINITION)
    cured = json.dumps({**data, "truncation": None, "padding": None}, indent=2)
    assert Tokenizer.from_json(cured).fingerprint == TOKENIZER.fingerprint


@pytest.mark.parametrize("part", ["normalizer", "model", "post_processor"])
def test_the_fingerprint_changes_with_whatever_changes_the_tokens(part: str) -> None:
    data = json.loads(DEFINITION)
    changes = {
        "normalizer": {**data["normalizer"], "lowercase": False},
        "model": {**data["model"], "vocab": {**data["model"]["vocab"], "threadwise": len(data["model"]["vocab"])}},
        "post_processor": None,
    }
    assert Tokenizer.from_json(json.dumps({**data, part: changes[part]})).fingerprint != TOKENIZER.fingerprint


@given(WORDS, st.integers(12, 40))
def test_windows_fit_and_together_hold_every_word(words: list[str], room: int) -> None:
    text = " ".join(words)
    parts = windows(TOKENIZER, text, room)
    assert all(TOKENIZER.count(part) <= room for part in parts)
    assert "".join("".join(parts).split()) == "".join(words)


@given(st.text(min_size=20, max_size=90), st.integers(10, 14))
def test_windows_fit_whatever_the_text(text: str, room: int) -> None:
    assert all(TOKENIZER.count(part) <= room for part in windows(TOKENIZER, text, room))


def test_windows_are_cut_between_words_and_nearly_equal() -> None:
    parts = windows(TOKENIZER, " ".join(["holidays", "unionisation"] * 30), 50)
    assert all(set(part.split()) == {"holidays", "unionisation"} for part in parts)
    counts = [TOKENIZER.count(part) for part in parts]
    assert max(counts) - min(counts) <= TOKENIZER.count("unionisation")


def test_a_short_text_is_its_own_window() -> None:
    assert windows(TOKENIZER, "  How much leave?  ", 20) == ["  How much leave?  "]
    assert windows(TOKENIZER, "", 20) == [""]
