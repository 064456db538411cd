import sys
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from generation.sentences import _END, heading_text, sentence_spans, sentences

PIECES = (
    "The,office,e.g.,9,a.m.,No.,3.5,U.S.,https://x.example/a.b?c=d,v1.2.3,is,open,Monday,…,...,?!,!,?,.,。,東京です,“Why?”,🎉,"
    "|,| a | b |,- ,• ,•,2. ,not,following,1. ,# ,:,Ana:,Gwen (edited): ,\n,\n\n, ,\t,\u2028,\u3000,\x85"
)
WORDS = st.sampled_from(PIECES.split(","))
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(WORDS, max_size=60).map(" ".join),
    st.lists(WORDS, max_size=60).map("".join),
)


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@given(TEXTS)
@example("a.\x1cb. \u2028c")
@example("| a |\n|---|\n| b |")
def test_sentences_are_ordered_stripped_and_cover_everything_but_white_space(text: str) -> None:
    spans = sentence_spans(text)
    reached = 0
    for start, end in spans:
        assert reached <= start < end
        assert not text[reached:start].strip()
        assert text[start:end] == text[start:end].strip()
        reached = end
    assert not text[reached:].strip()


@given(TEXTS)
def test_what_a_sentence_is_read_under_stands_above_it(text: str) -> None:
    found = sentences(text)
    assert [(one.start, one.end) for one in found] == sentence_spans(text)
    for one in found:
        for start, end in one.context:
            assert 0 <= start < end <= one.start
        assert heading_text(text, one.context) == heading_text(text[: one.start], one.context)


@pytest.mark.parametrize(
    "whole",
    [
        "Write to Dr. Hale, e.g. about the forklift licence.",
        "Pay is 3.5 % of what No. 4 earns.",
        "Download v1.2.3 from https://files.example/tool.tar.gz?x=1.2 today.",
        "The doors open at 9 a.m. on working days.",
        "The doors open at 9 a.m. Monday to Friday.",
        "Offices in the U.S. East region are closed.",
        "See report.final.pdf and Node.js.",
        "J. R. Carter approves it.",
        '"Why?" she asked.',
        "Wait ... and then restart.",
        "Ms. Okafor (ext. 4111) answers.",
        "Steel Ltd. Liverpool delivers it.",
        "Das gilt z.B. auch hier.",
    ],
)
def test_a_mark_inside_a_sentence_does_not_end_it(whole: str) -> None:
    assert cut(whole) == [whole]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It closes at 9 a.m. Please come earlier.", ["It closes at 9 a.m.", "Please come earlier."]),
        ("yes you can. just ask anand", ["yes you can.", "just ask anand"]),
        ("Really?! Yes. (It is so.) Good", ["Really?!", "Yes.", "(It is so.)", "Good"]),
        ("It began in 2026. The rest followed.", ["It began in 2026.", "The rest followed."]),
        ("東京です。次の文。", ["東京です。", "次の文。"]),
        ("Made in the U.S. The rest is not.", ["Made in the U.S.", "The rest is not."]),
        ("He said “go.” She went.", ["He said “go.”", "She went."]),
    ],
)
def test_a_mark_between_two_sentences_ends_the_first(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_an_emoji_stays_with_the_sentence_that_it_follows() -> None:
    assert cut("All done! 🎉 👍\nNext one.") == ["All done! 🎉 👍", "Next one."]


def test_each_message_of_a_conversation_begins_with_who_speaks() -> None:
    text = "Ana: Is it open?\nDr. B. Moss (edited): Yes, e.g. today. Bring a badge.\nana: ta"
    assert cut(text) == ["Ana: Is it open?", "Dr. B. Moss (edited): Yes, e.g. today.", "Bring a badge.", "ana: ta"]
    assert [one.said for one in sentences(text)] == [True] * 4


def test_no_sentence_begins_inside_a_label() -> None:
    assert cut("Sgt. A. N. Other No. 2: Come in. Sit.") == ["Sgt. A. N. Other No. 2: Come in.", "Sit."]


def test_lines_that_only_the_page_has_cut_are_one() -> None:
    text = "Claims that are older than sixty days are paid only with\nthe consent of the director. Ask first.\nThanks"
    assert cut(text)[0] == "Claims that are older than sixty days are paid only with\nthe consent of the director."
    assert cut(text)[1:] == ["Ask first.", "Thanks"]


def test_a_paragraph_never_goes_on_after_a_blank_line() -> None:
    text = "Claims that are older than sixty days are paid only with\n\nthe consent of the director"
    assert len(cut(text)) == 2


def test_short_lines_of_chat_stay_apart() -> None:
    assert cut("ok\nsee you there\nbring cake") == ["ok", "see you there", "bring cake"]


def test_items_of_a_list_are_read_under_the_line_that_opens_it() -> None:
    text = "Leave\nYou receive two of these:\n- a day. One more.\n- a week\nThat is all."
    found = {text[one.start : one.end]: heading_text(text, one.context) for one in sentences(text)}
    assert found["- a week"] == "Leave > You receive two of these"
    assert found["One more."] == "Leave > You receive two of these"
    assert found["That is all."] == "Leave"


def led(text: str) -> dict[str, str]:
    """Each sentence with what it has to be read with."""
    return {text[one.start : one.end]: text[slice(*one.lead_in)] if one.lead_in else "" for one in sentences(text)}


@pytest.mark.parametrize("mark", ["•", "▪", "-"])
def test_a_list_within_a_line_has_items(mark: str) -> None:
    text = f"You pay for these: {mark} Dogs {mark} Cats. They bite. Parrots are free."
    opening = "You pay for these:"
    assert led(text) == {
        opening: "",
        f"{mark} Dogs": opening,
        f"{mark} Cats.": opening,
        "They bite.": "",
        "Parrots are free.": "",
    }


def test_numbers_within_a_line_are_items_after_a_colon() -> None:
    assert cut("Tips: 1. Ask first. 2. Use the lift. Thanks") == [
        "Tips:",
        "1. Ask first.",
        "2. Use the lift.",
        "Thanks",
    ]


@pytest.mark.parametrize("text", ["London • Paris • New York", "Open: 9 - 5 Monday - Friday", "Paris - a town"])
def test_a_mark_that_only_sets_apart_opens_no_list(text: str) -> None:
    assert cut(text) == [text]


def test_two_lists_within_a_line_have_their_own_openings() -> None:
    ask = "Ask Ana or one of her many colleagues first if you are not sure."
    found = led(f"Paid: • Dogs • Cats. {ask} Not paid: • Parrots • Mice")
    assert found == {
        "Paid:": "",
        "• Dogs": "Paid:",
        "• Cats.": "Paid:",
        ask: "",
        "Not paid:": "",
        "• Parrots": "Not paid:",
        "• Mice": "Not paid:",
    }


@pytest.mark.parametrize(
    "opening", ["We pay none of the following.", "These include", "What we do not pay", "Myths about leave", "Tips:"]
)
def test_what_opens_a_list_is_known_without_a_colon(opening: str) -> None:
    assert led(f"Ask Ana first.\n{opening}\n- Dogs\n- Cats")["- Cats"] == opening


@pytest.mark.parametrize("line", ["Driving", "Ask Ana, so that neither side pays.", "Bring both of them!"])
def test_what_only_stands_before_a_list_does_not_open_it(line: str) -> None:
    assert not led(f"{line}\n- Dogs\n- Cats")["- Cats"]


def test_a_list_in_a_list_is_read_with_the_outer_one() -> None:
    assert led("Not true:\n- Claims about:\n- Dogs")["- Dogs"] == "Not true:\n- Claims about:"


def test_who_answers_is_not_read_with_the_one_before() -> None:
    assert not led("Ana: Here is how:\nBo: Thanks a lot.")["Bo: Thanks a lot."]


def test_rows_are_read_under_their_heading_and_first_row() -> None:
    text = "## Hotels\n| City | Cap |\n|---|---|\n| Leeds | £90 |\nBook early."
    found = {text[one.start : one.end]: one for one in sentences(text)}
    row = found["| Leeds | £90 |"]
    assert row.row
    assert not row.heading
    assert found["| City | Cap |"].heading
    assert heading_text(text, row.context) == "Hotels > City, Cap"
    assert heading_text(text, found["Book early."].context) == "Hotels"


def test_a_heading_is_replaced_by_the_next_one() -> None:
    text = "Driving\nCars get 45p.\nFlying\nEconomy only."
    assert [heading_text(text, one.context) for one in sentences(text)] == ["", "Driving", "", "Flying"]


def test_a_last_line_is_no_heading() -> None:
    assert not sentences("Fine by me")[0].heading


@pytest.mark.parametrize("marks", [". . ", "...", "\u3002\u3002"])
def test_a_run_of_marks_is_tried_once_from_its_beginning(marks: str) -> None:
    text = f"a{marks.replace(' ', '')} b"
    assert _END.search(text) is not None
    assert _END.search(text, 2) is None


def calls(text: str) -> int:
    counted = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal counted
        counted += 1

    sys.setprofile(count)
    try:
        sentences(text)
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize(
    "unit",
    [
        "a. ",
        ".",
        ".' ",
        "a\n",
        "| a |\n",
        "Ana: b.\n",
        "x:\n",
        "- a\n",
        "A. ",
        "。",
        "!?",
        " ",
        "\n",
        "x • ",
        "x: - A ",
        "x: 1. A ",
        "x: • a. B ",
        "not: • ",
    ],
)
def test_twice_the_text_is_at_most_about_twice_the_work(unit: str) -> None:
    assert calls(unit * 2000) <= 2.1 * calls(unit * 1000) + 50


@pytest.mark.parametrize("unit", [".", ". '", "'", "a", "(", ": ", "|", "\n", " ", '…"', "e.g.", "1. ", "。」"])
def test_a_text_made_to_be_slow_is_cut_at_once(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert "".join(cut(text)).replace(" ", "") == "".join(text.split())


@pytest.mark.parametrize(
    "text",
    [
        '"Contractors get thirty days of holiday." is a myth from the old pages.',
        "The claim (staff get a free oboe each year.) is false.",
        "```The fee is 60 pounds for members.``` is what the old page says, it is wrong",
        "No member may use the viola room of bldg. Seven unless Ruth agrees.",
    ],
)
def test_a_claim_in_marks_is_not_cut_from_what_is_said_about_it(text: str) -> None:
    assert sentence_spans(text) == [(0, len(text))]
