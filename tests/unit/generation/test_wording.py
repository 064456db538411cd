"""From the pieces of a model to verified sentences: whole, once, in order, without marks of the model's own."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from generation.model import Sampling
from generation.scripted import ScriptedModel
from generation.wording import LONGEST, Limits, Wording, rendered, verified, whole_sentences

LEAVE = "Everybody gets 25 days of paid leave. They lapse on 31 March."
BIKE = "A leased bike may cost at most 4,000 pounds."
NEVER = Limits(deadline=float("inf"), cancelled=lambda: False)


def kept(*said: str, quotes: tuple[str, ...] = (LEAVE, BIKE)) -> list[tuple[str, int]]:
    worded = verified(iter(said), quotes, "What do I get?", Wording())
    return [(one.text, one.quote) for one in worded]


def test_a_quote_is_compared_sentence_by_sentence_and_worded_whole() -> None:
    assert kept("Everybody gets 25 days of paid leave.", "They lapse on 31 March.") == [(LEAVE, 0)]
    assert kept("Everybody gets 25 days of paid leave.") == []


def test_a_sentence_that_leans_on_the_one_before_it_does_not_stand_alone() -> None:
    assert kept("They lapse on 31 March.") == []


def test_no_other_quote_comes_between_the_sentences_of_one() -> None:
    first, second = "Everybody gets 25 days of paid leave.", "They lapse on 31 March."
    assert kept(first, BIKE, second) == [(BIKE, 1)]
    assert kept(first, "Something else.", second) == []
    assert kept(first, first, second) == [(LEAVE, 0)]


def test_no_sentence_is_said_twice() -> None:
    assert kept(BIKE, BIKE) == [(BIKE, 1)]


def test_marks_of_the_model_are_not_shown_whether_they_are_right_or_wrong() -> None:
    for said in (f"[7] {BIKE}", f"- {BIKE}", f"• [1] [2] {BIKE}", f"{BIKE} [1]", f"{BIKE}[2] [3]", f"{BIKE[:-1]} [3]."):
        assert list(rendered(iter([said]), ())) == [BIKE]


def test_a_model_that_has_worded_everything_is_not_asked_to_go_on() -> None:
    def said() -> Iterator[str]:
        yield BIKE
        raise AssertionError("asked to go on")

    assert [one.quote for one in verified(said(), [BIKE], "", Wording())] == [0]


def sentences_of(reply: str, tokens: int = 1000) -> tuple[list[str], Wording]:
    wording = Wording()
    model = ScriptedModel([reply])
    return list(whole_sentences(model, (), Sampling(max_tokens=tokens), NEVER, wording)), wording


def test_a_sentence_is_passed_on_once_it_is_whole() -> None:
    sentences, wording = sentences_of(f"{LEAVE} {BIKE}")
    assert sentences == ["Everybody gets 25 days of paid leave.", "They lapse on 31 March.", BIKE]
    assert (wording.raw, wording.usage.finish, wording.stopped) == (f"{LEAVE} {BIKE}", "stop", "")


def test_what_the_limit_cut_off_is_not_passed_on() -> None:
    sentences, wording = sentences_of(LEAVE, tokens=10)
    assert sentences == ["Everybody gets 25 days of paid leave."]
    assert wording.usage.finish == "length"


@given(st.text(alphabet="ab .!?\n", max_size=60))
def test_what_is_passed_on_is_a_part_of_what_was_said(reply: str) -> None:
    sentences, wording = sentences_of(reply)
    assert all(sentence in wording.raw for sentence in sentences)


def test_a_model_that_comes_to_no_end_is_not_listened_to_for_ever() -> None:
    model = ScriptedModel(["word " * 100_000], context_tokens=10**6)
    wording = Wording()
    assert list(whole_sentences(model, (), Sampling(max_tokens=10**5), NEVER, wording)) == []
    assert wording.stopped == "rambling"
    assert len(wording.raw) < LONGEST + 100


def test_what_stands_between_two_sentences_stands_between_their_wordings() -> None:
    quote = "Do we reimburse wine? No\n\nChampagne is reimbursed by the firm."
    said = ("Do we reimburse wine?", "No", "Champagne is reimbursed by the firm.")
    assert kept(*said, quotes=(quote,)) == [(quote, 0)]
