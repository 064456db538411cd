"""What a file beside a document says of it: `leave.pdf.meta.json`."""

from dataclasses import dataclass
from typing import Any

from core.words import Instant
from ingest import strict_json
from ingest.errors import RefusedError
from ingest.formats.dates import instant_of
from ingest.markup import one_line

SUFFIX = ".meta.json"
MAX_BYTES = 65_536
NAME_CHARACTERS = 40


class BrokenSidecarError(RefusedError):
    """The file beside a document does not say what it is there to say."""

    code = "broken_sidecar"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What somebody says of a document; what is empty or None is not said."""

    title: str = ""
    author: str = ""
    effective_date: Instant | None = None


NOTHING = Sidecar()


def parse_sidecar(raw: bytes) -> Sidecar:
    """What the bytes of a sidecar say; raises BrokenSidecarError."""
    try:
        said = strict_json.parse(raw, limit=MAX_BYTES)
    except RefusedError as error:
        raise _broken(error.message) from error
    if not isinstance(said, dict):
        raise _broken("It is no object.")
    if unknown := sorted(set(said) - {"title", "author", "effective_date"}):
        # Somebody may count on it: who may read a file, say.
        raise _broken(f"It says {one_line(unknown[0], NAME_CHARACTERS)!r}, which nobody knows.")
    return Sidecar(_text(said, "title"), _text(said, "author"), _date(said))


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _broken(f"Its {name} is no text.")
    return value


def _date(said: dict[str, Any]) -> Instant | None:
    text = _text(said, "effective_date")
    found = instant_of(text)
    if text and found is None:
        raise _broken("Its effective_date is no date.")
    return found


def _broken(why: str) -> BrokenSidecarError:
    return BrokenSidecarError(
        f"The file {SUFFIX[1:]} beside it cannot be used: {why}",
        hint='It reads {"title": …, "author": …, "effective_date": "2026-03-01"}, each of them optional.',
    )
