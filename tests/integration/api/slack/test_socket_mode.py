"""Socket Mode over a real connection: the same door, nothing acknowledged that is not kept, and always back again."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from api.slack import socket_mode
from api.slack.socket_mode import SocketMode
from api.slack.words import Delivery, Rating
from core.errors import DatabaseUnavailableError
from core.settings import SlackSettings
from tests.support.slack_door import LOOKING, House
from tests.support.slack_server import SlackServer

pytestmark = pytest.mark.no_database
SAID = "what-somebody-said"
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def house() -> House:
    return House()


def mode_of(slack: SlackServer, house: House) -> SocketMode:
    settings = SlackSettings(app_token=SecretStr(slack.app_token), api_url=slack.api_url, timeout_seconds=2)
    return SocketMode(house.door, settings, ping_seconds=0.1)


@pytest.fixture
def mode(slack: SlackServer, house: House) -> Iterator[SocketMode]:
    opened = mode_of(slack, house)
    opened.start()
    slack.socket.wait_for_connections()
    yield opened
    end(opened, slack)


def end(mode: SocketMode, slack: SlackServer) -> None:
    """Stop it; that Slack leaves too spares the client the seconds in which it listens once more."""
    mode.stop()
    slack.socket.cut()
    mode.stop(wait=10)


def asked_more_than(slack: SlackServer, times: int) -> bool:
    """How often it asked Slack for an address to connect to."""
    return len(slack.calls_of("apps.connections.open")) > times


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("mode")
def test_a_question_is_kept_before_it_is_acknowledged(slack: SlackServer, house: House) -> None:
    acked_first = list[bool]()

    def keep(delivery: Delivery) -> bool:
        acked_first.append(bool(slack.socket.acks))
        return house.accept(delivery)

    house.door._accept = keep
    envelope = slack.socket.send(house.mention())
    assert slack.socket.wait_for_ack(envelope).payload == {}
    assert len(house.kept) == 1
    assert acked_first == [False]


@pytest.mark.usefixtures("mode")
def test_the_asker_of_a_command_sees_at_once_that_it_was_heard(slack: SlackServer, house: House) -> None:
    ack = slack.socket.wait_for_ack(slack.socket.send(house.command("what is the payload limit?")))
    assert ack.payload == LOOKING


@pytest.mark.usefixtures("mode")
def test_a_click_is_heard(slack: SlackServer, house: House) -> None:
    slack.socket.wait_for_ack(slack.socket.send(house.click("unhelpful")))
    assert isinstance(house.kept[0].matter, Rating)


@pytest.mark.usefixtures("mode")
def test_what_cannot_be_kept_is_not_acknowledged_until_it_is(slack: SlackServer, house: House) -> None:
    failed = threading.Event()

    def fail(_: object) -> bool:
        failed.set()
        raise DatabaseUnavailableError(SAID)

    house.door._accept = fail
    envelope = slack.socket.send(house.mention())
    assert failed.wait(10)
    kept = slack.socket.send(house.says.app_home_opened(house.ada))
    slack.socket.wait_for_ack(kept)
    assert slack.socket.unacked == [envelope]
    house.door._accept = house.accept
    slack.socket.resend()
    slack.socket.wait_for_ack(envelope)
    assert len(house.kept) == 1


@pytest.mark.usefixtures("mode")
def test_what_cannot_be_read_is_acknowledged(slack: SlackServer, house: House) -> None:
    slack.socket.wait_for_ack(slack.socket.send(house.mention(user=["U"])))
    assert not house.kept


def test_it_comes_back_when_slack_ends_the_connection(slack: SlackServer, house: House, mode: SocketMode) -> None:
    for number, leave in enumerate((slack.socket.cut, slack.socket.disconnect), 1):
        leave()
        until(partial(asked_more_than, slack, number))
        until(lambda: mode.connected)
        slack.socket.wait_for_ack(slack.socket.send(house.mention()))
    assert len(house.kept) == 2


def test_it_keeps_trying_while_slack_cannot_be_reached(
    slack: SlackServer, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_mode, "FIRST_PAUSE", 0.05)
    slack.fail("apps.connections.open", 503, times=2)
    mode = mode_of(slack, house)
    envelope = slack.socket.send(house.mention())
    with capture_logs() as lines:
        mode.start()
        assert not mode.connected
        slack.socket.wait_for_ack(envelope)
        until(lambda: mode.connected)
    end(mode, slack)
    assert [line["event"] for line in lines].count("slack_socket_not_open") == 2


def test_it_comes_back_after_slack_was_away(slack: SlackServer, house: House, mode: SocketMode) -> None:
    slack.fail("apps.connections.open", 503, times=3)
    with capture_logs():
        slack.socket.cut()
        until(lambda: not mode.connected)
        slack.socket.wait_for_ack(slack.socket.send(house.mention()))
    assert mode.connected


def test_stopping_waits_for_nobody_and_leaves_nothing(slack: SlackServer, house: House) -> None:
    before = threading.active_count()
    mode = mode_of(slack, house)
    mode.start()
    slack.socket.wait_for_connections()
    started = time.perf_counter()
    mode.stop()
    assert time.perf_counter() - started < 0.2
    end(mode, slack)
    assert not mode.connected
    until(lambda: slack.socket.connections == 0)
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("slack-socket")])
    until(lambda: threading.active_count() <= before + 2)  # the mock's own threads


def test_stopping_before_slack_could_be_reached_ends_the_attempts(slack: SlackServer, house: House) -> None:
    slack.fail("apps.connections.open", 503, times=100)
    mode = mode_of(slack, house)
    with capture_logs():
        mode.start()
        until(lambda: len(slack.calls_of("apps.connections.open")) > 0)
        mode.stop(wait=10)
        asked = len(slack.calls_of("apps.connections.open"))
        assert not [t for t in threading.enumerate() if t.name == "slack-socket"]
    assert len(slack.calls_of("apps.connections.open")) == asked
    assert not mode.connected


def test_what_arrives_while_it_stops_is_left_to_slack(slack: SlackServer, house: House, mode: SocketMode) -> None:
    mode.stop()
    envelope = slack.socket.send(house.mention())
    end(mode, slack)
    assert not house.kept
    assert slack.socket.unacked == [envelope]


@pytest.mark.usefixtures("mode")
def test_neither_words_nor_tokens_are_logged(
    slack: SlackServer, house: House, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        slack.socket.wait_for_ack(slack.socket.send(house.direct(text=SAID)))
        house.failure = RuntimeError(SAID)
        slack.socket.send(house.direct(text=SAID))
        until(lambda: "slack_not_taken" in [line["event"] for line in lines])
        slack.fail("apps.connections.open", 503, times=1)
        slack.socket.cut()
        slack.socket.wait_for_connections()
    everything = json.dumps(lines) + caplog.text + "".join(capfd.readouterr())
    assert SAID not in everything
    assert slack.app_token not in everything
