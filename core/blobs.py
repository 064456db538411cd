"""Content-addressed files beside the database: written once, named by their SHA-256, checked when read."""

import errno
import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path

from core.errors import BlobDamagedError, StorageFullError

_FULL = (errno.ENOSPC, errno.EDQUOT)


class BlobStore:
    """Blobs under one folder. `put` is idempotent; call `flush` before a transaction refers to what was put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Store `data` and return its SHA-256 (hex). A torn write is never visible under the final name."""
        sha = hashlib.sha256(data).hexdigest()
        path = self._path(sha)
        # A file that says something else is what a full disk or a lost cache left behind: written again.
        with suppress(FileNotFoundError):
            if path.read_bytes() == data:
                path.touch()  # young again: what is old and nobody refers to may be removed
                return sha
        temporary = path.with_name(f".{sha}.{os.getpid()}.{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            if error.errno in _FULL:
                raise StorageFullError(
                    f"The disk of {self.folder} is full.", hint="Make room; what waits goes on by itself."
                ) from error
            raise
        return sha

    def flush(self) -> None:
        """Wait until everything that was put is on the disk: one sync for thousands of small files."""
        os.sync()

    def get(self, sha: str) -> bytes:
        """The blob's bytes; raises `BlobDamagedError` when it is missing or altered."""
        try:
            data = self._path(sha).read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:  # the latter where no hash is known any more
            raise BlobDamagedError(f"Blob {sha} is missing.", hint="Ingest its source again.") from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise BlobDamagedError(f"Blob {sha} was altered.", hint="Ingest its source again.")
        return data

    def has(self, sha: str) -> bool:
        """Whether the blob's file is there, whatever is in it."""
        return self._path(sha).is_file()

    def remove(self, sha: str) -> None:
        """Delete the blob's file and what a killed `put` left of it; it is off the disk when this returns."""
        path = self._path(sha)
        for unfinished in path.parent.glob(f".{sha}.*"):
            unfinished.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _sync(path.parent)

    def _path(self, sha: str) -> Path:
        return self.folder / sha[:2] / sha


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
