"""Decisions drawn from the bytes of a fuzzer, one after the other."""

import zlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
LONG = 32 * 1024
ONE_IN = 1000


def stretched(data: bytes) -> bytes:
    """One in a thousand inputs over and over: only long ones show what takes more than linear time.

    Which ones is not written in them, so that a fuzzer which keeps what is new does not keep making long ones.
    """
    return data * (LONG // max(len(data), 1)) if zlib.crc32(data) % ONE_IN == 0 else data


class Draws:
    """Reads decisions from bytes, one after the other; after the last byte everything is zero, empty or the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        """Whether every byte has been used."""
        return self._at >= len(self._data)

    def byte(self) -> int:
        """The next byte."""
        found = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return found

    def raw(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.raw(max(0, len(self._data) - self._at))

    def number(self, width: int) -> int:
        """An unsigned number of so many bytes, little-endian."""
        return int.from_bytes(self.raw(width), "little")

    def pick(self, options: Sequence[T]) -> T:
        """One of at most 256 options."""
        return options[self.byte() % len(options)]

    def text(self) -> str:
        """Up to 63 bytes as text, lone surrogates and NULs included where the bytes say so."""
        return self.raw(self.byte() % 64).decode("utf-8", "surrogateescape")
