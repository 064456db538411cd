"""What a rephrased sentence may change, and what it may not."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from generation.alignment import Verdict, best_source, verify
from generation.reading import clean, read

LEAVE = "Full-time colleagues have 25 days a year plus the eight bank holidays in England."
PLAIN = "You must send the form to your manager before 31 March, unless Ruth has approved up to five days."


def reason(sentence: str, source: str, question: str = "") -> str:
    verdict = verify(sentence, source, question)
    assert verdict.kept == (verdict.reason == "ok")
    return verdict.reason


CHANGED = [
    ("You may not park here.", "You may park here.", "negation"),
    ("You can park here.", "You can't park here.", "negation"),
    ("You must not sign the form.", "You do not have to sign the form.", "modal"),
    ("Receipts under £10 are necessary.", "Receipts under £10 are unnecessary.", "negation"),
    ("Trains with a reservation are paid for.", "Trains without a reservation are paid for.", "negation"),
    ("No smoking is allowed.", "No, smoking is allowed.", "negation"),
    ("Yes, up to five days can be carried over.", "Up to five days can be carried over.", "negation"),
    ("Ruth approved the request.", "Ruth refused to approve the request.", "negation"),
    ("You must work from home.", "You may work from home.", "modal"),
    ("You should lock the door.", "You must lock the door.", "modal"),
    ("The train can not come.", "The train may not come.", "modal"),
    ("They can close the office.", "They may close the office.", "modal"),
    ("You can need to sign.", "You may need to sign.", "modal"),
    ("Rates can be low.", "Rates may be low.", "modal"),
    ("You would be paid.", "You will be paid.", "modal"),
    ("You have 26 days.", "You have 25 days.", "number"),
    ("You have 25 days.", "You have 2.5 days.", "number"),
    ("We pay $45 a night.", "We pay £45 a night.", "number"),
    ("We pay 45 a night.", "We pay 45% a night.", "wording"),
    ("It opens at 9 pm.", "It opens at 9 am.", "added_word"),
    ("It starts on 1 April.", "It starts on 2026-04-01.", "number"),
    ("The second shift starts late.", "The third shift starts late.", "number"),
    ("It costs between 10 and 20.", "It costs between 10-20.", "number"),
    ("It is -5 degrees in the cold store.", "It is 5 degrees in the cold store.", "number"),
    ("The limit is 5 m.", "The limit is .5 m.", "number"),
    ("You have five weeks.", "You have five days.", "added_word"),
    ("All staff are insured.", "Most staff are insured.", "quantifier"),
    ("Claim at most £50.", "Claim at least £50.", "quantifier"),
    ("Managers are insured.", "Only managers are insured.", "quantifier"),
    ("A few rooms have a screen.", "Few rooms have a screen.", "quantifier"),
    ("Ask after the trip.", "Ask before the trip.", "restriction"),
    ("You may leave.", "You may leave if your lead agrees.", "restriction"),
    ("You may leave, provided the lead agrees.", "You may leave.", "restriction"),
    ("The gate opens from Monday.", "The gate opens until Monday.", "restriction"),
    ("Ask Anand about pay.", "Ask Claire about pay.", "name"),
    ("Write to @anand first.", "Write to @claire first.", "name"),
    ("Please ask IT.", "Please ask it.", "name"),
    ("We close in May.", "We close in may.", "name"),
    ("Take option B.", "Take option A.", "name"),
    ("Take option.", "Take option A.", "wording"),
    ("Ask Adam about pay.", "Ask Adams about pay.", "name"),
    ("Use ticket-Queue2.", "Use ticket-Queue3.", "number"),
    ("Anand reports to Ruth.", "Ruth reports to Anand.", "order"),
    ("Directors are approved by managers.", "Managers are approved by directors.", "order"),
    ("Managers approve directors.", "Directors are approved by managers.", "restriction"),
    ("Colleagues paying for parking get a badge.", "Colleagues paid for parking get a badge.", "added_word"),
    ("Managers approved.", "Managers are approved.", "wording"),
    ("Minimum stay is two nights.", "Maximum stay is two nights.", "quantifier"),
    ("Dental care is excluded.", "Dental care is included.", "added_word"),
    ("Days lapse.", "Unused days lapse.", "dropped_word"),
    ("The office is closed.", "Ruth said that the office is closed.", "restriction"),
    ("According to the handbook, the office is closed.", "The office is closed.", "restriction"),
    ("You can do that.", "You can do that?", "question"),
    ("Many staff are ill.", "So many staff are ill.", "restriction"),
    ("Notes are kept.", "Thank you notes are kept.", "dropped_word"),
    ("Trained staff may drive.", "Well-trained staff may drive.", "dropped_word"),
    ("Ruth is in.", "But for Ruth, nobody is in.", "negation"),
    ("The office is open.", "Hi Ruth, the office is open.", "name"),
]


@pytest.mark.parametrize(("sentence", "source", "why"), CHANGED)
def test_a_sentence_that_says_something_else_is_turned_down(sentence: str, source: str, why: str) -> None:
    assert reason(sentence, source) == why


@pytest.mark.parametrize(("sentence", "source", "_"), CHANGED)
def test_no_question_makes_a_changed_sentence_pass(sentence: str, source: str, _: str) -> None:
    assert not verify(sentence, source, f"Is it true? {sentence} {source}").kept
    assert not verify(f"You asked about this: {sentence}", source, sentence).kept


@pytest.mark.parametrize(
    ("sentence", "source"),
    [
        ("YOU MUST SIGN HERE", "You must sign here."),
        ("You  must\nsign here!", "You must sign here."),
        ("You have to sign here.", "You must sign here."),
        ("You are allowed to sign.", "You can sign."),
        ("You can sign.", "You may sign."),
        ("You do not sign; it's not needed.", "You don’t sign, it is not needed."),  # noqa: RUF001
        ("Visitors cannot park.", "Visitors can't park."),
        ("It costs 1000 pounds, or 5%.", "It costs one thousand pounds, or 5 percent."),
        ("It takes twenty-five days.", "It takes 25 days."),
        ("It opens at 9 a.m. on the 1st floor.", "It opens at 9am on the first floor."),
        ("Open 10 - 20.", "Open 10–20."),  # noqa: RUF001
        ("**You** must `sign` the [form](https://forms.example/a).", "You must sign the form."),
        ("Ask <@U05LQUZN7GK>.", "Ask @U05LQUZN7GK."),
        ("See the form in Hatch.", "See the <https://forms.example/a|form> in Hatch."),
        ("Salt &amp; pepper are in the kitchen.", "Salt and pepper are in the kitchen."),
        ("You must sign the form. [1]", "You must sign the form."),
        ("Tell your manager.", "1. Tell your manager."),
        ("The manager signs the form.", "Manager signs the forms."),
        ("The office is closed.", "Please note that the office is closed."),
        ("Please note that the office is closed.", "The office is closed."),
        ("The office is closed.", "Hi all, the office is closed, thanks!"),
        ("You can claim a ticket.", "You can claim a ticket (e.g. train or bus)."),
    ],
)
def test_a_sentence_that_says_the_same_is_kept(sentence: str, source: str) -> None:
    assert reason(sentence, source) == "ok"


def test_an_example_with_a_limit_in_it_stays() -> None:
    assert not verify("You can claim a ticket.", "You can claim a ticket (e.g. up to £5).", "").kept


def test_a_bracket_that_is_no_example_stays() -> None:
    assert not verify("Staff may drive.", "Staff (permanent) may drive.", "").kept


def test_a_frame_may_repeat_the_question_in_its_own_words() -> None:
    question = "What about parental leave?"
    assert verify("You asked about parental leave: " + PLAIN, PLAIN, question).kept
    assert not verify("You asked about sick leave: " + PLAIN, PLAIN, question).kept
    assert not verify("On parental leave: " + PLAIN, PLAIN, question).kept


@pytest.mark.parametrize("topic", ["five days", "Ruth", "no leave", "only leave", "leave if ill", "a few days"])
def test_a_frame_brings_in_no_number_name_or_limit(topic: str) -> None:
    assert not verify(f"You asked about {topic}: The office is closed.", "The office is closed.", topic).kept


def test_what_the_question_calls_a_thing_is_no_license_to_call_it_so() -> None:
    assert not verify("Managers approve expenses.", "Managers approve leave.", "Who approves expenses?").kept
    assert not verify("We pay leave for contractors.", "We pay leave.", "Do you pay leave for contractors?").kept


@pytest.mark.parametrize(
    ("copy", "changed", "source"),
    [
        ("das büro ist geschlossen", "Büro ist geschlossen", "Das Büro ist geschlossen."),
        ("Le bureau est fermé", "Le bureau n'est pas fermé", "Le bureau est fermé."),
        ("年假 是 二十天", "年假是三十天", "年假是二十天。"),
        ("ऑफिस बंद है", "ऑफिस बद है", "ऑफिस बंद है।"),
        ("المكتب مغلق", "المكتب مفتوح", "المكتب مغلق."),
    ],
)
def test_another_language_allows_copies_only(copy: str, changed: str, source: str) -> None:
    assert verify(copy, source, "").kept
    assert not verify(changed, source, source + changed).kept


def test_a_sentence_without_a_word_is_too_short() -> None:
    assert reason("", LEAVE) == reason(" ** … !", LEAVE) == "too_short"


def test_the_source_that_keeps_the_sentence_wins_over_a_closer_one() -> None:
    sources = ["You have 26 days in all.", "Unrelated text.", "You have 25 days."]
    assert best_source("You have 25 days", sources, "") == (2, Verdict(kept=True, reason="ok"))


def test_the_nearest_source_says_why_it_does_not_keep_the_sentence() -> None:
    sources = ["Parking is free.", "You have 25 days."]
    assert best_source("You have 26 days", sources, "") == (1, Verdict(kept=False, reason="number"))


def test_a_sentence_that_shares_no_word_with_any_source_has_none() -> None:
    assert best_source("Lunch", ["Parking is free.", ""], "Lunch?") is None
    assert best_source("Lunch", [], "Lunch?") is None


texts = st.text(max_size=200)
english = st.lists(
    st.sampled_from(PLAIN.split() + LEAVE.split() + ["can't", "**bold**", "£5", "note", "that", "(e.g. a bus)", "hi,"]),
    min_size=1,
    max_size=25,
)
unknown = st.text(alphabet="bcdfghjklmnpqrtvwxyz", min_size=4, max_size=9).map(lambda text: f"zq{text}")


@given(texts)
@example("have to")
@example("&#0;&lt;@U1|")
@example("[1][2]")
def test_a_sentence_with_a_word_in_it_verifies_against_itself(text: str) -> None:
    worded = any(token.form[0].isalnum() for token in read(clean(text)).tokens)
    assert verify(text, text, "").kept == worded


@given(texts, texts, texts)
def test_no_text_makes_it_fail(sentence: str, source: str, question: str) -> None:
    verify(sentence, source, question)
    best_source(sentence, [source, question], question)


@given(english, unknown, st.data())
def test_a_word_that_the_source_does_not_have_is_never_let_in(words: list[str], word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(words)))
    added = " ".join([*words[:place], word, *words[place:]])
    assert not verify(added, " ".join(words), data.draw(st.sampled_from(["", added, word]))).kept


@given(english, unknown, unknown, st.data())
def test_two_words_of_the_source_never_change_places(words: list[str], a: str, b: str, data: st.DataObject) -> None:
    first, second = sorted((data.draw(st.integers(0, len(words))), data.draw(st.integers(0, len(words)))))
    between = [*words[first:second], "pays"]
    assume(a.removesuffix("s") != b.removesuffix("s"))
    source = " ".join([*words[:first], a, *between, b, *words[second:]])
    swapped = " ".join([*words[:first], b, *between, a, *words[second:]])
    assert not verify(swapped, source, swapped).kept


@given(english, st.integers(0, 10**9), st.integers(0, 10**9))
def test_two_numbers_are_equal_only_if_their_values_are(words: list[str], one: int, other: int) -> None:
    kept = verify(f"We pay {one:,} for {' '.join(words)}", f"We pay {other} for {' '.join(words)}", "").kept
    assert kept == (one == other)


def steps(text: str) -> float:
    start = time.process_time()
    verify(text, text + "z", text[:100])
    return time.process_time() - start


HOSTILE: Sequence[str] = (
    "a ",
    "[a",
    "<@",
    "<http:",
    "a.",
    "a.a@",
    "1,",
    "- ",
    "(e.g. ",
    "hi, ",
    "[1]",
    "_a",
    "&",
    "\n ",
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_ten_times_the_text_takes_about_ten_times_as_long(piece: str) -> None:
    # A quadratic step would take a hundred times as long, and minutes for the longest text.
    assert steps(piece * (20_000 // len(piece))) < 0.5 + 50 * steps(piece * (2_000 // len(piece)))


@pytest.mark.parametrize("piece", ["weeks", " ", "unused leave lapses, ", "["])
def test_a_text_of_a_hundred_thousand_characters_is_read_in_its_length(piece: str) -> None:
    assert steps(piece * (100_000 // len(piece))) < 10
