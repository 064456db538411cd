"""What goes over the wire: events, problems, names of uploads, hosts, bodies."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from api.rest.bodies import Bodies, is_upload
from api.rest.errors import BodyTimeoutError, BodyTooLargeError, InvalidRequestError, LaterError, UnauthorizedError
from api.rest.gate import PUBLIC, SCOPES, allowed_hosts
from api.rest.problems import json_bytes, problem
from api.rest.sse import EventStream, encoded
from api.rest.uploads import safe_name
from api.rest.watch import ClientLeftError, while_connected
from core.errors import ThreadwiseError

ANY_TEXT = st.text(st.characters(exclude_categories=()))


async def connected() -> Message:
    """A client that stays."""
    await asyncio.Event().wait()
    raise AssertionError


async def gone() -> Message:
    """A client that has left."""
    return {"type": "http.disconnect"}


class Sent:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


@given(text=ANY_TEXT)
def test_no_text_ends_its_event_or_begins_another(text: str) -> None:
    event = encoded("token", {"text": text})
    lines = event.split(b"\n")
    assert (lines[0], lines[2:]) == (b"event: token", [b"", b""])
    assert b"\r" not in event
    assert json.loads(lines[1].removeprefix(b"data: ")) == {"text": text}


@given(value=st.recursive(st.none() | ANY_TEXT | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_json_leaves_as_utf_8_and_comes_back_as_it_was(value: object) -> None:
    assert json.loads(json_bytes(value).decode("utf-8", "strict")) == value


@given(name=ANY_TEXT)
def test_the_name_of_an_upload_leads_nowhere_and_hides_nothing(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not set(safe) & set("/\\\0\n\r:*?<>|'\"")
    assert not safe.startswith((".", " "))
    assert len(safe) <= 100


def test_the_name_of_an_upload_keeps_its_ending() -> None:
    assert safe_name("../../etc/my export.zip") == "my export.zip"
    assert safe_name("C:\\exports\\slack.zip") == "slack.zip"
    assert safe_name("..") == "upload"


def test_a_service_of_this_machine_goes_by_no_other_name() -> None:
    assert allowed_hosts("127.0.0.1") == frozenset({"127.0.0.1", "localhost", "[::1]"})
    assert allowed_hosts("::1") is not None
    assert allowed_hosts("0.0.0.0") is None  # noqa: S104 - nothing is bound here


def test_every_route_demands_a_scope_or_is_on_the_list_of_public_ones() -> None:
    assert set(PUBLIC) == {"/healthz", "/readyz"}
    assert all(SCOPES.values())
    assert not {path for _, path in SCOPES} & PUBLIC


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (UnauthorizedError("no"), 401, ("www-authenticate", 'Bearer realm="threadwise"')),
        (LaterError("busy", seconds=2.1), 429, ("retry-after", "3")),
    ],
)
def test_a_problem_says_in_its_headers_what_to_do(error: ThreadwiseError, status: int, header: tuple[str, str]) -> None:
    response = problem(error, "r1")
    assert (response.status_code, response.media_type) == (status, "application/problem+json")
    assert response.headers[header[0]] == header[1]
    shape = json.loads(bytes(response.body))
    assert {"type", "title", "status", "code", "detail", "hint", "retryable", "request_id"} == shape.keys()


def test_a_problem_with_a_body_lists_what_is_wrong_in_it() -> None:
    error = InvalidRequestError("wrong", fields=[("body.top_k", "too large")])
    assert json.loads(bytes(problem(error, "r1").body))["errors"] == [{"at": "body.top_k", "message": "too large"}]


def test_an_unexpected_error_has_no_inside() -> None:
    shape = json.loads(bytes(problem(ThreadwiseError("Something unexpected happened."), "r1").body))
    assert (shape["status"], shape["code"], shape["request_id"]) == (500, "internal", "r1")


async def stream_of(*events: tuple[str, Mapping[str, Any]] | None) -> AsyncGenerator[Any, None]:
    for event in events:
        yield event


def told(events: AsyncGenerator[Any, None], receive: Receive = connected) -> Sent:
    sent = Sent()
    asyncio.run(EventStream(events, "r1")({}, receive, sent))
    return sent


def test_a_stream_says_everything_and_ends() -> None:
    sent = told(stream_of(("token", {"text": "a"}), None, ("done", {})))
    assert sent.body == b'event: token\ndata: {"text":"a"}\n\n: still here\n\nevent: done\ndata: {}\n\n'
    assert not sent.messages[-1]["more_body"]


def test_an_error_of_ours_is_the_last_event_of_a_stream() -> None:
    async def failing() -> AsyncIterator[Any]:
        yield "token", {}
        raise LaterError("busy", seconds=1)

    sent = told(failing())  # type: ignore[arg-type]
    name, data = sent.body.decode().strip().split("\n\n")[-1].splitlines()
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["code"] == "busy"
    assert not sent.messages[-1]["more_body"]


def test_an_unexpected_error_ends_a_stream_without_its_message() -> None:
    async def failing() -> AsyncGenerator[Any, None]:
        yield "token", {}
        raise ValueError("the secret of the house")

    sent = Sent()
    with pytest.raises(ValueError, match="secret"):
        asyncio.run(EventStream(failing(), "r1")({}, connected, sent))
    assert b"internal" in sent.body
    assert b"secret" not in sent.body


def test_a_client_that_leaves_ends_its_stream_even_in_silence() -> None:
    closed: list[bool] = []

    async def silent() -> AsyncGenerator[Any, None]:
        try:
            yield "token", {}
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    with pytest.raises(ClientLeftError):
        told(silent(), gone)
    assert closed == [True]


def test_work_that_is_done_is_returned_although_the_client_is_still_there() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert asyncio.run(while_connected(connected, work())) == 7


def test_work_is_cancelled_when_the_client_leaves() -> None:
    async def story() -> list[str]:
        heard: list[str] = []

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                heard.append("cancelled")

        with pytest.raises(ClientLeftError):
            await while_connected(gone, work())
        return heard

    assert asyncio.run(story()) == ["cancelled"]


def pieces(*parts: bytes) -> Receive:
    """A body that comes in parts, whatever its headers say."""
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    return receive


def passed_on(receive: Receive, limit: int, seconds: float = 5) -> bytes:
    bodies: list[bytes] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        message = await receive()
        assert not message["more_body"]
        bodies.append(message["body"])

    scope = {"type": "http", "method": "POST", "path": "/v1/ask", "headers": [(b"content-length", b"1")]}
    asyncio.run(Bodies(app, limit=limit, seconds=seconds)(scope, receive, Sent()))
    return bodies[0]


@given(parts=st.lists(st.binary(max_size=8), min_size=1, max_size=6), limit=st.integers(0, 40))
def test_a_body_is_counted_while_it_comes(parts: list[bytes], limit: int) -> None:
    whole = b"".join(parts)
    if len(whole) <= limit:
        assert passed_on(pieces(*parts), limit) == whole
    else:
        with pytest.raises(BodyTooLargeError):
            passed_on(pieces(*parts), limit)


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    with pytest.raises(BodyTimeoutError):
        passed_on(connected, 10, seconds=0.01)


def test_a_client_that_leaves_in_the_middle_of_its_body_is_heard_of_no_more() -> None:
    with pytest.raises(ClientLeftError):
        passed_on(gone, 10)


@pytest.mark.parametrize(
    ("method", "path", "kind", "upload"),
    [
        ("POST", "/v1/runs", "application/zip", True),
        ("POST", "/v1/runs", "text/markdown; charset=utf-8", True),
        ("POST", "/v1/runs", "application/json; charset=utf-8", False),
        ("POST", "/v1/runs", "", False),
        ("POST", "/v1/ask", "application/zip", False),
        ("PUT", "/v1/runs", "application/zip", False),
    ],
)
def test_only_a_file_for_a_run_passes_uncounted(method: str, path: str, kind: str, *, upload: bool) -> None:
    scope = {"method": method, "path": path, "headers": [(b"content-type", kind.encode())]}
    assert is_upload(scope) is upload
