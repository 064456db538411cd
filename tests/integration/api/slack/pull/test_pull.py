"""A live workspace becomes a folder that reads like Slack's own export of it, and stays up to date."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.slack.errors import SlackAccessError, SlackLimitedError, SlackUnreachableError
from api.slack.pull import Order, Pull, Seen
from api.slack.pull_messages import ts_of
from ingest.options import SourceOptions
from tests.support.slack_pulled import (
    ADA,
    BEN,
    DAY,
    START,
    Clock,
    Impatient,
    calls,
    documents_in,
    export_of,
    files_in,
    messages_in,
    pull,
    rights_in,
    texts_in,
)
from tests.support.slack_server import SlackServer
from tests.support.slack_workspace import Message

pytestmark = pytest.mark.no_database
HISTORY, REPLIES = "conversations.history", "conversations.replies"


def test_a_pulled_folder_gives_the_documents_and_rights_of_an_export(
    slack: SlackServer, folder: Path, tmp_path: Path
) -> None:
    slack.page_limit = 2
    slack.add_message(
        "C0GENERAL",
        Message(
            ts=slack.next_ts(),
            text="Done",
            user=BEN,
            more={"reactions": [{"name": "tada", "count": 2, "users": [ADA, BEN]}]},
        ),
    )
    report = pull(slack, folder)
    export = export_of(slack, tmp_path / "export")
    assert documents_in(folder) == documents_in(export)
    assert rights_in(folder) == rights_in(export)
    assert len(documents_in(folder)) >= 8
    assert (report["messages"], report["left_out"]) == (19, [])


def test_every_message_keeps_its_time_its_user_and_its_text(slack: SlackServer, folder: Path) -> None:
    slack.page_limit = 2
    pull(slack, folder)
    found = {(name, row["ts"], row["user"], row["text"]) for name, rows in messages_in(folder).items() for row in rows}
    assert found == {
        (one.name, message.ts, message.user, message.text)
        for one in slack.conversations.values()
        for message in one.messages
    }
    assert (folder / "general" / "2023-11-14.json").is_file()


def test_what_is_malformed_is_counted_and_kept_out(slack: SlackServer, folder: Path) -> None:
    good = slack.conversations["G0BOARD"].messages[0].wire()
    rows: list[Any] = [
        good,
        "text",
        None,
        {"ts": 1700000000.5, "text": "x"},
        {"ts": "1700000000.000100", "text": 5},
        {},
    ]
    slack.fail(HISTORY, 200, body=json.dumps({"ok": True, "messages": rows}))
    slack.users[BEN].is_restricted = "perhaps"  # type: ignore[assignment]  # Slack never says so
    report = pull(slack, folder)
    assert report["malformed"] == {"messages": 5, "conversations": 0, "people": 1}
    assert texts_in(folder, "board") == [good["text"], "By form 0."]
    assert len(texts_in(folder, "general")) == 9
    assert BEN not in (folder / "users.json").read_text()


def test_a_conversation_that_does_not_say_who_may_see_it_is_left_out(slack: SlackServer, folder: Path) -> None:
    rows = [one.wire(team=slack.team, bot=slack.bot_user) for one in slack.conversations.values()]
    del rows[1]["is_private"]
    slack.fail("conversations.list", 200, times=2, body=json.dumps({"ok": True, "channels": [*rows, 5]}))
    report = pull(slack, folder)
    assert report["malformed"]["conversations"] == 2
    assert set(messages_in(folder)) == {"general"}


def test_limits_are_waited_for_and_what_fails_in_passing_is_tried_again(slack: SlackServer, folder: Path) -> None:
    slack.limit(HISTORY, 7, times=2)
    slack.limit("users.list", None)
    slack.drop_answer(REPLIES, times=2)
    slack.fail("conversations.list", 503)
    web = Impatient(slack)
    report = pull(slack, folder, web=web)
    assert report["messages"] == 18
    assert sorted(web.waited)[-3:] == [7, 7, 30]
    assert len(web.waited) == 6


@pytest.mark.parametrize(("seconds", "waits"), [(100_00, 0), (60, 29)])
def test_a_limit_that_does_not_end_is_an_error_and_nothing_is_lost(
    slack: SlackServer, folder: Path, seconds: int, waits: int
) -> None:
    slack.limit("users.list", seconds, times=None)
    web = Impatient(slack)
    with pytest.raises(SlackLimitedError):
        pull(slack, folder, web=web)
    assert len(web.waited) == waits
    assert not folder.exists()
    slack.mend()
    calls(slack)
    report = pull(slack, folder)
    assert report["conversations"]["already_read"] == 2
    assert HISTORY not in calls(slack)
    assert report["messages"] == 18


def test_a_list_that_never_ends_is_no_answer_of_slack(slack: SlackServer, folder: Path) -> None:
    endless = {"ok": True, "messages": [], "response_metadata": {"next_cursor": "again"}}
    slack.fail(HISTORY, 200, times=None, body=json.dumps(endless))
    with pytest.raises(SlackUnreachableError, match="does not answer as Slack does"):
        pull(slack, folder)
    assert len(slack.calls_of(HISTORY)) == 2


def test_a_second_pull_asks_only_for_what_is_new(slack: SlackServer, folder: Path, clock: Clock) -> None:
    pull(slack, folder, overlap_days=0)
    first = calls(slack)
    clock.now += 2 * DAY
    slack.say("C0GENERAL", ADA, "News")
    pull(slack, folder, overlap_days=0)
    second = calls(slack)
    assert (first[HISTORY], first[REPLIES]) == (2, 6)
    assert (second[HISTORY], REPLIES in second) == (2, False)
    assert texts_in(folder, "general")[-1] == "News"
    assert len(texts_in(folder, "general")) == 10


def test_a_late_reply_makes_its_thread_be_read_again_and_no_other(
    slack: SlackServer, folder: Path, clock: Clock
) -> None:
    pull(slack, folder)
    clock.now += 5 * DAY
    pull(slack, folder)
    calls(slack)
    slack.say("C0GENERAL", BEN, "The form has moved.", slack.conversations["C0GENERAL"].messages[0].ts)
    before = files_in(folder)
    pull(slack, folder)
    messages = slack.conversations["C0GENERAL"].messages
    asked = {call.arguments["ts"] for call in slack.calls_of(REPLIES) if call.arguments["channel"] == "C0GENERAL"}
    assert asked == {messages[0].ts, messages[6].ts}  # and the one of the last day
    assert texts_in(folder, "general")[-1] == "The form has moved."
    changed = {name for name, content in files_in(folder).items() if before.get(name) != content}
    assert changed == {"general/2023-11-14.json", "general/2023-11-21.json", "general/.pull.json"}


def test_edits_and_deletions_of_the_last_days_are_seen(
    slack: SlackServer, folder: Path, tmp_path: Path, clock: Clock
) -> None:
    pull(slack, folder)
    clock.now += 3600
    messages = slack.conversations["C0GENERAL"].messages
    messages[2].text, messages[2].edited_ts = "Lunch is at two.", slack.next_ts()
    messages[7].text, messages[7].edited_ts = "By another form.", slack.next_ts()  # a reply of the last day
    slack.delete_message("C0GENERAL", messages[5].ts)
    slack.delete_message("C0GENERAL", messages[1].ts)  # the only reply of a thread
    report = pull(slack, folder)
    assert sorted(texts_in(folder, "general")) == sorted(message.text for message in messages)
    assert report["messages"] == 16
    assert documents_in(folder) == documents_in(export_of(slack, tmp_path / "export"))


def test_a_reply_that_is_sent_to_the_channel_too_is_there_once(
    slack: SlackServer, folder: Path, clock: Clock, tmp_path: Path
) -> None:
    pull(slack, folder, overlap_days=0)
    clock.now += 40 * DAY
    parent = slack.conversations["C0GENERAL"].messages[0].ts
    slack.say("C0GENERAL", ADA, "Later")
    slack.add_message(
        "C0GENERAL",
        Message(ts=slack.next_ts(), text="For all", user=BEN, thread_ts=parent, subtype="thread_broadcast"),
    )
    pull(slack, folder, overlap_days=0)
    assert texts_in(folder, "general")[-2:] == ["Later", "For all"]
    pull(slack, folder)
    assert documents_in(folder) == documents_in(export_of(slack, tmp_path / "export"))


def test_what_a_pull_may_not_read_is_named_and_what_it_had_read_is_kept(slack: SlackServer, folder: Path) -> None:
    slack.add_channel("C0OTHER", "other", members=[ADA], bot=False)
    slack.add_channel("C0SHUT", "shut", members=[ADA])
    pull(slack, folder)
    slack.leave("C0GENERAL", slack.bot_user)
    slack.fail(HISTORY, "method_not_supported_for_channel_type")
    report = pull(slack, folder, chosen=SourceOptions(exclude=("board",)))
    found = {one["name"]: (one["reason"], one["kept"]) for one in report["left_out"]}
    assert found == {
        "general": ("not_in_channel", True),
        "other": ("not_in_channel", False),
        "shut": ("method_not_supported_for_channel_type", True),
    }
    assert len(texts_in(folder, "general")) == 9
    slack.join("C0GENERAL", slack.bot_user)
    slack.say("C0GENERAL", ADA, "Again")
    pull(slack, folder)
    assert len(texts_in(folder, "general")) == 10


def test_what_was_only_kept_by_a_pull_that_was_stopped_is_read_as_soon_as_it_may_be(
    slack: SlackServer, folder: Path
) -> None:
    pull(slack, folder)
    slack.leave("C0GENERAL", slack.bot_user)
    slack.limit("users.list", 10_000)
    with pytest.raises(SlackLimitedError):
        pull(slack, folder)
    slack.join("C0GENERAL", slack.bot_user)
    slack.say("C0GENERAL", ADA, "Again")
    assert pull(slack, folder)["conversations"] == {"read": 1, "already_read": 1, "kept": 0, "left_out": 0}
    assert texts_in(folder, "general")[-1] == "Again"


def test_missing_scopes_are_named_and_those_without_which_nothing_can_be_told_are_errors(
    slack: SlackServer, folder: Path
) -> None:
    pull(slack, folder)
    slack.scopes -= {"groups:read", "channels:history"}
    report = pull(slack, folder)
    assert [(one["name"], one["needed"], one["kept"]) for one in report["left_out"]] == [
        ("private", "groups:read", False),
        ("general", "channels:history", True),
    ]
    assert set(messages_in(folder)) == {"general"}
    slack.scopes -= {"users:read"}
    with pytest.raises(SlackAccessError, match="users:read"):
        pull(slack, folder)
    assert set(messages_in(folder)) == {"general"}


def test_a_conversation_that_is_private_by_the_end_is_not_listed_as_public(
    slack: SlackServer, folder: Path, tmp_path: Path
) -> None:
    def turn(seen: Seen) -> None:
        if seen.messages:
            slack.conversations["C0GENERAL"].kind = "private"

    Pull(Impatient(slack), Order(folder=folder), turn).run()
    assert json.loads((folder / "channels.json").read_bytes()) == []
    assert {document.audience for document in documents_in(folder)} == {
        (f"{slack.team}/C0GENERAL",),
        (f"{slack.team}/G0BOARD",),
    }
    assert rights_in(folder) == rights_in(export_of(slack, tmp_path / "export"))


def test_a_private_channel_that_the_bot_has_left_is_gone(slack: SlackServer, folder: Path) -> None:
    pull(slack, folder)
    slack.leave("G0BOARD", slack.bot_user)
    pull(slack, folder)
    assert set(messages_in(folder)) == {"general"}
    assert "board" not in (folder / "groups.json").read_text()


def test_direct_and_group_messages_are_read_only_when_asked_for(slack: SlackServer, folder: Path) -> None:
    direct = slack.direct(ADA)
    group = slack.add_channel("C0GROUP", "mpdm-ada--ben-1", kind="mpim", members=[ADA, BEN])
    for channel in (direct, group):
        slack.say(channel, ADA, "Between us")
    pull(slack, folder)
    assert set(messages_in(folder)) == {"general", "board"}
    assert not (folder / "dms.json").exists()
    pull(slack, folder, chosen=SourceOptions(direct_messages=True))
    assert set(messages_in(folder)) == {"general", "board", direct, "mpdm-ada--ben-1"}
    [row] = json.loads((folder / "dms.json").read_bytes())
    assert row["members"] == [ADA, slack.bot_user]
    pull(slack, folder)
    assert set(messages_in(folder)) == {"general", "board"}


def test_only_chosen_channels_are_read_and_what_is_no_longer_chosen_goes(slack: SlackServer, folder: Path) -> None:
    pull(slack, folder, chosen=SourceOptions(include=("gen*", "G0BOARD")))
    assert set(messages_in(folder)) == {"general", "board"}
    calls(slack)
    pull(slack, folder, chosen=SourceOptions(exclude=("board",)))
    assert set(messages_in(folder)) == {"general"}
    assert {call.arguments["channel"] for call in slack.calls_of(HISTORY)} == {"C0GENERAL"}


def test_what_was_begun_before_a_day_is_not_read_until_it_is_asked_for(slack: SlackServer, folder: Path) -> None:
    second_day = ts_of(int(START + DAY) * 1_000_000)
    assert pull(slack, folder, since=second_day)["messages"] == 12
    assert pull(slack, folder, since=second_day)["messages"] == 12
    assert pull(slack, folder)["messages"] == 18
