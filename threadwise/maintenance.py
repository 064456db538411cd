"""What keeps an installation in order: checks and repairs, rebuilding what is derived, backups and their return."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from core.blobs import BlobStore
from core.catalog import integrity
from core.clock import Clock
from core.database import Database
from core.settings import IndexSettings
from ingest.prepare import DocumentEmbedder
from threadwise import restoring
from threadwise.backups import Backups, Manifest
from threadwise.deletions import Deletions
from threadwise.findings import Finding, Progress
from threadwise.integrity import Inspection
from threadwise.mending import Mending
from threadwise.rebuilding import PARTS, Part, Rebuilding, Rebuilt
from threadwise.restoring import Restoring

CLEAN, REPAIRED, BROKEN = 0, 1, 2
ROUNDS = 3  # what one repair uncovers, the next mends


def _silent(_stage: str, _done: int, _total: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found: `repaired` is gone now, `left` is not; `awaiting` documents need a run of their source."""

    left: tuple[Finding, ...]
    repaired: tuple[Finding, ...]
    awaiting: tuple[str, ...]
    seconds: float

    @property
    def status(self) -> int:
        """0 clean, 1 repaired, 2 broken. What only lies about does not make an installation broken."""
        if any(finding.severity != "litter" for finding in self.left):
            return BROKEN
        return REPAIRED if self.repaired else CLEAN

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        return {
            "status": ("clean", "repaired", "broken")[self.status],
            "findings": [finding.as_json() for finding in self.left],
            "repaired": [finding.as_json() for finding in self.repaired],
            "awaiting": list(self.awaiting),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did, and what the check at its end says."""

    placed: restoring.Placed
    buried_again: int
    rebuilt: tuple[Rebuilt, ...]
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """The shape that tools rely on."""
        return restoring.as_json(self.placed, buried_again=self.buried_again) | {
            "rebuilt": [one.as_json() for one in self.rebuilt],
            "fsck": self.verdict.as_json(),
        }


class Maintenance:
    """Maintains one installation. `embedder_of` gives the embedder of a space, or raises `SpaceMismatchError`."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        *,
        data_dir: Path,
        index: IndexSettings,
        embedder_of: Callable[[str], DocumentEmbedder],
        deletions: Deletions,
        clock: Clock,
    ) -> None:
        self.database = database
        self.blobs = blobs
        self.data_dir = data_dir
        self.index = index
        self.embedder_of = embedder_of
        self.deletions = deletions
        self.clock = clock

    @cached_property
    def backups(self) -> Backups:
        """Makes backups."""
        uploads = self.data_dir.resolve() / "uploads"
        return Backups(
            database=self.database,
            blobs=self.blobs,
            uploads=uploads,
            purging=self.deletions.lock,
            clock=self.clock,
        )

    @cached_property
    def rebuilding(self) -> Rebuilding:
        """Rebuilds what is derived."""
        return Rebuilding(database=self.database, data_dir=self.data_dir, index=self.index)

    def fsck(self, *, repair: bool = False, since: int = 0, report: Progress = _silent) -> Verdict:
        """Look at everything, or at what was recorded `since` (microseconds); mend it if asked, and look again."""
        started = time.perf_counter()
        first = left = self._inspection(since, report).findings()
        seen = set(first)
        for _ in range(ROUNDS if repair and first else 0):
            self._mending(since).mend(left)
            before, left = left, self._inspection(since, report).findings()
            seen |= set(left)
            if not left or left == before:
                break
        repaired = tuple(sorted(seen - set(left)))
        seconds = time.perf_counter() - started
        return Verdict(left=tuple(left), repaired=repaired, awaiting=self._awaiting(left), seconds=seconds)

    def rebuild(self, parts: Sequence[Part] = PARTS, report: Progress = _silent) -> list[Rebuilt]:
        """Make derived stores anew from the catalogue; readers keep what they have meanwhile."""
        return self.rebuilding.rebuild(parts, report)

    def backup(self, folder: Path, report: Progress = _silent) -> Manifest:
        """Write a backup of one state, while others work. Raises `BackupExistsError`."""
        return self.backups.make(folder, report)

    def restore(self, folder: Path, *, force: bool = False, report: Progress = _silent) -> Restored:
        """Put a backup in the place of the catalogue, delete again what was deleted since, and look at everything.

        Nothing else may work on this installation. Raises `InstallationUsedError` without `force`,
        `BackupDamagedError` and `SchemaTooNewError`.
        """
        placed = Restoring(
            database=self.database,
            blobs=self.blobs,
            data_dir=self.data_dir,
            backups=self.backups,
            bury=lambda catalogue, entries: self.deletions.of(catalogue).bury_again(entries),
            clock=self.clock,
        ).place(folder, force=force, report=report)
        self.deletions.purge(placed.buried)
        # The feature registry is made by whoever opens it first, as in every new installation.
        rebuilt = tuple(self.rebuild(("words", "vectors"), report))
        verdict = self.fsck(report=report)
        return Restored(placed=placed, buried_again=len(placed.buried), rebuilt=rebuilt, verdict=verdict)

    def _awaiting(self, left: Sequence[Finding]) -> tuple[str, ...]:
        if any(finding.kind == "file_damaged" for finding in left):
            return ()
        with self.database.read() as session:
            return tuple(integrity.awaiting(session))

    def _inspection(self, since: int, report: Progress = _silent) -> Inspection:
        return Inspection(
            database=self.database,
            blobs=self.blobs,
            data_dir=self.data_dir,
            index=self.index,
            since=since,
            report=report,
        )

    def _mending(self, since: int) -> Mending:
        return Mending(
            database=self.database,
            blobs=self.blobs,
            data_dir=self.data_dir,
            rebuilding=self.rebuilding,
            litter=self._inspection(since).litter,
            embedder_of=self.embedder_of,
            purge=self.deletions.purge_due,
            clock=self.clock,
        )
