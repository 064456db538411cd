"""The strict reader of JSON, and the reader of one message on any value that JSON can hold."""

import json
import math
from collections.abc import Iterator

from core.settings import IngestSettings
from ingest.conversations import Message
from ingest.errors import BrokenJsonError
from ingest.markup import clean
from ingest.sources.slack_directory import directory_of
from ingest.sources.slack_html import html_in
from ingest.sources.slack_messages import read_message
from ingest.sources.slack_records import exact_time
from ingest.strict_json import MAX_DEPTH, elements, parse
from tests.fuzz.draws import Draws
from tests.fuzz.html_here import sandbox_here
from tests.fuzz.slack_values import KEYS, message_of

MAX_BYTES = 448
WORDS = (
    *(b"NaN", b"-Infinity", b"1e999", b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"[[[[", b'{"":', b"\\\\\\", b'\\"'),
    *(f'"{key}":'.encode() for key in KEYS[:24]),
)
LIMIT = 400
HTML = html_in(sandbox_here(IngestSettings()))
DIRECTORY = directory_of(
    {"users.json": [{"id": "U1", "name": "ada"}], "channels.json": [{"id": "C1", "name": "general"}]}, name="fuzzed"
)


def seeds() -> Iterator[bytes]:
    """Texts, good and bad, and messages that bytes make."""
    yield b'\0[{"type":"message","ts":"1700000000.000100","user":"U1","text":"<@U1> &amp; *more*"}]'
    yield b'\0{"ts":1700000000.5,"blocks":[{"type":"rich_text","elements":[{"elements":[{"text":"a"}]}]}]}'
    yield from (b"\0" + text for text in (b"\xef\xbb\xbf[]", b"[NaN]", b"[1e5, -0.5]", b'["\\ud800\\u0000"]', b"\xff"))
    yield b"\0" + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    yield b"\0" + b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1)
    yield b"\0[" + b"9" * 41 + b"]"
    yield b"\0[" + b"1," * (LIMIT // 2) + b"1]"
    for shift in range(8):
        yield b"\1" + bytes((11 * at + 29 * shift) % 256 for at in range(200))


def one_input(data: bytes) -> None:
    """Read a text, or a message; `BrokenJsonError` is all that may come out."""
    if data[:1] < b"\1":
        _read_text(data[1:])
    else:
        draws = Draws(data[1:])
        while not draws.done:
            _read_message(message_of(draws))


def _read_text(raw: bytes) -> None:
    try:
        value = parse(raw, limit=LIMIT)
    except BrokenJsonError as error:
        str(error).encode()
        assert _elements(raw) is None
        return
    assert len(raw) <= LIMIT
    assert _elements(raw) == (value if isinstance(value, list) else None)
    assert value == json.loads(raw.decode("utf-8-sig"), parse_float=str)
    _check_value(value, 0)
    for message in value if isinstance(value, list) else [value]:
        _read_message(message)


def _elements(raw: bytes) -> list[object] | None:
    """The same text read as a list, element by element; None where it is refused."""
    try:
        return list(elements(raw, limit=LIMIT))
    except BrokenJsonError:
        return None


def _check_value(value: object, depth: int) -> None:
    """No deeper than allowed, and no number but whole ones."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    assert not isinstance(value, float), "a number with a point"
    assert not isinstance(value, int) or abs(value) < math.inf
    if inner is not None:
        assert depth < MAX_DEPTH, "deeper than allowed"
        for one in inner:
            _check_value(one, depth + 1)


def _read_message(raw: object) -> None:
    result = read_message(raw, DIRECTORY, html=HTML)
    if isinstance(result, Message):
        assert exact_time(result.ts) == (result.ts, result.at)
        texts = (result.text, result.speaker, result.by, result.thread_ts)  # what is stored of it
        assert all(text == clean(text) for text in texts), "text that is not clean"
        assert result.reactions >= 0
        return
    # A message with a time is read, or left out for a reason that somebody wrote down.
    unknown = result.reason == "malformed_message" and isinstance(raw, dict) and exact_time(raw.get("ts")) is not None
    assert not unknown, "a shape of message that nobody thought of"
    assert result.reason
