import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.words import Passage
from features.errors import TextTooLongError
from generation.asking import Asked, is_question, stem, terms
from generation.candidates import candidates
from generation.evidence import CHOSEN, CONFIDENCE_WEIGHTS, EMBEDDED, QUOTE_WEIGHTS, Evidence, EvidenceFinder

Vectors = NDArray[np.float32]


def vector_of(text: str) -> Vectors:
    """A bag of words, hashed: texts with common words are near each other."""
    vector = np.full(64, 0.01, dtype=np.float32)
    for word in re.findall(r"\w+", text.lower()):
        vector[zlib.crc32(word.encode()) % 64] += 1
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


class Embedding:
    """Embeds, remembers what, and refuses texts of more characters than it reads."""

    def __init__(self, longest: int = 10_000) -> None:
        self.longest = longest
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Vectors:
        for text in texts:
            if len(text) > self.longest:
                raise TextTooLongError.of(len(text), self.longest)
        self.texts += texts
        return np.vstack([vector_of(text) for text in texts])


def passage(text: str, *, title: str = "", score: float = 0.8, dense: float = 0.5, lexical: float = 0.5) -> Passage:
    return Passage(
        chunk_id=str(zlib.crc32(text.encode())),
        document_id=title,
        external_id=title,
        source="handbook",
        title=title,
        uri="",
        text=text,
        score=score,
        signals={"dense": dense, "lexical": lexical},
    )


def find(question: str, *passages: Passage, limit: int = 3) -> Evidence:
    return EvidenceFinder(Embedding()).find(question, vector_of(question), passages, limit)


def texts(evidence: Evidence) -> list[str]:
    return [quote.text for quote in evidence.quotes]


CAR = "Driving\n- Your own car: 45p a mile.\n- Your own bicycle: 20p a mile.\n"
LINES = st.lists(
    st.sampled_from(["Ana: is it open", "It is open.", "They lapse.", "| a | b |", "- one", "Cost: £5.", ""])
)


@given(st.text(max_size=80), st.lists(st.one_of(st.text(max_size=200), LINES.map("\n".join)), max_size=4))
def test_every_quote_is_a_stretch_of_its_passage_and_every_figure_is_a_share(
    question: str, given_texts: list[str]
) -> None:
    passages = [passage(text) for text in given_texts]
    evidence = find(question, *passages)
    for quote in evidence.quotes:
        assert quote.text == passages[quote.passage].text[quote.start : quote.end] == quote.text.strip() != ""
        assert 0 <= quote.score <= 1
    places = sorted((quote.passage, quote.start, quote.end) for quote in evidence.quotes)
    assert all(one[0] < other[0] or one[2] <= other[1] for one, other in pairwise(places))
    assert 0 <= evidence.confidence <= 1
    assert [quote.score for quote in evidence.quotes] == sorted((q.score for q in evidence.quotes), reverse=True)
    assert set(evidence.features) == (set(CONFIDENCE_WEIGHTS) if evidence.quotes else set())


def test_what_was_chosen_is_a_weight() -> None:
    assert set(CONFIDENCE_WEIGHTS) > CHOSEN


def test_the_sentence_that_answers_comes_first() -> None:
    other = passage("Trains are booked in second class.", score=0.3, dense=0.1)
    evidence = find("What do I get per mile for my own car?", passage(CAR, title="Expenses"), other)
    assert texts(evidence)[0] == "Your own car: 45p a mile."
    assert evidence.quotes[0].passage == 0


@pytest.mark.parametrize("nothing", [(), ("",), (" \n ", "|---|---|\n")])
def test_without_a_sentence_there_is_no_quote_and_no_confidence(nothing: tuple[str, ...]) -> None:
    evidence = find("Where?", *map(passage, nothing))
    assert evidence == Evidence(quotes=(), confidence=0.0, features={})


def test_a_question_embeds_a_bounded_number_of_sentences() -> None:
    embedding = Embedding()
    long = passage(" ".join(f"Rule {number} is about shifts." for number in range(500)))
    EvidenceFinder(embedding).find("Which rule is about shifts?", vector_of("rule"), [long] * 5)
    assert len(embedding.texts) == EMBEDDED


def test_the_sentences_that_are_embedded_have_the_words_of_the_question() -> None:
    embedding = Embedding()
    far = passage("Nothing of that is here. " * 50 + "The sauna costs nine pounds.")
    EvidenceFinder(embedding).find("What does the sauna cost?", vector_of("sauna"), [passage("Other things."), far])
    assert any("sauna costs" in text for text in embedding.texts)


def test_a_sentence_that_the_embedder_cannot_read_whole_is_cut_for_it() -> None:
    embedding = Embedding(longest=50)
    text = "The lease " + "of the bicycle " * 20 + "ends."
    evidence = EvidenceFinder(embedding).find("When does the lease end?", vector_of("lease"), [passage(text)])
    assert texts(evidence) == [text]
    assert max(map(len, embedding.texts)) <= 50


def test_an_embedder_that_reads_nothing_is_not_asked_for_ever() -> None:
    with pytest.raises(TextTooLongError):
        EvidenceFinder(Embedding(longest=0)).find("When?", vector_of("when"), [passage("At noon it opens.")])


def test_no_heading_and_no_first_row_is_quoted() -> None:
    text = "Hotels in London\n| Hotels in London | Cap |\n|---|---|\n| London | £160 |\n"
    assert texts(find("What may hotels in London cost?", passage(text))) == [
        "| Hotels in London | Cap |\n|---|---|\n| London | £160 |"
    ]


def test_a_question_in_a_thread_is_not_its_answer() -> None:
    asked = "Gwen: My visitors ask about guest wifi. How do visitors get guest wifi?"
    text = f"{asked}\nIfe: The tablet prints a code for guests."
    assert (
        texts(find("How do visitors get guest wifi?", passage(text)))[0] == "Ife: The tablet prints a code for guests."
    )


@pytest.mark.parametrize(("first", "last"), [("2000", "3500"), ("3500", "2000")])
def test_of_two_replies_alike_the_later_one_wins(first: str, last: str) -> None:
    said = [f"Ana: The cap for bikes is £{amount}." for amount in (first, last)]
    text = "\n".join(["Joe: hello all", said[0], "Joe: I said: thanks", "Joe: thanks again", said[1]])
    finder = EvidenceFinder(Embedding(), near_duplicate=1.1)
    evidence = finder.find("What is the cap for bikes?", vector_of("what is the cap for bikes"), [passage(text)])
    assert texts(evidence)[0] == said[1]


@pytest.mark.parametrize("question", ["is there a limit", "Ana: how do i reset it", "Really?", "いつですか\uff1f"])
def test_a_question_is_known_with_and_without_its_mark(question: str) -> None:
    assert is_question(question)


@pytest.mark.parametrize(
    "statement", ["When you are ill, ring us.", "Isabel: Yes.", "Can openers are in the kitchen", "May 5 is a holiday"]
)
def test_a_statement_is_no_question(statement: str) -> None:
    assert not is_question(statement)


def test_what_refers_back_is_quoted_with_what_it_refers_to() -> None:
    text = "Five days of leave carry over. They lapse on 31 March. The canteen is open."
    both = "Five days of leave carry over. They lapse on 31 March."
    assert texts(find("How many days of leave carry over?", passage(text), limit=1)) == [both]
    assert texts(find("When do they lapse in March?", passage(text), limit=1)) == [both]


def test_a_reference_is_not_followed_into_another_line() -> None:
    text = "Ana: Five days of leave carry over.\nThey lapse on 31 March."
    assert texts(find("How many days of leave carry over?", passage(text), limit=1)) == [
        "Ana: Five days of leave carry over."
    ]


def test_no_two_quotes_say_or_show_the_same() -> None:
    sentence = "Five days of leave carry over to the new year."
    evidence = find("How many days of leave carry over?", passage(sentence), passage(f"{sentence} It is so."))
    assert len(evidence.quotes) == 1


def test_two_sentences_quoted_together_are_quoted_once() -> None:
    evidence = find(
        "When do the days of leave lapse?", passage("Five days of leave carry over. They lapse on 31 March.")
    )
    assert len(evidence.quotes) == 1


def test_at_most_as_many_quotes_as_wanted() -> None:
    assert len(find("mile", passage(CAR), limit=1).quotes) == 1


def test_more_of_the_question_in_the_passages_gives_more_confidence() -> None:
    question = "What is the mileage rate for a motorcycle?"
    without = find(question, passage("The mileage rate for a car is 45p."))
    assert find(question, passage("The mileage rate for a motorcycle is 24p.")).confidence > without.confidence
    assert without.confidence > find(question, passage("Dogs are welcome.", dense=0.1)).confidence


def test_an_answer_of_the_wrong_kind_lowers_the_confidence() -> None:
    question = "When does the gate close?"
    dated = find(question, passage("The gate will close at 17:00."))
    assert dated.confidence > find(question, passage("The gate will close gently.")).confidence


def test_a_name_that_stands_nowhere_lowers_the_confidence() -> None:
    text = "The Southwind Gold plan pays for glasses and for teeth."
    named, other = (f"What does the Southwind {plan} plan pay for?" for plan in ("Gold", "Zinc"))
    assert find(other, passage(text)).features["name_missing"] > find(named, passage(text)).features["name_missing"]
    assert find(other, passage(text)).confidence < find(named, passage(text)).confidence


def test_what_only_announces_the_answer_comes_after_it() -> None:
    answer = "The exceptions to the claim period are illness, travel and a new child."
    text = f"There are a few exceptions to the claim period. {answer}"
    assert texts(find("What are the exceptions to the claim period?", passage(text)))[0] == answer


def test_weights_have_the_direction_that_their_names_promise() -> None:
    against = {"type_missing", "asks", "short", "vacuous", "name_missing"}
    for weights in (QUOTE_WEIGHTS, CONFIDENCE_WEIGHTS):
        assert all((weight < 0) == (name in against) for name, weight in weights.items())


@pytest.mark.parametrize(
    ("question", "with_it", "without"),
    [
        ("How many desks are there?", "There are 22.", "There are some desks."),
        ("How much is it?", "It is free.", "It is nice."),
        ("When was it frozen?", "On Friday.", "It was frozen by them."),
        ("Who approves it?", "It is Ruth.", "it depends on it"),
        ("Where do we meet, and when?", "On the grass at 9.", "In the office."),
    ],
)
def test_what_is_asked_for_is_recognised_in_an_answer(question: str, with_it: str, without: str) -> None:
    asked = Asked.of(question)
    assert not asked.misses(with_it)
    assert asked.misses(without)


def test_a_question_of_no_known_kind_misses_nothing() -> None:
    assert not Asked.of("Is there a canteen?").misses("")
    assert not Asked.of("Gibt es eine Kantine").misses("")


@pytest.mark.parametrize(
    ("one", "other"),
    [("policies", "policy"), ("leaves", "leave"), ("planned", "plan"), ("charging", "charge"), ("days", "day")],
)
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("bus", "bu"), ("gas", "ga"), ("news", "ne"), ("bike", "biker")])
def test_different_words_keep_different_stems(one: str, other: str) -> None:
    assert stem(one) != stem(other)


@given(st.text(alphabet=st.characters(categories=["L"]), min_size=1, max_size=20))
def test_a_stem_is_the_beginning_of_its_word(word: str) -> None:
    assert word.lower().startswith(stem(word.lower()))
    assert stem(word.lower())


def test_words_without_gaps_are_compared_by_pairs() -> None:
    assert terms("有給休暇は何日") & terms("有給休暇") == {"有給", "給休", "休暇"}


def test_another_language_finds_its_words() -> None:
    evidence = find("Wie viel Urlaub gibt es?", passage("Die Kantine ist offen. Urlaub gibt es dreißig Tage."))
    assert texts(evidence)[0] == "Urlaub gibt es dreißig Tage."


def test_words_of_every_company_count_less() -> None:
    asked = Asked.of("Where is the company sauna?")
    assert asked.share(terms("sauna")) > 0.5 > asked.share(terms("company"))


def test_a_question_without_content_words_says_nothing_about_coverage() -> None:
    assert Asked.of("How is it?").share(terms("anything")) == 0.5


def test_words_above_a_sentence_count_half() -> None:
    found = candidates(Asked.of("sauna towels"), [passage("Sauna\nBring towels and a friend here.\n")])
    assert [one.overlap for one in found] == [0.75]
