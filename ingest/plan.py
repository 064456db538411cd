"""Planning a run: read the source once, keep every changed document's canonical form, say what has to be done.

Nothing a reader can see changes here. The plan becomes real in one transaction, so a killed plan leaves only blobs
that nobody refers to.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.blobs import BlobStore
from core.catalog import audiences, documents, runs, sources
from core.catalog.documents import Known, Target
from core.database import Session
from core.errors import BlobDamagedError
from core.words import ChangeKind, Document, Instant
from ingest.sources import Entry, Found, Item, Refused, Source


@dataclass(slots=True)
class Findings:
    """What reading a source brought up, compared with what the catalogue knows of it."""

    known: dict[str, Known]
    now: Instant
    work: list[tuple[str, ChangeKind, str]] = field(default_factory=list)
    ledger: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)  # prefixes of external ids whose present state is not known
    seen: set[str] = field(default_factory=set)
    narrowed: dict[str, frozenset[str]] = field(default_factory=dict)  # who is left, where somebody lost a right
    unchanged: int = 0
    waiting: bool = False  # something will apply only later: the source has to be read again

    @property
    def emptied(self) -> bool:
        """Whether a source that brought documents has none at all now."""
        return not self.seen and not self.doubts and any(document.live for document in self.known.values())

    def take(self, item: Item, blobs: BlobStore) -> None:
        """Account for one thing that the source yielded."""
        if isinstance(item, Found):
            self._take_document(item, blobs)
            return
        self._count("", item.entries)
        if isinstance(item, Refused):
            self.refused.append((item.place, item.code, item.reason))
            if item.doubts is not None:
                self.doubts.append(item.doubts)

    def settle(self, source: Source, blobs: BlobStore) -> None:
        """Decide, once everything was read, what is gone and what only could not be read this time."""
        stands = [item for item in self.work if not self._only_lost(item, blobs)]
        gone = [name for name, known in sorted(self.known.items()) if known.live and name not in self.seen]
        # What is gone goes first: everything else may take its time.
        self.work = [(name, "removed", "") for name in gone if not self._kept(name, source)] + stands

    def _kept(self, name: str, source: Source) -> bool:
        """Keep a document that a refused part may hold, for those whom the source still lists as its readers."""
        readers = source.audience_of(name)
        if readers is None or not self._in_doubt(name):
            return False
        self._narrow(name, readers)
        self.unchanged += 1
        return True

    def _only_lost(self, item: tuple[str, ChangeKind, str], blobs: BlobStore) -> bool:
        """Whether a document merely lacks what stood in a part that could not be read: then its old content stays."""
        name, change, blob = item
        if change != "changed" or not self._in_doubt(name):
            return False
        try:
            before = Document.from_canonical(blobs.get(self.known[name].blob_sha))
        except BlobDamagedError:
            return False
        after = Document.from_canonical(blobs.get(blob))
        lost = set(after.blocks) < set(before.blocks)
        self.unchanged += lost
        return lost

    def _in_doubt(self, name: str) -> bool:
        return any(name.startswith(prefix) for prefix in self.doubts)

    def _take_document(self, found: Found, blobs: BlobStore) -> None:
        document, name = found.document, found.document.external_id
        if name in self.seen:
            self.refused.append((name, "duplicate_document", "The source has two documents of this id."))
            self._count("", [Entry(e.channel, e.item, "failed", "duplicate_document") for e in found.entries])
            return
        self.seen.add(name)
        self._count(name, found.entries)
        canonical, known = document.canonical(), self.known.get(name)
        if known is None or not known.live:
            self.work.append((name, "added", blobs.put(canonical)))
        elif known.blob_sha == hashlib.sha256(canonical).hexdigest():
            self.unchanged += 1
        else:
            self._take_change(document, canonical, blobs)

    def _take_change(self, document: Document, canonical: bytes, blobs: BlobStore) -> None:
        self._narrow(document.external_id, document.audience)
        if document.valid_from is not None and document.valid_from > self.now:
            # What applies today is answered from until the new state applies.
            self.unchanged += 1
            self.waiting = True
            return
        self.work.append((document.external_id, "changed", blobs.put(canonical)))

    def _narrow(self, name: str, readers: Iterable[str]) -> None:
        before, now = self.known[name].audience, frozenset(readers)
        if before - now:
            self.narrowed[name] = before & now

    def _count(self, document: str, entries: tuple[Entry, ...] | list[Entry]) -> None:
        for entry in entries:
            self.ledger[document, entry.channel, entry.bucket, entry.reason] += 1


def examine(source: Source, known: dict[str, Known], blobs: BlobStore, now: Instant) -> Findings:
    """Read the whole source once. Blobs are on the disk when this returns."""
    findings = Findings(known, now)
    for item in source.read():
        findings.take(item, blobs)
    findings.settle(source, blobs)
    if findings.work:
        blobs.flush()
    return findings


def record(
    session: Session, findings: Findings, source: Source, target: Target, *, fingerprint: str, now: Instant
) -> None:
    """Write the run, its work and its ledger; what an earlier run of this source left open is superseded.

    A right that was withdrawn holds from here on, before any of the work is done.
    """
    source_id, run_id = target.source_id, target.run_id
    runs.supersede_unfinished(session, source_id, now)
    runs.create_run(
        session,
        run_id=run_id,
        source_id=source_id,
        fingerprint=fingerprint,
        unchanged=findings.unchanged,
        now=now,
    )
    documents.narrow_audiences(
        session, source=target.source, generation_id=target.generation_id, audiences=findings.narrowed
    )
    runs.add_work(session, run_id, findings.work)
    runs.add_ledger(session, run_id, findings.ledger)
    runs.add_quarantine(session, run_id, findings.refused, now)
    record_holdings(session, source, source_id)
    # Until the run has ended well, the next one may not take the short cut.
    sources.set_fingerprint(session, source_id, "")


def record_holdings(session: Session, source: Source, source_id: int) -> None:
    """Write who holds what by the source's present listings. Raises `WorkspaceTakenError`."""
    sources.claim_workspace(session, source_id, source.workspace or "")
    audiences.replace_memberships(session, source_id, source.memberships())
