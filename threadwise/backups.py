"""Backups: one state of the catalogue as a file, with the blobs and uploads that it counts on.

A backup appears under its name when it is whole and on the disk, or not at all. What is derived is not in it.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.blobs import BlobStore
from core.catalog import dump, feeds, stored
from core.clock import Clock
from core.database import HEAD, Database
from core.errors import BlobDamagedError, SchemaTooNewError, ThreadwiseError
from core.settings import sqlite_url
from features.files import exclusive, write_whole
from threadwise.findings import Progress

FORMAT = 1
CATALOGUE = "catalogue.sqlite3"
MANIFEST = "manifest.json"
_CHUNK = 1 << 20


class BackupExistsError(ThreadwiseError):
    """There is something already where a backup was to be made."""

    code = "backup_exists"


class BackupDamagedError(ThreadwiseError):
    """A folder is no backup, or not what its manifest says."""

    code = "backup_damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds. `uploads` is where they lay; `damaged` counts blobs that could not be taken along."""

    format: int
    revision: str
    made_at: int
    generation: int | None
    rows: dict[str, int]
    blobs: int
    blob_bytes: int
    damaged: int
    uploads: str
    catalogue_bytes: int
    catalogue_sha256: str

    def as_json(self) -> dict[str, Any]:
        """The shape that tools rely on."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """Makes backups of one installation. Whoever has `purging` locked takes no blob away."""

    database: Database
    blobs: BlobStore
    uploads: Path
    purging: Path
    clock: Clock

    def make(self, folder: Path, report: Progress) -> Manifest:
        """Write a backup; others go on working meanwhile. Raises `BackupExistsError`."""
        if os.path.lexists(folder):
            raise BackupExistsError(f"There is something at {folder} already.", hint="Name a folder that is new.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.unfinished")
        draft.mkdir(mode=0o700)
        try:
            manifest = self._fill(draft, report)
            os.sync()
            write_whole(draft / MANIFEST, json.dumps(manifest.as_json(), indent=1).encode())
            (draft / MANIFEST).chmod(0o600)
            draft.rename(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        _sync_folder(folder.parent)
        return manifest

    def _fill(self, draft: Path, report: Progress) -> Manifest:
        made_at = self.clock()
        path = draft / CATALOGUE
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        with exclusive(self.purging, wait=True):
            dump.write_file(self.database, path, lambda done, total: report("catalogue", done, total))
            copy = Database(sqlite_url(path.resolve()))
            try:
                with copy.read() as session:
                    wanted = sorted(stored.kept_blobs(session))
                    live = feeds.live_generation(session)
                    rows, paths = dump.counts(session), dump.needed_paths(session)
            finally:
                copy.close()
            dump.make_whole(path)
            self._take_blobs(wanted, draft / "blobs")
        blobs, size = _keep_whole(BlobStore(draft / "blobs"), wanted, report)
        self._copy_uploads(paths, draft / "uploads")
        return Manifest(
            format=FORMAT,
            revision=dump.revision_of(path),
            made_at=made_at,
            generation=live[0] if live else None,
            rows=rows,
            blobs=blobs,
            blob_bytes=size,
            damaged=len(wanted) - blobs,
            uploads=str(self.uploads),
            catalogue_bytes=path.stat().st_size,
            catalogue_sha256=sha_of(path),
        )

    def _take_blobs(self, wanted: Iterable[str], folder: Path) -> None:
        """Take along what is there, unread: deletions wait meanwhile."""
        for sha in wanted:
            with suppress(FileNotFoundError):
                link_or_copy(self.blobs.folder / sha[:2] / sha, folder / sha[:2] / sha)

    def _copy_uploads(self, paths: Iterable[str], folder: Path) -> None:
        for path in map(Path, paths):
            if path.is_relative_to(self.uploads) and path != self.uploads:
                name = path.relative_to(self.uploads).parts[0]
                if (self.uploads / name).exists() and not (folder / name).exists():
                    copy_all(self.uploads / name, folder / name)


def _keep_whole(taken: BlobStore, wanted: Sequence[str], report: Progress) -> tuple[int, int]:
    """Number and bytes of the blobs that are whole; the others are taken out again: they would be no use."""
    whole = size = 0
    for done, sha in enumerate(wanted, 1):
        try:
            size += len(taken.get(sha))
            whole += 1
        except BlobDamagedError:
            taken.remove(sha)
        if not done % 500 or done == len(wanted):
            report("blobs", done, len(wanted))
    return whole, size


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup, once its catalogue is what it says.

    Raises `BackupDamagedError`, and `SchemaTooNewError` for one of a newer Threadwise.
    """
    try:
        fields = json.loads((folder / MANIFEST).read_bytes())
        manifest = Manifest(**fields)
    except (OSError, ValueError, TypeError) as error:
        raise BackupDamagedError(f"{folder} is not a whole backup.", hint="Name a folder that backup made.") from error
    if manifest.format > FORMAT or manifest.revision > HEAD:
        raise SchemaTooNewError(
            f"The backup is at schema {manifest.revision}, this Threadwise knows {HEAD}.",
            hint="Install the newer Threadwise to restore it.",
        )
    if not (folder / CATALOGUE).is_file() or sha_of(folder / CATALOGUE) != manifest.catalogue_sha256:
        raise BackupDamagedError(
            f"The catalogue in {folder} is not the one that was backed up.", hint="Use another backup."
        )
    return manifest


def blobs_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Hash and path of every blob of a backup. Raises `BackupDamagedError` for one that was altered."""
    for path in sorted((folder / "blobs").glob("??/*")):
        if sha_of(path) != path.name:
            raise BackupDamagedError(f"Blob {path.name} of the backup was altered.", hint="Use another backup.")
        yield path.name, path


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that never changes a second name, or copy it where that cannot be; for its owner alone."""
    _make_folder(target.parent)
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        os.link(source, draft)
    except OSError:
        _copy(source, draft)
    draft.replace(target)


def copy_all(source: Path, target: Path) -> None:
    """Copy a file, or a folder with all that is in it, for their owner alone."""
    if not source.is_dir():
        _make_folder(target.parent)
        _copy(source, target)
        return
    _make_folder(target)
    for path in sorted(source.iterdir()):
        copy_all(path, target / path.name)


def sha_of(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """A new folder for its owner alone, gone at the end."""
    draft = folder / f".unfinished-{uuid.uuid4().hex[:8]}"
    _make_folder(draft)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read:
        new = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(new, "wb") as write:
            shutil.copyfileobj(read, write, _CHUNK)


def _make_folder(folder: Path) -> None:
    for missing in [part for part in (*reversed(folder.parents), folder) if not part.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
