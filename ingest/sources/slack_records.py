"""Reading the loose JSON of Slack: a field of another type than expected counts as missing."""

import re
from collections.abc import Mapping

from core.words import MICROS, OPEN_TO, Instant
from ingest import strict_json
from ingest.errors import BrokenJsonError
from ingest.markup import one_line

NAME_CHARACTERS = 80
ATTACHED = 100  # files or attachments of one message, as many as Slack lets anybody send
LOOKED_AT = 10_000
LONG = 20
TIME = re.compile(r"(\d{1,10})(?:\.(\d{1,6}))?", re.ASCII)

Record = Mapping[str, object]


def string(record: Record, key: str) -> str:
    """A field's text as it stands, empty where there is none."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def short(record: Record, key: str) -> str:
    """A field's text cleaned, in one line and short: an id, a name."""
    return one_line(string(record, key), NAME_CHARACTERS)


def record(parent: Record, key: str) -> Record:
    """A field that is an object, empty where it is none."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def records(parent: Record, key: str) -> list[Record]:
    """The objects among a list."""
    value = parent.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def strings(parent: Record, key: str) -> list[str]:
    """The texts among a list."""
    value = parent.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def listed(raw: bytes) -> list[object]:
    """The elements of a JSON list; raises BrokenJsonError."""
    parsed = strict_json.parse(raw)
    if not isinstance(parsed, list):
        raise BrokenJsonError("It is not a list.")
    return parsed


def exact_time(value: object) -> tuple[str, Instant] | None:
    """A Slack timestamp as its text with six decimals and as microseconds, by digits and never through a float."""
    match = TIME.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if match is None:
        return None
    fraction = (match[2] or "").ljust(6, "0")
    at = int(match[1]) * MICROS + int(fraction)
    return (f"{match[1]}.{fraction}", Instant(at)) if at < OPEN_TO else None


class Said:
    """What a message has said so far, so that a preview of it is not said again. Linear: it looks at the beginning."""

    __slots__ = ("_lines", "_text")

    def __init__(self, text: str) -> None:
        self._text = text[:LOOKED_AT]
        self._lines = set(self._text.splitlines())

    def mentions(self, name: str) -> bool:
        """Whether a name stands anywhere in the message's own text."""
        return name in self._text

    def adds(self, text: str) -> bool:
        """Whether this was not said yet; from now on it was. A short text counts only as a whole line."""
        known = text in self._lines or (len(text) >= LONG and text in self._text)
        self._lines.add(text)
        return not known
