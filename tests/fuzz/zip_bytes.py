"""A zip written field by field, so that every field can lie: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
STORED, DEFLATED = 0, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry. What is None is the truth."""

    name: bytes
    content: bytes
    method: int = STORED
    flags: int = 0
    attributes: int = 0
    checksum: int | None = None
    packed_size: int | None = None
    size: int | None = None
    offset: int | None = None


def zip_of(members: Sequence[Member], *, count: int | None = None, comment: bytes = b"") -> bytes:
    """The bytes of the archive; `count` is what its end says of the number of entries."""
    body, directory = bytearray(), bytearray()
    for member in members:
        packed = _packed(member)
        sizes = (
            zlib.crc32(member.content) if member.checksum is None else member.checksum,
            len(packed) if member.packed_size is None else member.packed_size,
            len(member.content) if member.size is None else member.size,
        )
        offset = len(body) if member.offset is None else member.offset
        name, shape = member.name[:0xFFFF], (member.flags, member.method, 0, 0x21)
        body += LOCAL.pack(b"PK\3\4", 20, *shape, *sizes, len(name), 0) + name + packed
        places = (len(name), 0, 0, 0, 0, member.attributes, offset)
        directory += CENTRAL.pack(b"PK\1\2", 20, 20, *shape, *sizes, *places) + name
    told = len(members) if count is None else count
    end = END.pack(b"PK\5\6", 0, 0, told, told, len(directory), len(body), len(comment))
    return bytes(body + directory) + end + comment


def _packed(member: Member) -> bytes:
    if member.method != DEFLATED:
        return member.content
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(member.content) + packer.flush()
