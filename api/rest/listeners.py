"""Following runs: one look at the catalogue now and then for each listener, and none when nobody listens."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from anyio import CapacityLimiter, to_thread

from api.installation import is_settled
from api.rest.errors import LaterError, UnauthorizedError
from api.rest.sse import SILENCE_SECONDS, Typed
from core.catalog.overview import Standing
from threadwise.runtime import Threadwise

POLL_SECONDS: Final = 0.5
AT_ONCE: Final = 64
LOOKING: Final = 2  # threads: many listeners take nothing from those who ask
SEEN: Final = ("state", "stage", "paused", "done", "total", "chunks", "problems")
"""What makes news when it changes."""
RECKONED: Final = ("rate", "eta_seconds", "seconds")
"""What grows by itself: told with the news."""


class Listeners:
    """Everybody who follows a run. `pause` waits, and raises when the service is stopped."""

    def __init__(self, threadwise: Threadwise, pause: Callable[[float], Awaitable[None]]) -> None:
        self._threadwise = threadwise
        self._pause = pause
        self._open = 0
        self._looking = CapacityLimiter(LOOKING)

    async def follow(self, run_id: str, secret: str) -> AsyncGenerator[Typed | None, None]:
        """`progress` whenever something changed, `done` when it has ended or is planned.

        Raises `RunNotFoundError` and `LaterError` at once; the events raise `UnauthorizedError` when the key dies.
        """
        if self._open >= AT_ONCE:
            raise LaterError("Too many follow runs.", seconds=SILENCE_SECONDS)
        return self._events(run_id, secret, await self._look(run_id))

    async def _events(self, run_id: str, secret: str, standing: Standing) -> AsyncGenerator[Typed | None, None]:
        said, spoken = None, time.monotonic()
        self._open += 1
        try:
            while True:
                shape = standing.as_json()
                if (news := _part(shape, SEEN)) != said:
                    said, spoken = news, time.monotonic()
                    yield "progress", news | _part(shape, RECKONED)
                elif time.monotonic() - spoken > SILENCE_SECONDS:
                    spoken = time.monotonic()
                    yield None
                if is_settled(shape):
                    yield "done", shape
                    return
                await self._pause(POLL_SECONDS)
                standing = await self._look(run_id, secret)
        finally:
            self._open -= 1

    async def _look(self, run_id: str, secret: str | None = None) -> Standing:
        return await to_thread.run_sync(self._seen, run_id, secret, limiter=self._looking)

    def _seen(self, run_id: str, secret: str | None) -> Standing:
        # A stream may last for hours; the key that opened it may not.
        if secret is not None and self._threadwise.keyring.verify(secret) is None:
            raise UnauthorizedError("The key opens nothing any more.")
        return self._threadwise.runs.standing(run_id)


def _part(shape: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: shape[name] for name in names}
