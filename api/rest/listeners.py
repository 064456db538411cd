"""Following runs: one look at the catalogue now and then for each listener, and none when nobody listens."""

import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

from anyio import CapacityLimiter, to_thread

from api.rest.errors import LaterError, UnauthorizedError
from api.rest.sse import SILENCE_SECONDS, Typed
from core.catalog.overview import Standing
from threadwise.runtime import Threadwise

POLL_SECONDS: Final = 0.5
WINDOW_SECONDS: Final = 10.0  # over which the rate is taken
AT_ONCE: Final = 64
LOOKING: Final = 2  # threads: many listeners take nothing from those who ask
_STAGES: Final = {"queued": "waiting", "planning": "reading", "running": "embedding"}


class Pace:
    """How fast a run gets on, and when it will be done; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def progress(self, standing: Standing) -> dict[str, Any]:
        """The data of a `progress` event. `rate` is in documents per second, None until there is one."""
        state, counts = standing.run.state, standing.progress
        rate = self._rate(counts.settled)
        left = counts.total - counts.settled
        return {
            "state": state,
            "stage": _STAGES.get(state, "ended"),
            "settled": counts.settled,
            "total": counts.total,
            "chunks": counts.chunks,
            "rate": rate and round(rate, 2),
            "eta_seconds": round(left / rate) if rate else None,
        }

    def _rate(self, settled: int) -> float | None:
        now = self._clock()
        self._seen.append((now, settled))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_SECONDS:  # noqa: PLR2004 - a rate needs two
            self._seen.popleft()
        since, before = self._seen[0]
        return (settled - before) / (now - since) if settled > before and now > since else None


class Listeners:
    """Everybody who follows a run. `pause` waits, and raises when the service is stopped."""

    def __init__(self, threadwise: Threadwise, pause: Callable[[float], Awaitable[None]]) -> None:
        self._threadwise = threadwise
        self._pause = pause
        self._open = 0
        self._looking = CapacityLimiter(LOOKING)

    async def follow(self, run_id: str, secret: str) -> AsyncGenerator[Typed | None, None]:
        """`progress` whenever something changed, `done` at the end.

        Raises `RunNotFoundError` and `LaterError` at once; the events raise `UnauthorizedError` when the key dies.
        """
        if self._open >= AT_ONCE:
            raise LaterError("Too many follow runs.", seconds=SILENCE_SECONDS)
        return self._events(run_id, secret, await self._look(run_id))

    async def _events(self, run_id: str, secret: str, standing: Standing) -> AsyncGenerator[Typed | None, None]:
        pace, said, spoken = Pace(time.monotonic), None, time.monotonic()
        self._open += 1
        try:
            while True:
                if (news := pace.progress(standing)) != said:
                    said, spoken = news, time.monotonic()
                    yield "progress", news
                elif time.monotonic() - spoken > SILENCE_SECONDS:
                    spoken = time.monotonic()
                    yield None
                if not standing.run.is_open:
                    yield "done", standing.as_json()
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
