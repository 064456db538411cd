"""From a claimed work item to everything its commit needs: blob, chunks, and the vectors that are not stored yet."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.blobs import BlobStore
from core.catalog import documents
from core.catalog.documents import Target
from core.catalog.runs import WorkItem
from core.crashpoints import crashpoint
from core.database import Database
from core.words import Chunk, Document

TEXTS = 16
"""Texts embedded between two looks at whether to stop."""


class DocumentEmbedder(Protocol):
    """What ingestion needs of an embedder."""

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape (n, d); the same text always gives the same bytes."""


Chunker = Callable[[Document], list[Chunk]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A work item with everything its commit needs, or the error that preparing it met and at which stage.

    A removal has no document; a document whose content did not change has no chunks to write.
    """

    item: WorkItem
    document: Document | None = None
    metadata_only: bool = False
    chunks: tuple[Chunk, ...] = ()
    vectors: dict[str, bytes] = field(default_factory=dict)  # new ones, by text hash
    error: Exception | None = None
    stage: str = ""
    size: int = 0  # bytes of the document's canonical form


@dataclass(frozen=True, slots=True)
class Watched:
    """What whoever prepares tells and asks: which item is at hand now, and whether to stop."""

    begin: Callable[[WorkItem], None] = lambda _item: None
    stop: Callable[[], bool] = lambda: False


class Preparer:
    """Cuts and embeds claimed documents. Shared by threads: it keeps nothing but the seconds spent embedding."""

    def __init__(
        self, database: Database, blobs: BlobStore, *, embedder: DocumentEmbedder, chunker: Chunker, target: Target
    ) -> None:
        self.database = database
        self.blobs = blobs
        self.embedder = embedder
        self.chunker = chunker
        self.target = target
        self.embed_seconds = 0.0
        self._timing = threading.Lock()

    def prepare(self, items: Sequence[WorkItem], watched: Watched | None = None) -> Iterator[Prepared]:
        """Each item as soon as it is ready, in order, until told to stop.

        An item's own failure is part of what comes out for it.
        """
        watched = watched or Watched()
        cut = []
        for item in items:
            watched.begin(item)
            cut.append(self._cut(item))
        cached = self._cached(cut)
        for prepared in cut:
            watched.begin(prepared.item)
            ready = self._embed(prepared, cached, watched.stop)
            if ready is None:
                return
            crashpoint("work.prepared")
            yield ready

    def _cut(self, item: WorkItem) -> Prepared:
        if item.change == "removed":
            return Prepared(item=item)
        stage, size = "read", 0
        try:
            raw = self.blobs.get(item.blob_sha)
            size = len(raw)
            document = Document.from_canonical(raw)
            stage = "cut"
            if item.change == "changed" and self._has_content(document):
                return Prepared(item=item, document=document, metadata_only=True)
            return Prepared(item=item, document=document, chunks=tuple(self.chunker(document)), size=size)
        except Exception as error:  # noqa: BLE001 - recorded with the item, which is retried or quarantined
            return Prepared(item=item, error=error, stage=stage, size=size)

    def _has_content(self, document: Document) -> bool:
        with self.database.read() as session:
            return documents.content_of(session, self.target.source, document.external_id) == document.content_sha

    def _cached(self, cut: Sequence[Prepared]) -> frozenset[str]:
        shas = sorted({chunk.text_sha for prepared in cut for chunk in prepared.chunks})
        if not shas:
            return frozenset()
        with self.database.read() as session:
            return documents.cached_texts(session, self.target.space_id, shas)

    def _embed(self, prepared: Prepared, cached: frozenset[str], stop: Callable[[], bool]) -> Prepared | None:
        missing = {chunk.text_sha: chunk.indexed_text for chunk in prepared.chunks if chunk.text_sha not in cached}
        vectors: dict[str, bytes] = {}
        for some in _batches(list(missing)):
            if vectors and stop():
                return None
            try:
                vectors |= self._vectors({sha: missing[sha] for sha in some})
            except Exception as error:  # noqa: BLE001 - recorded with the item, which is retried or quarantined
                return Prepared(item=prepared.item, error=error, stage="embed", size=prepared.size)
        return replace(prepared, vectors=vectors)

    def _vectors(self, texts: dict[str, str]) -> dict[str, bytes]:
        started = time.perf_counter()
        matrix = self.embedder.embed_documents(list(texts.values()))
        with self._timing:
            self.embed_seconds += time.perf_counter() - started
        rows = matrix.astype("<f4", copy=False)
        return {sha: row.tobytes() for sha, row in zip(texts, rows, strict=True)}


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + TEXTS] for start in range(0, len(texts), TEXTS))
