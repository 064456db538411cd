"""The mock Slack server goes wrong as it is told to, and limits rates as Slack documents it."""

from collections.abc import Iterator
from threading import Thread
from urllib.error import URLError

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from tests.support.slack_client import QUIET, client_of, error_of
from tests.support.slack_faults import RateLimits
from tests.support.slack_server import SlackServer


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def web(slack: SlackServer) -> WebClient:
    return client_of(slack)


@pytest.fixture
def channel(slack: SlackServer) -> str:
    return slack.add_channel(name="general")


def test_a_scripted_failure_happens_as_often_as_planned_and_has_no_effect(
    slack: SlackServer, web: WebClient, channel: str
) -> None:
    slack.fail("chat.postMessage", "fatal_error", times=2)
    words = [error_of(lambda: web.chat_postMessage(channel=channel, text="x")) for _ in range(2)]
    assert words == ["fatal_error"] * 2
    assert slack.posted(channel) == []
    web.chat_postMessage(channel=channel, text="x")
    assert len(slack.calls_of("chat.postMessage")) == 3


def test_a_broken_slack_answers_with_a_page(slack: SlackServer, web: WebClient) -> None:
    slack.fail("auth.test", 503)
    with pytest.raises(SlackApiError) as caught:
        web.auth_test()
    assert caught.value.response.status_code == 503


def test_a_rate_limit_is_429_with_the_seconds_to_wait(slack: SlackServer, web: WebClient) -> None:
    slack.limit("auth.test", retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        web.auth_test()
    response = caught.value.response
    assert (response.status_code, response["error"], response.headers["Retry-After"]) == (429, "ratelimited", "7")


def test_a_rate_limit_may_come_without_the_seconds(slack: SlackServer, web: WebClient) -> None:
    slack.limit("auth.test", retry_after=None)
    with pytest.raises(SlackApiError) as caught:
        web.auth_test()
    assert "retry-after" not in {name.lower() for name in caught.value.response.headers}


def test_slack_sdks_own_retry_waits_the_rate_limit_out(slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("slack_sdk.http_retry.builtin_handlers.time.sleep", waited.append)
    slack.limit("auth.test", retry_after=2)
    web = WebClient(slack.bot_token, slack.api_url, retry_handlers=[RateLimitErrorRetryHandler()], logger=QUIET)
    assert web.auth_test()["ok"] is True
    assert len(slack.calls) == 2
    assert 2 <= waited[0] < 3


def test_an_answer_that_is_dropped_leaves_its_effect(slack: SlackServer, web: WebClient, channel: str) -> None:
    slack.drop_answer("chat.postMessage")
    with pytest.raises(OSError, match="closed connection without response"):
        web.chat_postMessage(channel=channel, text="x")
    assert [message.text for message in slack.posted(channel)] == ["x"]


def test_a_call_that_is_dropped_before_leaves_nothing(slack: SlackServer, web: WebClient, channel: str) -> None:
    slack.drop_before("*")
    with pytest.raises(OSError, match="closed connection without response"):
        web.chat_postMessage(channel=channel, text="x")
    assert slack.posted(channel) == []


def test_a_held_call_has_its_effect_when_it_is_released(slack: SlackServer, web: WebClient, channel: str) -> None:
    hold = slack.hold("chat.postMessage")
    caller = Thread(target=lambda: web.chat_postMessage(channel=channel, text="x"))
    caller.start()
    hold.wait_until_reached()
    assert slack.posted(channel) == []
    hold.release()
    assert [message.text for message in slack.wait_for_posts(channel)] == ["x"]
    caller.join()


def test_a_slow_answer_runs_into_the_callers_timeout(slack: SlackServer, channel: str) -> None:
    hold = slack.hold("chat.postMessage", after_effect=True)
    with pytest.raises((TimeoutError, URLError)):
        client_of(slack, timeout=0.05).chat_postMessage(channel=channel, text="x")  # type: ignore[arg-type]
    assert len(slack.posted(channel)) == 1
    hold.release()


def test_mending_lets_everything_go(slack: SlackServer, web: WebClient) -> None:
    slack.fail("*", 500, times=None)
    slack.mend()
    assert web.auth_test()["ok"] is True


def test_the_documented_limit_is_one_message_a_second_and_channel() -> None:
    now = [1_700_000_000.0]
    with SlackServer(clock=lambda: now[0], limits=RateLimits(lambda: now[0], burst=2)) as slack:
        one, other, web = slack.add_channel(), slack.add_channel(), client_of(slack)
        for channel in (one, one, other):
            web.chat_postMessage(channel=channel, text="x")
        assert error_of(lambda: web.chat_postMessage(channel=one, text="x")) == "ratelimited"
        now[0] += 1
        assert web.chat_postMessage(channel=one, text="x")["ok"] is True
        now[0] += 3600
        for _ in range(2):  # an hour of silence earns no more than the burst
            web.chat_postMessage(channel=one, text="x")
        assert error_of(lambda: web.chat_postMessage(channel=one, text="x")) == "ratelimited"


def test_a_method_has_the_limit_of_its_tier() -> None:
    now = [1_700_000_000.0]
    with SlackServer(limits=RateLimits(lambda: now[0], burst=1)) as slack:
        web = client_of(slack)
        web.users_list()
        with pytest.raises(SlackApiError) as caught:
            web.users_list()
        assert caught.value.response.headers["Retry-After"] == "3"  # tier 2: twenty a minute


def test_sixteen_callers_at_once_get_sixteen_messages(slack: SlackServer, channel: str) -> None:
    callers = [Thread(target=lambda: client_of(slack).chat_postMessage(channel=channel, text="x")) for _ in range(16)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len({message.ts for message in slack.posted(channel)}) == 16


def test_an_error_of_the_mock_itself_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    slack = SlackServer()
    monkeypatch.setattr(slack, "_call", lambda *_: 1 / 0)
    without_answer = pytest.raises(OSError, match="closed connection without response")
    with pytest.raises(ZeroDivisionError), slack, without_answer:
        client_of(slack).auth_test()
