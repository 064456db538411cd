"""Restoring a backup into this installation, whichever database it has.

What was deleted after the backup was made is hidden in it before anybody can read it, and purged afterwards; what is
derived is made anew; the end is a look at all of it. A restore that was killed is begun again: until the catalogues
change places the old one is what is there, and from then on the one that was restored, without what was deleted.
"""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.blobs import BlobStore
from core.catalog import dump, tombstones
from core.catalog.tombstones import Kind
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database
from core.errors import DatabaseUnavailableError, ThreadwiseError
from core.settings import sqlite_url
from features.registry import REGISTRY_FILE
from threadwise import backups
from threadwise.backups import CATALOGUE, Backups, Manifest
from threadwise.derived import APPLIED
from threadwise.findings import Progress
from threadwise.tombstone_file import Entry, TombstoneFile, entry_of

_LOGS = ("-wal", "-shm")
Buried = tuple[Kind, str]


class InstallationUsedError(ThreadwiseError):
    """A backup was to be restored where somebody works already."""

    code = "installation_used"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What was put in place. `replaced` is the backup of what was there before, if anything was.

    `buried` was deleted after the backup was made: it is hidden, and still to be purged.
    """

    manifest: Manifest
    replaced: Path | None
    buried: Sequence[Buried]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """Restores backups into one installation on which nothing else works.

    `bury` hides in a catalogue what was deleted since, and says what it did not know of.
    """

    database: Database
    blobs: BlobStore
    data_dir: Path
    backups: Backups
    bury: Callable[[Database, Sequence[Entry]], Sequence[Buried]]
    clock: Clock

    def place(self, folder: Path, *, force: bool, report: Progress) -> Placed:
        """Put a backup in the place of the catalogue; what is there is kept aside, as a backup where it can be read.

        Raises `InstallationUsedError` without `force`, `BackupDamagedError` and `SchemaTooNewError`.
        """
        manifest = backups.read_manifest(folder)
        wanted = list(backups.blobs_in(folder))
        self._require_alone()
        is_unused = self._is_unused()
        if not is_unused and not force:
            raise InstallationUsedError(
                f"{self.data_dir} is in use: it has sources, answers or keys.",
                hint="Restore into a new folder, or say --force: what is there is kept aside.",
            )
        entries = self._buried()
        replaced = None if is_unused else self._set_aside(report)
        with backups.drafted(self.data_dir) as draft:
            path = draft / CATALOGUE
            backups.copy_all(folder / CATALOGUE, path)
            uploads = self.data_dir.resolve() / "uploads"
            dump.upgrade_file(path, lambda session: dump.move_paths(session, manifest.uploads, str(uploads)))
            dump.upgrade_file(path, dump.let_go)
            self._put_files(folder, wanted, report)
            buried = self._bury_in(path, entries)
            self._drop_derived()
            self._swap(path, report)
            crashpoint("restore.swapped")
        self._drop_derived()
        return Placed(manifest=manifest, replaced=replaced, buried=buried)

    def _is_unused(self) -> bool:
        try:
            with self.database.read() as session:
                return dump.is_unused(session)
        except DatabaseUnavailableError:
            if self.database.is_sqlite:
                return False  # a damaged file: what a backup is for
            raise

    def _require_alone(self) -> None:
        """Nobody has the database file open: what they wrote would go to a file that is there no more."""
        main, *_ = self._files()
        if not self.database.is_sqlite or not main.exists():
            return
        self.database.close()
        try:
            dump.make_whole(main, patience=0.5)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise InstallationUsedError(
                    f"Somebody works on {self.data_dir}.", hint="Wait for every other command, or stop it."
                ) from error
        except sqlite3.DatabaseError:
            return  # damaged: what a backup is for

    def _bury_in(self, path: Path, entries: Sequence[Entry]) -> Sequence[Buried]:
        draft = Database(sqlite_url(path))
        try:
            return self.bury(draft, entries)
        finally:
            draft.close()
            dump.make_whole(path)

    def _buried(self) -> list[Entry]:
        """What was deleted by the catalogue that is replaced and by the file beside it."""
        noted = TombstoneFile(self.data_dir / "tombstones.jsonl").entries()
        try:
            with self.database.read() as session:
                return [*noted, *map(entry_of, tombstones.listing(session))]
        except DatabaseUnavailableError:
            if self.database.is_sqlite:
                return noted
            raise

    def _set_aside(self, report: Progress) -> Path:
        moment = datetime.fromtimestamp(self.clock() / 1_000_000, tz=UTC)
        aside = self.data_dir / f"replaced-{moment:%Y%m%dT%H%M%S%f}"
        try:
            self.backups.make(aside, report)
        except DatabaseUnavailableError:
            if not self.database.is_sqlite:
                raise
            self.database.close()
            aside.mkdir(mode=0o700)
            for path in self._files():
                if path.exists():
                    shutil.copy2(path, aside / path.name)
        return aside

    def _put_files(self, folder: Path, wanted: Sequence[tuple[str, Path]], report: Progress) -> None:
        for done, (sha, path) in enumerate(wanted, 1):
            backups.link_or_copy(path, self.blobs.folder / sha[:2] / sha)
            if not done % 500 or done == len(wanted):
                report("blobs", done, len(wanted))
        uploads = folder / "uploads"
        for path in sorted(uploads.iterdir()) if uploads.is_dir() else ():
            if not (self.data_dir / "uploads" / path.name).exists():
                backups.copy_all(path, self.data_dir / "uploads" / path.name)
        self.blobs.flush()

    def _swap(self, path: Path, report: Progress) -> None:
        if not self.database.is_sqlite:
            dump.read_rows(path, self.database, lambda done, total: report("catalogue", done, total))
            return
        self._require_alone()  # which writes the log into the file
        main, *logs = self._files()
        for log in logs:
            log.unlink(missing_ok=True)  # one that is left belongs to the old file and would be played into the new
        path.replace(main)
        self.blobs.flush()

    def _files(self) -> list[Path]:
        main = Path(self.database.engine.url.database or "")
        return [main, *(main.with_name(f"{main.name}{suffix}") for suffix in _LOGS)]

    def _drop_derived(self) -> None:
        shutil.rmtree(self.data_dir / "engines", ignore_errors=True)
        (self.data_dir / APPLIED).unlink(missing_ok=True)
        if self.database.is_sqlite:
            for part in self.data_dir.glob(f"{REGISTRY_FILE}*"):
                part.unlink(missing_ok=True)


def as_json(placed: Placed, *, buried_again: int) -> dict[str, Any]:
    """What a restore says of what it put in place."""
    return {
        "manifest": placed.manifest.as_json(),
        "replaced": str(placed.replaced) if placed.replaced else None,
        "deleted_again": buried_again,
    }
