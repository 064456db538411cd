"""Slack's servers, at the wire: a workspace behind Slack's Web API on loopback, for slack_sdk and for the bot.

`SlackServer` is a context manager. It is a `Workspace` (people, conversations, messages), has a script of `Faults`, and
tells the bot what happens: `events` builds what Slack sends, `deliver` of slack_events.py posts it, `socket` sends it
over Socket Mode. Every call is recorded in `calls` before anything else happens to it.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from socket import SHUT_RDWR, socket
from socketserver import TCPServer
from threading import Condition, Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.support.slack_chat import ResponseUrl, respond
from tests.support.slack_events import Events
from tests.support.slack_faults import Fault, Faults, RateLimits
from tests.support.slack_methods import METHODS, TAKES_JSON
from tests.support.slack_socket import SocketServer
from tests.support.slack_workspace import Json, Message, RefusedError, Workspace

BOT_TOKEN = "xoxb-threadwise-tests"  # noqa: S105 -- a token of nobody
APP_TOKEN = "xapp-threadwise-tests"  # noqa: S105
SIGNING_SECRET = "the-secret-of-the-tests"  # noqa: S105
OPEN_SOCKET = "apps.connections.open"
RESPONSE_URL = "response_url"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the mock, as it came: what the fault script did to it does not matter."""

    method: str
    arguments: Json
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


def _json(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    named = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Answer(status, json.dumps(body).encode(), named)


class SlackServer(Workspace, Faults):
    """The mock. `bot_token`, `app_token` and `signing_secret` are what the bot has to be set up with."""

    bot_token = BOT_TOKEN
    app_token = APP_TOKEN
    signing_secret = SIGNING_SECRET

    def __init__(self, *, clock: Callable[[], float] = time.time, limits: RateLimits | None = None) -> None:
        Workspace.__init__(self, clock=clock)
        Faults.__init__(self)
        self.calls: list[Call] = []
        self.limits = limits
        self.token_error = ""  # set to token_revoked, account_inactive …: what every call is refused with
        self.events = Events(self)
        self.socket = SocketServer(app=self.app)
        self._changed = Condition(self.lock)
        self._urls: dict[str, ResponseUrl] = {}
        self._url_numbers = count(1)
        self._http = _Http(self)
        self._thread = Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def api_url(self) -> str:
        return f"{self.origin}/api/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.mend()
        self.socket.close()
        self._http.shutdown()
        self._http.cut()
        self._http.server_close()
        self._thread.join()
        if kind is None and self._http.errors:
            raise self._http.errors[0]

    def calls_of(self, method: str) -> list[Call]:
        with self.lock:
            return [call for call in self.calls if call.method == method]

    def wait_until(self, true: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
        """Wait for something that a call brings about, without looking again and again."""
        with self._changed:
            assert self._changed.wait_for(true, timeout), f"{what}: not within {timeout} s"

    def wait_for_posts(self, channel: str, number: int = 1, timeout: float = 10.0) -> list[Message]:
        """Until the bot has written that many messages that everybody there sees."""
        self.wait_until(lambda: len(self.posted_by_bot(channel)) >= number, f"{number} posts", timeout)
        return self.posted_by_bot(channel)

    def response_url(self, channel: str, user: str, *, message_ts: str = "") -> str:
        """A URL for the answers to a command, or to a click in the message `message_ts`."""
        with self.lock:
            name = f"{self.team}/{next(self._url_numbers)}"
            self._urls[name] = ResponseUrl(channel=channel, user=user, made=self.clock(), message_ts=message_ts)
        return f"{self.origin}/commands/{name}"

    def show(self, response_url: str, payload: Json) -> None:
        """Do with the JSON in the HTTP answer to a slash command what Slack does: its user sees it."""
        with self.lock:
            url = self._urls[urlsplit(response_url).path.removeprefix("/commands/")]
            respond(self, url, payload)
            url.posts -= 1  # the answer itself is not one of the five posts

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        """The answer to one request; None closes the connection without one."""
        place = urlsplit(path)
        if place.path.startswith("/api/"):
            method = place.path.removeprefix("/api/")
            arguments = _arguments(method, headers, body) | dict(parse_qsl(place.query))
            token = headers.get("authorization", "").removeprefix("Bearer ") or str(arguments.pop("token", ""))
            return self._spoiled(method, arguments, lambda: self._call(method, token, arguments))
        if place.path.startswith("/commands/"):
            arguments = _arguments("chat.postMessage", headers, body)
            name = place.path.removeprefix("/commands/")
            recorded = {"response_url": name} | arguments
            return self._spoiled(RESPONSE_URL, recorded, lambda: self._respond(name, arguments))
        return Answer(404, b"", {})

    def _spoiled(self, method: str, arguments: Json, effect: Callable[[], Answer]) -> Answer | None:
        with self.lock:
            self.calls.append(Call(method, arguments, self.clock()))
            self._changed.notify_all()
        self._pause(method, after_effect=False)
        fault = self._next_fault(method)
        if fault is not None and fault.kind != "drop_answer":
            return _instead(fault)
        with self.lock:
            seconds = self.limits.wait_for(method, str(arguments.get("channel", ""))) if self.limits else 0
            answer = _limited(seconds) if seconds else effect()
            self._changed.notify_all()
        self._pause(method, after_effect=True)
        return None if fault is not None else answer

    def _call(self, method: str, token: str, arguments: Json) -> Answer:
        scopes = {"x-oauth-scopes": ",".join(sorted(self.scopes))}
        try:
            self._admit(method, token)
            if method == OPEN_SOCKET:
                return _json({"ok": True, "url": self.socket.new_url()})
            return _json({"ok": True, **METHODS[method](self, arguments)}, headers=scopes)
        except RefusedError as refusal:
            return _json(_refused(refusal), headers=scopes)

    def _admit(self, method: str, token: str) -> None:
        if method != OPEN_SOCKET and method not in METHODS:
            raise RefusedError("unknown_method", req_method=method)
        if not token:
            raise RefusedError("not_authed")
        if token not in (self.bot_token, self.app_token):
            raise RefusedError("invalid_auth")
        if self.token_error:
            raise RefusedError(self.token_error)
        if (token == self.app_token) != (method == OPEN_SOCKET):
            raise RefusedError("not_allowed_token_type")

    def _respond(self, name: str, payload: Json) -> Answer:
        try:
            respond(self, self._urls.get(name), payload)
        except RefusedError as refusal:
            missing = refusal.word in {"expired_url", "used_url"}
            return _json(_refused(refusal), 404 if missing else 200)
        return Answer(200, b"ok", {"Content-Type": "text/plain"})


def _arguments(method: str, headers: Mapping[str, str], body: bytes) -> Json:
    if "json" not in headers.get("content-type", ""):
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    if not body or method not in TAKES_JSON:
        return {}
    parsed: Any = json.loads(body)
    return parsed if isinstance(parsed, dict) else {}


def _refused(refusal: RefusedError) -> Json:
    more = dict(refusal.more)
    detail = more.pop("detail", "")
    explained = {"response_metadata": {"messages": [f"[ERROR] {detail}"]}} if detail else {}
    return {"ok": False, "error": refusal.word, **more, **explained}


def _limited(seconds: int | None) -> Answer:
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return _json({"ok": False, "error": "ratelimited"}, 429, headers)


def _instead(fault: Fault) -> Answer | None:
    if fault.kind == "drop_before":
        return None
    if fault.kind == "limit":
        return _limited(fault.retry_after)
    if isinstance(fault.error, int):
        page = fault.body if fault.body is not None else "<html><body>Server Error</body></html>"
        return Answer(fault.error, page.encode(), {"Content-Type": "text/html; charset=utf-8"} | fault.more)
    return _json({"ok": False, "error": fault.error, **fault.more})


class _Http(ThreadingHTTPServer):
    """The loopback server; errors of the mock itself are kept, and raised when it is closed."""

    request_queue_size = 128

    def __init__(self, slack: SlackServer) -> None:
        self.slack = slack
        self.errors: list[Exception] = []
        self._open: set[socket] = set()
        self._open_lock = Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """Without the look-up of the host's name that HTTPServer makes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as in socketserver
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is the caller's right."""

    def cut(self) -> None:
        """End the connections that clients keep open."""
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):  # of one whose client has just left
                    connection.shutdown(SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Http

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer = self.server.slack.answer(
                self.path, {name.lower(): value for name, value in self.headers.items()}, body
            )
        except Exception as error:
            self.server.errors.append(error)
            raise
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what a test prints."""
