"""JSON that somebody else wrote, read under limits: what would exhaust the stack or the memory is refused unparsed.

Of a key that an object holds twice the last value counts, as for every common reader. Numbers with a point or an
exponent stay text, so that a timestamp some tool wrote as a number keeps its digits. Lone surrogates and NUL pass:
JSON may escape them, and whatever becomes text is cleaned anyway.
"""

import json
import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ingest.errors import BrokenJsonError

MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
# Exports of Slack hold one value in twenty to thirty bytes, so their size is bounded first. Without this bound
# every three bytes of `{},{},…` would be an object of ninety.
MAX_VALUES = 4_000_000
# Of a list that is taken element by element: each may have as many values as a whole text, and all of them together
# so many, in so many elements, that what is kept of each stays within four times the bytes.
MAX_LIST_BYTES = 256 * 1024 * 1024
MAX_LIST_VALUES = 16_000_000
MAX_ELEMENTS = 1_000_000
MAX_NUMBER_CHARACTERS = 40  # a 64-bit integer takes 20, the longest float that a program prints 24

_WINDOW = 256 * 1024
_MARKS = b'"[]{},'
_OTHERS = bytes(sorted(set(range(256)) - set(_MARKS)))
_QUOTE, _COMMA = ord('"'), ord(",")
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("["), ord("{")]] = 1
_STEPS[[ord("]"), ord("}")]] = -1
_BEGINS_VALUE = np.zeros(256, np.bool_)
_BEGINS_VALUE[[ord("["), ord("{"), _COMMA]] = True
_SPACE = re.compile(r"[ \t\n\r]*")


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
    _check_size(raw, limit)
    _check_shape(raw)
    try:
        return _DECODER.decode(_text(raw))
    except json.JSONDecodeError as error:
        raise BrokenJsonError(f"It is not JSON from character {error.pos} on.") from error


def elements(raw: bytes, *, limit: int = MAX_LIST_BYTES) -> Iterator[object]:
    """The elements of one JSON list, each parsed when it is asked for: whoever keeps little of each can read many.

    Raises what `parse` raises; of a list that is broken behind an element, after that one. The memory beside what is
    kept is that of `parse` for the largest element, and four times the bytes.
    """
    _check_size(raw, limit)
    _check_shape(raw, whole=MAX_LIST_VALUES, by_element=True)
    text = _text(raw)
    place = _after_space(text, 0)
    if text[place : place + 1] != "[":
        raise BrokenJsonError("It is not a list.")
    place = _after_space(text, place + 1)
    closed = text[place : place + 1] == "]"
    for _ in range(MAX_ELEMENTS):
        if closed:
            break
        element, place = _element(text, place)
        yield element
        closed, place = _separated(text, place)
    if not closed:
        raise JsonTooManyValuesError(f"It holds more than the {MAX_ELEMENTS} elements allowed.")
    if _after_space(text, place + 1) != len(text):
        raise BrokenJsonError(f"It is not JSON from character {place + 1} on.")


def _element(text: str, place: int) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, place)
    except json.JSONDecodeError as error:
        raise BrokenJsonError(f"It is not JSON from character {error.pos} on.") from error


def _separated(text: str, place: int) -> tuple[bool, int]:
    """Whether the list is closed behind an element, and where: else where the next one begins."""
    place = _after_space(text, place)
    mark = text[place : place + 1]
    if mark not in (",", "]"):
        raise BrokenJsonError(f"It is not JSON from character {place} on.")
    return (True, place) if mark == "]" else (False, _after_space(text, place + 1))


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _check_size(raw: bytes, limit: int) -> None:
    if len(raw) > limit:
        raise JsonTooLargeError(f"{len(raw)} bytes of JSON are more than the {limit} allowed.")


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrokenJsonError(f"It is not JSON: byte {error.start} is not UTF-8.") from error


def _check_shape(raw: bytes, *, whole: int = MAX_VALUES, by_element: bool = False) -> None:
    """Raise for what is nested too deep or holds too many values: as a whole, or in one element of its list."""
    depth = values = since = 0  # since the last element ended
    for marks in _marks_outside_strings(raw):
        if not marks.size:
            continue
        depths = depth + np.cumsum(_STEPS[marks], dtype=np.int32)
        if depths.max() > MAX_DEPTH:
            raise JsonTooDeepError(f"It is nested deeper than the {MAX_DEPTH} levels allowed.")
        depth = int(depths[-1])
        begun = np.cumsum(_BEGINS_VALUE[marks], dtype=np.int64)
        ends = begun[(marks == _COMMA) & (depths == 1)] if by_element else begun[:0]
        largest = int(np.diff(ends, prepend=-since, append=begun[-1]).max())
        values += int(begun[-1])
        since = int(begun[-1] - ends[-1]) if ends.size else since + int(begun[-1])
        if largest > MAX_VALUES or values > whole:
            most = MAX_VALUES if largest > MAX_VALUES else whole
            raise JsonTooManyValuesError(f"It holds more than the {most} values allowed.")


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


_DECODER = json.JSONDecoder(parse_float=_short, parse_int=_integer, parse_constant=_refuse_constant)
