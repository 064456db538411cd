"""What crosses the pipes between the reader of a source and the process that parses: frames, and documents as JSON."""

import json
import struct
from collections.abc import Mapping, Sequence
from io import BufferedReader
from typing import Any, BinaryIO

from core.words import Block, Instant
from ingest.formats.parsed import Parsed
from ingest.markup import clean

HEADER_BYTES = 64 * 1024
ANSWER_BYTES = 128 * 1024 * 1024
PIECE = 1024 * 1024  # of what has no buffer: each read takes the memory that it may fill
FRAME = struct.Struct(">Q")
REPORT = struct.Struct(">q")
"""What the process that holds the parsers says of a copy: its process id, and then how it ended."""
TEXTS = ("title", "kind", "part", "author", "context", "trouble")
TIMES = ("valid_from", "modified")


def send(stream: BinaryIO, *frames: bytes) -> None:
    """Write each frame behind its length; raises OSError where nobody reads."""
    for frame in frames:
        stream.write(FRAME.pack(len(frame)))
        stream.write(frame)
    stream.flush()


def receive(stream: BinaryIO, limit: int) -> bytes:
    """The next frame; raises EOFError where the other side ended and ValueError for more than `limit` bytes."""
    (size,) = FRAME.unpack(_exactly(stream, FRAME.size))
    if size > limit:
        raise ValueError(f"{size} bytes are more than {limit}.")
    return _exactly(stream, size)


def packed(documents: Sequence[Parsed]) -> bytes:
    """Documents as JSON; the inverse of `unpacked` for clean text."""
    rows = [
        {name: getattr(document, name) for name in (*TEXTS, *TIMES)}
        | {"blocks": [[b.text, b.anchor, b.at, b.heading, b.speaker] for b in document.blocks]}
        for document in documents
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def unpacked(rows: object) -> list[Parsed]:
    """Documents from what a process sent that may have been taken over by what it read; raises ValueError."""
    return [_document(row) for row in _list(rows)]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        part = stream.read(size if isinstance(stream, BufferedReader) else min(size, PIECE))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _document(row: object) -> Parsed:
    if not isinstance(row, Mapping):
        raise ValueError("A document is no object.")  # noqa: TRY004 - every fault of an answer is a ValueError
    title, kind, part, author, context, trouble = (_text(row.get(name)) for name in TEXTS)
    valid_from, modified = (_time(row.get(name)) for name in TIMES)
    return Parsed(
        blocks=tuple(_block(block) for block in _list(row.get("blocks"))),
        title=title,
        kind=kind,
        part=part,
        author=author,
        valid_from=valid_from,
        modified=modified,
        context=context,
        trouble=trouble,
    )


def _block(row: object) -> Block:
    text, anchor, at, heading, speaker = _list(row)
    return Block(
        text=_text(text),
        anchor=_text(anchor),
        at=_time(at),
        heading=tuple(_text(part) for part in _list(heading)),
        speaker=_text(speaker),
    )


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("There is no list where one belongs.")  # noqa: TRY004 - as above
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("There is no text where one belongs.")  # noqa: TRY004 - as above
    return clean(value)


def _time(value: object) -> Instant | None:
    if value is not None and type(value) is not int:
        raise ValueError("There is no time where one belongs.")
    return None if value is None else Instant(value)
