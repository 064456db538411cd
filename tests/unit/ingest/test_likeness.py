"""Sketches of texts: how far they can be trusted, and that links stay few whatever comes."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.likeness import (
    ALIKE,
    BUCKET,
    FEWEST_WORDS,
    METHOD,
    MOST_TWINS,
    SHINGLE,
    Sketch,
    Twins,
    bands_of,
    link,
    packed,
    signature_of,
    similarities,
    unpacked,
)

WORDS = [f"word{number}" for number in range(2000)]
TEXT = (
    "The office is closed between the years and whoever has to come in asks the desk for a key of the side door first."
)

texts = st.lists(st.sampled_from(WORDS[:60]), min_size=FEWEST_WORDS, max_size=80).map(" ".join)


def similarity(one: str, other: str) -> float:
    return float(similarities(signature_of([one]), [signature_of([other])])[0])


def jaccard(one: str, other: str) -> float:
    """The true share of five-word sequences that both texts have."""
    parts = [text.split() for text in (one, other)]
    first, second = ({tuple(words[n : n + SHINGLE]) for n in range(len(words) - SHINGLE + 1)} for words in parts)
    return len(first & second) / len(first | second)


def edited(words: list[str], times: int, random: Random) -> str:
    """The text with so many words replaced."""
    changed = list(words)
    for place in random.sample(range(len(words)), times):
        changed[place] = f"new{place}"
    return " ".join(changed)


@settings(max_examples=40)
@given(texts, texts)
def test_two_texts_are_as_alike_as_the_other_way_round_and_every_text_is_like_itself(one: str, other: str) -> None:
    assert similarity(one, other) == similarity(other, one)
    assert similarity(one, one) == 1.0


@settings(max_examples=40)
@given(texts)
def test_a_sketch_is_the_same_after_it_was_stored(text: str) -> None:
    signature = signature_of([text])
    again = unpacked(packed(signature))
    assert np.array_equal(again, signature)
    assert bands_of(again) == bands_of(signature)


@settings(max_examples=40)
@given(texts, st.integers(1, 5))
def test_case_marks_and_where_paragraphs_end_make_no_difference(text: str, size: int) -> None:
    words = text.split()
    paragraphs = [" ".join(words[start : start + size]) for start in range(0, len(words), size)]
    assert np.array_equal(signature_of([text]), signature_of([f"**{part.upper()}**, \n" for part in paragraphs]))


def test_the_estimate_is_near_the_truth() -> None:
    random = Random(4)
    errors = []
    for times in range(0, 60, 2):
        words = random.choices(WORDS, k=300)
        other = edited(words, times, random)
        errors.append(similarity(" ".join(words), other) - jaccard(" ".join(words), other))
    assert abs(float(np.mean(errors))) < 0.02
    assert max(map(abs, errors)) < 0.18  # four standard deviations


def test_texts_of_different_words_are_not_alike_and_do_not_meet() -> None:
    one, other = (" ".join(WORDS[start : start + 200]) for start in (0, 1000))
    assert similarity(one, other) == 0.0
    assert not set(bands_of(signature_of([one]))) & set(bands_of(signature_of([other])))


def test_nearly_every_text_meets_one_that_differs_by_a_few_words() -> None:
    random = Random(5)
    pairs = [(words, edited(words, 4, random)) for words in (random.choices(WORDS, k=300) for _ in range(60))]
    met = [bool(set(Sketch.of([" ".join(a)]).bands) & set(Sketch.of([b]).bands)) for a, b in pairs]
    assert sum(met) >= 58


@pytest.mark.parametrize("count", range(FEWEST_WORDS + 1))
def test_only_a_text_of_some_length_is_compared(count: int) -> None:
    sketch = Sketch.of([" ".join(WORDS[:count])])
    assert bool(sketch.bands) == (count >= FEWEST_WORDS)
    assert bool(packed(sketch.signature)) == bool(sketch.bands)


def test_a_text_without_spaces_is_compared_by_its_letters() -> None:
    text = "社内規程の改定についてお知らせします詳しくは人事部までお問い合わせください"
    assert Sketch.of([text]).bands
    assert similarity(text, text + "。") == 1.0


@given(st.text(max_size=200))
def test_any_text_has_a_sketch(text: str) -> None:
    assert len(Sketch.of([text, text]).bands) in (0, 16)


def test_every_process_and_machine_makes_the_same_sketch() -> None:
    """Stored sketches are compared with new ones: figures that change are another method."""
    sketch = Sketch.of([TEXT])
    assert METHOD == 1
    assert sketch.signature[:3].tolist() == [15682386, 268583020, 111095640]
    assert sketch.bands[0] == -7429759919089495655


def sketches(*texts: str) -> dict[str, Sketch]:
    return {f"{number:03}": Sketch.of([text]) for number, text in enumerate(texts)}


def test_new_documents_are_linked_to_known_ones_and_to_each_other_the_smaller_id_first() -> None:
    known = Sketch.of([TEXT])
    twins, rows = link(sketches(TEXT, TEXT), {"zzz": known.signature}, {one: ["zzz"] for one in known.bands})
    assert sorted(twins, key=str) == [Twins("000", "001", 1.0), Twins("000", "zzz", 1.0), Twins("001", "zzz", 1.0)]
    assert sorted(rows) == sorted((one, name) for name in ("000", "001") for one in known.bands)


def test_what_only_shares_a_band_is_not_linked() -> None:
    random = Random(6)
    words = random.choices(WORDS, k=300)
    other = edited(words, 12, random)
    assert 0.5 < similarity(" ".join(words), other) < ALIKE
    known = Sketch.of([" ".join(words)])
    new = sketches(other)
    assert link(new, {"zzz": known.signature}, {one: ["zzz"] for one in new["000"].bands})[0] == []


def test_of_a_text_that_is_everywhere_links_and_rows_stay_few() -> None:
    count = 3 * BUCKET
    buckets: dict[int, list[str]] = {}
    twins, rows = link(sketches(*[TEXT] * count), {}, buckets)
    assert len(twins) <= MOST_TWINS * count
    assert {name for one in twins for name in (one.document_id, one.twin_id)} == {f"{n:03}" for n in range(count)}
    assert {len(found) for found in buckets.values()} == {BUCKET}
    assert len(rows) == BUCKET * len(buckets)
