"""The time of day in microseconds. Passed into what needs it, so that tests and replays can set it."""

import time
from collections.abc import Callable

from sqlalchemy import ColumnElement, literal_column

from core.database import Session
from core.words import Instant

Clock = Callable[[], Instant]


def now() -> Instant:
    """Microseconds since 1970-01-01 UTC."""
    return Instant(time.time_ns() // 1000)


def database_now(session: Session) -> ColumnElement[int]:
    """The database's own clock in microseconds: leases are judged by it, never by a worker's."""
    if session.dialect.name == "sqlite":
        return literal_column("CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)")
    return literal_column("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
