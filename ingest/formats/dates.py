"""The times that files state, as instants."""

from datetime import UTC, date, datetime, time, timedelta

from core.words import OPEN_TO, Instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_of(text: str) -> Instant | None:
    """Microseconds of an ISO date or time, UTC unless it says otherwise; None for anything else."""
    try:
        return instant_at(datetime.fromisoformat(text.strip()))
    except ValueError:
        return None


def instant_at(moment: date) -> Instant | None:
    """Microseconds of a day or a time, UTC unless it says otherwise; None for what lies outside of 1970 to 2255."""
    whole = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    at = ((whole if whole.tzinfo else whole.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)
    return Instant(at) if 0 <= at < OPEN_TO else None
