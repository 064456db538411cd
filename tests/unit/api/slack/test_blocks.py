"""What the bot posts: every payload is one that Slack takes, and none says more to Slack than to its readers."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.slack.blocks import (
    LONGEST_FALLBACK,
    LONGEST_MESSAGE,
    MOST_CITATIONS,
    MOST_NEAREST,
    Posting,
    Shown,
    answer_posting,
    apology,
    cannot_share,
    help_posting,
    looking,
    outsiders_posting,
    refusal_posting,
    thanks,
)
from generation.answers import Citation, Nearest, Status
from tests.support.block_kit import page
from tests.support.slack_block_rules import problems

Json = dict[str, Any]
ID = "0123456789abcdef" * 2
PERMALINK = "https://acme.slack.com/archives/C01/p1700000000000100"
PATH = "handbook/leave.md#carry-over"
ALLOWED = {
    "rich_text": {"elements"},
    "rich_text_section": {"elements"},
    "rich_text_quote": {"elements"},
    "rich_text_list": {"style", "elements"},
    "text": {"text", "style"},
    "link": {"url", "text"},
    "context": {"elements"},
    "plain_text": {"text", "emoji"},
    "actions": {"elements"},
    "button": {"text", "action_id", "value"},
}


def citation(number: int = 1, *, title: str = "Leave", uri: str = PERMALINK, quote: str = "Five days.") -> Citation:
    return Citation(
        number=number, chunk_id="c", document_id="d", external_id="e", source="s", title=title, uri=uri, quote=quote
    )


def nearest(title: str = "Leave", uri: str = PERMALINK) -> Nearest:
    return Nearest(document_id="d", source="s", title=title, uri=uri)


def shown(status: Status, text: str, *citations: Citation, near: tuple[Nearest, ...] = (), **words: str) -> Shown:
    answer_id = words.pop("answer_id", ID)
    return Shown(status=status, text=text, citations=citations, nearest=near, answer_id=answer_id, **words)


def walk(thing: object) -> Iterator[Json]:
    """Every object with a type, in the order in which it is read."""
    if isinstance(thing, dict):
        if "type" in thing:
            yield thing
        thing = list(thing.values())
    if isinstance(thing, list | tuple):
        for part in thing:
            yield from walk(part)


def texts(posting: Posting) -> list[str]:
    return [thing["text"] for thing in walk(posting.blocks) if thing["type"] in {"text", "link", "plain_text"}]


def links(posting: Posting) -> list[str]:
    return [thing["url"] for thing in walk(posting.blocks) if thing["type"] == "link"]


def actions(posting: Posting) -> dict[str, str]:
    return {thing["action_id"]: thing["value"] for thing in walk(posting.blocks) if thing["type"] == "button"}


def check(posting: Posting, uris: set[str]) -> None:
    """What holds for every posting, whatever went into it."""
    sent = json.dumps(list(posting.blocks), ensure_ascii=False)
    sent.encode()
    assert problems(list(posting.blocks)) == []
    assert len(sent) <= LONGEST_MESSAGE
    assert set(links(posting)) <= {uri for uri in uris if uri.startswith("https://")}
    for thing in walk(posting.blocks):
        assert set(thing) - {"type"} <= ALLOWED[thing["type"]]
        assert thing["type"] != "plain_text" or not set(thing["text"]) & set("<>")
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", sent + posting.text
    )
    assert 0 < len(posting.text) <= LONGEST_FALLBACK
    assert not re.search(r"[<>]|&(?!(?:amp|lt|gt);)|https?:|@(?:here|channel|everyone)\b", posting.text)


def test_a_worded_answer_stands_before_its_numbered_sources() -> None:
    posting = answer_posting(
        shown(
            "answered",
            "You may keep five days. [1] Ask your lead. [2]",
            citation(1, quote="Five unused days may be carried over."),
            citation(2, title="Approval", uri=PATH, quote="Every lead approves carry-over."),
            scope="From what you may read.",
        )
    )
    assert texts(posting) == [
        "You may keep five days. [1] Ask your lead. [2]",
        "[1] ",
        "Leave",
        "Five unused days may be carried over.",
        "[2] ",
        "Approval ",
        PATH,
        "Every lead approves carry-over.",
        "Worded by the model, checked against its sources · From what you may read",
        "Helpful",
        "Not helpful",
    ]
    assert links(posting) == [PERMALINK]
    assert posting.text == "You may keep five days. Ask your lead.\nSources: Leave; Approval"


def test_a_quote_that_was_not_worded_stands_once() -> None:
    one, two = citation(1, quote="Five days may be kept."), citation(2, quote="Leads approve it.")
    posting = answer_posting(shown("answered", "You may keep five days. [1] Leads approve it. [2]", one, two))
    assert sum("Leads approve it." in text for text in texts(posting)) == 1
    assert "Five days may be kept." in texts(posting)


def test_quotes_stand_before_their_sources_and_only_there() -> None:
    one, two = citation(1, quote="Five days."), citation(2, title="", uri=PATH, quote="Leads approve it.")
    posting = answer_posting(shown("quoted", "Five days. [1] Leads approve it. [2]", one, two))
    assert texts(posting)[:6] == ["Five days.", "[1] ", "Leave", "Leads approve it.", "[2] ", PATH]
    assert [part["type"] for part in posting.blocks[0]["elements"]] == ["rich_text_quote", "rich_text_section"]
    assert texts(posting)[6] == "Quoted from the sources"


def test_a_declined_answer_lists_the_nearest_in_place_of_its_prose() -> None:
    text = "I found no answer. Nearest to it: Leave; garage.md; Bikes. Please ask #office."
    near = (nearest(), nearest("", "garage.md"), nearest("Bikes", "wiki/bikes.md"))
    posting = answer_posting(shown("declined", text, near=near), can_share=True)
    assert texts(posting)[:7] == [
        "I found no answer.",
        "\n\nNearest to it:",
        "Leave",
        "garage.md",
        "Bikes ",
        "wiki/bikes.md",
        "Please ask #office.",
    ]
    assert list(actions(posting)) == ["helpful", "unhelpful"]
    assert "Nearest to it: Leave;" in posting.text


def test_a_declined_answer_without_anything_near_is_its_text() -> None:
    posting = answer_posting(shown("declined", "I found no answer."))
    assert texts(posting)[:2] == ["I found no answer.", "Nothing found"]


def test_buttons_name_the_answer_they_are_about() -> None:
    answer = shown("quoted", "Five days. [1]", citation())
    assert actions(answer_posting(answer)) == {"helpful": ID, "unhelpful": ID}
    assert actions(answer_posting(answer, can_share=True)) == {"helpful": ID, "unhelpful": ID, "share": ID}
    assert actions(answer_posting(answer, can_share=True, shared=True)) == {"helpful": ID, "unhelpful": ID}
    assert actions(answer_posting(shown("quoted", "Five days. [1]", citation(), answer_id=""))) == {}


def test_a_follow_up_says_how_it_was_understood() -> None:
    posting = answer_posting(shown("quoted", "Five days. [1]", citation(), understood="How many? <!here> And abroad?"))
    assert "Quoted from the sources · Understood as: How many? And abroad?" in texts(posting)


@pytest.mark.parametrize(
    ("asker", "name"), [("Ada", "Ada"), ("", "the person who asked"), ("U05LQ8R2PNK", "the person who asked")]
)
def test_a_shared_answer_begins_with_its_question_and_mentions_nobody(asker: str, name: str) -> None:
    answer = shown("quoted", "Five days. [1]", citation(), understood="How many?", scope="For all.", asker=asker)
    posting = answer_posting(answer, shared=True)
    assert texts(posting)[0] == "How many?"
    assert f"Shared by {name} · Quoted from the sources · For all" in texts(posting)
    assert posting.text == "How many?\nFive days.\nSources: Leave"


@pytest.mark.parametrize(
    "uri",
    [
        "http://a.example/x",
        "javascript:alert(1)",
        "https://",
        "https:///x",
        "https://user@a.example/",
        "https://a.example:443@evil.example/",
        "https://a.example?@evil.example/",
        "https://a.example\\@evil.example/",
        "https://a..example/",
        "https://a.example/x y",
        "https://a.example/x\n",
        "https://a.example/\u202ex",
        "https://ex\u00e4mple.example/",
        "https://a.example/x|label",
        "https://a.example/<x>",
        "https://a.example/" + "x" * 3000,
        "//a.example/x",
        "handbook/leave.md",
    ],
)
def test_what_is_no_permalink_is_shown_and_not_linked(uri: str) -> None:
    posting = answer_posting(shown("quoted", "Five days. [1]", citation(uri=uri)))
    assert links(posting) == []
    code = [thing for thing in walk(posting.blocks) if thing.get("style") == {"code": True}]
    assert len(code) == 1
    check(posting, set())


@pytest.mark.parametrize(
    "uri",
    [
        PERMALINK,
        "https://wiki/page",
        "https://a.example:8443/:w:/r/x_(y)?a=b&c=%20#d",
        "https://a.example/@team/x",
        "https://a.example",
    ],
)
def test_a_permalink_is_linked_as_it_is(uri: str) -> None:
    assert links(answer_posting(shown("quoted", "Five days. [1]", citation(uri=uri)))) == [uri]


def test_a_document_without_title_or_place_is_still_named() -> None:
    assert "Untitled" in texts(answer_posting(shown("quoted", "Five. [1]", citation(title=" ", uri=""))))
    assert PERMALINK in texts(answer_posting(shown("quoted", "Five. [1]", citation(title=""))))


def test_a_long_quote_ends_at_a_word_and_says_that_it_goes_on() -> None:
    quote = "Every employee may " + "really " * 400 + "never do so."
    posting = answer_posting(shown("quoted", f"{quote} [1]", citation(quote=quote)))
    assert texts(posting)[0].endswith("really…")
    assert len(texts(posting)[0]) <= 1500
    check(posting, {PERMALINK})


def test_many_long_quotes_all_stay_and_share_the_room() -> None:
    quotes = [citation(n, quote=f"Rule {n}: " + "long words " * 300) for n in range(1, MOST_CITATIONS + 1)]
    posting = answer_posting(shown("quoted", "", *quotes))
    assert sum(text.startswith("Rule ") for text in texts(posting)) == MOST_CITATIONS
    assert len(texts(posting)[0]) > 600
    check(posting, {PERMALINK})


def test_a_notification_cannot_mention_link_or_break_out() -> None:
    text = "Ask <@U1> & <!here> at https://evil.example/x or <https://evil.example|us>. @channel"
    posting = answer_posting(shown("answered", text))
    check(posting, set())
    assert "evil" not in posting.text.replace("evil. example", "")
    assert " &amp; " in posting.text


def test_a_long_notification_ends_at_a_word_however_it_is_escaped() -> None:
    posting = answer_posting(shown("answered", "a & b " * 2000))
    assert posting.text.endswith("…")
    assert LONGEST_FALLBACK - 20 < len(posting.text) <= LONGEST_FALLBACK
    assert set(unescape(posting.text[:-1]).split()) == {"a", "&", "b"}


NOTICES = [
    apology("#hr"),
    apology(""),
    refusal_posting("The question is too long.", "Ask it shorter."),
    refusal_posting("", ""),
    help_posting(),
    help_posting("/ask"),
    outsiders_posting(),
    thanks(1, "#hr"),
    thanks(-1, "#hr"),
    thanks(-1, ""),
    cannot_share("Not everybody here may read what it says."),
    looking(),
]


@pytest.mark.parametrize("posting", NOTICES, ids=lambda posting: posting.text[:40])
def test_every_notice_is_a_message_that_slack_takes(posting: Posting) -> None:
    check(posting, set())
    assert actions(posting) == {}
    assert "  " not in "".join(texts(posting))


def test_a_notice_names_whom_to_ask_where_that_is_known() -> None:
    assert texts(apology("#hr"))[0].endswith(" in a few minutes, or ask #hr.")
    assert texts(apology(""))[0].endswith(" in a few minutes.")
    assert texts(thanks(-1, "#hr"))[0].endswith("ask #hr.")
    assert "ask" not in texts(thanks(1, "#hr"))[0]


def test_help_names_the_command_only_where_there_is_one() -> None:
    assert "/ask" in texts(help_posting("/ask"))
    assert texts(help_posting("<!here>")) == texts(help_posting())


PIECES = [
    *(
        "<!here>",
        "<@U1>",
        "<https://evil.example|x>",
        "https://evil.example/x",
        "[x](https://evil.example)",
        "@channel",
    ),
    *("&lt;", "[1]", "`a`", ":tada:", "</s>", "~~", "*b*", '"', "\\", "\u6f22\u5b57", "\U0001f469\u200d\U0001f680"),
]
HOSTILE = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from([*PIECES, "\u202e", "\x00", "\ud800", "\u2028"]), max_size=30).map(" ".join),
    st.sampled_from([*PIECES, "a ", "&", "<", "\n"]).map(lambda unit: unit * (10_000 // len(unit))),
)
URIS = st.one_of(HOSTILE, st.sampled_from([PERMALINK, PATH, "https://a.example/" + "x" * 2900, ""]))
SOURCES = st.lists(st.tuples(HOSTILE, URIS, HOSTILE), max_size=MOST_CITATIONS + 2)
STATUSES: st.SearchStrategy[Status] = st.sampled_from(["answered", "quoted", "declined"])
DOORS: tuple[dict[str, bool], ...] = ({}, {"can_share": True}, {"shared": True})
QUOTES = '"' * 9000
FULL = [(QUOTES, "https://a.example/" + "x" * 180, QUOTES)] * (MOST_CITATIONS + 2)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(STATUSES, HOSTILE, SOURCES, HOSTILE, st.sampled_from(DOORS))
@example("quoted", QUOTES, FULL, QUOTES, DOORS[1])
@example("answered", QUOTES, FULL, QUOTES, DOORS[2])
@example("declined", QUOTES, FULL, QUOTES, DOORS[2])
def test_whatever_goes_into_an_answer_slack_takes_it_and_obeys_none_of_it(
    status: Status, text: str, sources: list[tuple[str, str, str]], words: str, door: dict[str, bool]
) -> None:
    cited = tuple(citation(n, title=title, uri=uri, quote=quote) for n, (title, uri, quote) in enumerate(sources, 1))
    near = tuple(nearest(title, uri) for title, uri, _ in sources)
    posting = answer_posting(shown(status, text, *cited, near=near, understood=words, scope=words, asker=words), **door)
    check(posting, {uri for _, uri, _ in sources})
    assert len(links(posting)) <= max(MOST_CITATIONS, MOST_NEAREST)


@given(HOSTILE, HOSTILE)
def test_whatever_goes_into_a_notice_slack_takes_it_and_obeys_none_of_it(one: str, other: str) -> None:
    for posting in (apology(one), refusal_posting(one, other), help_posting(one), thanks(-1, one), cannot_share(one)):
        check(posting, set())


def test_the_page_for_a_person_to_look_at_holds_the_message_and_no_markup_of_its_text() -> None:
    answer = shown("quoted", "", citation(quote="<script>alert(1)</script>", title="A & B"), citation(2, uri=PATH))
    posting = answer_posting(answer)
    html = page({"text": posting.text, "blocks": list(posting.blocks)})
    assert "<script" not in html
    assert f"<a href='{PERMALINK}'>A &amp; B</a>" in html
    assert f"<code>{PATH}</code>" in html
    assert "class='wrong'" not in html
    assert "class='wrong'" in page([{"type": "section", "text": {"type": "mrkdwn", "text": "*x*"}}])
