"""The mock Slack server holds to what Slack documents, as slack_sdk's own client sees it."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from tests.support.slack_client import QUIET, client_of, error_of
from tests.support.slack_server import SlackServer
from tests.support.slack_workspace import Json, Message

REPLY = {"event_type": "reply_sent", "event_payload": {"key": "k1"}}


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def web(slack: SlackServer) -> WebClient:
    return client_of(slack)


@pytest.fixture
def ana(slack: SlackServer) -> str:
    return slack.add_user(name="ana", real_name="Ana Sol")


@pytest.fixture
def channel(slack: SlackServer, ana: str) -> str:
    return slack.add_channel(name="general", members=[ana])


def test_auth_test_names_the_bot_and_the_header_names_its_scopes(slack: SlackServer, web: WebClient) -> None:
    answer = web.auth_test()
    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == (slack.team, slack.bot_user, slack.bot)
    assert set(answer.headers["x-oauth-scopes"].split(",")) == slack.scopes


@pytest.mark.parametrize(("token", "word"), [("xoxb-other", "invalid_auth"), ("xapp", "not_allowed_token_type")])
def test_a_wrong_token_is_refused_by_a_word(slack: SlackServer, token: str, word: str) -> None:
    web = client_of(slack, slack.app_token if token == "xapp" else token)  # noqa: S105 -- which kind, not which
    assert error_of(web.auth_test) == word


def test_a_call_without_a_token_is_not_authed(slack: SlackServer) -> None:
    assert error_of(WebClient(base_url=slack.api_url, retry_handlers=[], logger=QUIET).auth_test) == "not_authed"


def test_a_revoked_token_is_refused_everywhere(slack: SlackServer, web: WebClient, channel: str) -> None:
    slack.token_error = "token_revoked"  # noqa: S105 -- Slack's word
    assert error_of(lambda: web.chat_postMessage(channel=channel, text="x")) == "token_revoked"


def test_an_unknown_method_is_refused(web: WebClient) -> None:
    assert error_of(lambda: web.api_call("chat.shout")) == "unknown_method"


def test_a_missing_scope_is_named(slack: SlackServer, web: WebClient) -> None:
    slack.scopes -= {"users:read"}
    with pytest.raises(SlackApiError) as caught:
        web.users_list()
    assert (caught.value.response["error"], caught.value.response["needed"]) == ("missing_scope", "users:read")


def test_a_posted_message_is_told_back_with_its_ts_and_stands_in_the_channel(
    slack: SlackServer, web: WebClient, channel: str
) -> None:
    answer = web.chat_postMessage(channel=channel, text="Good morning", unfurl_links=False)
    [message] = slack.posted(channel)
    assert (answer["ts"], answer["channel"], answer["message"]["bot_id"]) == (message.ts, channel, slack.bot)
    assert slack.calls_of("chat.postMessage")[0].arguments["unfurl_links"] is False


def test_timestamps_only_grow_even_when_the_clock_stands() -> None:
    slack = SlackServer(clock=lambda: 1_700_000_000.0)
    with slack:
        stamps = [slack.next_ts() for _ in range(50)]
    assert stamps == sorted(set(stamps), key=float)
    assert stamps[0] == "1700000000.000000"


def test_a_reply_makes_its_parent_a_thread(slack: SlackServer, web: WebClient, ana: str, channel: str) -> None:
    parent = slack.say(channel, ana, "Who knows?")
    web.chat_postMessage(channel=channel, text="I do", thread_ts=parent)
    thread = web.conversations_replies(channel=channel, ts=parent)["messages"]
    assert [(message["text"], message["thread_ts"]) for message in thread] == [("Who knows?", parent), ("I do", parent)]


def test_metadata_comes_back_only_when_it_is_asked_for(web: WebClient, channel: str) -> None:
    ts = web.chat_postMessage(channel=channel, text="x", metadata=REPLY)["ts"]
    [bare] = web.conversations_replies(channel=channel, ts=ts)["messages"]
    [whole] = web.conversations_replies(channel=channel, ts=ts, include_all_metadata=True)["messages"]
    assert "metadata" not in bare
    assert whole["metadata"] == REPLY


def test_forms_and_json_bodies_mean_the_same_to_the_methods_that_write(web: WebClient, channel: str) -> None:
    json_body = web.api_call("chat.postMessage", json={"channel": channel, "text": "x", "metadata": REPLY})
    form = web.api_call(
        "chat.postMessage",
        params={"channel": channel, "text": "x", "metadata": '{"event_type": "a", "event_payload": {}}'},
    )
    assert json_body["message"]["text"] == form["message"]["text"]
    assert form["message"]["metadata"]["event_type"] == "a"


def test_methods_that_read_take_forms_only(web: WebClient, channel: str) -> None:
    assert error_of(lambda: web.api_call("conversations.info", json={"channel": channel})) == "invalid_arguments"


def test_posting_is_refused_with_the_documented_words(slack: SlackServer, web: WebClient, channel: str) -> None:
    outside, closed = slack.add_channel(bot=False), slack.add_channel()
    secret = slack.add_channel(kind="private", bot=False)
    slack.archive(closed)

    def post(where: str, text: str = "x", blocks: list[Json] | None = None) -> str:
        return error_of(
            lambda: web.api_call("chat.postMessage", json={"channel": where, "text": text, "blocks": blocks})
        )

    assert post(outside) == "not_in_channel"
    assert post(closed) == "is_archived"
    assert post("C0NOBODY") == post(secret) == "channel_not_found"
    assert post(channel, text="") == "no_text"
    assert post(channel, text="x" * 40_001) == "msg_too_long"
    assert post(channel, blocks=[{"type": "section"}]) == "invalid_blocks"
    assert slack.posted(channel) == []


def test_a_post_to_a_user_goes_to_the_direct_conversation(slack: SlackServer, web: WebClient, ana: str) -> None:
    assert web.chat_postMessage(channel=ana, text="x")["channel"] == slack.direct(ana)


def test_an_ephemeral_message_is_seen_by_one_member_and_kept_by_nobody(
    slack: SlackServer, web: WebClient, ana: str, channel: str
) -> None:
    ts = web.chat_postEphemeral(channel=channel, user=ana, text="psst")["message_ts"]
    assert [message.ts for message in slack.shown_to(channel, ana)] == [ts]
    assert slack.posted(channel) == []
    assert web.conversations_history(channel=channel)["messages"] == []
    stranger = slack.add_user()
    refused = error_of(lambda: web.chat_postEphemeral(channel=channel, user=stranger, text="psst"))
    assert refused == "user_not_in_channel"


def test_only_its_own_messages_can_be_changed_and_deleted(
    slack: SlackServer, web: WebClient, ana: str, channel: str
) -> None:
    own, other = web.chat_postMessage(channel=channel, text="a")["ts"], slack.say(channel, ana, "b")
    assert web.chat_update(channel=channel, ts=own, text="c")["text"] == "c"
    assert error_of(lambda: web.chat_update(channel=channel, ts=other, text="c")) == "cant_update_message"
    assert error_of(lambda: web.chat_delete(channel=channel, ts=other)) == "cant_delete_message"
    web.chat_delete(channel=channel, ts=own)
    assert error_of(lambda: web.chat_delete(channel=channel, ts=own)) == "message_not_found"
    assert [message.ts for message in slack.posted(channel)] == [other]


def test_a_conversation_says_its_kind_and_whether_other_companies_are_in_it(slack: SlackServer, web: WebClient) -> None:
    shared = slack.add_channel(shared_with=["T0OTHER"])
    private, group = slack.add_channel(kind="private"), slack.add_channel(kind="mpim")
    direct = slack.direct(slack.add_user())

    def info(channel: str) -> Any:  # noqa: ANN401 -- slack_sdk's own shape
        return web.conversations_info(channel=channel)["channel"]

    assert (info(shared)["is_ext_shared"], info(shared)["shared_team_ids"]) == (True, [slack.team, "T0OTHER"])
    assert (info(private)["is_private"], info(private)["is_ext_shared"]) == (True, False)
    assert info(group)["is_mpim"] is True
    assert info(direct)["is_im"] is True


def test_a_private_conversation_without_the_bot_does_not_exist_for_it(slack: SlackServer, web: WebClient) -> None:
    secret = slack.add_channel(kind="private", bot=False)
    assert error_of(lambda: web.conversations_info(channel=secret)) == "channel_not_found"
    assert error_of(lambda: web.conversations_members(channel=secret)) == "channel_not_found"


def test_history_is_told_to_members_only_newest_first_without_replies(
    slack: SlackServer, web: WebClient, ana: str, channel: str
) -> None:
    first = slack.say(channel, ana, "first")
    slack.say(channel, ana, "reply", first)
    slack.say(channel, ana, "second")
    assert [one["text"] for one in web.conversations_history(channel=channel)["messages"]] == ["second", "first"]
    outside = slack.add_channel(bot=False)
    assert error_of(lambda: web.conversations_history(channel=outside)) == "not_in_channel"


def test_a_thread_that_does_not_exist_is_not_found(web: WebClient, channel: str) -> None:
    assert error_of(lambda: web.conversations_replies(channel=channel, ts="1.000001")) == "thread_not_found"


def test_a_thread_read_from_a_moment_on_still_begins_with_its_parent(
    slack: SlackServer, web: WebClient, ana: str, channel: str
) -> None:
    parent, earlier, later = (slack.say(channel, ana, text) for text in "abc")
    for reply in (earlier, later):
        slack.conversations[channel].find(reply).thread_ts = parent  # type: ignore[union-attr]
    thread = web.conversations_replies(channel=channel, ts=parent, oldest=earlier)["messages"]
    assert [message["ts"] for message in thread] == [parent, later]


def test_members_come_in_pages_that_slack_sdk_walks(slack: SlackServer, web: WebClient) -> None:
    people = [slack.add_user() for _ in range(7)]
    channel = slack.add_channel(members=people)
    pages = [page["members"] for page in web.conversations_members(channel=channel, limit=3)]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert list(chain.from_iterable(pages)) == [*people, slack.bot_user]


def test_slack_may_give_fewer_than_were_asked_for(slack: SlackServer, web: WebClient) -> None:
    slack.page_limit = 2
    for _ in range(3):
        slack.add_user()
    pages = [page["members"] for page in web.users_list(limit=200)]
    assert [len(page) for page in pages] == [2, 2, 1]


def test_replies_come_in_pages(slack: SlackServer, web: WebClient, ana: str, channel: str) -> None:
    parent = slack.say(channel, ana, "0")
    for number in range(1, 5):
        slack.say(channel, ana, str(number), parent)
    pages = list(web.conversations_replies(channel=channel, ts=parent, limit=2))
    assert len(pages) == 3
    assert len(list(web.conversations_replies(channel=channel, ts=parent, limit=5))) == 1
    assert web.conversations_replies(channel=channel, ts=parent, limit=2)["has_more"] is True


@pytest.mark.parametrize(
    ("argument", "word"), [({"cursor": "?"}, "invalid_cursor"), ({"limit": 2000}, "invalid_limit")]
)
def test_a_bad_cursor_or_limit_is_refused(web: WebClient, argument: dict[str, Any], word: str) -> None:
    assert error_of(lambda: web.users_list(**argument)) == word


def test_a_deactivated_user_is_listed_without_roles_and_people_of_other_teams_are_not_listed(
    slack: SlackServer, web: WebClient
) -> None:
    gone = slack.add_user(deleted=True)
    guest = slack.add_user(is_restricted=True)
    stranger = slack.add_user(team_id="T0OTHER", is_stranger=True)
    people = {user["id"]: user for user in web.users_list()["members"]}
    assert (people[gone]["deleted"], "is_restricted" in people[gone]) == (True, False)
    assert people[guest]["is_restricted"] is True
    assert stranger not in people
    shape = web.users_info(user=stranger)["user"]
    assert (shape["team_id"], shape["is_stranger"]) == ("T0OTHER", True)
    assert error_of(lambda: web.users_info(user="U0NOBODY")) == "user_not_found"


def test_slackbot_is_listed_and_is_no_bot(web: WebClient) -> None:
    [slackbot] = [user for user in web.users_list()["members"] if user["id"] == "USLACKBOT"]
    assert slackbot["is_bot"] is False


def test_a_users_conversations_that_are_not_public_are_told_only_where_the_bot_is_too(
    slack: SlackServer, web: WebClient, ana: str
) -> None:
    public = slack.add_channel(members=[ana], bot=False)
    seen = slack.add_channel(kind="private", members=[ana])
    slack.add_channel(kind="private", members=[ana], bot=False)
    slack.add_channel(kind="private")

    def theirs(types: str) -> set[str]:
        return {channel["id"] for channel in web.users_conversations(user=ana, types=types)["channels"]}

    assert theirs("private_channel,mpim") == {seen}
    assert theirs("public_channel,private_channel") == {public, seen}
    assert error_of(lambda: web.users_conversations(user=ana, types="secret")) == "invalid_types"


def test_listed_are_public_conversations_and_the_others_that_the_bot_is_in(slack: SlackServer, web: WebClient) -> None:
    open_, closed = slack.add_channel(bot=False), slack.add_channel()
    slack.archive(closed)
    seen = slack.add_channel(kind="private")
    slack.add_channel(kind="private", bot=False)
    direct = slack.direct(slack.add_user())

    def listed(**asked: Any) -> dict[str, Any]:  # noqa: ANN401 -- slack_sdk's own
        pages = web.conversations_list(limit=1, **asked)
        return {channel["id"]: channel for page in pages for channel in page["channels"]}

    assert set(listed()) == {open_, closed}
    assert set(listed(exclude_archived=True)) == {open_}
    assert set(listed(types="private_channel,im")) == {seen, direct}
    assert [channel["is_member"] for channel in listed().values()] == [False, True]
    slack.scopes -= {"groups:read"}
    assert error_of(lambda: web.conversations_list(types="public_channel,private_channel")) == "missing_scope"


def test_the_first_message_of_a_thread_says_how_many_replies_there_are_and_which_is_the_last(
    slack: SlackServer, web: WebClient, ana: str, channel: str
) -> None:
    parent, loose = slack.say(channel, ana, "Who knows?"), slack.say(channel, ana, "Hello")
    last = [slack.say(channel, ana, text, parent) for text in ("I", "do")][-1]
    told = {message["ts"]: message for message in web.conversations_history(channel=channel)["messages"]}
    assert (told[parent]["reply_count"], told[parent]["latest_reply"], told[parent]["reply_users"]) == (2, last, [ana])
    assert "reply_count" not in told[loose]


def test_a_reply_that_is_sent_to_the_channel_too_stands_there(
    slack: SlackServer, web: WebClient, ana: str, channel: str
) -> None:
    parent = slack.say(channel, ana, "Who knows?")
    reply = Message(ts=slack.next_ts(), text="All", user=ana, thread_ts=parent, subtype="thread_broadcast")
    slack.add_message(channel, reply)
    told = [message["ts"] for message in web.conversations_history(channel=channel)["messages"]]
    assert told == [reply.ts, parent]


def test_joining_and_leaving_hold_at_the_next_call(slack: SlackServer, web: WebClient, ana: str) -> None:
    channel = slack.add_channel(kind="private")
    slack.join(channel, ana)
    assert ana in web.conversations_members(channel=channel)["members"]
    slack.leave(channel, ana)
    assert ana not in web.conversations_members(channel=channel)["members"]


def test_opening_a_direct_conversation_needs_the_scope_to_write_there(slack: SlackServer, web: WebClient) -> None:
    user = slack.add_user()
    assert error_of(lambda: web.conversations_open(users=user)) == "missing_scope"
    slack.scopes |= {"im:write"}
    assert web.conversations_open(users=user)["channel"]["id"] == slack.direct(user)


def test_a_reaction_needs_its_message(slack: SlackServer, web: WebClient, ana: str, channel: str) -> None:
    slack.scopes |= {"reactions:write"}
    ts = slack.say(channel, ana, "x")
    assert web.reactions_add(channel=channel, timestamp=ts, name="eyes")["ok"] is True
    assert error_of(lambda: web.reactions_add(channel=channel, timestamp="1.0", name="eyes")) == "message_not_found"


def test_a_response_url_shows_replaces_and_deletes_what_its_user_sees(
    slack: SlackServer, ana: str, channel: str
) -> None:
    url = slack.response_url(channel, ana)
    hook = WebhookClient(url, logger=QUIET)
    slack.show(url, {"text": "Looking"})
    assert hook.send(text="Found", replace_original=True).status_code == 200
    assert [message.text for message in slack.shown_to(channel, ana)] == ["Found"]
    hook.send(text="For all", response_type="in_channel")
    assert [message.text for message in slack.posted(channel)] == ["For all"]
    hook.send_dict({"delete_original": True})
    assert slack.posted(channel) == []


def test_a_response_url_takes_five_posts_within_thirty_minutes(ana_now: tuple[SlackServer, list[float]]) -> None:
    slack, now = ana_now
    channel = slack.add_channel(members=["U1"])
    url, late = slack.response_url(channel, "U1"), slack.response_url(channel, "U1")
    hook = WebhookClient(url, logger=QUIET)
    assert [hook.send(text="x").status_code for _ in range(6)] == [200] * 5 + [404]
    now[0] += 1801
    refused = WebhookClient(late, logger=QUIET).send(text="x")
    assert (refused.status_code, "expired_url" in refused.body) == (404, True)


@pytest.fixture
def ana_now() -> Iterator[tuple[SlackServer, list[float]]]:
    now = [1_700_000_000.0]
    with SlackServer(clock=lambda: now[0]) as server:
        server.add_user("U1", "ana")
        yield server, now
