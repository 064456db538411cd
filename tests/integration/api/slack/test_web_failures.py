"""What can go wrong in a call to Slack's Web API has one of four classes, whichever call it is."""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest

from api.slack.errors import SlackAccessError, SlackLimitedError, SlackRefusedError, SlackUnreachableError
from api.slack.web import SlackWeb
from api.slack.wire import PAUSE_SECONDS
from tests.support.slack_server import SlackServer
from tests.support.slack_web import web_of

pytestmark = pytest.mark.no_database

Call = Callable[[SlackWeb], object]


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def web(slack: SlackServer) -> SlackWeb:
    return web_of(slack)


@contextmanager
def raw_server(reply: bytes, then: bytes = b"") -> Iterator[str]:
    """An API address where one request is answered with these bytes, and with further ones at 50 a second."""
    ended = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(reply)
                for byte in then:
                    ended.wait(0.02)
                    connection.sendall(bytes([byte]))

        thread = Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/"
        finally:
            ended.set()
            thread.join()


CALLS: dict[str, Call] = {
    "auth.test": lambda web: web.identity(),
    "chat.postMessage": lambda web: web.post("C1", "So.", (), thread="", key="k1"),
    "conversations.replies": lambda web: web.find_posted("C1", "1.1", "k1", bot="B1"),
    "conversations.history": lambda web: web.find_posted("C1", "", "k1", bot="B1"),
    "conversations.info": lambda web: web.conversation("C1"),
    "conversations.members": lambda web: web.members("C1"),
    "users.info": lambda web: web.person("U1"),
    "users.list": lambda web: web.people(),
    "users.conversations": lambda web: web.conversations_of(None),
}
EVERY_CALL = pytest.mark.parametrize("method", CALLS)
STRANGE = (
    "",
    "<html><body>Please sign in</body></html>",
    "null",
    "[]",
    '"ok"',
    "{}",
    '{"ok": true}',
    '{"ok": "true"}',
    '{"ok": 1}',
    '{"ok": false}',
    '{"ok": false, "error": null}',
    '{"ok": false, "error": ["ratelimited"]}',
    '{"ok": false, "error": "A sentence, no word"}',
    "[" * 100_000,
    '{"ok": true, "ts": ' + "1" * 5000 + "}",
    """{"ok": true, "ts": 1.1, "channel": [], "user": "U1", "members": {"U1": 1}, "channels": [1], "messages": [0]}""",
    """{"ok": true, "ts": "", "channel": {"id": "C1"}, "user": {"id": "U1"}, "members": [null], "channels": [{}],
        "messages": null, "team_id": "T1"}""",
    """{"ok": true, "ts": null, "channel": {"id": "C2", "is_im": false, "is_private": false, "is_ext_shared": false},
        "user": {"id": "U2", "team_id": "T1", "deleted": true}, "members": [], "channels": [], "messages": [],
        "response_metadata": {"next_cursor": 7}}""",
)


@EVERY_CALL
def test_what_is_no_answer_of_slack_is_an_error_that_may_pass(slack: SlackServer, web: SlackWeb, method: str) -> None:
    for body in STRANGE:
        slack.fail(method, 200, body=body)
        with pytest.raises(SlackUnreachableError) as caught:
            CALLS[method](web)
        assert caught.value.unknown
        assert caught.value.retryable


def test_an_answer_without_the_header_of_scopes_says_nothing_about_them(slack: SlackServer, web: SlackWeb) -> None:
    slack.fail("auth.test", 200, body='{"ok": true}')
    with pytest.raises(SlackUnreachableError):
        web.scopes()


def test_bytes_that_are_no_text_are_no_answer(slack: SlackServer) -> None:
    reply = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"ok":\xff\xfe\xfd}  '
    with raw_server(reply) as url, pytest.raises(SlackUnreachableError):
        web_of(slack, api_url=url).people()


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"ok": true',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=["another protocol", "cut short", "no chunks", "many headers", "a long header"],
)
def test_what_is_no_http_leaves_open_what_happened(slack: SlackServer, reply: bytes) -> None:
    with raw_server(reply) as url, pytest.raises(SlackUnreachableError) as caught:
        CALLS["chat.postMessage"](web_of(slack, api_url=url))
    assert caught.value.unknown


def test_an_answer_that_comes_drop_by_drop_ends_with_the_time_limit(slack: SlackServer) -> None:
    started = time.monotonic()
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with raw_server(head, then=b" " * 200) as url, pytest.raises(SlackUnreachableError):
        web_of(slack, api_url=url, seconds=0.2).people()
    assert time.monotonic() - started < 2


def test_an_answer_that_is_too_long_is_not_read_to_its_end(
    slack: SlackServer, web: SlackWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.slack.wire.MOST_BYTES", 1000)
    for _ in range(40):
        slack.add_user()
    with pytest.raises(SlackUnreachableError):
        web.people()


@EVERY_CALL
def test_a_failure_of_slack_leaves_open_what_happened(slack: SlackServer, web: SlackWeb, method: str) -> None:
    for status in (500, 502, 503, 504):
        slack.fail(method, status)
        with pytest.raises(SlackUnreachableError) as caught:
            CALLS[method](web)
        assert caught.value.unknown


@pytest.mark.parametrize("word", ["internal_error", "fatal_error", "service_unavailable"])
def test_slacks_words_for_its_own_failures_are_read_as_such(slack: SlackServer, web: SlackWeb, word: str) -> None:
    slack.fail("chat.postMessage", word)
    with pytest.raises(SlackUnreachableError) as caught:
        CALLS["chat.postMessage"](web)
    assert caught.value.unknown


@EVERY_CALL
def test_slack_says_how_long_to_pause(slack: SlackServer, web: SlackWeb, method: str) -> None:
    answers = {7: 7, 0: 0, None: PAUSE_SECONDS, -3: PAUSE_SECONDS, 10**9: PAUSE_SECONDS}
    for said, seconds in answers.items():
        slack.limit(method, said)
        with pytest.raises(SlackLimitedError) as caught:
            CALLS[method](web)
        assert caught.value.seconds == seconds
    assert len(slack.calls) == len(answers)  # the bot's inbox tries again, not the client


def test_a_limit_may_come_as_a_word_too(slack: SlackServer, web: SlackWeb) -> None:
    slack.fail("chat.postMessage", "rate_limited")
    with pytest.raises(SlackLimitedError):
        CALLS["chat.postMessage"](web)


@EVERY_CALL
def test_slacks_refusals_keep_their_word(slack: SlackServer, web: SlackWeb, method: str) -> None:
    slack.fail(method, "is_archived")
    with pytest.raises(SlackRefusedError) as caught:
        CALLS[method](web)
    assert (caught.value.reason, caught.value.retryable) == ("is_archived", False)


@EVERY_CALL
def test_a_token_that_does_not_do_is_for_an_admin_to_mend(slack: SlackServer, web: SlackWeb, method: str) -> None:
    for word in ("invalid_auth", "token_revoked", "account_inactive", "not_authed", "token_expired"):
        slack.token_error = word
        with pytest.raises(SlackAccessError, match=word) as caught:
            CALLS[method](web)
        assert caught.value.retryable
        assert caught.value.hint


def test_a_missing_scope_is_named(slack: SlackServer, web: SlackWeb) -> None:
    slack.scopes -= {"users:read"}
    with pytest.raises(SlackAccessError, match="users:read"):
        web.people()


@pytest.mark.parametrize("token", ["xoxb-first\nsecond", "xoxb-\u00e9t\u00e9", "xoxb-\x00"])
def test_a_token_that_cannot_be_sent_is_not_shown_either(slack: SlackServer, token: str) -> None:
    calls: list[Call] = [*CALLS.values(), lambda web: web.scopes()]
    for call in calls:
        with pytest.raises(SlackAccessError) as caught:
            call(web_of(slack, token=token))
        shown = repr(caught.value) + str(caught.value)
        assert "xoxb-f" not in shown
        assert caught.value.__context__ is None
    assert not slack.calls


def test_a_post_whose_answer_is_lost_may_stand_there_and_is_found(slack: SlackServer, web: SlackWeb) -> None:
    channel = slack.add_channel()
    thread = slack.say(channel, slack.bot_user, "How?")
    slack.drop_answer("chat.postMessage")
    with pytest.raises(SlackUnreachableError) as caught:
        web.post(channel, "So.", (), thread=thread, key="k1")
    assert caught.value.unknown
    assert web.find_posted(channel, thread, "k1", bot=slack.bot) == slack.posted(channel)[-1].ts


@EVERY_CALL
def test_a_connection_that_breaks_off_leaves_open_what_happened(slack: SlackServer, web: SlackWeb, method: str) -> None:
    slack.drop_before(method)
    with pytest.raises(SlackUnreachableError) as caught:
        CALLS[method](web)
    assert caught.value.unknown


def test_silence_ends_with_the_time_limit(slack: SlackServer) -> None:
    held = slack.hold("chat.postMessage")
    started = time.monotonic()
    with pytest.raises(SlackUnreachableError) as caught:
        CALLS["chat.postMessage"](web_of(slack, seconds=0.1))
    assert time.monotonic() - started < 2
    assert caught.value.unknown
    held.release()


def test_a_server_that_is_not_there_has_done_nothing(slack: SlackServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(SlackUnreachableError) as caught:
        CALLS["chat.postMessage"](web_of(slack, api_url=f"http://127.0.0.1:{port}/api/"))
    assert not caught.value.unknown


@EVERY_CALL
def test_the_token_follows_no_redirect(slack: SlackServer, web: SlackWeb, method: str) -> None:
    statuses = (301, 302, 303, 307, 308)
    for status in statuses:
        slack.fail(method, status, body="", Location=slack.api_url + "api.test")
        with pytest.raises(SlackUnreachableError):
            CALLS[method](web)
    assert [call.method for call in slack.calls] == [method] * len(statuses)


def test_nothing_that_is_said_or_sent_reaches_a_log(
    slack: SlackServer, web: SlackWeb, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = slack.add_channel()
    web.post(channel, "canary", (), thread="", key="canary")
    for break_it in (slack.drop_before, slack.drop_answer, slack.limit):
        break_it("chat.postMessage")
        with pytest.raises((SlackUnreachableError, SlackLimitedError)):
            web.post(channel, "canary", (), thread="", key="canary")
    slack.fail("chat.postMessage", 200, body="canary")
    with pytest.raises(SlackUnreachableError) as caught:
        web.post(channel, "canary", (), thread="", key="canary")
    out, err = capfd.readouterr()
    assert not caplog.records
    assert "canary" not in out + err + str(caught.value)
