"""Reading named entries of a zip file or a folder. A zip is never unpacked, a link never leads out of the folder."""

import hashlib
import lzma
import os
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from ingest.errors import EntryUnreadableError, FileTooLargeError, OutsideSourceError, SourceUnreadableError

UTF8_NAME = 0x800  # the flag bit of a zip entry whose name is UTF-8


# What zipfile raises for damaged, encrypted or unusual archives. UnicodeDecodeError and struct.error come from names
# and extra fields, RuntimeError from encryption, NotImplementedError from versions and methods.
ZIP_TROUBLES = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeDecodeError, EOFError, OSError),
    *(zlib.error, lzma.LZMAError, struct.error),
)


class Archive(Protocol):
    """Named bytes: a zip file or a folder. Names are relative POSIX paths, sorted, hidden ones left out."""

    def names(self) -> tuple[str, ...]:
        """Every entry."""

    def read(self, name: str) -> bytes:
        """The bytes of one entry; raises a RefusedError where they cannot or must not be had."""

    def repeated(self) -> tuple[str, ...]:
        """The names that more than one entry has, sorted; the first such entry is the one that is read."""

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Folders whose names cannot be had, each with the reason; sorted."""


@contextmanager
def opened(place: Path, max_bytes: int) -> Iterator[Archive]:
    """The archive at a path, closed on exit; raises SourceUnreadableError."""
    if place.is_dir():
        yield Folder(place, max_bytes)
        return
    try:
        archive = zipfile.ZipFile(place)
    except ZIP_TROUBLES as error:
        raise SourceUnreadableError(f"{place} cannot be opened: {error}.", hint="Copy it again.") from error
    with archive:
        yield Zipped(archive, max_bytes)


class Zipped:
    """The entries of an open zip file."""

    def __init__(self, archive: zipfile.ZipFile, max_bytes: int) -> None:
        self._archive = archive
        self._max_bytes = max_bytes
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._repeated: set[str] = set()
        for info in archive.infolist():
            name = _name_of(info)
            if info.is_dir() or hidden(name):
                continue
            if name in self._entries:
                self._repeated.add(name)
            self._entries.setdefault(name, info)

    def names(self) -> tuple[str, ...]:
        """Every entry but folders, hidden files and what macOS adds."""
        return tuple(sorted(self._entries))

    def repeated(self) -> tuple[str, ...]:
        """The names that the zip holds twice or more."""
        return tuple(sorted(self._repeated))

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """A zip's names are in one place: none."""
        return ()

    def read(self, name: str) -> bytes:
        """The bytes of one entry, checked against its checksum."""
        info = self._entries[name]
        if info.file_size > self._max_bytes:
            raise FileTooLargeError(f"{info.file_size} bytes are more than the {self._max_bytes} allowed.")
        try:
            return self._archive.read(info)
        except ZIP_TROUBLES as error:
            raise EntryUnreadableError(f"The entry cannot be unpacked: {error}.") from error


class Folder:
    """The files below a folder, or one file by itself."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._inside = (root if root.is_dir() else root.parent).resolve()

    def names(self) -> tuple[str, ...]:
        """Every file, and every link to a folder outside so that it can be refused by name."""
        if not self._root.is_dir():
            return (self._root.name,)
        return tuple(sorted(self._walk([])))

    def repeated(self) -> tuple[str, ...]:
        """A folder holds a name once: none."""
        return ()

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """The sub-folders that cannot be listed; raises SourceUnreadableError if the folder itself cannot."""
        failures: list[OSError] = []
        if self._root.is_dir():
            for _ in self._walk(failures):
                pass
        return tuple(sorted({self._failed(failure) for failure in failures}))

    def _failed(self, failure: OSError) -> tuple[str, str]:
        return (
            Path(failure.filename).relative_to(self._root).as_posix(),
            f"The folder cannot be read: {failure.strerror}.",
        )

    def _walk(self, failures: list[OSError]) -> Iterator[str]:
        def failed(failure: OSError) -> None:
            # Without the folder itself, or without a name for what is missing, everything would look deleted.
            if failure.filename is None or Path(failure.filename) == self._root:
                raise SourceUnreadableError(f"{self._root} cannot be read: {failure.strerror}.") from failure
            failures.append(failure)

        for folder, subfolders, files in os.walk(self._root, onerror=failed):
            place = Path(folder)
            subfolders[:] = [name for name in subfolders if not hidden(name)]
            links = [name for name in subfolders if (place / name).is_symlink()]
            for name in (*files, *links):
                relative = (place / name).relative_to(self._root).as_posix()
                if not hidden(name) and (name not in links or self.leaves(relative)):
                    yield relative

    def leaves(self, name: str) -> bool:
        """True for a link that leads out of the folder."""
        try:
            return not self._path(name).resolve().is_relative_to(self._inside)
        except (OSError, RuntimeError):
            return False  # a link to itself leads nowhere: whoever reads it is told so

    def read(self, name: str) -> bytes:
        """The bytes of one regular file inside the folder."""
        if self.leaves(name):
            raise OutsideSourceError("The link leads out of the source's folder.")
        path = self._path(name)
        try:
            if not path.is_file():
                raise EntryUnreadableError("It is not a regular file.")
            size = path.stat().st_size
            if size > self._max_bytes:
                raise FileTooLargeError(f"{size} bytes are more than the {self._max_bytes} allowed.")
            return path.read_bytes()
        except OSError as error:
            raise EntryUnreadableError(f"The file cannot be read: {error.strerror}.") from error

    def _path(self, name: str) -> Path:
        return self._root / name if self._root.is_dir() else self._root


class Rooted:
    """An archive seen from one of its folders: an export that was zipped together with the folder around it."""

    def __init__(self, archive: Archive, root: str) -> None:
        self._archive = archive
        self._prefix = root

    def names(self) -> tuple[str, ...]:
        """The entries below the folder, relative to it."""
        return self._below(self._archive.names())

    def repeated(self) -> tuple[str, ...]:
        """The names below the folder that more than one entry has."""
        return self._below(self._archive.repeated())

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """The folders below the folder that cannot be listed."""
        found = dict(self._archive.unreadable())
        return tuple((name, found[self._prefix + name]) for name in self._below(found))

    def read(self, name: str) -> bytes:
        """The bytes of one entry."""
        return self._archive.read(self._prefix + name)

    def _below(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix))


def hidden(name: str) -> bool:
    """True for what no person put there: dot files, `..`, and the resource forks in `__MACOSX`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def sha_of_file(place: Path) -> str:
    """SHA-256 (hex) of one file, streamed."""
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha_of_entries(archive: Archive, names: Iterable[str]) -> str:
    """SHA-256 (hex) over names and bytes; for what cannot be read, over its name and why."""
    sha = hashlib.sha256()
    for name in names:
        try:
            raw = archive.read(name)
        except (EntryUnreadableError, FileTooLargeError, OutsideSourceError) as error:
            raw = f"{error.code} {error.message}".encode()
        sha.update(f"{len(name)}:{name}:{len(raw)}:".encode(errors="surrogateescape"))
        sha.update(raw)
    return sha.hexdigest()


def _name_of(info: zipfile.ZipInfo) -> str:
    """The entry's name in NFC: many zip tools write UTF-8 without saying so, and macOS writes NFD."""
    name = info.filename
    if not info.flag_bits & UTF8_NAME:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = info.filename
    return unicodedata.normalize("NFC", name)
