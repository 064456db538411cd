"""Bodies are read whole before anything looks at them: counted while they come, and not waited for without end."""

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.rest.errors import BodyTimeoutError, BodyTooLargeError
from api.rest.gate import SIGNED
from api.rest.watch import ClientLeftError

UPLOADS: Final = ("POST", "/v1/runs")
JSON: Final = "application/json"
SIGNED_BYTES: Final = 1024 * 1024  # a click comes with the whole message around it
SIGNED_SECONDS: Final = 2.5  # its sender waits for three
SECONDS: Final = 10.0  # for a whole body that is no upload
DRAINED: Final = 1024 * 1024  # bytes beyond the limit that are read and dropped, so that the refusal arrives


class Bodies:
    """Middleware: a body of more than `limit` bytes is refused, whatever its headers say. Uploads pass unread."""

    def __init__(self, app: ASGIApp, *, limit: int, seconds: float = SECONDS) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body and pass it on. Raises `BodyTooLargeError`, `BodyTimeoutError`, `ClientLeftError`."""
        if scope["type"] == "http" and not is_upload(scope):
            is_signed = scope["path"] in SIGNED
            limit = max(self._limit, SIGNED_BYTES) if is_signed else self._limit
            seconds = min(self._seconds, SIGNED_SECONDS) if is_signed else self._seconds
            receive = _replayed(await self._read(receive, limit, seconds), receive)
        await self._app(scope, receive, send)

    async def _read(self, receive: Receive, limit: int, seconds: float) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                body = await _received(receive, limit)
        except TimeoutError:
            raise BodyTimeoutError(f"The body was not there after {seconds:g} s.", hint="Send it again.") from None
        if body is None:
            raise BodyTooLargeError(
                f"The body has more than {limit} bytes.", hint="THREADWISE_API__MAX_BODY_BYTES is the limit."
            )
        return body


def is_upload(scope: Scope) -> bool:
    """Whether the body is a file on its way to a run, not a message to this service."""
    kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    return (scope["method"], scope["path"]) == UPLOADS and kind not in ("", JSON)


async def _received(receive: Receive, limit: int) -> bytes | None:
    """The whole body, None for one that is longer than `limit` bytes. Raises `ClientLeftError`."""
    body, size, more = bytearray(), 0, True
    while more and size <= limit + DRAINED:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size <= limit:
            body += chunk
    return bytes(body) if size <= limit else None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body as one message; after it, whatever the server says."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return messages.pop() if messages else await receive()

    return next_message
