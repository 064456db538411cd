import pytest

from generation.asking import Asked, terms


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("What are the benefits of the Southwind Platinum plan?", "The Southwind Gold plan pays for glasses."),
        ("Is there parking at the Leeds office?", "The office in York has a garage."),
        ("What do we do with SAP?", "The form is on the intranet."),
    ],
)
def test_a_name_that_stands_nowhere_is_missed(question: str, passage: str) -> None:
    assert Asked.of(question).misses_name(["Plan", passage])


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("Is there parking at the Leeds office?", "The LEEDS office has a garage."),
        ("Who works in Germany on Fridays in March?", "Our German colleagues do."),
        ("What is the roll of Céloron in it?", "Celoron leads the works."),
        ("How do I write to Siobhan's team?", "Siobahn reads the mail."),
        ("How much PTO do we get in a year?", "Paid time off is 25 days."),
        ("Is it open to us in the United Kingdom?", "Only in the UK."),
        ("What do the LLMs do?", "An LLM writes."),
        ("Where is parking?", "Nowhere."),
        ("Who Leads The Works In Leeds?", "Nobody."),
        ("where is the leeds office?", "In York."),
        ("Is it open? Parking is what I need.", "No."),
        ("Wie viele Tage Urlaub gibt es im Januar bei Krankheit?", "Zehn."),
        ("May I ask?", "Yes."),
    ],
)
def test_a_name_in_another_form_and_what_is_no_name_is_not_missed(question: str, passage: str) -> None:
    assert not Asked.of(question).misses_name([passage])


def test_a_hyphen_joins_two_words_to_a_third() -> None:
    assert terms("in-network") == {"innetwork", stemmed("network")}
    assert terms("out-of-network") - terms("in-network") == {"outofnetwork"}
    assert terms("e-mail") & terms("email")
    assert stemmed("copay") in terms("co-pay")


def stemmed(word: str) -> str:
    (only,) = terms(word)
    return only


def test_a_question_tells_apart_what_only_its_small_words_tell_apart() -> None:
    asked = Asked.of("What do in-network doctors cost?")
    assert asked.share(terms("in-network doctors cost")) > asked.share(terms("out-of-network doctors cost"))
