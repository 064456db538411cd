"""What the mock Slack server sends is what slack_sdk accepts and what Slack documents."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Self
from urllib.parse import parse_qs

import pytest
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as websocket

from tests.support.slack_events import Envelope, deliver, deliver_until_acked, post, signed
from tests.support.slack_server import SlackServer

Received = tuple[dict[str, str], bytes]


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        server.add_user("U1", "ana")
        server.add_channel("C1", "general", members=["U1"])
        yield server


class Receiver:
    """An app that answers the planned statuses in turn, the last one for ever, and keeps what it was sent."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.received: list[Received] = []
        planned = list(statuses)
        kept, extra = self.received, headers or {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.append((dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(planned.pop(0) if len(planned) > 1 else planned[0])
                for name, value in extra.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/slack/events"
        self.thread = Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def test_the_signature_is_accepted_by_slack_sdks_verifier(slack: SlackServer) -> None:
    body = slack.events.app_mention("C1", "U1", "<@U0THREADBOT> wörds").body
    headers = signed(body, slack.signing_secret)
    assert SignatureVerifier(slack.signing_secret).is_valid_request(body, headers)
    assert not SignatureVerifier("another secret").is_valid_request(body, headers)
    assert not SignatureVerifier(slack.signing_secret).is_valid_request(body + b" ", headers)
    old = signed(body, slack.signing_secret, at=1_700_000_000.9)
    assert old["X-Slack-Request-Timestamp"] == "1700000000"
    assert not SignatureVerifier(slack.signing_secret).is_valid_request(body, old)


def test_a_delivery_arrives_signed_byte_for_byte(slack: SlackServer) -> None:
    event = slack.events.direct("U1", "How many days?")
    with Receiver(200) as app:
        delivered = deliver(app.url, event, secret=slack.signing_secret)
    [(headers, body)] = app.received
    assert (delivered.status, body) == (200, event.body)
    assert SignatureVerifier(slack.signing_secret).is_valid_request(body, headers)
    assert "X-Slack-Retry-Num" not in headers


def test_slack_sends_again_three_times_at_once_after_a_minute_and_after_five(slack: SlackServer) -> None:
    with Receiver(500) as app:
        tries = deliver_until_acked(app.url, slack.events.direct("U1", "x"), secret=slack.signing_secret, minute=0.001)
    assert [one.status for one in tries] == [500] * 4
    numbers = [(headers.get("X-Slack-Retry-Num"), headers.get("X-Slack-Retry-Reason")) for headers, _ in app.received]
    assert numbers == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]
    assert len({body for _, body in app.received}) == 1


def test_slack_stops_at_the_first_two_hundred(slack: SlackServer) -> None:
    with Receiver(503, 200) as app:
        tries = deliver_until_acked(app.url, slack.events.direct("U1", "x"), secret=slack.signing_secret, minute=0.001)
    assert [one.status for one in tries] == [503, 200]


def test_slack_does_not_send_again_what_refuses_retries(slack: SlackServer) -> None:
    with Receiver(500, headers={"X-Slack-No-Retry": "1"}) as app:
        tries = deliver_until_acked(app.url, slack.events.direct("U1", "x"), secret=slack.signing_secret, minute=0.001)
    assert len(tries) == 1


def test_an_app_that_does_not_listen_is_told_as_status_nought() -> None:
    with Receiver(200) as app:
        url = app.url
    assert post(url, b"{}", {}).status == 0


def test_every_event_has_the_documented_outer_fields_and_an_id_of_its_own(slack: SlackServer) -> None:
    first, second = slack.events.app_mention("C1", "U1", "a"), slack.events.app_home_opened("U1")
    outer = {"token", "team_id", "api_app_id", "event", "type", "event_id", "event_time", "authorizations"}
    assert outer <= set(first.payload)
    assert first.payload["type"] == "event_callback"
    assert first.payload["event_id"] != second.payload["event_id"]


def test_a_mention_stands_in_the_channel_that_it_was_said_in(slack: SlackServer) -> None:
    event = slack.events.app_mention("C1", "U1", "<@U0THREADBOT> hi").event
    [message] = slack.posted("C1")
    assert (event["type"], event["ts"], event["channel"], event["team"]) == (
        "app_mention",
        message.ts,
        "C1",
        slack.team,
    )
    reply = slack.events.app_mention("C1", "U1", "<@U0THREADBOT> and?", thread_ts=message.ts).event
    assert (reply["thread_ts"], slack.posted("C1")[1].thread_ts) == (message.ts, message.ts)


@pytest.mark.parametrize(
    ("kind", "told"), [("public", "channel"), ("private", "group"), ("mpim", "mpim"), ("im", "im")]
)
def test_a_message_event_says_the_kind_of_its_channel(slack: SlackServer, kind: str, told: str) -> None:
    place = slack.add_channel(kind=kind, members=["U1"])  # type: ignore[arg-type]
    assert slack.events.message(place, "U1", "x").event["channel_type"] == told


def test_a_message_of_another_company_names_its_team(slack: SlackServer) -> None:
    slack.add_user("U9", team_id="T0OTHER")
    slack.share("C1", "T0OTHER")
    envelope = slack.events.app_mention("C1", "U9", "x")
    assert envelope.event["user_team"] == envelope.event["team"] == "T0OTHER"
    assert (envelope.payload["team_id"], envelope.payload["is_ext_shared_channel"]) == (slack.team, True)


def test_a_deleted_and_a_changed_message_are_hidden_subtypes_that_carry_the_earlier_one(slack: SlackServer) -> None:
    ts = slack.say("C1", "U1", "before")
    changed = slack.events.message_changed("C1", ts, "after").event
    assert (changed["subtype"], changed["message"]["text"], changed["previous_message"]["text"]) == (
        "message_changed",
        "after",
        "before",
    )
    deleted = slack.events.message_deleted("C1", ts).event
    assert (deleted["subtype"], deleted["hidden"], deleted["deleted_ts"]) == ("message_deleted", True, ts)
    assert slack.posted("C1") == []


def test_joining_leaving_and_changed_people_are_told_and_done(slack: SlackServer) -> None:
    slack.add_user("U2", "ben")
    assert slack.events.member_joined_channel("C1", "U2").event["type"] == "member_joined_channel"
    assert "U2" in slack.conversations["C1"].members
    assert slack.events.member_left_channel("C1", "U2").event["type"] == "member_left_channel"
    assert "U2" not in slack.conversations["C1"].members
    slack.change_user("U2", deleted=True)
    assert slack.events.user_change("U2").event["user"]["deleted"] is True
    assert slack.events.team_join("U2").event["type"] == "team_join"


def test_the_remaining_events_have_their_documented_types(slack: SlackServer) -> None:
    assert slack.events.url_verification("abc").payload == {
        "token": "unused-verification-token",
        "challenge": "abc",
        "type": "url_verification",
    }
    assert slack.events.app_uninstalled().event["type"] == "app_uninstalled"
    assert slack.events.tokens_revoked().event["tokens"] == {"oauth": [], "bot": [slack.bot_user]}
    assert slack.events.app_rate_limited().payload["type"] == "app_rate_limited"
    assert slack.events.bot_message("C1", "x").event["bot_id"] == slack.bot


def test_a_slash_command_is_a_form(slack: SlackServer) -> None:
    url = slack.response_url("C1", "U1")
    command = slack.events.command("C1", "U1", "days & more?", response_url=url)
    form = parse_qs(command.body.decode(), strict_parsing=True)
    assert (form["text"], form["user_id"], form["response_url"]) == (["days & more?"], ["U1"], [url])
    assert command.content_type == "application/x-www-form-urlencoded"


def test_a_click_is_a_form_with_one_json_payload(slack: SlackServer) -> None:
    ts = slack.say("C1", slack.bot_user, "An answer")
    url = slack.response_url("C1", "U1", message_ts=ts)
    click = slack.events.block_actions("C1", "U1", ts, action_id="helpful", value="a" * 32, response_url=url)
    [payload] = parse_qs(click.body.decode(), strict_parsing=True)["payload"]
    shape = json.loads(payload)
    assert (shape["type"], shape["actions"][0]["action_id"], shape["message"]["ts"]) == ("block_actions", "helpful", ts)


@pytest.fixture
def connect(slack: SlackServer) -> Iterator[Callable[[Callable[[SocketModeRequest], bool]], SocketModeClient]]:
    """slack_sdk's own client, whose listener acknowledges what the given function says yes to."""
    clients: list[SocketModeClient] = []

    def connected(wanted: Callable[[SocketModeRequest], bool]) -> SocketModeClient:
        web = WebClient(slack.bot_token, slack.api_url, retry_handlers=[])
        client = SocketModeClient(slack.app_token, web_client=web, ping_interval=1, concurrency=1)

        def listen(own: BaseSocketModeClient, request: SocketModeRequest) -> None:
            if wanted(request):
                own.send_socket_mode_response(SocketModeResponse(request.envelope_id, {"text": "seen"}))

        client.socket_mode_request_listeners.append(listen)
        clients.append(client)
        client.connect()
        slack.socket.wait_for_connections()
        return client

    yield connected
    for client in clients:
        client.auto_reconnect_enabled = False
        client.closed = True
        slack.socket.cut()  # what its threads wait for, or they would sit their timeouts out
        client.enqueue_message("")
        with suppress(AttributeError):  # two threads of slack_sdk may close one socket
            client.disconnect()
        client.close()


Connect = Callable[[Callable[[SocketModeRequest], bool]], SocketModeClient]


def test_a_socket_mode_client_gets_an_envelope_and_acknowledges_it(slack: SlackServer, connect: Connect) -> None:
    seen: Queue[SocketModeRequest] = Queue()

    def see(request: SocketModeRequest) -> bool:
        seen.put(request)
        return True

    connect(see)
    event = slack.events.direct("U1", "How many days?")
    ack = slack.socket.wait_for_ack(slack.socket.send(event))
    request = seen.get(timeout=5)
    assert (request.type, request.payload, request.retry_attempt) == ("events_api", event.payload, 0)
    assert ack.payload == {"text": "seen"}
    assert slack.socket.unacked == []


def test_commands_and_clicks_come_with_room_for_an_answer(slack: SlackServer, connect: Connect) -> None:
    seen: Queue[SocketModeRequest] = Queue()

    def see(request: SocketModeRequest) -> bool:
        seen.put(request)
        return True

    connect(see)
    url = slack.response_url("C1", "U1")
    slack.socket.send(slack.events.command("C1", "U1", "x", response_url=url))
    request = seen.get(timeout=5)
    assert (request.type, request.accepts_response_payload, request.payload["response_url"]) == (
        "slash_commands",
        True,
        url,
    )


def test_what_was_not_acknowledged_comes_again_with_its_attempt_counted(slack: SlackServer, connect: Connect) -> None:
    attempts: Queue[int | None] = Queue()

    def second_time(request: SocketModeRequest) -> bool:
        attempts.put(request.retry_attempt)
        return bool(request.retry_attempt)

    connect(second_time)
    envelope_id = slack.socket.send(slack.events.direct("U1", "x"))
    assert attempts.get(timeout=5) == 0
    assert slack.socket.unacked == [envelope_id]
    assert slack.socket.resend() == 1
    slack.socket.wait_for_ack(envelope_id)
    assert attempts.get(timeout=5) == 1


def test_an_envelope_waits_for_the_first_connection(slack: SlackServer, connect: Connect) -> None:
    envelope_id = slack.socket.send(slack.events.direct("U1", "x"))
    connect(lambda _: True)
    slack.socket.wait_for_ack(envelope_id)


def test_a_client_that_is_told_to_disconnect_comes_back_with_a_new_url(slack: SlackServer, connect: Connect) -> None:
    connect(lambda _: True)
    slack.socket.disconnect()
    slack.wait_until(lambda: len(slack.calls_of("apps.connections.open")) == 2, "a second URL")
    slack.socket.wait_for_connections()
    slack.socket.wait_for_ack(slack.socket.send(slack.events.direct("U1", "x")))


def test_a_socket_mode_url_may_be_used_once(slack: SlackServer) -> None:
    url = slack.socket.new_url()
    with websocket(url, compression=None) as first:
        assert json.loads(first.recv(timeout=5))["type"] == "hello"
    with websocket(url, compression=None) as second, pytest.raises(ConnectionClosed):
        second.recv(timeout=5)


def test_a_client_survives_slacks_pings(slack: SlackServer, connect: Connect) -> None:
    connect(lambda _: True)
    slack.socket.ping()
    slack.socket.wait_for_ack(slack.socket.send(slack.events.direct("U1", "x")))


def test_an_envelope_is_the_same_over_both_ways(slack: SlackServer) -> None:
    event = slack.events.direct("U1", "x")
    assert json.loads(event.body) == event.payload
    assert event.content_type == "application/json"
    assert isinstance(event, Envelope)
