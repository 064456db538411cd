"""What Slack says becomes deliveries in the bot's words, each kept before Slack hears that it arrived."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.slack.words import Matter, Question, Rating, Share
from core.errors import DatabaseUnavailableError, LostClaimError
from tests.support.slack_door import ANSWER, IDENTITY, LOOKING, OURS, URL, House
from tests.support.slack_events import Envelope
from tests.support.slack_workspace import Workspace

SAID = "the-words-of-somebody"


@pytest.fixture
def house() -> House:
    return House()


def test_a_mention_is_a_question_in_its_channel(house: House) -> None:
    envelope = house.mention()
    assert house.hears(envelope) == Question(
        team=OURS,
        user=house.ada,
        channel=house.channel,
        where="channel",
        text="<@U0THREADBOT> how long is leave?",
        ts=envelope.event["ts"],
    )
    assert house.kept[0].id == envelope.payload["event_id"]
    assert house.kept[0].message == f"{house.channel}/{envelope.event['ts']}"


def test_a_direct_message_is_a_question_to_the_bot_alone(house: House) -> None:
    envelope = house.direct()
    question = house.hears_question(envelope)
    assert (question.where, question.text, question.user) == ("direct", "how long is leave?", house.ada)
    assert house.kept[0].message == f"{envelope.event['channel']}/{envelope.event['ts']}"


def test_a_question_in_a_thread_names_the_thread(house: House) -> None:
    assert house.hears_question(house.mention(thread_ts="1700000000.000100")).thread == "1700000000.000100"


def test_a_mention_in_a_direct_message_is_heard_once(house: House) -> None:
    direct = house.direct()
    mention = Envelope("events_api", house.mention().payload | {"event": direct.event | {"type": "app_mention"}})
    assert house.hears(mention) is None
    assert house.hears(direct) is not None


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast"])
def test_a_question_with_a_file_or_shown_in_its_channel_too_is_a_question(house: House, subtype: str) -> None:
    assert house.hears(house.direct(subtype=subtype)) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B0OTHER"},
        {"bot_profile": {"id": "B0OTHER"}},
        {"subtype": "bot_message"},
        {"subtype": "message_changed", "hidden": True},
        {"subtype": "channel_join"},
        {"subtype": "something_new"},
        {"hidden": True},
        {"user": ""},
        {"user": None},
        {"user": Workspace.bot_user},
    ],
    ids=str,
)
def test_what_no_person_wrote_just_now_is_left_alone(house: House, changes: dict[str, Any]) -> None:
    assert house.hears(house.direct(**changes)) is None
    assert house.hears(house.mention(**changes)) is None


@pytest.mark.parametrize("known", [True, False], ids=["who we are is known", "Slack has not said yet who we are"])
def test_our_own_replies_are_no_questions(house: House, *, known: bool) -> None:
    house.identity = IDENTITY if known else None
    direct = house.workspace.direct(house.ada)
    assert house.hears(house.says.bot_message(direct, "an answer")) is None
    assert house.hears(house.direct()) is not None


def test_messages_of_channels_and_groups_are_left_alone(house: House) -> None:
    for kind in ("public", "private", "mpim"):
        channel = house.workspace.add_channel(kind=kind, members=[house.ada])
        assert house.hears(house.says.message(channel, house.ada, "good morning")) is None


def test_a_deleted_message_withdraws_its_question(house: House) -> None:
    asked = house.direct()
    house.hears(asked)
    channel, ts = asked.event["channel"], asked.event["ts"]
    assert house.hears(house.says.message_deleted(channel, ts)) is None
    assert house.withdrawn == [house.kept[0].message]


def test_who_comes_and_goes_changes_conversations(house: House) -> None:
    bob = house.workspace.add_user("U0BOB")
    house.hears(house.says.member_joined_channel(house.channel, bob))
    house.hears(house.says.member_left_channel(house.channel, bob))
    house.hears(house.says.member_joined_channel(house.channel, house.workspace.bot_user))
    house.hears(house.says.wrap({"type": "channel_rename", "channel": {"id": house.channel, "name": "new"}}))
    assert house.changed == ["conversations"] * 4
    assert not house.kept


def test_who_is_new_or_different_changes_people(house: House) -> None:
    house.hears(house.says.user_change(house.ada))
    house.hears(house.says.team_join(house.ada))
    assert house.changed == ["people"] * 2


def test_the_end_of_access_is_logged_by_its_code_alone(house: House) -> None:
    with capture_logs() as lines:
        for envelope in (house.says.tokens_revoked(), house.says.app_uninstalled()):
            assert house.hears(envelope) is None
    assert [(line["event"], line["code"]) for line in lines] == [
        ("slack_access_ended", "tokens_revoked"),
        ("slack_access_ended", "app_uninstalled"),
    ]


def test_what_nobody_listens_to_is_acknowledged(house: House) -> None:
    others = [
        house.says.app_home_opened(house.ada),
        house.says.wrap({"type": "reaction_added", "user": house.ada}),
        house.says.app_rate_limited(),
        Envelope("interactive", {"type": "view_submission", "view": {"id": "V1"}, "user": {"id": house.ada}}),
        Envelope("interactive", {"type": "shortcut", "callback_id": "x", "user": {"id": house.ada}}),
        Envelope("slash_commands", {"ssl_check": "1"}),
    ]
    assert [house.hears(envelope) for envelope in others] == [None] * len(others)
    assert not house.changed
    assert not house.withdrawn


def test_slack_sees_that_the_address_is_ours(house: House) -> None:
    status, headers, body = house.post(
        house.says.url_verification("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    )
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/json")
    assert json.loads(body) == {"challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}


def test_a_command_is_a_question_and_its_asker_sees_at_once_that_it_was_heard(house: House) -> None:
    envelope = house.command()
    status, headers, body = house.post(envelope)
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/json")
    assert json.loads(body) == LOOKING
    [delivery] = house.kept
    assert delivery.id == "command:" + envelope.payload["trigger_id"]
    assert delivery.message == ""
    assert delivery.matter == Question(
        team=OURS, user=house.ada, channel=house.channel, where="command", text="how long is leave?", response_url=URL
    )


@pytest.mark.parametrize(
    "text", ["", "what is the payload limit?", '{"a": 1}', "payload=1&user_id=U0EVE", "ssl_check=1"]
)
def test_the_words_of_a_command_are_words_and_nothing_else(house: House, text: str) -> None:
    question = house.hears_question(house.command(text))
    assert (question.text, question.user) == (text, house.ada)


def test_any_name_of_the_command_is_heard(house: House) -> None:
    assert house.hears(house.command(command="/frag-mal")) is not None


@pytest.mark.parametrize(
    ("action", "matter"),
    [
        ("helpful", Rating(team=OURS, user="U0ADA", channel="C0GENERAL", answer_id=ANSWER, value=1, response_url=URL)),
        (
            "unhelpful",
            Rating(team=OURS, user="U0ADA", channel="C0GENERAL", answer_id=ANSWER, value=-1, response_url=URL),
        ),
        ("share", Share(team=OURS, user="U0ADA", channel="C0GENERAL", answer_id=ANSWER, response_url=URL)),
    ],
)
def test_a_click_says_what_its_button_means(house: House, action: str, matter: Matter) -> None:
    assert house.hears(house.click(action)) == matter


def test_the_same_click_has_the_same_id_and_another_click_another(house: House) -> None:
    first = house.click()
    [action] = first.payload["actions"]
    others = [
        house.click(),
        Envelope("interactive", first.payload | {"actions": [action | {"action_ts": "1700000000.000001"}]}),
        Envelope("interactive", first.payload | {"actions": [action | {"action_id": "unhelpful"}]}),
        Envelope("interactive", first.payload | {"user": {"id": "U0BOB", "team_id": OURS}}),
    ]
    for envelope in (first, first, *others):
        house.hears(envelope)
    ids = [delivery.id for delivery in house.kept]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 1 + len(others)
    assert all(len(one) < 60 for one in ids)


def test_a_click_on_a_message_that_only_its_reader_sees_is_heard(house: House) -> None:
    envelope = house.click("share")
    del envelope.payload["message"]
    assert isinstance(house.hears(envelope), Share)


@pytest.mark.parametrize("value", ["", "x", ANSWER[:-1], ANSWER.upper(), ANSWER + "0", ANSWER + "\n", "é" * 32])
def test_a_button_that_names_no_answer_means_nothing(house: House, value: str) -> None:
    assert house.hears(house.click(value=value)) is None


def test_a_button_of_another_name_means_nothing(house: House) -> None:
    assert house.hears(house.click("helpful_too")) is None


def test_what_cannot_be_kept_now_is_sent_again(house: House) -> None:
    house.failure = DatabaseUnavailableError(SAID)
    with capture_logs() as lines:
        for envelope in (house.mention(), house.direct(), house.command(), house.click()):
            status, headers, body = house.post(envelope)
            assert status == 503
            assert "x-slack-no-retry" not in headers
            assert body == b""
    assert {(line["event"], line["code"]) for line in lines} == {("slack_not_taken", "database_unavailable")}


@pytest.mark.parametrize("failure", [LostClaimError(SAID), RuntimeError(SAID), OSError(SAID)])
def test_what_failed_for_any_other_reason_is_not_acknowledged_either(house: House, failure: Exception) -> None:
    house.failure = failure
    assert house.post(house.direct())[0] == 500


def test_nothing_of_what_was_said_is_logged(
    house: House, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        for failure in (None, RuntimeError(SAID), DatabaseUnavailableError(SAID)):
            house.failure = failure
            house.post(house.direct(text=SAID), **{"x-slack-retry-num": "1"})
            house.post(house.command(SAID))
            house.post(house.direct(channel=SAID, text=SAID))
            house.post(house.says.wrap({"type": SAID}))
            house.post(Envelope("interactive", {"type": SAID, "user": {"id": SAID}}))
    house.door.app.logger.error(SAID)
    assert lines
    assert SAID not in json.dumps(lines) + caplog.text + "".join(capfd.readouterr())


def test_that_slack_sends_again_is_seen(house: House) -> None:
    with capture_logs() as lines:
        house.post(house.mention(), **{"x-slack-retry-num": "2", "x-slack-retry-reason": "http_timeout"})
        house.post(house.mention(), **{"x-slack-retry-num": SAID})
    assert lines == [{"event": "slack_sends_again", "number": 2, "log_level": "info"}]
    assert len(house.kept) == 2


def test_variables_of_the_environment_that_the_library_reads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BOT_TOKEN", "SIGNING_SECRET", "CLIENT_ID", "CLIENT_SECRET", "VERIFICATION_TOKEN", "APP_TOKEN"):
        monkeypatch.setenv(f"SLACK_{name}", "x")
    house = House()
    assert house.hears(house.direct()) is not None
    assert house.hears(house.command()) is not None


def test_many_threads_lose_and_mix_nothing(house: House) -> None:
    envelopes = [make() for _ in range(50) for make in (house.direct, house.mention, house.command, house.click)]
    start = threading.Barrier(8)

    def deliver(part: int) -> list[int]:
        start.wait()
        return [house.post(envelope)[0] for envelope in envelopes[part::8]]

    with ThreadPoolExecutor(8) as pool:
        assert {status for statuses in pool.map(deliver, range(8)) for status in statuses} == {200}
    assert len({delivery.id for delivery in house.kept}) == len(envelopes)
