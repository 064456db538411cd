"""Server-sent events: how typed events are written, and a response that notices when nobody reads any more."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.rest.problems import json_bytes, shape_of
from api.rest.watch import while_connected
from core.errors import ThreadwiseError

SILENCE_SECONDS: Final = 10.0
"""After so long without an event a comment is sent: proxies close what says nothing."""

Typed = tuple[str, Mapping[str, Any]]
_COMMENT: Final = b": still here\n\n"


def encoded(name: str, data: Mapping[str, Any]) -> bytes:
    """One event. The data is one line of JSON, so that no text can end its event and begin another."""
    return b"event: " + name.encode("ascii") + b"\ndata: " + json_bytes(data) + b"\n\n"


class EventStream(Response):
    """Sends (name, data) pairs as they come, and a comment for None.

    An error of ours becomes an `error` event with the members of a problem document, and is the last. When the client
    leaves, `events` is closed at once.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[Typed | None, None], request_id: str) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._request_id = request_id

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, or stop where the client leaves (raises `ClientLeftError`)."""
        await while_connected(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    await _body(send, encoded(*event) if event else _COMMENT)
        except ThreadwiseError as error:
            await self._end(send, error)
        except Exception:
            await self._end(send, ThreadwiseError("Something unexpected happened."))
            raise
        else:
            await _body(send, b"", more=False)

    async def _end(self, send: Send, error: ThreadwiseError) -> None:
        await _body(send, encoded("error", shape_of(error, self._request_id)), more=False)


async def _body(send: Send, line: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": line, "more_body": more})
