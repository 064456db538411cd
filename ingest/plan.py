"""Planning a run: read the source once, keep every changed document's canonical form, say what has to be done.

Nothing a reader can see changes here. The plan becomes real in one transaction, so a killed plan leaves only blobs
that nobody refers to.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from core.blobs import BlobStore
from core.catalog import audiences, documents, runs, sources
from core.catalog.documents import Known, Target
from core.database import Session
from core.words import ChangeKind, Document, Instant
from ingest.errors import EmptySourceError
from ingest.sources import Entry, Found, Item, Refused, Source


@dataclass(slots=True)
class Findings:
    """What reading a source brought up, compared with what the catalogue knows of it."""

    known: dict[str, Known]
    work: list[tuple[str, ChangeKind, str]] = field(default_factory=list)
    ledger: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    narrowed: dict[str, frozenset[str]] = field(default_factory=dict)  # who is left, where somebody lost a right
    unchanged: int = 0

    def take(self, item: Item, blobs: BlobStore) -> None:
        """Account for one thing that the source yielded."""
        if isinstance(item, Refused):
            self.refused.append((item.place, item.code, item.reason))
            self._count("", item.entries)
        elif isinstance(item, Found):
            self._take_document(item, blobs)
        else:
            self._count("", item.entries)

    def removed(self) -> list[tuple[str, ChangeKind, str]]:
        """Documents the source no longer has.

        A source that could not be read whole proves no absence: then nothing is removed.
        """
        if self.refused:
            return []
        gone = sorted(name for name, known in self.known.items() if known.live and name not in self.seen)
        return [(name, "removed", "") for name in gone]

    def only_lost(self, item: tuple[str, ChangeKind, str], blobs: BlobStore) -> bool:
        """Whether a document merely lacks what stood in a part that could not be read: then its old state stays."""
        name, change, blob = item
        if not self.refused or change != "changed":
            return False
        before = Document.from_canonical(blobs.get(self.known[name].blob_sha))
        after = Document.from_canonical(blobs.get(blob))
        lost = set(after.blocks) < set(before.blocks)
        self.unchanged += lost
        return lost

    def _take_document(self, found: Found, blobs: BlobStore) -> None:
        name = found.document.external_id
        if name in self.seen:
            self.refused.append((name, "duplicate_document", "The source has two documents of this id."))
            self._count("", [Entry(e.channel, e.item, "failed", "duplicate_document") for e in found.entries])
            return
        self.seen.add(name)
        self._count(name, found.entries)
        canonical = found.document.canonical()
        known = self.known.get(name)
        if known and known.live and known.blob_sha == hashlib.sha256(canonical).hexdigest():
            self.unchanged += 1
            return
        change: ChangeKind = "changed" if known and known.live else "added"
        if known and known.live and known.audience - set(found.document.audience):
            self.narrowed[name] = known.audience & set(found.document.audience)
        self.work.append((name, change, blobs.put(canonical)))

    def _count(self, document: str, entries: tuple[Entry, ...] | list[Entry]) -> None:
        for entry in entries:
            self.ledger[document, entry.channel, entry.bucket, entry.reason] += 1


def examine(source: Source, known: dict[str, Known], blobs: BlobStore) -> Findings:
    """Read the whole source once. Blobs are on the disk when this returns.

    Raises `EmptySourceError` rather than take every document away at once.
    """
    findings = Findings(known)
    for item in source.read():
        findings.take(item, blobs)
    if not findings.seen and any(document.live for document in known.values()):
        raise EmptySourceError(
            "The source has no documents any more; those that it brought are kept.",
            hint="Check that the folder is mounted and that the path is right.",
        )
    stands = [item for item in findings.work if not findings.only_lost(item, blobs)]
    # What is gone goes first: everything else may take its time.
    findings.work = findings.removed() + stands
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
    audiences.replace_memberships(session, source_id, source.memberships())
    sources.set_workspace(session, source_id, source.workspace or "")
    # Until the run has ended well, the next one may not take the short cut.
    sources.set_fingerprint(session, source_id, "")
