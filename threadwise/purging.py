"""Purging: every store is emptied of what is buried, looked at once more, and says what it saw.

It can be killed anywhere and begun again: what was removed is written down with the removal itself, files go after
the rows that named them, and a tombstone counts as purged only when a second look found nothing in any store.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.blobs import BlobStore
from core.catalog import people, purging, tombstones
from core.catalog.purging import Place, Removed, Scope
from core.catalog.tombstones import Receipt, Tombstone, batches
from core.crashpoints import crashpoint
from core.database import Database
from core.words import document_id_of
from features.words import WordIndex

STORES = (
    *("documents", "versions", "chunks", "vectors", "words", "signals", "builds", "answers", "feedback", "blobs"),
    *("likeness", "memberships", "inbox", "plans", "log"),
)


@dataclass(slots=True)
class Grave:
    """A tombstone that is being purged: which documents go with it this time, and what was removed so far."""

    tombstone: Tombstone
    whole: set[Place] = field(default_factory=set)
    removed: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, tombstone: Tombstone) -> "Grave":
        """With what earlier tries have removed."""
        grave = cls(tombstone)
        for receipt in tombstone.receipts:
            grave.removed[receipt.store].update(receipt.ids)
        return grave

    def add(self, removed: Removed) -> None:
        """Count as removed, too."""
        for store, ids in removed.items():
            self.removed[store] |= ids

    def receipts(self, left: dict[str, int] | None = None) -> tuple[Receipt, ...]:
        """One for each store, before the second look or with what it found."""
        stores = [store for store in STORES if left is None or store in left or self.removed[store]]
        return tuple(
            Receipt(store=store, ids=tuple(sorted(self.removed[store])), left=left.get(store, 0) if left else None)
            for store in stores
        )


class Purger:
    """Empties the stores of one installation."""

    def __init__(self, database: Database, blobs: BlobStore, engines: Path, *, speaks: Callable[[str], int]) -> None:
        self.database = database
        self.blobs = blobs
        self.engines = engines
        self.speaks = speaks  # by a person's key, in how many documents they may still say something

    def grave(self, tombstone: Tombstone) -> Grave:
        """The grave of a tombstone, with the document that it is about."""
        grave = Grave.of(tombstone)
        if tombstone.kind == "document":
            with self.database.read() as session:
                names = purging.source_names(session)
            numbers = [number for number, name in names.items() if name == tombstone.source]
            numbers = numbers or [
                number for number, name in names.items() if document_id_of(name, tombstone.external_id) == tombstone.key
            ]
            grave.whole = {Place(tombstone.key, number, tombstone.external_id) for number in numbers}
        return grave

    def remove(self, grave: Grave, scope: Scope) -> None:
        """Take away rows, then files."""
        self._remove_rows(grave, scope)
        crashpoint("purge.rows_removed")
        with self.database.read() as session:
            unused = purging.unused_blobs(session, grave.removed["blobs"])
        for sha in unused:
            self.blobs.remove(sha)
        crashpoint("purge.files_removed")

    def remove_person(self, grave: Grave) -> None:
        """Take away what is kept about a person beside what they said."""
        with self.database.write() as session:
            purging.overwrite(session)
            grave.add(people.remove_person(session, grave.tombstone.key))
            tombstones.put_receipts(session, grave.tombstone.id, grave.receipts())

    def settle(self, graves: Sequence[Grave]) -> None:
        """Build the words again, empty the log, then look into every store: whoever has nothing left is purged."""
        self._rebuild_words(graves)
        log = purging.empty_log(self.database)
        for grave in graves:
            left = self.look(grave) | ({} if log is None else {"log": log})
            with self.database.write() as session:
                purged_at = None if any(left.values()) else tombstones.now(session)
                tombstones.put_receipts(session, grave.tombstone.id, grave.receipts(left), purged_at=purged_at)

    def look(self, grave: Grave) -> dict[str, int]:
        """By store, how much is there of what the tombstone is about."""
        scope = Scope(whole=tuple(sorted(grave.whole, key=lambda place: place.document_id)))
        ids = grave.removed["chunks"] | {place.document_id for place in grave.whole}
        with self.database.read() as session:
            left = purging.left_rows(session, scope, grave.removed)
            left["answers"] = len(purging.answers_on(session, ids))
            unused = purging.unused_blobs(session, grave.removed["blobs"])
            if grave.tombstone.kind == "person":
                about = people.left_of_person(session, grave.tombstone.key)
                left |= about | {"answers": left["answers"] + about["answers"]}
        if grave.tombstone.kind == "person":
            left["documents"] += self.speaks(grave.tombstone.key)
        left["blobs"] = sum(self.blobs.has(sha) for sha in unused)
        left["words"] = len(self._indexed(grave.removed["chunks"]))
        return left

    def _remove_rows(self, grave: Grave, scope: Scope) -> None:
        with self.database.read() as session:
            ids = purging.chunks_of(session, scope) | grave.removed["chunks"]
            answers = purging.answers_on(session, ids | {place.document_id for place in scope.whole})
        with self.database.write() as session:
            purging.overwrite(session)
            grave.add(purging.remove(session, scope, grave.removed["vectors"]))
            grave.add(purging.remove_answers(session, answers))
            tombstones.put_receipts(session, grave.tombstone.id, grave.receipts())

    def _rebuild_words(self, graves: Sequence[Grave]) -> None:
        """Deleted words stay in a Tantivy index until it is merged: a new one has never seen them."""
        chunks = {number for grave in graves for number in grave.removed["chunks"]}
        known = {number for grave in graves for number in grave.removed["words"]}
        if chunks <= known and not self._indexed(chunks):
            return
        for index in self._word_indexes():
            index.rebuild(self.database)
        gone = chunks - self._indexed(chunks)
        for grave in graves:
            grave.removed["words"] |= grave.removed["chunks"] & gone

    def _indexed(self, chunk_ids: Iterable[str]) -> set[str]:
        """Of these chunks, those whose words an index of any generation holds."""
        wanted = sorted(chunk_ids)
        indexes = self._word_indexes() if wanted else []
        for index in indexes:
            index.refresh()
        return {found for index in indexes for some in batches(wanted) for found in index.text_shas(some)}

    def _word_indexes(self) -> list[WordIndex]:
        """Every index on this machine, whether its generation is seen or not."""
        folders = sorted(self.engines.glob("[0-9]*-[0-9]*/words"))
        return [WordIndex(folder, int(folder.parent.name.partition("-")[0])) for folder in folders]
