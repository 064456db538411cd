"""Server-sent events, read from bytes that may be cut anywhere.

The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html: lines end with CR, LF or both, a
line that starts with a colon is a comment, `data` lines of one event are joined, an empty line ends the event.
"""

import codecs
from collections.abc import Iterable, Iterator

MAX_EVENT_CHARACTERS = 2**20


def event_data(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each finished event that has any; raises `ValueError` for a line or event beyond all measure."""
    data: list[str] = []
    for line in _lines(chunks):
        if line:
            data += _data(line)
            _refuse_endless(sum(map(len, data)))
        elif data:
            yield "\n".join(data)
            data = []


def _data(line: str) -> list[str]:
    name, _, value = line.partition(":")
    return [value.removeprefix(" ")] if name == "data" else []


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest, after_cr = "", False
    for chunk in chunks:
        text = decoder.decode(chunk)
        if after_cr and text:
            text, after_cr = text.removeprefix("\n"), False
        after_cr = after_cr or text.endswith("\r")
        *whole, rest = (rest + text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
        yield from whole
        _refuse_endless(len(rest))


def _refuse_endless(length: int) -> None:
    if length > MAX_EVENT_CHARACTERS:
        message = f"an event of more than {MAX_EVENT_CHARACTERS} characters"
        raise ValueError(message)
