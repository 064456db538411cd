"""What stands below a message: quoted messages, previews of links, apps, files and their texts."""

from collections.abc import Iterator

import pytest

from core.settings import IngestSettings
from core.words import Block
from ingest.conversations import Message
from ingest.formats.parsed import ParserUnavailableError
from ingest.sources.slack_directory import directory_of
from ingest.sources.slack_html import Html, html_in, sandbox_of, unread
from ingest.sources.slack_messages import read_message
from ingest.sources.slack_records import ATTACHED

DIRECTORY = directory_of(
    {"users.json": [{"id": "U1", "team_id": "T1", "profile": {"display_name": "Ada"}}], "channels.json": []}, name="s"
)


@pytest.fixture(scope="module")
def html() -> Iterator[Html]:
    with sandbox_of(IngestSettings()) as sandbox:
        yield html_in(sandbox)


def lines_of(html: Html = unread, /, **fields: object) -> list[str]:
    found = read_message({"ts": "1700000000.000100", "user": "U1", "text": ""} | fields, DIRECTORY, html=html)
    return found.text.split("\n") if isinstance(found, Message) else [found.reason]


def test_a_quoted_message_names_who_said_it_on_every_line() -> None:
    quoted = {"is_msg_unfurl": True, "author_name": "Ben", "text": "The fee is *50*.\nAda: it is 60.", "footer": "x"}
    assert lines_of(text="Look:", attachments=[quoted]) == [
        "Look:",
        "[quoting Ben] The fee is 50.",
        "[quoting Ben] Ada: it is 60.",
    ]


def test_a_shared_message_without_text_speaks_through_its_blocks() -> None:
    text = {"type": "rich_text_section", "elements": [{"type": "text", "text": "From blocks"}]}
    message = {"message": {"blocks": [{"type": "rich_text", "elements": [text]}]}}
    assert lines_of(attachments=[{"is_share": True, "author_name": "Ben", "message_blocks": [message]}]) == [
        "[quoting Ben] From blocks"
    ]


def test_the_preview_of_a_link_is_said_once_and_never_repeats_the_message() -> None:
    preview = {
        "from_url": "https://a.example", "title": "The guide", "text": "How to book a&amp;nbsp;train to the coast",
        "author_name": "Somebody", "service_name": "Example", "footer": "f", "fallback": "g",
    }  # fmt: skip
    assert lines_of(text="https://a.example", attachments=[preview, preview]) == [
        "https://a.example",
        "The guide",
        "How to book a train to the coast",
    ]
    repeated = preview | {"text": "https://a.example says how to book"}
    said = lines_of(text="x https://a.example says how to book", attachments=[repeated])
    assert said == ["x https://a.example says how to book", "The guide"]


def test_the_preview_of_a_long_page_is_cut() -> None:
    (line,) = lines_of(attachments=[{"from_url": "https://a.example", "text": "word " * 5000}])
    assert len(line) <= 700


def test_what_an_app_attaches_is_text_and_fields_and_the_fallback_only_without_them() -> None:
    alert = {
        "pretext": "New alert", "author_name": "Monitor", "title": "Disk", "text": "full", "footer": "f",
        "fields": [{"title": "Host", "value": "db1"}, {"value": "alone"}, "junk"], "fallback": "short",
    }  # fmt: skip
    assert lines_of(attachments=[alert]) == ["New alert", "Monitor", "Disk", "full", "Host: db1", "alone"]
    assert lines_of(attachments=[{"fallback": "short", "footer": "f"}]) == ["short"]
    assert lines_of(attachments=[{"footer": "f"}]) == ["f"]


def test_a_file_keeps_its_title_and_the_text_that_the_export_has_of_it() -> None:
    snippet = {"mode": "snippet", "title": "run.c", "preview": "#include <x.h>\nint main;"}
    assert lines_of(text="see", files=[snippet]) == ["see", "[file: run.c]", "#include <x.h>", "int main;"]
    mail = {"mode": "email", "title": "Leave", "plain_text": "I am away.", "preview": "<p>no</p>"}
    assert lines_of(files=[mail]) == ["[file: Leave]", "I am away."]


def test_a_post_is_read_with_its_headings_and_without_what_it_hides(html: Html) -> None:
    written = "<document><h1>Plan</h1><ul><li>one</li></ul><p style='font-size:0'>x</p><h2>End</h2></document>"
    post = {"mode": "space", "title": "Notes", "preview": written}
    assert lines_of(html, files=[post]) == ["[file: Notes]", "Plan", "- one", "End"]


def test_of_a_post_that_nobody_can_read_the_title_stands(html: Html) -> None:
    post = {"mode": "space", "title": "Notes", "preview": "<div>" * 1_000}
    assert lines_of(html, text="see", files=[post]) == ["see", "[file: Notes]"]


def test_a_text_without_tags_keeps_its_lines() -> None:
    with sandbox_of(IngestSettings()) as sandbox:
        assert [block.text for block in html_in(sandbox)("a &lt;b\nc\n\n\0d")] == ["a <b\nc", "d"]
        assert sandbox.pid is None


def test_that_no_process_can_be_started_says_nothing_about_a_message() -> None:
    def away(source: bytes | str) -> tuple[Block, ...]:
        raise ParserUnavailableError(f"{len(source)} bytes stay unread.")

    with pytest.raises(ParserUnavailableError):
        lines_of(away, files=[{"mode": "space", "title": "Notes", "preview": "<p>x"}])


def test_what_is_said_in_a_recording_is_text() -> None:
    clip = {"title": "Standup", "transcription": {"status": "complete", "preview": {"content": "The fee\nis 60."}}}
    assert lines_of(files=[clip]) == ["[file: Standup]", "[transcript] The fee is 60."]


def test_what_was_said_when_a_file_was_shared_is_kept_once() -> None:
    old = {"title": "Plan", "initial_comment": {"comment": "Please read it before Monday", "user": "U1"}}
    assert lines_of(subtype="file_share", text="uploaded", file=old) == [
        "uploaded",
        "[file: Plan]",
        "Please read it before Monday",
    ]
    assert lines_of(text="Plan: Please read it before Monday", file=old) == ["Plan: Please read it before Monday"]


@pytest.mark.parametrize("key", ["file_access", "access"])
def test_of_a_file_that_slack_keeps_back_only_the_title_is_read(key: str) -> None:
    closed = {"title": "Salaries", "preview": "secret", key: "check_file_info"}
    assert lines_of(files=[closed]) == ["[file: Salaries]"]


@pytest.mark.parametrize("mode", ["tombstone", "hidden_by_limit"])
def test_a_file_that_is_gone_leaves_nothing(mode: str) -> None:
    assert lines_of(files=[{"mode": mode, "title": "Gone", "preview": "x"}]) == ["empty"]


def test_a_long_text_of_a_file_is_cut() -> None:
    assert len("\n".join(lines_of(files=[{"title": "a", "plain_text": "word " * 10_000}]))) < 8_100


def test_a_file_that_somebody_mentions_is_text() -> None:
    assert lines_of(subtype="file_mention", text="see my file <https://x.example|Plan>", file={"title": "Plan"}) == [
        "see my file Plan (https://x.example)"
    ]


def test_a_table_has_a_line_for_each_row() -> None:
    cell = {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "b"}]}],
    }
    table = {"type": "table", "rows": [[{"type": "raw_text", "text": "a\n1"}, cell], ["junk"], None]}
    assert lines_of(text="Figures", blocks=[table]) == ["Figures", "a 1 | b"]


def test_lists_quotes_and_code_of_rich_text_look_as_they_do_in_mrkdwn() -> None:
    def text(said: str, **style: object) -> dict[str, object]:
        return {"type": "text", "text": said, "style": style}

    parts = [
        {"type": "rich_text_quote", "elements": [text("one\ntwo")]},
        {"type": "rich_text_preformatted", "elements": [text("x ~~1~~")]},
        {"type": "rich_text_list", "style": "ordered", "elements": [
            {"type": "rich_text_section", "elements": [text("first "), text("gone", strike=True)]},
            {"type": "rich_text_section", "elements": [text("ls *", code=True)]},
        ]},
        {"type": "rich_text_section", "elements": [{"type": "date", "timestamp": 1392734382}]},
    ]  # fmt: skip
    assert lines_of(blocks=[{"type": "rich_text", "elements": parts}]) == [
        "> one", "> two", "```x ~~1~~```", "1. first", "2. `ls *`", "2014-02-18 14:39 UTC"
    ]  # fmt: skip


def test_two_sections_are_two_lines_and_buttons_say_nothing() -> None:
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "one"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "two"}},
        {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Yes"}}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "by *us*"}, {"type": "image", "alt_text": "logo"}]},
        {"type": "image", "title": {"type": "plain_text", "text": "Map"}, "alt_text": "a map"},
    ]
    assert lines_of(blocks=blocks) == ["one", "two", "by us logo", "Map", "a map"]


def test_more_attachments_than_slack_allows_cost_nothing() -> None:
    many = [{"text": f"line {index}"} for index in range(ATTACHED * 3)]
    assert len(lines_of(attachments=many)) == ATTACHED


def test_a_block_whose_kind_is_no_text_costs_nothing_but_its_kind() -> None:
    block = {"type": ["section"], "text": {"type": "mrkdwn", "text": "Doors open at nine."}}
    assert "Doors open at nine." in "\n".join(lines_of(blocks=[block]))
