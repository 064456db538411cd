"""Slack's Web API as the bot uses it, against Slack's mock on loopback."""

import json
from collections.abc import Iterator

import pytest

from api.slack.errors import SlackRefusedError, SlackUnreachableError
from api.slack.shapes import Conversation, Person, Places
from api.slack.web import SlackWeb
from api.slack.words import Identity
from tests.support.slack_server import SlackServer
from tests.support.slack_web import web_of
from tests.support.slack_workspace import Message

pytestmark = pytest.mark.no_database

SECTION = {"type": "section", "text": {"type": "plain_text", "text": "Bring the form."}}


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def web(slack: SlackServer) -> SlackWeb:
    return web_of(slack)


def test_the_token_says_who_the_bot_is_and_what_it_may_do(slack: SlackServer, web: SlackWeb) -> None:
    assert web.identity() == Identity(team=slack.team, user=slack.bot_user, bot=slack.bot, url=slack.url)
    slack.scopes = frozenset({"chat:write", "users:read"})
    assert web.scopes() == {"chat:write", "users:read"}


def test_a_post_stands_in_its_thread_marked_and_without_unfurling_or_naming_anybody(
    slack: SlackServer, web: SlackWeb
) -> None:
    channel = slack.add_channel(members=[slack.add_user()])
    question = slack.say(channel, slack.bot_user, "How?")
    ts = web.post(channel, "Bring the form.", [SECTION], thread=question, key="k1")
    posted = slack.posted(channel)[-1]
    assert (posted.ts, posted.thread_ts, posted.blocks) == (ts, question, [SECTION])
    assert posted.metadata == {"event_type": "threadwise_reply", "event_payload": {"key": "k1"}}
    sent = slack.calls_of("chat.postMessage")[-1].arguments
    flags = ("unfurl_links", "unfurl_media", "parse", "link_names")
    assert [sent[flag] for flag in flags] == [False, False, "none", False]


def test_a_post_without_a_thread_or_blocks_stands_in_the_channel_itself(slack: SlackServer, web: SlackWeb) -> None:
    channel = slack.add_channel()
    web.post(channel, "Bring the form.", (), thread="", key="k1")
    assert slack.posted(channel)[-1].thread_ts == ""
    assert not {"blocks", "thread_ts"} & set(slack.calls_of("chat.postMessage")[-1].arguments)


@pytest.mark.parametrize("in_thread", [True, False])
def test_what_was_posted_is_found_by_its_key_on_whatever_page(slack: SlackServer, *, in_thread: bool) -> None:
    web = web_of(slack, page_size=3)
    channel = slack.add_channel()
    thread = slack.say(channel, slack.bot_user, "How?") if in_thread else ""
    stamps = {f"k{number}": web.post(channel, "So.", (), thread=thread, key=f"k{number}") for number in range(8)}
    for key, ts in stamps.items():
        assert web.find_posted(channel, thread, key, bot=slack.bot) == ts
    assert web.find_posted(channel, thread, "k9", bot=slack.bot) is None


def test_the_key_in_the_message_of_somebody_else_proves_nothing(slack: SlackServer, web: SlackWeb) -> None:
    channel = slack.add_channel()
    thread = slack.say(channel, slack.bot_user, "How?")
    metadata = {"event_type": "threadwise_reply", "event_payload": {"key": "k1"}}
    for bot_id, mark in (
        ("B0SOMEOTHER", metadata),
        (slack.bot, metadata | {"event_type": "another"}),
        (slack.bot, metadata | {"event_payload": ["k1"]}),
        (slack.bot, {}),
    ):
        message = Message(ts=slack.next_ts(), text="So.", bot_id=bot_id, thread_ts=thread, metadata=mark)
        slack.add_message(channel, message)
    assert web.find_posted(channel, thread, "k1", bot=slack.bot) is None


def test_nothing_is_found_in_a_thread_that_was_deleted(slack: SlackServer, web: SlackWeb) -> None:
    assert web.find_posted(slack.add_channel(), "1700000000.000100", "k1", bot=slack.bot) is None
    with pytest.raises(SlackRefusedError, match="channel_not_found"):
        web.find_posted("C0NOWHERE", "1700000000.000100", "k1", bot=slack.bot)


@pytest.mark.parametrize(
    ("kind", "meant"), [("public", "public"), ("private", "private"), ("im", "direct"), ("mpim", "group")]
)
def test_a_conversation_says_what_it_is(slack: SlackServer, web: SlackWeb, kind: str, meant: str) -> None:
    channel = slack.add_channel(name="travel", kind=kind, members=[slack.add_user()])  # type: ignore[arg-type]
    named = {"name": "", "team": ""} if kind == "im" else {"name": "travel", "team": slack.team}
    assert web.conversation(channel) == Conversation(id=channel, kind=meant, is_shared_outside=False, **named)  # type: ignore[arg-type]


def test_a_conversation_says_that_another_company_is_in_it(slack: SlackServer, web: SlackWeb) -> None:
    assert web.conversation(slack.add_channel(shared_with=["T0OTHER"])).is_shared_outside


@pytest.mark.parametrize(
    "change",
    [{"is_shared": True}, {"is_org_shared": True}, {"is_ext_shared": True}, {"is_pending_ext_shared": True}],
)
def test_each_way_of_sharing_counts(slack: SlackServer, web: SlackWeb, change: dict[str, bool]) -> None:
    shape = {"id": "C1", "is_im": False, "is_mpim": False, "is_private": False, "is_ext_shared": False}
    slack.fail("conversations.info", 200, body=json.dumps({"ok": True, "channel": shape | change}))
    assert web.conversation("C1").is_shared_outside


@pytest.mark.parametrize(
    ("traits", "standing"),
    [
        ({}, "member"),
        ({"is_restricted": True}, "guest"),
        ({"is_restricted": True, "is_ultra_restricted": True}, "guest"),
        ({"is_stranger": True}, "outsider"),
        ({"deleted": True}, "gone"),
        ({"is_bot": True}, "machine"),
    ],
)
def test_a_person_has_a_standing(slack: SlackServer, web: SlackWeb, traits: dict[str, bool], standing: str) -> None:
    user = slack.add_user(**traits)  # type: ignore[arg-type]
    assert web.person(user) == Person(id=user, team=slack.team, standing=standing)  # type: ignore[arg-type]
    assert web.people()[user] == web.person(user)


def test_slackbot_is_a_machine_although_slack_does_not_call_it_one(web: SlackWeb) -> None:
    assert web.person("USLACKBOT").standing == "machine"


def test_lists_are_read_to_their_end(slack: SlackServer) -> None:
    web = web_of(slack, page_size=3)
    users = {slack.add_user() for _ in range(10)}
    channel = slack.add_channel(members=users)
    user = min(users)
    theirs = {slack.add_channel(kind="private", members=[user]) for _ in range(7)}
    groups = {slack.add_channel(kind="mpim", members=[user]) for _ in range(2)}
    other = slack.add_channel(kind="private")
    assert web.members(channel) == users | {slack.bot_user}
    assert set(web.people()) == users | {slack.bot_user, "USLACKBOT"}
    assert web.conversations_of(user) == Places(private=frozenset(theirs | groups), public=frozenset({channel}))
    assert web.conversations_of(None) == Places(
        private=frozenset(theirs | groups | {other}), public=frozenset({channel})
    )
    assert all(call.arguments["limit"] == "3" for call in slack.calls_of("users.list"))
    assert len(slack.calls_of("users.list")) == 4


def test_a_list_that_goes_in_circles_is_no_list(slack: SlackServer, web: SlackWeb) -> None:
    page = json.dumps({"ok": True, "members": ["U1"], "response_metadata": {"next_cursor": "again"}})
    slack.fail("conversations.members", 200, body=page, times=None)
    with pytest.raises(SlackUnreachableError):
        web.members("C1")
    assert len(slack.calls_of("conversations.members")) == 2


def test_a_list_without_end_is_no_list(slack: SlackServer, web: SlackWeb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.slack.web.MOST_PAGES", 3)
    slack.page_limit = 1
    assert len(web.members(slack.add_channel(members=[slack.add_user(), slack.add_user()]))) == 3
    with pytest.raises(SlackUnreachableError):
        web.members(slack.add_channel(members=[slack.add_user() for _ in range(3)]))


def test_a_channel_itself_is_searched_from_a_moment_on(slack: SlackServer, web: SlackWeb) -> None:
    channel = slack.add_channel()
    ts = web.post(channel, "So.", (), thread="", key="k1")
    assert web.find_posted(channel, "", "k1", bot=slack.bot, since=float(ts) - 60) == ts
    assert web.find_posted(channel, "", "k1", bot=slack.bot, since=float(ts) + 60) is None


def test_one_person_that_cannot_be_read_does_not_hide_the_others(slack: SlackServer, web: SlackWeb) -> None:
    known = {"id": "U1", "team_id": "T1", "deleted": False, "is_bot": False}
    full = known | {"is_restricted": False, "is_ultra_restricted": False}
    strange = [known | {"id": "U2"}, full | {"id": "U3", "is_restricted": "no"}, full | {"id": None}]
    slack.fail("users.list", 200, body=json.dumps({"ok": True, "members": [full, *strange]}))
    assert set(web.people()) == {"U1"}
    slack.fail("users.info", 200, body=json.dumps({"ok": True, "user": strange[0]}))
    with pytest.raises(SlackUnreachableError):
        web.person("U2")
