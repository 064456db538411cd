"""The one way in: nothing but the public routes is reached without a key, and no route without its scopes.

The key is looked at before anything of the body is read. A route that has no line in `SCOPES` is closed for everybody.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.rest.errors import (
    ForbiddenError,
    HeadersTooLargeError,
    LaterError,
    RateLimitedError,
    SlackOffError,
    UnauthorizedError,
    UnknownHostError,
)
from api.rest.limits import Buckets
from api.slack.signature import check_stamp
from core.catalog.keys import Key
from core.errors import ThreadwiseError
from threadwise.keyring import Keyring

PUBLIC: Final = frozenset({"/healthz", "/readyz"})
"""What is answered without a key."""

SIGNED: Final = frozenset({"/slack/events"})
"""What is answered without a key because each request proves where it comes from."""

ANY: Final = frozenset({"ask", "admin"})
ASK: Final = frozenset({"ask"})
ADMIN: Final = frozenset({"admin"})

SCOPES: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("POST", "/v1/ask"): ASK,
    ("POST", "/v1/search"): ASK,
    ("POST", "/v1/feedback"): ASK,
    ("GET", "/v1/models"): ANY,
    ("GET", "/v1/answers/{answer_id}"): ANY,
    ("GET", "/openapi.json"): ANY,
    ("GET", "/v1/sources"): ADMIN,
    ("PATCH", "/v1/sources/{name:path}"): ADMIN,
    ("POST", "/v1/sources/{name:path}/pause"): ADMIN,
    ("POST", "/v1/sources/{name:path}/resume"): ADMIN,
    ("GET", "/v1/runs"): ADMIN,
    ("POST", "/v1/runs"): ADMIN,
    ("GET", "/v1/runs/{run_id}"): ADMIN,
    ("GET", "/v1/runs/{run_id}/events"): ADMIN,
    ("POST", "/v1/runs/{run_id}/cancel"): ADMIN,
    ("GET", "/v1/runs/{run_id}/ledger"): ADMIN,
    ("GET", "/v1/runs/{run_id}/quarantine"): ADMIN,
    ("GET", "/v1/runs/{run_id}/plan"): ADMIN,
    ("POST", "/v1/plans/{plan_hash}/apply"): ADMIN,
    ("GET", "/v1/dead-letters"): ADMIN,
    ("GET", "/v1/dead-letters/{letter_id}"): ADMIN,
    ("POST", "/v1/dead-letters/retry"): ADMIN,
    ("POST", "/v1/dead-letters/ignore"): ADMIN,
    ("GET", "/v1/keys"): ADMIN,
    ("POST", "/v1/keys"): ADMIN,
    ("DELETE", "/v1/keys/{key_id}"): ADMIN,
    ("GET", "/v1/audit"): ADMIN,
    ("DELETE", "/v1/documents/{document_id}"): ADMIN,
    ("GET", "/v1/documents/twins"): ADMIN,
    ("GET", "/v1/deletions"): ADMIN,
    ("POST", "/v1/people/erase"): ADMIN,
    ("GET", "/metrics"): ADMIN,
}
"""Any one of the scopes opens the route."""

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
HEADERS: Final = 64
HEADER_BYTES: Final = 16_384  # with the query
VERIFYING: Final = 4  # threads that look at keys: requests that wait for something else never hold one
FAILURES_PER_MINUTE: Final = 60  # of one address
FAILURES_AT_ONCE: Final = 20
UNPROVEN: Final = 64  # requests that say they are Slack's and are not verified yet, or are being kept
TOUCH_SECONDS: Final = 60.0
_SECRET = re.compile(r"tw_[0-9a-f]{12}_[\w-]{43}", re.ASCII)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request. The secret is kept as long as the request, to see whether it still opens anything."""

    key: Key
    secret: str = field(repr=False)

    def demand(self, scope: str) -> None:
        """Raise `ForbiddenError` unless the key has the scope."""
        if scope not in self.key.scopes:
            raise ForbiddenError(
                f"This needs the scope {scope!r}.", hint="An admin makes keys: threadwise keys create."
            )


def caller_of(request: Request) -> Caller:
    """Who sent this request. A route that is not public always has a caller."""
    caller: Caller = request.state.caller
    return caller


async def demand_scopes(request: Request) -> None:
    """The dependency of every route: refuse whoever has none of its scopes."""
    path = request.scope["route"].path
    if path in PUBLIC | SIGNED:
        return
    allowed = SCOPES.get((request.method, path), frozenset())
    if allowed.isdisjoint(caller_of(request).key.scopes):
        raise ForbiddenError(
            f"This needs one of the scopes {', '.join(sorted(allowed))}." if allowed else "This route is closed.",
            hint="An admin makes keys: threadwise keys create.",
        )


def allowed_hosts(host: str) -> frozenset[str] | None:
    """The names by which the service may be called, None for any.

    A service that only this machine can reach is meant by no other name: a browser that was told that some name is
    this machine is turned away. Whoever listens for others has a name that is not known here.
    """
    local = host in LOOPBACK or host == "::1" or host.startswith("127.")
    return LOOPBACK | {host} if local else None


class Gate:
    """Middleware: host, key, and the key's share of requests."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keyring: Callable[[], Keyring],
        shares: "Shares",
        hosts: frozenset[str] | None,
        has_bot: bool = False,
    ) -> None:
        self._app = app
        self._has_bot = has_bot
        self._unproven = 0
        self._keyring = keyring
        self._shares = shares
        self._hosts = hosts
        self._verifying: CapacityLimiter | None = None
        self._touched: dict[str, float] = {}
        self._touching: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on who may pass.

        Raises `HeadersTooLargeError`, `UnknownHostError`, `UnauthorizedError` and `RateLimitedError`; for what is
        signed `SlackOffError`, `SignatureError` and `LaterError`.
        """
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            _check_size(scope)
            if scope["path"] in SIGNED:
                await self._pass_signed(scope, headers, receive, send)
                return
            self._check_host(headers.get("host", ""))
            if scope["path"] not in PUBLIC:
                scope["state"]["caller"] = await self._identified(headers, _peer(scope))
        await self._app(scope, receive, send)

    async def _pass_signed(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """Its signature will say more than a key, and whoever passes it on to this machine calls it by another name.

        Until its body is there nothing is proven: so only a few are waited for, apart from everybody else.
        """
        if not self._has_bot:
            raise SlackOffError("There is no Slack bot here.", hint="Set THREADWISE_SLACK__BOT_TOKEN.")
        check_stamp(headers, time.time())
        if self._unproven >= UNPROVEN:
            raise LaterError("Too many requests are open.", seconds=1.0)
        self._unproven += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._unproven -= 1

    def _check_host(self, given: str) -> None:
        name = re.sub(r":\d*$", "", given).lower()
        if self._hosts is not None and name not in self._hosts:
            raise UnknownHostError("This service is not known by that name.", hint="Use its address, 127.0.0.1.")

    async def _identified(self, headers: Headers, peer: str) -> Caller:
        secret = _secret(headers)
        key = await self._verified(secret) if _SECRET.fullmatch(secret) else None
        if key is None:
            self._shares.count_failure(peer)
            raise UnauthorizedError(
                "A living key is needed." if secret else "A key is needed.",
                hint="Send it as `Authorization: Bearer tw_…`; threadwise keys create makes one.",
            )
        self._shares.count(key.id)
        self._touch(key)
        return Caller(key, secret)

    async def _verified(self, secret: str) -> Key | None:
        self._verifying = self._verifying or CapacityLimiter(VERIFYING)
        # Not remembered for the next request: it takes a fraction of a millisecond, and a revoked key is dead at once.
        return await to_thread.run_sync(lambda: self._keyring().verify(secret), limiter=self._verifying)

    def _touch(self, key: Key) -> None:
        """Remember the use of a key now and then; nobody waits for it, because writing may have to wait."""
        now = self._shares.clock()
        if now - self._touched.get(key.id, -TOUCH_SECONDS) >= TOUCH_SECONDS:
            self._touched[key.id] = now
            task = asyncio.create_task(self._touch_later(key.id))
            self._touching.add(task)
            task.add_done_callback(self._touching.discard)

    async def _touch_later(self, key_id: str) -> None:
        try:
            await to_thread.run_sync(lambda: self._keyring().touch(key_id))
        except ThreadwiseError as error:
            log.warning("key_not_touched", code=error.code)


class Shares:
    """How many requests a key may make, and how many failures an address."""

    def __init__(self, *, per_minute: int, burst: int, clock: Callable[[], float]) -> None:
        self.clock = clock  # seconds
        self._keys = Buckets(per_second=per_minute / 60, burst=burst, clock=clock)
        self._failures = Buckets(per_second=FAILURES_PER_MINUTE / 60, burst=FAILURES_AT_ONCE, clock=clock)

    def count(self, key_id: str) -> None:
        """Count a request of a key. Raises `RateLimitedError`."""
        if seconds := self._keys.take(key_id):
            raise RateLimitedError("This key has used up its share of requests.", seconds=seconds)

    def count_failure(self, peer: str) -> None:
        """Count a request without a valid key. Raises `RateLimitedError`; a valid key is never held up by it."""
        if seconds := self._failures.take(peer):
            raise RateLimitedError("Too many requests without a valid key.", seconds=seconds)


def _check_size(scope: Scope) -> None:
    # The server counts only what did not come in one piece.
    headers = scope["headers"]
    size = len(scope["query_string"]) + sum(len(name) + len(value) for name, value in headers)
    if size > HEADER_BYTES or len(headers) > HEADERS:
        raise HeadersTooLargeError(f"More than {HEADERS} headers or {HEADER_BYTES} bytes of them.")


def _secret(headers: Headers) -> str:
    kind, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
