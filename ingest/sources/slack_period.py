"""Which time an export covers, as Slack writes it into the name: `Acme Slack export Jan 1 2026 - Mar 31 2026.zip`."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from core.words import MICROS, Instant

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = r"([A-Z][a-z]{2})[a-z]{0,6} (\d{1,2}),? (\d{4})"
_PERIOD = re.compile(rf"Slack export {_DAY} - {_DAY}(?!\d)")
# The days are the workspace's own, whose time zone the name does not say: a day begins in the last of all zones, twelve
# hours behind UTC, and ends in the first, fourteen hours before it.
LAST_BEGIN = timedelta(hours=12)
FIRST_END = timedelta(hours=10)


def period_in(names: Iterable[str]) -> tuple[Instant, Instant] | None:
    """What is surely covered, from its first to before its end, by the first name that says so; None if none does."""
    for name in names:
        if (found := _PERIOD.search(name.replace("_", " "))) is None:
            continue
        first, last = _day(*found.group(1, 2, 3)), _day(*found.group(4, 5, 6))
        if first is not None and last is not None and first <= last:
            begin, end = _instant(first, LAST_BEGIN), _instant(last, FIRST_END)
            return begin, max(begin, end)
    return None


def _day(month: str, day: str, year: str) -> date | None:
    try:
        return date(int(year), MONTHS.index(month.lower()) + 1, int(day))
    except ValueError:
        return None


def _instant(day: date, later: timedelta) -> Instant:
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + later
    return Instant(max(0, int(moment.timestamp())) * MICROS)
