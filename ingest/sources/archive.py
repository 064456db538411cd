"""Reading named entries of a zip file or a folder. A zip is never unpacked, a link never leads out of the folder."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ingest.errors import (
    EntryUnreadableError,
    FileTooLargeError,
    OutsideSourceError,
    RefusedError,
    SourceUnreadableError,
)
from ingest.sources.zipped import hidden, opened_zip


class Archive(Protocol):
    """Named bytes: a zip file or a folder. Names are relative POSIX paths, sorted, hidden ones left out."""

    def names(self) -> tuple[str, ...]:
        """Every entry, also those that must not be read: nothing is lost because nobody asked for it."""

    def read(self, name: str) -> bytes:
        """The bytes of one entry; raises a RefusedError where they cannot or must not be had."""

    def repeated(self) -> tuple[str, ...]:
        """The names that more than one entry has, sorted; the first such entry is the one that is read."""

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Folders whose names cannot be had, each with the reason; sorted."""

    def refused(self) -> tuple[tuple[str, RefusedError], ...]:
        """The names that reading is known to refuse without looking at any bytes, each with the error; sorted.

        They are among `names`, and `read` raises the same error. So whoever reads every name sees them all, and this
        is for whoever passes over some: report those of them that nobody is going to read.
        """


@contextmanager
def opened(place: Path, max_bytes: int) -> Iterator[Archive]:
    """The archive at a path, closed on exit; raises SourceUnreadableError, or a subclass for a hostile zip."""
    if place.is_dir():
        yield Folder(place, max_bytes)
        return
    with opened_zip(place, max_bytes) as archive:
        yield archive


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

    def refused(self) -> tuple[tuple[str, RefusedError], ...]:
        """Files are judged when they are read: none."""
        return ()

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

    def refused(self) -> tuple[tuple[str, RefusedError], ...]:
        """The names below the folder that reading refuses."""
        found = dict(self._archive.refused())
        return tuple((name, found[self._prefix + name]) for name in self._below(found))

    def read(self, name: str) -> bytes:
        """The bytes of one entry."""
        return self._archive.read(self._prefix + name)

    def _below(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix))


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
        except RefusedError as error:
            raw = f"{error.code} {error.message}".encode()
        sha.update(f"{len(name)}:{name}:{len(raw)}:".encode(errors="surrogateescape"))
        sha.update(raw)
    return sha.hexdigest()
