"""Deletion that holds: documents and people are hidden in one transaction, then taken out of every store.

A tombstone keeps an older export from bringing them back; a line in a file beside the database keeps that from being
forgotten with a restored backup.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from core.blobs import BlobStore
from core.catalog import people, purging, tombstones
from core.catalog.purging import Scope
from core.catalog.tombstones import Burial, Kind, Tombstone, person_key
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database, Session
from core.errors import ThreadwiseError, UnknownPrincipalError
from features.files import exclusive
from ingest.errors import DocumentNotFoundError
from ingest.recipe import Recipe
from threadwise.erasing import Eraser, Spoken
from threadwise.purging import Grave, Purger
from threadwise.tombstone_file import Entry, TombstoneFile, entry_of

log = structlog.get_logger(__name__)

ALLOWED: Final = "allowed"
ROUNDS: Final = 5  # that a person is looked for while others commit; then the clock goes on
Place = tuple[Kind, str]
"""The kind and the key of a tombstone."""

AT_ONCE: Final = 100  # documents in one transaction


class Deletions:
    """What was deleted from one installation. `grace_seconds` is longer than any answer takes to be written."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        *,
        recipe: Callable[[], Recipe],
        data_dir: Path,
        grace_seconds: float,
        clock: Clock,
    ) -> None:
        self.database = database
        self.grace_seconds = grace_seconds
        self.file = TombstoneFile(data_dir / "tombstones.jsonl")
        self._eraser = Eraser(database, blobs, recipe, clock)
        self._purger = Purger(database, blobs, data_dir / "engines", speaks=self._eraser.left)
        self.lock = data_dir / "locks" / "purge.lock"

    def delete(self, document_ids: Sequence[str], *, reason: str = "", requested_by: str = "") -> list[Tombstone]:
        """Delete documents for good; their tombstones with what every store says. Deleting again purges again.

        Raises `DocumentNotFoundError`, and then deletes none of them.
        """
        wanted = list(dict.fromkeys(document_ids))  # two purges of one tombstone would not know of one another
        with self.database.write() as session:
            purging.overwrite(session)
            tombstones.hold_commits(session)
            at = tombstones.now(session)
            for key in wanted:
                burial = Burial(kind="document", key=key, reason=reason, requested_by=requested_by, at=at)
                self._bury_document(session, burial)
        crashpoint("delete.buried")
        return self.purge([("document", document_id) for document_id in wanted])

    def erase(self, principal: str, *, reason: str = "", requested_by: str = "") -> Tombstone:
        """Take away what a person said and what is kept about them; the tombstone lists every row that went, by store.

        Raises `UnknownPrincipalError` where nothing of such a person is known.
        """
        key = person_key(principal)
        spoken = self._eraser.spoken(key)
        with self.database.write() as session:
            purging.overwrite(session)
            tombstones.hold_commits(session)
            if not spoken and not people.is_known(session, key) and not tombstones.find(session, "person", key):
                raise UnknownPrincipalError(
                    "Nothing of this person is known.", hint="Use WORKSPACE/USER, for example T0123/U0456."
                )
            at = tombstones.now(session)
            burial = Burial(kind="person", key=key, reason=reason, requested_by=requested_by, at=at)
            tombstones.bury(session, burial)
            _keep_receipt(session, "person", key, _hide(session, spoken))
        crashpoint("delete.buried")
        return self.purge([("person", key)])[0]

    def allow(self, document_id: str, *, requested_by: str = "") -> None:
        """Let a document come back with the next ingestion of its source. Raises `DocumentNotFoundError`."""
        with self.database.write() as session:
            tombstones.hold_commits(session)
            found = tombstones.find(session, "document", document_id)
            if found is None or not tombstones.lift(session, document_id):
                raise DocumentNotFoundError(
                    f"No document {document_id} was deleted.", hint="threadwise documents list shows what was."
                )
            at = tombstones.now(session)
        self.file.note({**entry_of(found), "kind": ALLOWED, "requested_by": requested_by, "at": at})

    def listing(self) -> list[Tombstone]:
        """Every tombstone, the newest first."""
        with self.database.read() as session:
            return tombstones.listing(session)

    def purge(self, keys: Sequence[Place]) -> list[Tombstone]:
        """Take what these tombstones are about out of every store; can be repeated. One purge at a time."""
        with exclusive(self.lock, wait=True):
            graves = [self._purger.grave(found) for kind, key in keys if (found := self._find(kind, key))]
            for grave in graves:
                self.file.note(entry_of(grave.tombstone))
            crashpoint("delete.noted")
            for grave in graves:
                self._empty(grave)
            self._purger.settle(graves)
        return [found for kind, key in keys if (found := self._find(kind, key))]

    def purge_due(self) -> int:
        """Go on with what was not purged whole, and look once more where something may have come late; how many."""
        with self.database.read() as session:
            waiting = tombstones.due(session, self.grace_seconds)
        for tombstone in waiting:
            try:
                self.purge([(tombstone.kind, tombstone.key)])
            except (ThreadwiseError, OSError) as error:
                log.warning("purge_failed", tombstone=tombstone.id, error=type(error).__name__)
        return len(waiting)

    def look(self, kind: Kind, key: str) -> dict[str, int]:
        """By store, how much there is of what a tombstone is about; takes nothing. Raises `DocumentNotFoundError`."""
        found = self._find(kind, key)
        if found is None:
            raise DocumentNotFoundError(f"Nothing is buried as {key}.", hint="threadwise documents list shows what is.")
        return self._purger.look(self._purger.grave(found))

    def replay(self, entries: Iterable[Entry]) -> int:
        """Bury in this catalogue what lines of a `TombstoneFile` say, and purge it; how many it did not know."""
        new = self.bury_again(entries)
        self.purge(new)
        return len(new)

    def bury_again(self, entries: Iterable[Entry]) -> list[Place]:
        """Hide what lines of a `TombstoneFile` say; of what the catalogue did not know, what is to be purged now.

        Of several lines about one document the newest holds.
        """
        newest: dict[Place, Entry] = {}
        for entry in sorted(entries, key=lambda entry: int(entry["at"])):
            newest["person" if entry["kind"] == "person" else "document", entry["key"]] = entry
        return [place for place, entry in newest.items() if self._replayed(*place, entry)]

    def of(self, database: Database) -> "Deletions":
        """What was deleted from another catalogue that has the blobs of this installation."""
        return Deletions(
            database,
            self._eraser.blobs,
            recipe=self._eraser.recipe,
            data_dir=self.file.path.parent,
            grace_seconds=self.grace_seconds,
            clock=self._eraser.clock,
        )

    def _bury_document(self, session: Session, burial: Burial) -> None:
        found = purging.place_of(session, burial.key)
        if found is None:
            if tombstones.find(session, "document", burial.key) is None:
                raise DocumentNotFoundError(f"There is no document {burial.key}.", hint="Search shows document ids.")
            return
        source, place = found
        tombstones.bury(session, replace(burial, source=source, external_id=place.external_id))
        signals = tombstones.hide(session, [place.document_id], removed=True)
        tombstones.stop_work(session, place.source_id, [place.external_id])
        _keep_receipt(session, "document", burial.key, signals)

    def _replayed(self, kind: Kind, key: str, entry: Entry) -> bool:
        """Whether the catalogue did not know of this burial."""
        names = ("source", "external_id", "reason", "requested_by", "at")
        burial = Burial(kind=kind, key=key, **{name: entry[name] for name in names})
        spoken = self._eraser.spoken(key) if kind == "person" else []
        with self.database.write() as session:
            tombstones.hold_commits(session)
            known = tombstones.find(session, kind, key)
            if entry["kind"] == ALLOWED:
                if known is not None and known.at <= entry["at"]:
                    tombstones.lift(session, key)
                return False
            tombstones.bury(session, burial)
            if kind == "document" and purging.place_of(session, key):
                self._bury_document(session, burial)
            elif known is None:
                _keep_receipt(session, kind, key, _hide(session, spoken))
        return known is None

    def _empty(self, grave: Grave) -> None:
        if grave.tombstone.kind == "document":
            self._purger.remove(grave, Scope(whole=tuple(grave.whole)))
            return
        for _ in range(ROUNDS):
            spoken = self._eraser.spoken(grave.tombstone.key)
            if not spoken:
                break
            for start in range(0, len(spoken), AT_ONCE):
                self._take_back(grave, spoken[start : start + AT_ONCE])
        self._purger.remove_person(grave)
        # What an earlier try had no time for: its rows are gone and found no more.
        self._purger.remove(grave, Scope())

    def _take_back(self, grave: Grave, spoken: Sequence[Spoken]) -> None:
        """Take away what somebody said in these documents; what others said there is committed again."""
        with self.database.write() as session:
            purging.overwrite(session)
            grave.removed["signals"] |= _hide(session, spoken)
        crashpoint("erase.hidden")
        whole = tuple(one.place for one in spoken if one.state == "alone")
        older = tuple(
            one.place for one in spoken if one.state == "past" or (one.state == "shared" and self._eraser.rewrite(one))
        )
        crashpoint("erase.rewritten")
        grave.whole |= set(whole)
        self._purger.remove(grave, Scope(whole, older))

    def _find(self, kind: Kind, key: str) -> Tombstone | None:
        with self.database.read() as session:
            return tombstones.find(session, kind, key)


def _keep_receipt(session: Session, kind: Kind, key: str, signals: set[str]) -> None:
    """Whatever was purged before has to be looked at again; the signals that went with the burial are counted."""
    tombstone = tombstones.find(session, kind, key)
    if tombstone:
        grave = Grave.of(tombstone)
        grave.removed["signals"] |= signals
        tombstones.put_receipts(session, tombstone.id, grave.receipts())


def _hide(session: Session, spoken: Iterable[Spoken]) -> set[str]:
    """Nobody reads these documents from this commit on; those that others speak in come back without the person.

    Returns the ids of those that had signals and have none now.
    """
    ids: dict[str, list[str]] = {"alone": [], "shared": [], "past": []}
    names: defaultdict[int, list[str]] = defaultdict(list)
    for one in spoken:
        ids[one.state].append(one.place.document_id)
        names[one.place.source_id].append(one.place.external_id)
    had_signals = tombstones.hide(session, ids["alone"], removed=True)
    tombstones.hide(session, ids["shared"], removed=False)
    for source_id, external_ids in names.items():
        tombstones.stop_work(session, source_id, external_ids)
    return had_signals
