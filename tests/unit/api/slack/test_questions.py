"""A message in Slack as the question that it asks."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.slack.questions import LONGEST, is_follow_up, question_of, standalone

BOT = "UBOT"
CARRY = "How many days can I carry over?"
MESSAGES = st.text(
    alphabet=st.sampled_from("<>@!#|^*_~`&:;,.? ltgampUBOTC1x\n\t\x00\u200b\ud800\u202e\u0958"), max_size=200
)


@pytest.mark.parametrize(
    ("mrkdwn", "question"),
    [
        ("<@UBOT> How many *days* can I carry over?", "How many days can I carry over?"),
        ("<@UBOT|threadwise>: who approves it?", "who approves it?"),
        ("<@UBOT>, <@UBOT> \u2013 who approves it?", "who approves it?"),
        ("*<@UBOT>* how long?", "how long?"),
        ("How long, <@UBOT>?", "How long?"),
        ("How long <@UBOT> does it take?", "How long does it take?"),
        ("Does <@U1|Ada> or <@U2> decide?", "Does Ada or decide?"),
        ("What is <#C1|travel> for, and <#C2>?", "What is #travel for, and?"),
        ("<!here> <!channel> ask <!subteam^S1|@hr> or <!subteam^S2>", "ask hr or"),
        ("Is <!date^1392734382^{date}|18 February> off?", "Is 18 February off?"),
        ("What does <https://a.example/x_y_z|the guide> say?", "What does the guide say?"),
        ("What is <https://a.example/_x_>?", "What is https://a.example/_x_?"),
        (
            "Who reads <mailto:hr@a.example|hr@a.example>, <mailto:it@a.example>?",
            "Who reads hr@a.example, it@a.example?",
        ),
        ("Is 1 &lt; 2 &amp;&amp; 3 &gt; 2, or &amp;lt;?", "Is 1 < 2 && 3 > 2, or &lt;?"),
        ("&gt; The fee is 5.\nIs it?", "> The fee is 5. Is it?"),
        ("*bold*, _it_, ~gone~ and *_both_*", "bold, it, gone and both"),
        ("snake_case_name 2*3*4 a * b * c ~/x and ~/y", "snake_case_name 2*3*4 a * b * c ~/x and ~/y"),
        ("what does `rm *x*` or ```\n_y_ ``` do", "what does rm *x* or _y_ do"),
        (":wave: <@UBOT> hello? :pray::skin-tone-2:", "hello?"),
        ("What does :white_check_mark: mean at 10:30:45?", "What does :white_check_mark: mean at 10:30:45?"),
        ("when  is\u200b\x07 it\r\n due\u202e?", "when is it due?"),
    ],
)
def test_a_message_reads_as_the_question_its_author_sees(mrkdwn: str, question: str) -> None:
    assert question_of(mrkdwn, BOT) == question


@pytest.mark.parametrize(
    "mrkdwn",
    [
        "",
        "<@UBOT>",
        " <@UBOT>,\n<@UBOT> ",
        ":tada:",
        "<@UBOT> :wave: :tada:",
        "<!here>",
        "<>",
        "<@UBOT>?",
        "\U0001f44b",
    ],
)
def test_a_message_of_mentions_and_emoji_asks_nothing(mrkdwn: str) -> None:
    assert question_of(mrkdwn, BOT) == ""


def test_what_an_author_writes_as_a_mention_is_none() -> None:
    assert (
        question_of("say &lt;@U1&gt; and &lt;!here&gt; and &lt;\u200b&lt;#C1&gt;", BOT)
        == "say @U1> and !here> and #C1>"
    )


@given(MESSAGES)
@example("&lt;\u200b@U1")
@example("<&lt;<@U1>@U1")
def test_any_message_becomes_one_storable_line_without_mentions(mrkdwn: str) -> None:
    question = question_of(mrkdwn, BOT)
    question.encode()
    assert question == " ".join(question.split())
    assert not any(sign in question for sign in ("<@", "<!", "<#", "\x00", "\u200b", "\u202e"))
    assert len(question) <= 3 * len(mrkdwn)


@given(st.lists(st.text(alphabet="abcdefgh0123,.?äß漢", min_size=1, max_size=8), max_size=20).map(" ".join))
def test_a_plain_question_stays_as_it_is(text: str) -> None:
    assert question_of(f"a{text}", BOT) == f"a{text}"
    assert question_of(f"<@{BOT}> a{text}", BOT) == f"a{text}"


@given(MESSAGES.filter(lambda text: not set(text) & set("<&`*_~:")))
def test_reading_a_message_without_markup_twice_changes_nothing(mrkdwn: str) -> None:
    once = question_of(mrkdwn, BOT)
    assert question_of(once, BOT) == once


@pytest.mark.parametrize(
    "unit", ["<", "<@U1>", "<@UBOT>,", "*a ", "`", "```", ":a:", ".:a", "&amp;", " ", "_*", ":", "it "]
)
def test_hostile_messages_take_linear_time(unit: str) -> None:
    text = unit * (50_000 // len(unit))
    began = time.process_time()
    question = question_of(text, BOT)
    is_follow_up(question)
    is_follow_up(text)
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    "question",
    [
        "And for part-timers who work in the Berlin office on weekends?",
        "what about contractors?",
        "How about the interns that start in September in Lisbon?",
        "But does the same limit hold for people on probation abroad?",
        "ok, also: who signs the form for equipment over 500 euros?",
        "For part-timers?",
        "Part-timers in the Berlin office?",
        "How long?",
        "Who signs the form?",
        "Does it apply to contractors who travel through Spain?",
        "Is that also true for contractors with hardware from Spain?",
        "Do they need approval before booking flights through Lisbon?",
        "兼职呢",
    ],
)
def test_a_question_that_leans_on_another_is_a_follow_up(question: str) -> None:
    assert is_follow_up(question)
    assert standalone(question, [CARRY]) == f"{CARRY} {question}"


@pytest.mark.parametrize(
    "question",
    [
        "How many vacation days do new employees get in their first year abroad?",
        "Who do I ask in IT about VPN access from abroad on weekends?",
        "Is there a dress code for client meetings in summer?",
        "Is it possible to carry over unused vacation days into spring?",
        "How many vacation days may I carry over this year from probation?",
        "Where do I find the laptop that Anna Smith ordered for Lisbon?",
        "Which android phones does security support?",
        "How do I reset my VPN password?",
        "病假最多有多少天可以申请呢",
    ],
)
def test_a_question_that_names_what_it_is_about_stays_itself(question: str) -> None:
    assert not is_follow_up(question)
    assert standalone(question, [CARRY]) == question


def test_a_follow_up_of_a_follow_up_follows_the_question_that_both_lean_on() -> None:
    earlier = ["And in Germany?", "What about part-timers?", CARRY, "Who signs travel forms?"]
    assert standalone("How long?", earlier) == f"{CARRY} How long?"


def test_where_every_earlier_question_leans_the_newest_is_followed() -> None:
    assert standalone("How long?", ["and abroad?", "and at home?"]) == "and abroad? How long?"


def test_a_question_without_a_mark_gets_one_before_its_follow_up() -> None:
    assert (
        standalone("And abroad?", ["how many days can I carry over"]) == "how many days can I carry over? And abroad?"
    )


def test_without_an_earlier_question_a_follow_up_stays_itself() -> None:
    assert standalone("And abroad?", []) == standalone("And abroad?", ["", " \n"]) == "And abroad?"


def test_a_question_that_is_asked_again_is_not_put_behind_itself() -> None:
    assert standalone("How long?", ["How long?"]) == "How long?"


def test_of_an_earlier_question_that_is_too_long_the_end_is_kept() -> None:
    whole = standalone("And abroad?", ["Well, " * 500 + CARRY])
    assert whole.endswith(f" Well, {CARRY} And abroad?")
    assert LONGEST - 10 < len(whole) <= LONGEST


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=4), st.integers(1, 120))
def test_any_question_ends_as_it_was_asked_and_within_the_limit(question: str, earlier: list[str], limit: int) -> None:
    whole = standalone(question, earlier, limit=limit)
    assert whole.endswith(question)
    assert len(whole) <= max(limit, len(question))


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=4))
@example("And abroad?", [CARRY])
def test_a_question_is_put_behind_an_earlier_one_once(question: str, earlier: list[str]) -> None:
    whole = standalone(question, earlier)
    assert standalone(whole, earlier) == whole
