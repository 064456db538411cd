"""A plain generator, run in a thread, whose events come out on the event loop.

The thread that runs the generator also closes it, whatever happens: it ended, it failed, the reader left, the service
stops. A reader that reads slowly holds up nobody, because events wait here and not in the generator.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

Event = TypeVar("Event")


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None = None


class Relay(Generic[Event]):
    """Runs `source` to its end, or to the first event after somebody called `leave`.

    `source` is given a function that tells whether somebody did, for long work between two events. `ended` is called
    on the loop once the generator is closed: only then is what it held free again.
    """

    def __init__(self, source: Callable[[Callable[[], bool]], Iterator[Event]], *, ended: Callable[[], None]) -> None:
        self._source = source
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | _Ended] = asyncio.Queue()
        self._left = threading.Event()

    def start(self, executor: Executor) -> None:
        """Begin; the executor needs a free thread."""
        executor.submit(self._run)

    def leave(self, error: BaseException | None = None) -> None:
        """Nobody needs what comes next; whoever still reads gets `error`."""
        self._left.set()
        self._events.put_nowait(_Ended(error))

    async def events(self, silence: float) -> AsyncGenerator[Event | None, None]:
        """What the generator gave, in order, and None whenever nothing came for `silence` seconds.

        Raises what the generator raised.
        """
        while True:
            event = await self._next(silence)
            if not isinstance(event, _Ended):
                yield event
            elif event.error is not None:
                raise event.error
            else:
                return

    async def _next(self, silence: float) -> Event | _Ended | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(silence):
                return await self._events.get()
        return None

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._drain()
        except BaseException as caught:  # noqa: BLE001 - whatever it is, it is raised where the events are read
            error = caught
        # The loop may be gone when the service was stopped before its slowest answer.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, error)

    def _drain(self) -> None:
        if self._left.is_set():
            return
        events = self._source(self._left.is_set)
        try:
            for event in events:
                if self._left.is_set():
                    return
                self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        finally:
            # An iterator that is no generator holds nothing.
            if isinstance(events, Generator):
                events.close()

    def _finish(self, error: BaseException | None) -> None:
        self._events.put_nowait(_Ended(error))
        self._ended()
