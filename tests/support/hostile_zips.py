"""Zips that no honest tool writes, byte by byte."""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DEFLATED = 8
UTF8_NAME = 0x800
REGULAR = 0o100644


def deflated(raw: bytes) -> bytes:
    """The raw deflate stream of some bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(raw) + packer.flush()


def packed_zeros(megabytes: int) -> bytes:
    """The raw deflate stream of that many million zeros, without ever having them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    million = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    return million * megabytes + packer.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEntry:
    """One entry; what is None is as it should be. `at` is where the directory says that the entry begins."""

    name: str
    raw: bytes = b""
    method: int = DEFLATED
    packed: bytes | None = None
    size: int | None = None
    crc: int | None = None
    flags: int = UTF8_NAME
    mode: int = REGULAR
    at: int | None = None

    @property
    def body(self) -> bytes:
        """What stands between this header and the next."""
        if self.packed is not None:
            return self.packed
        return deflated(self.raw) if self.method == DEFLATED else self.raw

    def fields(self) -> bytes:
        """What the local header and the directory have in common, from the version to the length of extra fields."""
        size = len(self.raw) if self.size is None else self.size
        crc = zlib.crc32(self.raw) if self.crc is None else self.crc
        lengths = (len(self.body), size, len(self.name.encode()), 0)
        return struct.pack("<5H3I2H", 20, self.flags, self.method, 0, 0x21, crc, *lengths)

    def local(self) -> bytes:
        """The local header and the entry's packed bytes."""
        return b"PK\x03\x04" + self.fields() + self.name.encode() + self.body

    def record(self, at: int) -> bytes:
        """The entry's record in the directory."""
        made_on_unix = struct.pack("<H", 3 << 8 | 20)
        where = struct.pack("<3H2I", 0, 0, 0, self.mode << 16, at if self.at is None else self.at)
        return b"PK\x01\x02" + made_on_unix + self.fields() + where + self.name.encode()


def write(place: Path, entries: Iterable[RawEntry], *, records: Iterable[RawEntry] = ()) -> Path:
    """The zip of these entries; its directory lists `records` besides, which say themselves where they begin."""
    bodies, directory = [], []
    at = 0
    for entry in entries:
        bodies.append(entry.local())
        directory.append(entry.record(at))
        at += len(bodies[-1])
    directory += [record.record(0) for record in records]
    listed = b"".join(directory)
    place.write_bytes(b"".join(bodies) + listed + ending(len(directory), size=len(listed), at=at))
    return place


def ending(entries: int, *, size: int, at: int) -> bytes:
    """The record at the end of a zip: how many entries, how long the directory is and where it begins."""
    count = min(entries, 0xFFFF)
    return b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, count, count, size, at, 0)
