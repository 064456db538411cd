import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.claims import is_vacuous, run_in, single_words


@pytest.mark.parametrize(
    "sentence",
    [
        "There are a few exceptions to the notice period.",
        "There's a number of different options for parking.",
        "We are proud to offer a bicycle scheme.",
        "Ms. Hale is committed to fair pay.",
        "The scheme does not cover all treatments.",
        "Not all bicycle repairs are covered.",
        "It is important to understand how leave is counted.",
        "One of the important considerations is the deposit.",
        "By following these tips you save money.",
        "The plan has several important limitations.",
    ],
)
def test_what_announces_praises_or_hedges_says_nothing(sentence: str) -> None:
    assert is_vacuous(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Five days of leave carry over.",
        "It is important to know that claims lapse after sixty days.",
        "There are several chargers in the yard.",
        "The scheme does not cover hearing aids.",
        "Approval is needed for certain services and treatments.",
        "All repairs are covered.",
        "",
    ],
)
def test_what_states_something_is_not_vacuous(sentence: str) -> None:
    assert not is_vacuous(sentence)


@pytest.mark.parametrize(
    ("page", "rest"),
    [
        ("Tips for Staff Staff should park behind the hall. Any staff may.", "Staff should park"),
        ("Dental Dental care covers fillings, and dental implants too.", "Dental care covers"),
        ("Newborn Care COVERED SERVICES: NEWBORN CARE At our firm it is paid.", "At our firm"),
        ("Hospice Care SERVICES - HOSPICE CARE Southwind pays for it.", "Southwind pays"),
        ("Fees PLAN: Fees Fees are due in May. All fees are.", "Fees are due"),
        ("Eye Care SERVICES: Eye Care Providers send the bill.", "Eye Care Providers"),
    ],
)
def test_a_heading_that_says_a_word_twice_is_cut_off(page: str, rest: str) -> None:
    assert page[run_in(page, single_words(page)) :].startswith(rest)


@pytest.mark.parametrize(
    "page",
    [
        "Travel Insurance covers lost bags.",
        "Baden Baden is where the fair takes place.",
        "Contoso Cars' Safety Program At Contoso Cars, we wear helmets.",
        "Services Not Covered Services not covered are paid by you. Services vary.",
        "False Claims Claims are paid in May. A claims form helps.",
        "the staff staff room is open to staff.",
        "Ana. Ana is here, says Ana.",
        "",
    ],
)
def test_what_may_be_a_part_of_the_sentence_stays(page: str) -> None:
    assert run_in(page, single_words(page)) == 0


WORDS = "Dental,DENTAL,care,Care:,the,The,-,not,A.,。"


@given(st.lists(st.sampled_from(WORDS.split(",")), max_size=30).map(" ".join))
def test_what_is_cut_off_ends_before_a_word_and_leaves_one(page: str) -> None:
    cut = run_in(page, single_words(page))
    assert 0 <= cut < max(len(page), 1)
    assert not cut or (page[cut - 1].isspace() and not page[cut].isspace())
