"""What an old export may not bring back: documents that were deleted, and what was said by people who were erased.

The decision is pure, and the same for what a source brings again as for what is stored already.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import zip_longest

from core.catalog import tombstones
from core.catalog.tombstones import person_key
from core.database import Session
from core.words import Block, Document, digest_of
from ingest.conversations import title_of
from ingest.items import Entry, Found, Skipped


@dataclass(frozen=True, slots=True)
class Graves:
    """The external ids of one source's deleted documents, and the keys of all people who were erased."""

    names: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """Changes with what is buried, empty while nothing is: what a source may bring is part of its state."""
        return digest_of(*sorted(self.names), "", *sorted(self.people)) if self.names or self.people else ""

    def settle(self, found: Found) -> Found | Skipped:
        """What is left of a document. Every entry stays in it, in the bucket `tombstoned` where what it is about goes.

        The reason is `deleted` for a document and `erased` for what somebody said.
        """
        if found.document.external_id in self.names:
            return Skipped(tuple(_buried(entry, "deleted") for entry in found.entries))
        if not self.people or not speaks(found.document, self.people):
            return found
        entries = _entries(found, self.people)
        left = without(found.document, self.people)
        return Found(left, entries) if left else Skipped(entries)

    def living(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Of (principal, what it holds) those of people who were not erased."""
        return [pair for pair in pairs if not self.people or person_key(pair[0]) not in self.people]


def graves_of(session: Session, source_id: int) -> Graves:
    """What is buried of a source, and who was erased."""
    return Graves(tombstones.buried_names(session, source_id), tombstones.erased_people(session))


def speaks(document: Document, people: frozenset[str]) -> bool:
    """Whether one of these people (keys) says anything in the document."""
    return any(_is_of(block, people) for block in document.blocks)


def without(document: Document, people: frozenset[str]) -> Document | None:
    """The document without what these people (keys) said; None if nothing is left.

    A title that quotes them is made of what is first now. Signals count who and what is left, but for reactions.
    """
    kept = tuple(block for block in document.blocks if not _is_of(block, people))
    if not kept or len(kept) == len(document.blocks):
        return document if kept else None
    gone = len(document.blocks) - len(kept)
    is_headless = _is_of(document.blocks[0], people)
    signals = replace(
        document.signals,
        last_activity=max((block.at for block in kept if block.at is not None), default=None),
        replies=max(0, document.signals.replies - gone + is_headless),
        people=len({block.by or block.speaker for block in kept}),
    )
    rest = replace(document, blocks=kept, signals=signals)
    return replace(rest, title=title_of(rest), author="") if is_headless else rest


def _is_of(block: Block, people: frozenset[str]) -> bool:
    return bool(block.by) and person_key(block.by) in people


def _buried(entry: Entry, reason: str) -> Entry:
    return replace(entry, bucket="tombstoned", reason=reason)


def _entries(found: Found, people: frozenset[str]) -> tuple[Entry, ...]:
    """One entry stands for one block, in the same order; what stays alone is a document of its own."""
    blocks = found.document.blocks
    gone = [block is not None and _is_of(block, people) for _, block in zip_longest(found.entries, blocks)]
    alone = len(blocks) - sum(gone) == 1
    return tuple(
        _buried(entry, "erased") if is_gone else replace(entry, bucket="indexed" if alone else entry.bucket)
        for entry, is_gone in zip(found.entries, gone, strict=False)
    )
