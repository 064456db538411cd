"""Reading named entries of a zip file or a folder. A zip is never unpacked, a link never leads out of the folder."""

import hashlib
import os
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from ingest.errors import EntryUnreadableError, FileTooLargeError, OutsideSourceError, SourceUnreadableError

UTF8_NAME = 0x800  # the flag bit of a zip entry whose name is UTF-8


class Archive(Protocol):
    """Named bytes: a zip file or a folder. Names are relative POSIX paths, sorted, hidden ones left out."""

    def names(self) -> tuple[str, ...]:
        """Every entry."""

    def read(self, name: str) -> bytes:
        """The bytes of one entry; raises a RefusedError where they cannot or must not be had."""


@contextmanager
def opened(place: Path, max_bytes: int) -> Iterator[Archive]:
    """The archive at a path, closed on exit; raises SourceUnreadableError."""
    if place.is_dir():
        yield Folder(place, max_bytes)
        return
    try:
        archive = zipfile.ZipFile(place)
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceUnreadableError(f"{place} cannot be opened: {error}.", hint="Copy it again.") from error
    with archive:
        yield Zipped(archive, max_bytes)


class Zipped:
    """The entries of an open zip file."""

    def __init__(self, archive: zipfile.ZipFile, max_bytes: int) -> None:
        self._archive = archive
        self._max_bytes = max_bytes
        self._entries = {
            name: info for info in archive.infolist() if not info.is_dir() and not hidden(name := _name_of(info))
        }

    def names(self) -> tuple[str, ...]:
        """Every entry but folders, hidden files and what macOS adds."""
        return tuple(sorted(self._entries))

    def read(self, name: str) -> bytes:
        """The bytes of one entry, checked against its checksum."""
        info = self._entries[name]
        if info.file_size > self._max_bytes:
            raise FileTooLargeError(f"{info.file_size} bytes are more than the {self._max_bytes} allowed.")
        try:
            return self._archive.read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
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
        return tuple(sorted(self._walk()))

    def _walk(self) -> Iterator[str]:
        for folder, subfolders, files in os.walk(self._root):
            place = Path(folder)
            subfolders[:] = [name for name in subfolders if not hidden(name)]
            links = [name for name in subfolders if (place / name).is_symlink()]
            for name in (*files, *links):
                relative = (place / name).relative_to(self._root).as_posix()
                if not hidden(name) and (name not in links or self.leaves(relative)):
                    yield relative

    def leaves(self, name: str) -> bool:
        """True for a link that leads out of the folder."""
        return not self._path(name).resolve().is_relative_to(self._inside)

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

    def __init__(self, archive: Archive, landmarks: Iterable[str]) -> None:
        self._archive = archive
        wanted = set(landmarks)
        found = [name for name in archive.names() if name.rsplit("/", 1)[-1] in wanted and name.count("/") <= 1]
        first = min(found, key=lambda name: (name.count("/"), name), default="")
        self._prefix = first[: first.rfind("/") + 1]

    def names(self) -> tuple[str, ...]:
        """The entries below the folder, relative to it."""
        length = len(self._prefix)
        return tuple(name[length:] for name in self._archive.names() if name.startswith(self._prefix))

    def read(self, name: str) -> bytes:
        """The bytes of one entry."""
        return self._archive.read(self._prefix + name)


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
