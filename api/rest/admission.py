"""Who may ask now, who waits a moment, and who is told to come back: slots, a short queue, and an honest refusal.

An unbounded queue serves nobody under load, because every answer comes after its reader has left. Everything here
runs on the event loop, so it needs no locks.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from api.rest.errors import LaterError, ShuttingDownError

WEIGHT = 0.2  # of the newest in the mean of how long a slot is held
FIRST_GUESS = 1.0  # seconds, before anything was measured


class Admission:
    """`slots` at once, `queue` more waiting at most `seconds`, first come first served."""

    def __init__(self, *, slots: int, queue: int, seconds: float, clock: Callable[[], float]) -> None:
        self._slots = slots
        self._queue = queue
        self._seconds = seconds
        self._clock = clock
        self._turns: deque[asyncio.Future[None]] = deque()
        self._open = 0
        self._closed = False
        self._held = FIRST_GUESS

    @property
    def open(self) -> int:
        """Slots that are taken."""
        return self._open

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._turns)

    async def enter(self) -> float:
        """Take a slot and return when, on the clock; whoever gets one must `leave`.

        Raises `LaterError` at once when the queue is full and after `seconds` when no slot came free, and
        `ShuttingDownError` once it is closed.
        """
        if self._closed:
            raise ShuttingDownError("The service is being stopped.")
        if self._open < self._slots:
            self._open += 1
        elif len(self._turns) < self._queue:
            await self._turn()
        else:
            raise self._refusal("All slots are taken and the queue is full.")
        return self._clock()

    def leave(self, entered: float) -> None:
        """Give back a slot; it goes to whoever waits longest."""
        self._held += WEIGHT * (self._clock() - entered - self._held)
        self._pass_on()

    def close(self) -> None:
        """Refuse whoever waits and whoever comes."""
        self._closed = True
        while self._turns:
            self._turns.popleft().set_exception(ShuttingDownError("The service is being stopped."))

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            await asyncio.wait({turn}, timeout=self._seconds)
        except asyncio.CancelledError:
            # Whoever left in the very moment its turn came has a slot to give back.
            if not self._withdraw(turn) and turn.exception() is None:
                self._pass_on()
            raise
        if self._withdraw(turn):
            raise self._refusal("No slot came free in time.")
        turn.result()

    def _withdraw(self, turn: asyncio.Future[None]) -> bool:
        """Leave the queue; False for a turn that has come already."""
        if turn.done():
            return False
        self._turns.remove(turn)
        return True

    def _pass_on(self) -> None:
        if self._turns:
            self._turns.popleft().set_result(None)
        else:
            self._open -= 1

    def _refusal(self, message: str) -> LaterError:
        return LaterError(message, seconds=(len(self._turns) + 1) * self._held / self._slots)
