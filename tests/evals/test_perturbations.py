"""A sentence that says something else must not pass for its source; one that says the same should."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

import pytest

from generation.alignment import verify
from tests.support.perturbations import CHANGES, GUARANTEED, REWRITES, Pair, corpus_sentences, demo_sentences, pairs

SEED = 20_261_121
WRONGLY_KEPT = 0.02
SETS = ("contoso_hr", "handbook_faq", "slack_tenacademy")
DEMO = Path(__file__).parents[2] / "demo"


@cache
def demo() -> Sequence[str]:
    return demo_sentences(DEMO)


@cache
def public(data: Path, name: str) -> Sequence[str]:
    return corpus_sentences(data / "beir" / name)


def passed(changed: Sequence[Pair]) -> list[Pair]:
    """The pairs that the verifier lets through."""
    return [pair for pair in changed if verify(pair.changed, pair.source).kept]


def assert_turned_down(found: Sequence[Pair], kind: str) -> None:
    kept = passed(found)
    print(f"seed {SEED}: {kind}: {len(kept)} of {len(found)} changed sentences kept")
    assert len(kept) <= WRONGLY_KEPT * len(found), [(pair.source, pair.changed) for pair in kept[:5]]


def assert_kept(found: Sequence[Pair], kind: str) -> None:
    dropped = [(pair, verdict) for pair in found if not (verdict := verify(pair.changed, pair.source)).kept]
    print(f"seed {SEED}: {kind}: {len(dropped)} of {len(found)} equal sentences dropped")
    assert not dropped, [(pair.source, pair.changed, verdict) for pair, verdict in dropped[:5]]


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_sentence_of_the_demo_company_is_turned_down(kind: str) -> None:
    found = pairs(demo(), CHANGES[kind], limit=60, seed=SEED)
    assert len(found) >= 10
    assert_turned_down(found, kind)


@pytest.mark.parametrize("kind", GUARANTEED)
def test_a_sentence_of_the_demo_company_that_says_the_same_is_kept(kind: str) -> None:
    found = pairs(demo(), GUARANTEED[kind], limit=60, seed=SEED)
    assert len(found) >= 10
    assert_kept(found, kind)


@pytest.mark.eval
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_sentence_of_a_public_corpus_is_turned_down(kind: str, name: str, eval_data: Path) -> None:
    assert_turned_down(pairs(public(eval_data, name), CHANGES[kind], limit=200, seed=SEED), f"{name}: {kind}")


@pytest.mark.eval
@pytest.mark.parametrize("kind", CHANGES)
def test_every_kind_of_change_is_measured_on_a_hundred_real_sentences(kind: str, eval_data: Path) -> None:
    assert sum(len(pairs(public(eval_data, name), CHANGES[kind], limit=200, seed=SEED)) for name in SETS) >= 100


@pytest.mark.eval
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", GUARANTEED)
def test_a_sentence_of_a_public_corpus_that_says_the_same_is_kept(kind: str, name: str, eval_data: Path) -> None:
    assert_kept(pairs(public(eval_data, name), GUARANTEED[kind], limit=200, seed=SEED), f"{name}: {kind}")


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_never_gives_the_sentence_back(kind: str) -> None:
    assert all(pair.changed.split() != pair.source.split() for pair in pairs(demo(), CHANGES[kind], limit=60, seed=1))


def test_a_rewrite_changes_no_word_but_its_own() -> None:
    assert REWRITES["contraction expanded"]("You don't pay.", Random(0)) == "You do not pay."
    assert REWRITES["final punctuation"]("Is it open?", Random(0)) is None
