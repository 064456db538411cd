"""Linking documents that are nearly the same, once a run has committed them: nothing is merged and nothing hidden.

What is looked for is told by SQL alone, every document whose sketch is not of its present content: whatever a killed
run, an upgrade or an erasure left undone is done by the next run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from core.blobs import BlobStore
from core.catalog import likeness, sequence
from core.catalog.likeness import Unsketched
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database, Session
from core.errors import BlobDamagedError
from core.words import Document
from ingest.errors import RunStoppedError
from ingest.likeness import METHOD, Sketch, link, packed, unpacked

AT_ONCE: Final = 128
"""Documents linked in one transaction, while nobody else commits."""

BESIDE: Final = 2000
"""Documents of other runs that one run sketches beside its own."""

log = structlog.get_logger(__name__)


class Linker:
    """Sketches the documents that wait for it, and links each to those that say nearly the same."""

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock) -> None:
        self.database = database
        self.blobs = blobs
        self.clock = clock

    def catch_up(self, most: int, stop: Callable[[], bool] = lambda: False) -> int:
        """Sketch up to `most` documents, the newest first, and forget those that are gone; how many were sketched.

        Raises `RunStoppedError` when `stop` turned true; what was linked until then stays.
        """
        with self.database.read() as session:
            gone = likeness.left_behind(session)
            waiting = likeness.unsketched(session, METHOD, most)
        if gone:
            with self.database.write() as session:
                sequence.lock(session)
                likeness.forget(session, set(gone).intersection(likeness.left_behind(session)))
        for start in range(0, len(waiting), AT_ONCE):
            if stop():
                raise RunStoppedError("The run was stopped.", hint="It goes on where it was.")
            self._link(waiting[start : start + AT_ONCE])
        return len(waiting)

    def _link(self, documents: Sequence[Unsketched]) -> None:
        made = {one.document_id: sketch for one in documents if (sketch := self._sketch(one)) is not None}
        crashpoint("link.sketched")
        with self.database.write() as session:
            # Of two that link at the same time the later one sees what the earlier one found.
            sequence.lock(session)
            alive = likeness.still_as(session, documents)
            self._write(session, [one for one in documents if one.document_id in alive & made.keys()], made)

    def _write(self, session: Session, documents: Sequence[Unsketched], made: Mapping[str, Sketch]) -> None:
        raw = {one.document_id: packed(made[one.document_id].signature) for one in documents}
        before = likeness.signatures(session, raw)
        same = {number for number, stored in before.items() if stored == (METHOD, raw[number])}
        likeness.keep_signatures(session, [one for one in documents if one.document_id in same])
        likeness.forget(session, before.keys() - same)
        changed = [one for one in documents if one.document_id not in same]
        likeness.put_signatures(session, changed, raw, METHOD)
        new = {one.document_id: made[one.document_id] for one in changed if made[one.document_id].bands}
        buckets = likeness.buckets(session, {one for sketch in new.values() for one in sketch.bands})
        near = likeness.signatures(session, {number for found in buckets.values() for number in found})
        known = {number: unpacked(stored) for number, (method, stored) in near.items() if method == METHOD}
        twins, rows = link(new, known, buckets)
        likeness.put_links(
            session, [(one.document_id, one.twin_id, one.similarity) for one in twins], rows, self.clock()
        )

    def _sketch(self, one: Unsketched) -> Sketch | None:
        """None where the text cannot be read: a check says so, and its source brings it again."""
        try:
            document = Document.from_canonical(self.blobs.get(one.blob_sha))
        except BlobDamagedError as error:
            log.warning("document_not_compared", document=one.document_id, code=error.code)
            return None
        return Sketch.of(block.text for block in document.blocks)
