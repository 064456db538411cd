"""A zip file read under limits: it is never unpacked to disk, and no archive inside it is ever opened.

What makes the whole of it doubtful (entries that share bytes, too many of them, too much in them) refuses it before any
entry is read. What is wrong with one entry refuses that entry.
"""

import copy
import io
import lzma
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ingest.errors import EntryUnreadableError, FileTooLargeError, RefusedError, SourceUnreadableError

MEMBERS = 200_000
DIRECTORY_BYTES = 160 * MEMBERS  # a record of 46 bytes, and a name with its extra fields of 114 on average
RATIO = 100  # exports of Slack pack to a tenth, no text that somebody wrote to a thirtieth
RATIO_FREE_ENTRY = 1_000_000  # bytes: below, a ratio says nothing, and nothing is to be gained
RATIO_FREE_TOTAL = 100_000_000
TOTAL = 16 * 1024**3  # bytes: sixty-four files of the largest size that is read unless an admin raises it
NAME_BYTES = 1024

UTF8_NAME = 0x800  # the flag bit of an entry whose name is UTF-8
ENCRYPTED = 0x1 | 0x40 | 0x2000  # by a password, strongly, with hidden headers
LOCAL_HEADER_BYTES = 30  # without the name and the extra fields
DIRECTORY_RECORD = b"PK\x01\x02"
CHUNK = 256 * 1024
SEPARATORS = re.compile(r"[/\\]")
DRIVE = re.compile(r"[A-Za-z]:")

# What zipfile raises for damaged, encrypted or unusual archives. UnicodeDecodeError and struct.error come from names
# and extra fields, RuntimeError from encryption, NotImplementedError from versions and methods.
ZIP_TROUBLES = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError, EOFError, OSError),
    *(zlib.error, lzma.LZMAError, struct.error),
)


class ZipTooManyEntriesError(SourceUnreadableError):
    """The zip lists more entries than any export has; it was refused before they took memory."""

    code = "zip_too_many_entries"


class ZipOverlappingError(SourceUnreadableError):
    """Entries of the zip share bytes, so that a small file could unpack to any size; or they lie outside of it."""

    code = "zip_overlapping"


class ZipTooLargeError(SourceUnreadableError):
    """Everything in the zip together is too large, by itself or for a file of its size."""

    code = "zip_too_large"


class UnsafeNameError(RefusedError):
    """The entry's name leads out of the archive or is no path at all."""

    code = "unsafe_name"


class NotRegularError(RefusedError):
    """The entry is a link, a device or a pipe."""

    code = "not_a_regular_file"


class EncryptedEntryError(RefusedError):
    """The entry can only be read with a password."""

    code = "encrypted_entry"


class SuspiciousRatioError(RefusedError):
    """The entry unpacks to more than a hundred times its size."""

    code = "suspicious_ratio"


class CollidingNameError(RefusedError):
    """An earlier entry has the same name but for capitals, and was read in its place."""

    code = "colliding_name"


class Zipped:
    """The entries of an open zip file; see `Archive` for what the methods promise."""

    def __init__(self, entries: Iterable[zipfile.ZipInfo], archive: zipfile.ZipFile, max_bytes: int) -> None:
        self._archive = archive
        self._max_bytes = max_bytes
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._repeated: set[str] = set()
        self._colliding: set[str] = set()
        spellings: set[str] = set()
        for info in entries:
            name = _name_of(info)
            if name.endswith("/") or (hidden(name) and ".." not in SEPARATORS.split(name)):
                continue
            if name in self._entries:
                self._repeated.add(name)
                continue
            # Lower case, not folded: "Masse" and "Maße" are two words.
            if name.lower() in spellings:
                self._colliding.add(name)
            spellings.add(name.lower())
            self._entries[name] = info

    def names(self) -> tuple[str, ...]:
        """Every entry but folders, hidden files and what macOS adds."""
        return tuple(sorted(self._entries))

    def repeated(self) -> tuple[str, ...]:
        """The names that the zip holds twice or more, in any form of Unicode."""
        return tuple(sorted(self._repeated))

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """A zip's names are in one place: none."""
        return ()

    def refused(self) -> tuple[tuple[str, RefusedError], ...]:
        """What is refused by its record in the directory: unsafe, irregular, encrypted, colliding, packed too well."""
        found = ((name, self._refusal(name)) for name in self.names())
        return tuple((name, error) for name, error in found if error is not None)

    def read(self, name: str) -> bytes:
        """The bytes of one entry, checked against its checksum and its size; never more than that size is held."""
        if error := self._refusal(name):
            raise error
        info = self._entries[name]
        if info.file_size > self._max_bytes:
            raise FileTooLargeError(f"{info.file_size} bytes are more than the {self._max_bytes} allowed.")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            # Other methods cannot be unpacked in bounded pieces, and no usual tool writes them.
            raise EntryUnreadableError(f"It is packed by method {info.compress_type}, which is not read.")
        try:
            raw = self._unpacked(info)
        except ZIP_TROUBLES as trouble:
            raise EntryUnreadableError(f"The entry cannot be unpacked: {trouble}.") from trouble
        if len(raw) != info.file_size:
            raise EntryUnreadableError(f"{len(raw)} bytes came out where {info.file_size} were announced.")
        return raw

    def _refusal(self, name: str) -> RefusedError | None:
        if name in self._colliding:
            return CollidingNameError("An earlier entry has this name but for capitals; that one was read.")
        info = self._entries[name]
        if reason := _danger_of(name):
            return UnsafeNameError(reason)
        if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
            return NotRegularError("It is a link, a device or a pipe.")
        if info.flag_bits & ENCRYPTED:
            return EncryptedEntryError("It is encrypted.", hint="Zip it again without a password.")
        if _packed_too_well(info):
            return SuspiciousRatioError(f"{info.compress_size} bytes would unpack to {info.file_size}.")
        return None

    def _unpacked(self, info: zipfile.ZipInfo) -> bytes:
        # zipfile stops at the announced size; announcing one more byte shows whether there are any.
        probe = copy.copy(info)
        probe.file_size += 1
        raw = io.BytesIO()  # hands its buffer over without a copy
        with self._archive.open(probe) as stream:
            while piece := stream.read(CHUNK):
                raw.write(piece)
        return raw.getvalue()


@contextmanager
def opened_zip(place: Path, max_bytes: int) -> Iterator[Zipped]:
    """The zip at a path, closed on exit; raises SourceUnreadableError or one of its subclasses above."""
    try:
        stream = _Watched(place.open("rb", buffering=0))
    except OSError as error:
        raise _unopened(place, error) from error
    with stream:
        try:
            archive = zipfile.ZipFile(stream)
        except ZIP_TROUBLES as error:
            raise _unopened(place, error) from error
        stream.opening = False
        entries = archive.infolist()
        size = os.fstat(stream.fileno()).st_size
        _check_ranges(entries, size=size)
        _check_total(entries, size=size)
        yield Zipped(entries, archive, max_bytes)


class _Watched(io.BufferedReader):
    """The bytes of a zip. As long as it is being opened, a directory that is too large never becomes objects.

    How many entries a zip claims to have binds nobody, so what counts is what the parser is about to be given.
    """

    opening = True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.opening and size and size > DIRECTORY_BYTES:
            raise ZipTooManyEntriesError(f"Its directory of {size} bytes is larger than the {DIRECTORY_BYTES} allowed.")
        raw = super().read(size)
        if self.opening and raw.count(DIRECTORY_RECORD) > MEMBERS:
            raise ZipTooManyEntriesError(f"It holds more than the {MEMBERS} entries allowed.", hint="Split it.")
        return raw


def hidden(name: str) -> bool:
    """True for what no person put there: dot files, `..`, and the resource forks in `__MACOSX`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _unopened(place: Path, error: Exception) -> SourceUnreadableError:
    return SourceUnreadableError(f"{place} cannot be opened: {error}.", hint="Copy it again.")


def _check_ranges(entries: Sequence[zipfile.ZipInfo], *, size: int) -> None:
    end = 0
    for info in sorted(entries, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise ZipOverlappingError("Entries of the zip overlap, or its beginning is missing.", hint="Zip it again.")
        end = info.header_offset + LOCAL_HEADER_BYTES + info.compress_size
    if end > size:
        raise ZipOverlappingError("Entries of the zip lie outside of it.", hint="Copy it again.")


def _check_total(entries: Iterable[zipfile.ZipInfo], *, size: int) -> None:
    total = sum(info.file_size for info in entries if not _packed_too_well(info))  # those are refused by themselves
    if total > TOTAL:
        raise ZipTooLargeError(f"The zip unpacks to {total} bytes; {TOTAL} are allowed.", hint="Split it.")
    if total > max(RATIO_FREE_TOTAL, RATIO * size):
        raise ZipTooLargeError(f"The zip of {size} bytes would unpack to {total}.", hint="Zip only what is needed.")


def _packed_too_well(info: zipfile.ZipInfo) -> bool:
    return info.file_size > max(RATIO_FREE_ENTRY, RATIO * info.compress_size)


def _name_of(info: zipfile.ZipInfo) -> str:
    """The entry's name in NFC: many zip tools write UTF-8 without saying so, and macOS writes NFD."""
    name = info.orig_filename
    if not info.flag_bits & UTF8_NAME:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = info.orig_filename
    return unicodedata.normalize("NFC", name).removeprefix("./")


def _danger_of(name: str) -> str:
    """Why a name must not be used as a path; empty for one that may be."""
    if name.startswith("/") or DRIVE.match(name):
        return "The name is an absolute path."
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        return "The name leads through other folders than it shows."
    if "\\" in name or any(unicodedata.category(character) == "Cc" for character in name):
        return "The name holds a backslash or control characters."
    if len(name.encode()) > NAME_BYTES:
        return f"The name is longer than {NAME_BYTES} bytes."
    return ""
