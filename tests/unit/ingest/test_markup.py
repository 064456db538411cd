"""Slack's mrkdwn as plain text."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.markup import clean, one_line, plain, without_struck

USERS = {"U1": "Ada", "U2": "Ben <@U1>"}
CHANNELS = {"C1": "general"}


@pytest.mark.parametrize(
    ("mrkdwn", "text"),
    [
        ("ask <@U1>", "ask @Ada"),
        ("ask <@U9|ben>", "ask @ben"),
        ("ask <@U9>", "ask @U9"),
        ("ask <@u1> in <#c1>", "ask @Ada in #general"),
        ("in <#C1|old-name>", "in #general"),
        ("in <#C9|layoffs> or <#C9>", "in #private-channel or #private-channel"),
        ("<!here> and <!channel>", "@here and @channel"),
        ("<!subteam^S1|@oncall> or <!subteam^S1>", "@oncall or @S1"),
        ("<!here|here> <!channel|@channel> <!subteam^S2|@old> <!subteam^S2>", "@here @channel @hr @hr"),
        ("due <!date^1392734382^{date}|18 February>", "due 18 February"),
        ("due <!date^1392734382^{date}> or <!date^soon^{date}>!", "due 2014-02-18 14:39 UTC or !"),
        ("see <https://a.example/x_y_z|the guide>", "see the guide (https://a.example/x_y_z)"),
        ("see <https://a.example/_x_>", "see https://a.example/_x_"),
        ("see <https://a.example|a.example>", "see https://a.example"),
        ("write <mailto:hr@a.example|hr@a.example>", "write hr@a.example"),
        ("call <tel:+123|our desk>", "call our desk"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2, not &amp;lt;", "1 < 2 && 3 > 2, not &lt;"),
        ("*bold*, _italic_, ~gone~ and *_both_*", "bold, italic, and both"),
        ("snake_case_name 2*3*4 a * b * c ~10 *.py and *.md", "snake_case_name 2*3*4 a * b * c ~10 *.py and *.md"),
        ("run `rm *x* _y_` or ```*z*\n_q_```", "run `rm *x* _y_` or ```*z*\n_q_```"),
        ("a `code &lt;b&gt;` :tada:", "a `code <b>` :tada:"),
        ("* one\n* two", "* one\n* two"),
    ],
)
def test_markup_reads_as_people_see_it(mrkdwn: str, text: str) -> None:
    assert plain(mrkdwn, users=USERS, channels=CHANNELS, groups={"S2": "hr"}) == text


@pytest.mark.parametrize(
    ("struck", "left"),
    [
        ("~The oboe fee is 50 pounds.~ It is 60.", "It is 60."),
        ("It is ~50~ 60.", "It is 60."),
        ("~*50*~ _~60~_ 70", "70"),
        ("~~50~~ 60", "60"),
        ("~~about ~50 pounds~~ 60", "60"),
        ("~the `oboe` fee~ 60", "60"),
        ("> ~50~ (~60~), 70", "> (), 70"),
        ("~one line\nand another~ 70", "70"),
    ],
)
def test_struck_text_is_dropped(struck: str, left: str) -> None:
    assert plain(struck, users={}, channels={}) == left
    assert not plain("~Nothing of it holds.~", users={}, channels={})


KEPT = [
    "~5 days, and ~10 days",
    "~/x and ~/y",
    "cp ~/a ~/b~c",
    "a ~ b ~ c",
    "https://a.example/~ada/ and /~ben/",
    "`~50~ ~~60~~ <s>`",
    "```\n~50~\n<s>60</s>\n```",
    "~5 days\n\nof it~",
    "1 < 2, <string>, <span>",
]


@pytest.mark.parametrize("text", KEPT)
def test_marks_that_strike_nothing_stay(text: str) -> None:
    assert without_struck([text]) == [text]
    if "<" not in text:
        assert plain(text, users={}, channels={}) == text


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        (["~~50~~ 60", "a~~b~~c"], ["60", "ac"]),
        (["<s>50</s> 60 <DEL cite='x'>70</DEL> <strike>80</strike>"], ["60 "]),
        (["A <del>b", "c", "d</del> e"], ["A ", "", "e"]),
        (["<s>a <del>b</del> c</s> d"], ["d"]),
        (["a <s>b", "c"], ["a ", "c"]),
        (["a </s> b"], ["a </s> b"]),
        (["a ~~b", "c~~ d"], ["a ~~b", "c~~ d"]),
        (["~~~\n~~50~~\n~~~", "~~60~~"], ["~~~\n~~50~~\n~~~", ""]),
        (["\\~~a~~"], ["\\~~a~~"]),
    ],
)
def test_what_a_page_strikes_is_dropped_from_its_parts(parts: list[str], left: list[str]) -> None:
    assert without_struck(parts) == left


@given(st.lists(st.text(alphabet=st.sampled_from("~<s>/del `\n-ab")), min_size=1))
def test_every_part_stays_a_part_and_gains_nothing(parts: list[str]) -> None:
    left = without_struck(parts)
    assert len(left) == len(parts)
    for part, kept in zip(parts, left, strict=True):
        characters = iter(part)
        assert all(character in characters for character in kept)


@pytest.mark.parametrize(
    "unit", ["~", "~a", "~~a ", "~`", "`~", "<s>", "</s>", "<s", "~~~", "~a\n", "<s>`", "~~a~", "- ~"]
)
def test_hostile_marks_take_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    began = time.process_time()
    without_struck([text, text])
    assert time.process_time() - began < 2.0


def test_a_name_cannot_smuggle_in_a_mention() -> None:
    assert plain("<@U2>", users=USERS, channels=CHANNELS) == "@Ben @U1"


@given(st.text(alphabet=st.sampled_from("<>@!#|^*_~`& ;ltgampU1C\n\x00\ud800x"), max_size=200))
def test_any_text_becomes_storable_and_stays_bounded(mrkdwn: str) -> None:
    text = plain(mrkdwn, users=USERS, channels=CHANNELS)
    text.encode()
    assert "\x00" not in text
    assert len(text) <= len(mrkdwn) + mrkdwn.count("<") * 16


@given(st.text(alphabet=st.sampled_from("<>@!#|^*_~` U1C\n\x00"), max_size=200))
@example("<_@U1_")
@example("<<@U1")
@example("<\x00@U1")
def test_no_mention_survives_unresolved(mrkdwn: str) -> None:
    text = plain(mrkdwn, users=USERS, channels=CHANNELS)
    assert "<@" not in text
    assert "<!" not in text


@pytest.mark.parametrize("unit", ["<", "<@", "*", "*a", "_ ", "`", "```", "&lt;", "*a\n", "<a|", "~*_"])
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    began = time.process_time()
    plain(text, users=USERS, channels=CHANNELS)
    assert time.process_time() - began < 1.0


@given(st.text())
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once = clean(text)
    once.encode()
    assert clean(once) == once


def test_cleaning_joins_surrogate_pairs_and_replaces_lone_ones() -> None:
    assert clean("a\ud83d\ude00b\ud800c\r\nd\re\x07") == "a\U0001f600b\ufffdc\nd\ne"


@given(st.text(), st.integers(min_value=2, max_value=50))
def test_one_line_is_one_line_of_bounded_length(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line


def test_one_line_is_cut_at_a_word() -> None:
    assert one_line("the quick  brown\nfox jumps", 20) == "the quick brown fox…"
    assert one_line("x" * 30, 10) == "x" * 9 + "…"


def test_what_meets_where_a_mark_was_is_one_letter() -> None:
    assert plain("<e>\u030c", users={}, channels={}) == "\u011b"
