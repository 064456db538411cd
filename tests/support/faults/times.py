"""Clocks that are wrong by hours, and wrong in another way every moment."""

import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Engine, event

HOURS: Final = 2
_MICROS: Final = 3_600_000_000
_DAY_MICROS: Final = 86_400_000_000
_UNIX_EPOCH_JULIAN: Final = 2440587.5

_real_time_ns = time.time_ns


class JumpingClock:
    """The time of day of one process: two hours early, right or two hours late, anew every `seconds`."""

    def __init__(self, seed: int, told: Callable[[], object], seconds: float = 0.1) -> None:
        self._draw = random.Random(seed)
        self._told = told
        self._seconds = seconds
        self._until = 0.0
        self._offset = 0

    def micros(self) -> int:
        """Microseconds since 1970, as this process sees them."""
        if time.monotonic() >= self._until:
            self._until = time.monotonic() + self._seconds
            before, self._offset = self._offset, self._draw.choice((-HOURS, 0, HOURS)) * _MICROS
            if before != self._offset:
                self._told()
        return _real_time_ns() // 1000 + self._offset

    def install(self) -> None:
        """Let this process, and every SQLite database that it opens from now on, go by this clock."""
        time.time_ns = lambda: self.micros() * 1000
        time.time = lambda: self.micros() / 1_000_000
        event.listen(Engine, "connect", self._connected)

    def _connected(self, connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own object
        if isinstance(connection, sqlite3.Connection):
            connection.create_function("julianday", -1, self._julian)

    def _julian(self, *_: object) -> float:
        return self.micros() / _DAY_MICROS + _UNIX_EPOCH_JULIAN
