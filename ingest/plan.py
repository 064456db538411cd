"""Planning a run: read the source once, keep every changed document's canonical form, say what has to be done.

Nothing a reader can see changes here. The plan becomes real in one transaction (`ingest.enacting`), so a killed plan
leaves only blobs that nobody refers to.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from core.blobs import BlobStore
from core.catalog.documents import Known
from core.errors import BlobDamagedError
from core.words import Block, ChangeKind, Document, Instant, digest_of
from ingest.buried import Graves
from ingest.conversations import said_at
from ingest.hygiene.inspection import inspect
from ingest.merging import Covered, merged
from ingest.options import SourceOptions
from ingest.sources import Entry, Found, Item, Refused, Source

PERSONAL_DATA = "personal_data"
PLACE_CHARACTERS = 600  # in UTF-8 2,400 bytes at most, where PostgreSQL's index takes 2,704
PLACE_SHOWN = 200


@dataclass(slots=True)
class Findings:
    """What reading a source brought up, compared with what the catalogue knows of it."""

    known: dict[str, Known]
    now: Instant
    graves: Graves
    ignored: frozenset[tuple[str, str]] = frozenset()  # (external id, blob hash) of what is done without
    options: SourceOptions = field(default_factory=SourceOptions)
    by_item: bool = False  # what reaches no document is counted by its own name
    covered: Covered | None = None  # from when to before when the source says anything, None = always
    quality: Counter[tuple[str, str]] = field(default_factory=Counter)
    work: list[tuple[str, ChangeKind, str]] = field(default_factory=list)
    ledger: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    doubts: list[Refused] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    narrowed: dict[str, frozenset[str]] = field(default_factory=dict)  # who is left, where somebody lost a right
    moved: list[str] = field(default_factory=list)  # whose readers change and nothing that is indexed
    unchanged: int = 0
    withheld: int = 0  # documents that hold what the source's options do not let in
    kept: set[str] = field(default_factory=set)  # documents that lie outside the time that the source covers
    waiting: bool = False  # something will apply only later: the source has to be read again

    @property
    def emptied(self) -> bool:
        """Whether a source that brought documents has none at all now, and does not say why."""
        if self.seen or self.doubts or self.withheld:
            return False
        return not self.kept and any(document.live for document in self.known.values())

    def take(self, item: Item, blobs: BlobStore) -> None:
        """Account for one thing that the source yielded."""
        if isinstance(item, Found):
            item = self.graves.settle(item)
        if isinstance(item, Found):
            item = self._inspected(self._completed(item, blobs))
        if isinstance(item, Found):
            self._take_document(item, blobs)
            return
        self._count("", item.entries)
        if isinstance(item, Refused):
            self.refused.append((_shortened(item.place), item.code, item.reason))
            if item.doubts is not None:
                self.doubts.append(item)

    def settle(self, source: Source, blobs: BlobStore) -> None:
        """Decide, once everything was read, what is gone and what only could not be read this time."""
        gone = [name for name, known in sorted(self.known.items()) if known.live and name not in self.seen]
        gone = [name for name in gone if not self._kept(name, source, blobs)]
        gone = [name for name in gone if not self._outlasts(name, source, blobs)]
        stands = [item for item in self.work if not self._only_lost(item, blobs)]
        # What is gone goes first: everything else may take its time.
        self.work = [(name, "removed", "") for name in gone] + stands

    def restrict_to(self, name: str) -> None:
        """Leave of the plan what concerns one document. Lost rights stay: they were seen for every document."""
        self.work = [item for item in self.work if item[0] == name]
        self.ledger = Counter({line: count for line, count in self.ledger.items() if line[0] == name})
        self.refused = [line for line in self.refused if line[0] == name]
        self.unchanged = int(name in self.seen and not self.work)

    def withdraw(self, source: Source) -> None:
        """Take from every document the readers that the source no longer lists for it."""
        for name, known in self.known.items():
            if known.live:
                self._narrow(name, source.audience_of(name) or ())

    def _kept(self, name: str, source: Source, blobs: BlobStore) -> bool:
        """Keep a document that stood in what was refused, for those whom the source still lists as its readers."""
        readers = source.audience_of(name)
        before = self._stored(name, blobs)
        if readers is None or before is None or not self._in_doubt(name, before.blocks):
            return False
        self._narrow(name, readers)
        self.unchanged += 1
        return True

    def _outlasts(self, name: str, source: Source, blobs: BlobStore) -> bool:
        """Keep of a document what lies outside the time that the source covers, for its present readers."""
        readers = source.audience_of(name) if self.covered else None
        before = self._stored(name, blobs) if readers else None
        left = merged(before, None, self.covered) if before and self.covered else None
        if left is None or readers is None:
            return False
        seen = inspect(replace(left, audience=readers), self.options)
        if seen.document is None:
            self.refused.append((name, *(seen.refusal or ("", ""))))
            return False
        left = seen.document
        self.kept.add(name)
        self._compare(self.known[name], left, left.canonical(), blobs)
        return True

    def _inspected(self, found: Found) -> Found | Refused:
        """The document cleaned and masked; refused where the source's options do not let it in like that."""
        seen = inspect(found.document, self.options)
        self.quality.update(seen.findings)
        if seen.document is not None:
            return replace(found, document=seen.document)
        name, (code, reason) = found.document.external_id, seen.refusal or ("", "")
        entries = tuple(replace(entry, bucket="failed", reason=code) for entry in found.entries)
        self.withheld += code == PERSONAL_DATA
        # Personal data that must not be here must not stay here in an older state either.
        return Refused(name, code, reason, entries, doubts=None if code == PERSONAL_DATA else name)

    def _completed(self, found: Found, blobs: BlobStore) -> Found:
        """With what is stored from outside the time that the source covers."""
        known = self.known.get(found.document.external_id)
        before = self._stored(found.document.external_id, blobs) if self.covered and known and known.live else None
        if before is None or self.covered is None:
            return found
        return replace(found, document=merged(before, found.document, self.covered) or found.document)

    def _only_lost(self, item: tuple[str, ChangeKind, str], blobs: BlobStore) -> bool:
        """Whether a document merely lacks what stood in what was refused: then its old content stays."""
        name, change, blob = item
        before = self._stored(name, blobs) if change == "changed" and self.doubts else None
        if before is None:
            return False
        after = Document.from_canonical(blobs.get(blob))
        missing = [block for block in before.blocks if block not in set(after.blocks)]
        lost = bool(missing) and set(after.blocks) < set(before.blocks) and self._in_doubt(name, missing)
        self.unchanged += lost
        return lost

    def _stored(self, name: str, blobs: BlobStore) -> Document | None:
        """A document as it was, None where its blob is damaged."""
        try:
            return Document.from_canonical(blobs.get(self.known[name].blob_sha))
        except BlobDamagedError:
            return None

    def _in_doubt(self, name: str, blocks: Sequence[Block]) -> bool:
        """Whether all of these blocks of a document may stand in what was refused."""
        about = [refused for refused in self.doubts if _concerns(refused.doubts or "", name)]
        return bool(about) and all(any(_holds(refused, block) for refused in about) for block in blocks)

    def _take_document(self, found: Found, blobs: BlobStore) -> None:
        document, name = found.document, found.document.external_id
        if name in self.seen:
            self.refused.append((name, "duplicate_document", "The source has two documents of this id."))
            self._count("", [Entry(e.channel, e.item, "failed", "duplicate_document") for e in found.entries])
            return
        self.seen.add(name)
        canonical, known = document.canonical(), self.known.get(name)
        if (name, hashlib.sha256(canonical).hexdigest()) in self.ignored:
            self._count("", [Entry(e.channel, e.item, "filtered", "ignored") for e in found.entries])
            if known is not None and known.live:
                self._narrow(name, document.audience)
            return
        self._count(name, found.entries)
        if known is None or not known.live:
            self.work.append((name, "added", blobs.put(canonical)))
        else:
            self._compare(known, document, canonical, blobs)

    def _compare(self, known: Known, document: Document, canonical: bytes, blobs: BlobStore) -> None:
        if known.audience == frozenset(document.audience) and known.blob_sha == hashlib.sha256(canonical).hexdigest():
            self.unchanged += 1
        else:
            self._take_change(document, canonical, blobs)

    def _take_change(self, document: Document, canonical: bytes, blobs: BlobStore) -> None:
        known = self.known[document.external_id]
        self._narrow(document.external_id, document.audience)
        later = document.valid_from is not None and document.valid_from > self.now
        if later and known.valid_from <= self.now and known.content_sha != document.content_sha:
            # What applies today is answered from until the new state applies.
            self.unchanged += 1
            self.waiting = True
            return
        self.work.append((document.external_id, "changed", blobs.put(canonical)))
        if known.content_sha == document.content_sha and known.audience != frozenset(document.audience):
            self.moved.append(document.external_id)

    def _narrow(self, name: str, readers: Iterable[str]) -> None:
        before, now = self.known[name].audience, frozenset(readers)
        if before - now:
            self.narrowed[name] = before & now

    def _count(self, document: str, entries: tuple[Entry, ...] | list[Entry]) -> None:
        for entry in entries:
            name = document or (_shortened(entry.item) if self.by_item else "")
            self.ledger[name, entry.channel, entry.bucket, entry.reason] += 1


def _shortened(place: str) -> str:
    """A place as it is kept: of a name that is longer than any document's, the beginning and a hash of all of it."""
    if len(place) <= PLACE_CHARACTERS:
        return place
    return f"{place[:PLACE_SHOWN]}… ({len(place)} characters, {digest_of(place)[:16]})"


def _concerns(prefix: str, name: str) -> bool:
    """A prefix that is no place of many is one document, or a file with all that is in it."""
    if prefix.endswith((":", "/")) or not prefix:
        return name.startswith(prefix)
    return name == prefix or name.startswith(f"{prefix}#")


def _holds(refused: Refused, block: Block) -> bool:
    said = said_at(block)
    return refused.between is None or said is None or refused.between[0] <= said < refused.between[1]


def examine(source: Source, findings: Findings, blobs: BlobStore, check: Callable[[], None] = lambda: None) -> None:
    """Read the whole source once. Blobs are on the disk when this returns; raises what `check` raises between items."""
    for item in source.read():
        check()
        findings.take(item, blobs)
    findings.settle(source, blobs)
    if findings.work:
        blobs.flush()
