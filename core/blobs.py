"""Content-addressed files beside the database: written once, named by their SHA-256, checked when read."""

import hashlib
import os
import threading
from pathlib import Path

from core.errors import BlobDamagedError


class BlobStore:
    """Blobs under one folder. `put` is idempotent; call `flush` before a transaction refers to what was put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Store `data` and return its SHA-256 (hex). A torn write is never visible under the final name."""
        sha = hashlib.sha256(data).hexdigest()
        path = self._path(sha)
        try:
            # A file that says something else is what a full disk or a lost cache left behind: written again.
            if path.read_bytes() == data:
                return sha
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{sha}.{os.getpid()}.{threading.get_ident()}")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return sha

    def flush(self) -> None:
        """Wait until everything that was put is on the disk: one sync for thousands of small files."""
        os.sync()

    def get(self, sha: str) -> bytes:
        """The blob's bytes; raises `BlobDamagedError` when it is missing or altered."""
        try:
            data = self._path(sha).read_bytes()
        except FileNotFoundError as error:
            raise BlobDamagedError(f"Blob {sha} is missing.", hint="Ingest its source again.") from error
        if hashlib.sha256(data).hexdigest() != sha:
            raise BlobDamagedError(f"Blob {sha} was altered.", hint="Ingest its source again.")
        return data

    def _path(self, sha: str) -> Path:
        return self.folder / sha[:2] / sha
