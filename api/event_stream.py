"""Server-sent events as the client reads them: fields by line, an event by empty line."""

from collections.abc import Iterable, Iterator


def lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Whole lines of UTF-8, however the bytes were cut; only a line feed (after a carriage return or not) ends one."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode(errors="replace")


def events(pieces: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """(event, data) of each event; comments are skipped, an event that broke off is none."""
    name, data = "message", list[str]()
    for line in lines(pieces):
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
