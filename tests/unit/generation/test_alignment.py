"""What a rephrased sentence may change, and what it may not."""

import time
import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from generation.alignment import Verdict, best_source, verify
from generation.reading import clean, tokens

LEAVE = "Full-time colleagues have 25 days a year plus the eight bank holidays in England."
PLAIN = "You must send the form to your manager before 31 March, unless Ruth has approved up to five days."


def reason(sentence: str, source: str) -> str:
    verdict = verify(sentence, source)
    assert verdict.kept == (verdict.reason == "ok")
    return verdict.reason


CHANGED = [
    ("You may not park here.", "You may park here.", "negation"),
    ("You can park here.", "You can't park here.", "negation"),
    ("You must not sign the form.", "You do not have to sign the form.", "modal"),
    ("Receipts under £10 are necessary.", "Receipts under £10 are unnecessary.", "negation"),
    ("No smoking is allowed.", "No, smoking is allowed.", "punctuation"),
    ("Yes, up to five days can be carried over.", "Up to five days can be carried over.", "negation"),
    ("Ruth approved the request.", "Ruth refused to approve the request.", "negation"),
    ("You must work from home.", "You may work from home.", "modal"),
    ("The train can not come.", "The train may not come.", "modal"),
    ("You have 26 days.", "You have 25 days.", "number"),
    ("We pay $45 a night.", "We pay £45 a night.", "symbol"),
    ("We pay 45 a night.", "We pay 45% a night.", "symbol"),
    ("The second shift starts late.", "The third shift starts late.", "added_word"),
    ("It costs between 10 and 20.", "It costs between 10-20.", "number"),
    ("It is -5 degrees in the cold store.", "It is 5 degrees in the cold store.", "number"),
    ("The limit is 5 m.", "The limit is .5 m.", "number"),
    ("All staff are insured.", "Most staff are insured.", "quantifier"),
    ("A few rooms have a screen.", "Few rooms have a screen.", "wording"),
    ("Ask after the trip.", "Ask before the trip.", "restriction"),
    ("You may leave.", "You may leave if your lead agrees.", "restriction"),
    ("Ask Anand about pay.", "Ask Claire about pay.", "name"),
    ("Write to @anand first.", "Write to @claire first.", "added_word"),
    ("Please ask IT.", "Please ask it.", "name"),
    ("Take option B.", "Take option A.", "name"),
    ("Use ticket-Queue2.", "Use ticket-Queue3.", "number"),
    ("Anand reports to Ruth.", "Ruth reports to Anand.", "name"),
    ("Directors are approved by managers.", "Managers are approved by directors.", "order"),
    ("Managers approve directors.", "Directors are approved by managers.", "restriction"),
    ("Colleagues paying for parking get a badge.", "Colleagues paid for parking get a badge.", "added_word"),
    ("Days lapse.", "Unused days lapse.", "dropped_word"),
    ("The office is closed.", "Ruth said that the office is closed.", "restriction"),
    ("According to the handbook, the office is closed.", "The office is closed.", "restriction"),
    ("You can do that.", "You can do that?", "question"),
    ("Many staff are ill.", "So many staff are ill.", "restriction"),
    ("Trained staff may drive.", "Well-trained staff may drive.", "added_word"),
    ("Ruth is in.", "But for Ruth, nobody is in.", "negation"),
    ("The office is open.", "Hi Ruth, the office is open.", "name"),
]


@pytest.mark.parametrize(("sentence", "source", "why"), CHANGED)
def test_a_sentence_that_says_something_else_is_turned_down(sentence: str, source: str, why: str) -> None:
    assert reason(sentence, source) == why


def test_no_question_makes_a_changed_sentence_pass() -> None:
    for sentence, source, _ in CHANGED:
        assert not verify(sentence, source, f"Is it true? {sentence} {source}").kept


MOVED_MARKS = [
    ("Parking is free on weekends; you pay 5 pounds.", "Parking is free; on weekends you pay 5 pounds."),
    ("The van is for staff; only visitors must walk.", "The van is for staff only; visitors must walk."),
    ("Ruth said Anand is responsible for it.", "Ruth, said Anand, is responsible for it."),
    ("Ruth told Anand you may leave early", 'Ruth told Anand, "You may leave early"'),
    ("Ruth said I will approve every claim.", 'Ruth said "I will approve every claim."'),
    ("Employees may, not contractors may claim.", "Employees may not; contractors may claim."),
    ("We hire nobody under 30; staff are enough.", "We hire nobody; under 30 staff are enough."),
    ("Staff, who smoke, get no bonus.", "Staff who smoke get no bonus."),
    ("Leave is unpaid: before May, after that, it is paid.", "Leave is unpaid before May; after that it is paid."),
    ("If you are ill do not work, from home.", "If you are ill, do not work from home."),
    ("Woman: without her, man is nothing.", "Woman, without her man, is nothing."),
    ("You pay for 20 five days each passes", "You pay for 20 (five days each) passes"),
    ("£500 is the balance.", "(£500) is the balance."),
    ("You may park\n\nnot only on the lawn", "You may park not only\n\non the lawn"),
    ("Stop parking is allowed here.", "Stop, parking is allowed here."),
    ("No está permitido fumar.", "No: está permitido fumar."),
    ("Nein rauchen ist erlaubt.", "Nein, rauchen ist erlaubt."),
    ("Your leave is ten five days of it are unpaid.", "Your leave is ten - five days of it are unpaid."),
    ("The form is staff-only to sign.", "The form is staff - only to sign."),
    *(
        ("No smoking in the sauna is allowed.", f"No{mark}smoking in the sauna is allowed.")
        for mark in (" - ", ": ", "; ", " — ", "— ", "—", "! ", "... ", " (", ", ", "\n\n")
    ),
]


@pytest.mark.parametrize(("sentence", "source"), MOVED_MARKS)
def test_a_mark_that_moves_comes_or_goes_changes_the_sentence(sentence: str, source: str) -> None:
    assert not verify(sentence, source).kept
    assert not verify(source, sentence).kept


SYMBOLS = [
    ("The carry-over is ≧ 5 days.", "The carry-over is ≦ 5 days."),
    ("The carry-over is ⩽ 5 days.", "The carry-over is ⩾ 5 days."),
    ("Overtime is paid leave.", "Overtime is ≠ paid leave."),
    ("We pay ₩500 a night.", "We pay ₽500 a night."),
    ("We pay 500 a night.", "We pay ₩500 a night."),
    ("We pay 500 a night.", "We pay 500¢ a night."),
    ("The levy is 5% of the pay.", "The levy is 5‰ of the pay."),
    ("The wall is 5″ thick.", "The wall is 5′ thick."),  # noqa: RUF001
    ("The wall is 5 thick.", "The wall is 5` thick."),
    ("The rate is ↑5% this year.", "The rate is ↓5% this year."),
    ("You have to take option ①.", "You have to take option ②."),
    ("Rooms marked 🟢 are free.", "Rooms marked 🔴 are free."),
    ("🇩🇪 staff have 30 days.", "🇫🇷 staff have 30 days."),
    ("You may park on the lawn.", "👎 You may park on the lawn."),
    ("You may park on the lawn.", "You may park on the lawn 👎🤮."),
    ("The office is closed", "The office is closed ❓"),
    ("The fee is 50 pounds.", "~The fee is 50 pounds.~"),
    ("It is 5 3 days for you.", "It is 5*3 days for you."),
    ("Read the notes in C:temp first.", "Read the notes in C:\\temp first."),
    ("The gym is paid", "The gym is <s>paid</s>"),
    ("You must sign the form.", "You must sign the form.[9]"),
]


@pytest.mark.parametrize(("sentence", "source"), SYMBOLS)
def test_a_symbol_is_as_good_as_a_word(sentence: str, source: str) -> None:
    assert not verify(sentence, source).kept
    assert not verify(source, sentence).kept


NUMBERS = [
    ("You get 500 pound vouchers.", "You get five hundred-pound vouchers."),
    ("There are 24 hour shifts.", "There are twenty four-hour shifts."),
    ("Twenty one-day passes are sold.", "Twenty-one-day passes are sold."),
    ("You have twenty-five of them paid.", "You have twenty (five of them paid)."),
    ("There are 300 page forms to sign.", "There are 3 hundred-page forms to sign."),
    ("The code is 2 million users and more.", "The code is 2 (million users) and more."),
    ("December is the last day for it.", "31. December is the last day for it."),
    ("May is a public holiday.", "1. May is a public holiday."),
    ("Five days of absence need a note.", "> five days of absence need a note."),
    ("Five degrees are kept in the store.", "- five degrees are kept in the store."),
    ("Minus five degrees are kept.", "- minus five degrees are kept."),
    ("You may store 5MW in the lab.", "You may store 5mW in the lab."),
    ("The link is 10 Mb wide.", "The link is 10 MB wide."),
    ("MW is the unit.", "mW is the unit."),
    ("Wait a 2nd for the door.", "Wait a second for the door."),
    ("No 1 may park here.", "No one may park here."),
    ("Der Preis ist 1500 kg pro Jahr.", "Der Preis ist 1,500 kg pro Jahr."),
    ("It is 25 metres.", "It is 2.5 metres."),
    ("You need 3-5 of them.", "You need 3 - 5 of them."),
]


@pytest.mark.parametrize(("sentence", "source"), NUMBERS)
def test_a_number_keeps_its_value_its_sign_and_its_unit(sentence: str, source: str) -> None:
    assert not verify(sentence, source).kept
    assert not verify(source, sentence).kept


WORDS = [
    ("You may bring guests to the party.", "You may bring a guest to the party."),
    ("You get the days off.", "You get a day off."),
    ("Only tier staff may drive.", "Only tier a staff may drive."),
    ("You must not also sign the form.", "You must not sign the form."),
    ("You can not pay by card.", "You can not also pay by card."),
    ("You cannot pay by card.", "You can not pay by card."),
    ("You can pay by card, not also by cash.", "You can also pay by card, not by cash."),
    ("A kindly few staff have a badge.", "Few staff have a badge."),
    ("Please take the van.", "Take the van."),
    ("Use the leave that you must recover.", "Use the leave that you have to recover."),
    ("You can also be fired by the board.", "You may also be fired by the board."),
    ("You can soon lose the access.", "You may soon lose the access."),
    ("A deposit must be paid.", "A deposit is required to be paid."),
    ("She is paid the fee.", "She's paid the fee."),
    ("Damages to the van are covered.", "Damage to the van are covered."),
    ("Alkohol ist in Massen erlaubt.", "Alkohol ist in Maßen erlaubt."),
    ("아버지가 방에 계신다", "아버지 가방에 계신다"),
    ("Note that the office is closed.", "The office is closed."),
    ("You can claim a ticket.", "You can claim a ticket (e.g. train or bus)."),
]


@pytest.mark.parametrize(("sentence", "source"), WORDS)
def test_no_word_comes_goes_or_changes_its_ending(sentence: str, source: str) -> None:
    assert not verify(sentence, source).kept
    assert not verify(source, sentence).kept


CAPITALS = [
    ("Please ask it to reset the door.", "Please ask IT to reset the door."),
    ("Only us staff are insured.", "Only US staff are insured."),
    ("Us staff are insured.", "US staff are insured."),
    ("It signs.", "IT signs."),
    ("polish is used by the team.", "Polish is used by the team."),
    ("may is a public holiday.", "May is a public holiday."),
    ("sie müssen zahlen.", "Sie müssen zahlen."),
    ("We close in MAY.", "We close in may."),
    ("ASK IT TO RESET THE DOOR.", "Ask it to reset the door."),
    ("Use option a or the form.", "Use option A or the form."),
    ("The team uses python.", "The team uses Python."),
]


@pytest.mark.parametrize(("sentence", "source"), CAPITALS)
def test_a_name_does_not_lose_its_capital_and_no_word_gets_one(sentence: str, source: str) -> None:
    assert reason(sentence, source) == "name"


def test_please_note_that_may_be_said_in_front_of_what_a_source_says_but_not_left_out() -> None:
    assert reason("Please note that the office is closed.", "The office is closed.") == "ok"
    assert reason("The office is closed.", "Please note that the office is closed.") == "restriction"
    assert reason("Please note that it is closed.", "IT is closed.") != "ok"


def test_a_frame_that_repeats_the_question_gives_the_sentence_no_subject() -> None:
    source, question = "The rate is 50 % of the salary.", "What is the rate of sick pay?"
    for frame in ("Regarding your question about sick pay: the", "You asked about sick pay: the", "Sick pay: the"):
        assert not verify(source.replace("The", frame), source, question).kept
        found = best_source(source.replace("The", frame), [source], question)
        assert found is not None
        assert not found[1].kept


@pytest.mark.parametrize(
    ("sentence", "source"),
    [
        ("you must sign here", "You must sign here."),
        ("You must sign here", "you must sign here."),
        ("You  must\nsign here!", "You must sign here."),
        ("You must sign here...", "You must sign here!"),
        ("You do not sign; it isn't needed.", "You don’t sign; it is not needed."),  # noqa: RUF001
        ("Visitors cannot park.", "Visitors can't park."),
        ("We will not pay, and you shall not.", "We won't pay, and you shan't."),
        (
            "We're here, I'm there, you've left, they'll stay.",
            "We are here, I am there, you have left, they will stay.",
        ),
        ("It takes twenty-five days, or 5%.", "It takes 25 days, or five percent."),
        ("Ten per cent of them leave (five).", "10 % of them leave (5)."),
        ("Open 10-20.", "Open 10–20."),  # noqa: RUF001
        ("Ask Ruth—not Anand.", "Ask Ruth - not Anand."),
        ("Ruth said “you may leave”.", 'Ruth said "you may leave".'),
        ("**You** must `sign` *the* [form](https://forms.example/a).", "You must sign the form."),
        ("**You must sign the form.**", "You must sign the form."),
        ("Ask <@U05LQUZN7GK|ruth>.", "Ask @U05LQUZN7GK."),
        ("See the form in Hatch.", "See the <https://forms.example/a|form> in Hatch."),
        ("Salt & pepper cost < £5.", "Salt &amp; pepper cost &lt; £5."),
        ("Tell your manager.", "- Tell your manager."),
        ("Tell your manager.", "• Tell your manager."),
        ("He said 'we are hiring!!'", "He said 'we're hiring!!'"),
        ("All gone by 11!", "All gone by eleven!!"),
    ],
)
def test_a_sentence_that_says_the_same_is_kept(sentence: str, source: str) -> None:
    assert reason(sentence, source) == reason(source, sentence) == "ok"


@pytest.mark.parametrize(
    ("copy", "changed", "source"),
    [
        ("das Büro ist geschlossen", "Büro ist geschlossen", "Das Büro ist geschlossen."),
        ("Le bureau est fermé", "Le bureau n'est pas fermé", "Le bureau est fermé."),
        ("年假是二十天", "年假是三十天", "年假是二十天。"),
        ("ऑफिस बंद है", "ऑफिस बद है", "ऑफिस बंद है।"),
        ("المكتب مغلق", "المكتب مفتوح", "المكتب مغلق."),
    ],
)
def test_another_language_is_held_to_the_same_rule(copy: str, changed: str, source: str) -> None:
    assert verify(copy, source).kept
    assert not verify(changed, source).kept


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
pieces = (
    *PLAIN.split(),
    *LEAVE.split(),
    "can't",
    "**bold**",
    "£5",
    "note;",
    "that",
    "(e.g. a bus)",
    "hi,",
    "- ",
    "five",
)
english = st.lists(st.sampled_from(pieces), min_size=1, max_size=25)
unknown = st.text(alphabet="bcdfghjklmnpqrtvwxyz", min_size=4, max_size=9).map(lambda text: f"zq{text}")
symbols = st.characters(categories=["Sc", "Sm", "So", "Sk"]).filter(
    lambda letter: unicodedata.category(unicodedata.normalize("NFC", letter)[0])[0] == "S"
)


@given(texts)
@example("&#0;&lt;@U1|")
@example("[1][2]")
def test_a_sentence_with_a_word_in_it_verifies_against_itself(text: str) -> None:
    assert verify(text, text).kept == any(map(str.isalnum, clean(text)))


@given(texts, texts, texts)
def test_no_text_makes_it_fail(sentence: str, source: str, question: str) -> None:
    verify(sentence, source)
    best_source(sentence, [source, question], question)


@given(texts)
def test_no_sign_is_lost_when_a_text_is_taken_apart(text: str) -> None:
    assert "".join(tokens(text)) == "".join(text.split())


@given(english, unknown, st.data())
def test_a_word_that_the_source_does_not_have_is_never_let_in(words: list[str], word: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(words)))
    added = " ".join([*words[:place], word, *words[place:]])
    assert not verify(added, " ".join(words)).kept
    assert not verify(" ".join(words), added).kept


@given(st.sampled_from([PLAIN, LEAVE]), symbols, st.data())
def test_a_symbol_that_the_source_does_not_have_is_never_let_in(text: str, sign: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    added = text[:place] + data.draw(st.sampled_from([sign, f" {sign} "])) + text[place:]
    assert not verify(added, text).kept
    assert not verify(text, added).kept


@given(st.sampled_from([PLAIN, LEAVE]), st.sampled_from(',;:()"-—?.!'), st.data())
def test_a_mark_between_two_words_is_never_added(text: str, mark: str, data: st.DataObject) -> None:
    words = text.split()
    place = data.draw(st.integers(1, len(words) - 1))
    glue = data.draw(st.sampled_from([f"{mark} ", f" {mark}", f" {mark} "]))
    added = f"{' '.join(words[:place])}{glue}{' '.join(words[place:])}"
    assert not verify(added, text).kept
    assert not verify(text, added).kept


@given(english, unknown, unknown, st.data())
def test_two_words_of_the_source_never_change_places(words: list[str], a: str, b: str, data: st.DataObject) -> None:
    assume(a != b)
    first, second = sorted((data.draw(st.integers(0, len(words))), data.draw(st.integers(0, len(words)))))
    between = [*words[first:second], "pays"]
    source = " ".join([*words[:first], a, *between, b, *words[second:]])
    swapped = " ".join([*words[:first], b, *between, a, *words[second:]])
    assert not verify(swapped, source).kept


@given(english, st.integers(0, 10**9), st.integers(0, 10**9))
def test_two_numbers_are_equal_only_if_their_values_are(words: list[str], one: int, other: int) -> None:
    kept = verify(f"We pay {one} for {' '.join(words)}", f"We pay {other} for {' '.join(words)}").kept
    assert kept == (one == other)


def steps(text: str) -> float:
    start = time.process_time()
    verify(text, text + "z")
    return time.process_time() - start


HOSTILE = (
    *("a ", "[a", "<@", "<http:", "a.", "a.a@", "1,", "- ", "(e.g. ", "hi, ", "[1]", "_a", "&", "\n "),
    *("*a", "**a", "`a", "a*", "five-", "a—", "n't ", "a'"),
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_ten_times_the_text_takes_about_ten_times_as_long(piece: str) -> None:
    # A quadratic step would take a hundred times as long, and minutes for the longest text.
    assert steps(piece * (20_000 // len(piece))) < 0.5 + 50 * steps(piece * (2_000 // len(piece)))


@pytest.mark.parametrize("piece", ["weeks", " ", "unused leave lapses, ", "["])
def test_a_text_of_a_hundred_thousand_characters_is_read_in_its_length(piece: str) -> None:
    assert steps(piece * (100_000 // len(piece))) < 10
