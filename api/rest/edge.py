"""The outermost shell: every request gets an id, one line in the log, its numbers, and a response without the inside.

What is logged is a closed list: method, route, status, milliseconds, key id. Addresses, headers, bodies, questions and
the messages of unexpected errors stay out.
"""

import time
import traceback
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.rest.errors import LaterError
from api.rest.gate import PUBLIC
from api.rest.metrics import Metrics
from api.rest.problems import problem
from api.rest.watch import ClientLeftError
from core.errors import ThreadwiseError

HEADERS: Final[dict[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
CLIENT_LEFT: Final = 499  # as nginx counts it: nobody was there to be told
INTERNAL: Final = 500
MAX_OPEN: Final = 256  # requests in the house; what is beyond is refused before it costs anything
FRAMES: Final = 6

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Exchange:
    """One request on its way through."""

    scope: Scope
    send: Send
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.perf_counter)
    status: int = 0

    @property
    def route(self) -> str:
        """The template of its route, never the address itself."""
        return str(getattr(self.scope.get("route"), "path", "unknown"))

    @property
    def key_id(self) -> str:
        """Whose request it is, if that is known."""
        caller = self.scope["state"].get("caller")
        return caller.key.id if caller else ""

    async def pass_on(self, message: Message) -> None:
        """Send with the headers that every response has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message).update(HEADERS | {"X-Request-Id": self.request_id})
        await self.send(message)

    async def refuse(self, error: ThreadwiseError, receive: Receive) -> None:
        """Answer with a problem, unless an answer has begun."""
        if not self.status:
            await problem(error, self.request_id)(self.scope, receive, self.pass_on)


class Edge:
    """Middleware: see the module."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_open: int = MAX_OPEN) -> None:
        self._app = app
        self._metrics = metrics
        self._max_open = max_open
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and see to it that nothing escapes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The server gives every request the application's own state: it must not become this request's.
        scope["state"] = dict(scope.get("state", {}))
        exchange = Exchange(scope, send)
        scope["state"]["request_id"] = exchange.request_id
        self._open += 1
        self._metrics.open_requests.inc()
        try:
            await self._served(exchange, receive)
        finally:
            self._open -= 1
            self._metrics.open_requests.dec()
            self._close(exchange)

    def _check_room(self, exchange: Exchange) -> None:
        if self._open > self._max_open and exchange.scope["path"] not in PUBLIC:
            raise LaterError("Too many requests are open.", seconds=1.0)

    async def _served(self, exchange: Exchange, receive: Receive) -> None:
        try:
            self._check_room(exchange)
            await self._app(exchange.scope, receive, exchange.pass_on)
        except ClientLeftError:
            exchange.status = CLIENT_LEFT
        except ThreadwiseError as error:
            self._metrics.refusals.labels(error.code).inc()
            await exchange.refuse(error, receive)
        except Exception as error:  # noqa: BLE001 - the last line: logged with the request's id, shown as `internal`
            # No traceback: its last line is the message, which may quote a document or a question.
            log.error("unexpected", request_id=exchange.request_id, **_described(error))  # noqa: TRY400 - see above
            internal = ThreadwiseError("Something unexpected happened.", hint=f"Request {exchange.request_id}.")
            await exchange.refuse(internal, receive)

    def _close(self, exchange: Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        status = exchange.status or CLIENT_LEFT
        method = exchange.scope["method"]
        self._metrics.seen(method, exchange.route, status, seconds)
        # Somebody asks whether it is alive every few seconds.
        note = log.debug if exchange.scope["path"] in PUBLIC else log.info
        note(
            "request",
            request_id=exchange.request_id,
            method=method[:10],
            route=exchange.route,
            status=status,
            ms=round(seconds * 1000, 1),
            key=exchange.key_id,
        )


def _described(error: BaseException) -> dict[str, Any]:
    """The class and the lines of code."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return {"error": type(error).__name__, "where": [f"{frame.filename}:{frame.lineno}" for frame in frames]}
