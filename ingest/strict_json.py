"""JSON that somebody else wrote, read under limits: what would exhaust the stack or the memory is refused unparsed.

Of a key that an object holds twice the last value counts, as for every common reader. Numbers with a point or an
exponent stay text, so that a timestamp some tool wrote as a number keeps its digits. Lone surrogates and NUL pass:
JSON may escape them, and whatever becomes text is cleaned anyway.
"""

import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ingest.errors import BrokenJsonError

MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
# Exports of Slack hold one value in twenty to thirty bytes, so their size is bounded first. Without this bound
# every three bytes of `{},{},…` would be an object of ninety.
MAX_VALUES = 4_000_000
MAX_NUMBER_CHARACTERS = 40  # a 64-bit integer takes 20, the longest float that a program prints 24

_WINDOW = 256 * 1024
_MARKS = b'"[]{},'
_OTHERS = bytes(sorted(set(range(256)) - set(_MARKS)))
_QUOTE = ord('"')
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1
_BEGINS_VALUE = np.zeros(256, np.bool_)
_BEGINS_VALUE[[ord("["), ord("{"), ord(",")]] = True


class JsonTooLargeError(BrokenJsonError):
    """The JSON is larger than any that is parsed in one piece."""

    code = "json_too_large"


class JsonTooDeepError(BrokenJsonError):
    """Lists and objects are nested deeper than any honest file has them."""

    code = "json_too_deep"


class JsonTooManyValuesError(BrokenJsonError):
    """The values would take many times the memory of the bytes that they are written in."""

    code = "json_too_many_values"


class JsonNumberError(BrokenJsonError):
    """A number is no number (`NaN`, `Infinity`), or has more digits than any quantity needs."""

    code = "json_number"


def parse(raw: bytes, *, limit: int = MAX_JSON_BYTES) -> object:
    """The value of one JSON text in UTF-8, with or without a byte order mark; `limit` is in bytes.

    Raises BrokenJsonError or one of its subclasses above. The memory beside the value is at most four times the bytes.
    """
    if len(raw) > limit:
        raise JsonTooLargeError(f"{len(raw)} bytes of JSON are more than the {limit} allowed.")
    _check_shape(raw)
    try:
        return json.loads(
            raw.decode("utf-8-sig"), parse_float=_short, parse_int=_integer, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        raise BrokenJsonError(f"It is not JSON: byte {error.start} is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise BrokenJsonError(f"It is not JSON from character {error.pos} on.") from error


def _check_shape(raw: bytes) -> None:
    depth = values = 0
    for marks in _marks_outside_strings(raw):
        if not marks.size:
            continue
        depths = depth + np.cumsum(_STEPS[marks], dtype=np.int32)
        if depths.max() > MAX_DEPTH:
            raise JsonTooDeepError(f"It is nested deeper than the {MAX_DEPTH} levels allowed.")
        depth = int(depths[-1])
        values += int(np.count_nonzero(_BEGINS_VALUE[marks]))
        if values > MAX_VALUES:
            raise JsonTooManyValuesError(f"It holds more than the {MAX_VALUES} values allowed.")


def _marks_outside_strings(raw: bytes) -> Iterator[npt.NDArray[np.uint8]]:
    """The quotes, brackets, braces and commas that are part of no string, window by window."""
    escape, inside = b"", np.bool_(False)  # noqa: FBT003 - the type's constructor takes nothing else
    for start in range(0, len(raw), _WINDOW):
        # Without pairs of backslashes, one before a quote escapes it; one at the end belongs to the next window.
        text = (escape + raw[start : start + _WINDOW]).replace(rb"\\", b"")
        escape = text[-1:] if text.endswith(b"\\") else b""
        marks = np.frombuffer(text.replace(rb"\"", b"").translate(None, _OTHERS), np.uint8)
        quoted = np.logical_xor.accumulate(np.append(inside, marks == _QUOTE))
        inside = quoted[-1]
        yield marks[~quoted[1:]]


def _integer(digits: str) -> int:
    return int(_short(digits))


def _short(digits: str) -> str:
    if len(digits) > MAX_NUMBER_CHARACTERS:
        raise JsonNumberError(
            f"A number of {len(digits)} characters is longer than the {MAX_NUMBER_CHARACTERS} allowed."
        )
    return digits


def _refuse_constant(name: str) -> object:
    raise JsonNumberError(f"{name} is no number in JSON.")
