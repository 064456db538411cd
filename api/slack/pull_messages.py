"""Rules of a pull without any input or output: what a message is, which are kept, where each of them lies.

Messages stay as Slack gives them. A timestamp is Slack's own text of seconds with six decimals; the empty one stands
for the beginning of everything. Times are compared as whole microseconds, never through a float.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from api.slack.shapes import LONGEST_NAME
from core.words import MICROS

Row = Mapping[str, Any]

DAY_MICROS: Final = 86_400 * MICROS
EDITABLE_MICROS: Final = DAY_MICROS
"""A thread is read again when its last reply was no older at the last pull: nothing else tells of edited replies."""

_TS: Final = re.compile(r"[0-9]{1,10}\.[0-9]{6}")
_FOLDER: Final = re.compile(r"\w[\w-]*")
_FOLDER_BYTES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What of a conversation is asked for: everything from `start` on, seen before up to `newest`."""

    start: str = ""
    newest: str = ""

    def has(self, ts: str) -> bool:
        """Whether a time lies in what is asked for."""
        return micros_of(ts) >= micros_of(self.start)


def window_of(*, newest: str, seen_since: str, since: str, overlap_days: int) -> Window:
    """What to ask for now, after a conversation was read up to `newest` from `seen_since` on.

    Everything, where it was never read or not from as early as `since`.
    """
    if not newest or micros_of(since) < micros_of(seen_since):
        return Window(start=since)
    first = max(micros_of(newest) - overlap_days * DAY_MICROS, micros_of(seen_since))
    return Window(start=ts_of(first), newest=newest)


def is_message(row: object) -> bool:
    """Whether it is an object with a time of Slack's, whose person and text are text where it has them."""
    if not isinstance(row, Mapping) or not is_ts(row.get("ts")):
        return False
    if not all(isinstance(row.get(name, ""), str) for name in ("user", "text", "subtype", "type")):
        return False
    return row.get("thread_ts") is None or is_ts(row["thread_ts"])


def is_ts(value: object) -> bool:
    """Whether it is a timestamp as Slack writes them."""
    return isinstance(value, str) and _TS.fullmatch(value) is not None


def micros_of(ts: str) -> int:
    """Microseconds since 1970 of a timestamp, 0 for the empty one."""
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * MICROS + int(fraction) if ts else 0


def ts_of(micros: int) -> str:
    """The inverse of `micros_of`; nothing is before the empty timestamp."""
    return f"{micros // MICROS}.{micros % MICROS:06d}" if micros > 0 else ""


def ts_of_day(day: date) -> str:
    """The first moment of a day, UTC."""
    return ts_of(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MICROS)


def day_of(ts: str) -> str:
    """The day file that a message belongs to, UTC."""
    return datetime.fromtimestamp(micros_of(ts) // MICROS, tz=UTC).date().isoformat()


def root_of(row: Row) -> str:
    """The first message of its thread: a loose message is its own."""
    return str(row.get("thread_ts") or row["ts"])


def has_replies(row: Row) -> bool:
    """Whether a thread begins with it that is worth asking for."""
    return row.get("thread_ts") == row["ts"] and row.get("reply_count") != 0


def standing_of(row: Row) -> tuple[object, object]:
    """What a thread's first message says about its replies: equal ones mean that none came or went."""
    return row.get("latest_reply"), row.get("reply_count")


def is_as_known(row: Row, known: tuple[object, object] | None, newest: str) -> bool:
    """Whether the replies that were read before can be kept.

    `known` is what was said of the thread then, `newest` the last thing that was said anywhere then.
    """
    latest = row.get("latest_reply")
    if known is None or not is_ts(latest) or standing_of(row) != known:
        return False
    return micros_of(str(latest)) < micros_of(newest) - EDITABLE_MICROS


def is_kept(row: Row, window: Window, unchanged: Iterable[str]) -> bool:
    """Whether a message that was read before stays, unless it is among what was read now.

    What the window covers and is not told any more has been deleted; the reply to an older thread was not asked for,
    unless it stands in the channel too.
    """
    if is_broadcast(row) and window.has(row["ts"]):
        return root_of(row) in unchanged
    return not window.has(root_of(row)) or root_of(row) in unchanged


def is_broadcast(row: Row) -> bool:
    """Whether it is a reply that stands in the channel too."""
    return row.get("subtype") == "thread_broadcast"


def folders_of(names: Mapping[str, str]) -> dict[str, str]:
    """Names of folders by the ids of conversations: their own names as in Slack's exports, else their ids.

    A name that is no plain word, or that another conversation claims on a file system without capitals, is not taken.
    """
    taken: dict[str, int] = {}
    for key in (*(name.casefold() for name in names.values()), *(place.casefold() for place in names)):
        taken[key] = taken.get(key, 0) + 1
    return {place: name if _is_plain(name) and taken[name.casefold()] == 1 else place for place, name in names.items()}


def _is_plain(name: str) -> bool:
    is_word = _FOLDER.fullmatch(name) is not None and unicodedata.is_normalized("NFKC", name)
    return is_word and len(name) <= LONGEST_NAME and len(name.encode()) <= _FOLDER_BYTES
