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
from core.database import Database
from core.words import Chunk, Document


class DocumentEmbedder(Protocol):
    """What ingestion needs of an embedder."""

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape (n, d); the same text always gives the same bytes."""


Chunker = Callable[[Document], list[Chunk]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A work item with everything its commit needs, or the error that preparing it met.

    A removal has no document; a document whose content did not change has no chunks to write.
    """

    item: WorkItem
    document: Document | None = None
    metadata_only: bool = False
    chunks: tuple[Chunk, ...] = ()
    vectors: dict[str, bytes] = field(default_factory=dict)  # new ones, by text hash
    error: Exception | None = None


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

    def prepare(self, items: Sequence[WorkItem]) -> Iterator[Prepared]:
        """Each item as soon as it is ready, in order. An item's own failure is part of what comes out for it."""
        cut = [self._cut(item) for item in items]
        cached = self._cached(cut)
        for prepared in cut:
            yield self._embed(prepared, cached)

    def _cut(self, item: WorkItem) -> Prepared:
        if item.change == "removed":
            return Prepared(item=item)
        try:
            document = Document.from_canonical(self.blobs.get(item.blob_sha))
            if item.change == "changed" and self._has_content(document):
                return Prepared(item=item, document=document, metadata_only=True)
            return Prepared(item=item, document=document, chunks=tuple(self.chunker(document)))
        except Exception as error:  # noqa: BLE001 - recorded with the item, which is retried or quarantined
            return Prepared(item=item, error=error)

    def _has_content(self, document: Document) -> bool:
        with self.database.read() as session:
            return documents.content_of(session, self.target.source, document.external_id) == document.content_sha

    def _cached(self, cut: Sequence[Prepared]) -> frozenset[str]:
        shas = sorted({chunk.text_sha for prepared in cut for chunk in prepared.chunks})
        if not shas:
            return frozenset()
        with self.database.read() as session:
            return documents.cached_texts(session, self.target.space_id, shas)

    def _embed(self, prepared: Prepared, cached: frozenset[str]) -> Prepared:
        missing = {chunk.text_sha: chunk.indexed_text for chunk in prepared.chunks if chunk.text_sha not in cached}
        if not missing:
            return prepared
        started = time.perf_counter()
        try:
            matrix = self.embedder.embed_documents(list(missing.values()))
        except Exception as error:  # noqa: BLE001 - recorded with the item, which is retried or quarantined
            return Prepared(item=prepared.item, error=error)
        with self._timing:
            self.embed_seconds += time.perf_counter() - started
        rows = matrix.astype("<f4", copy=False)
        vectors = {sha: row.tobytes() for sha, row in zip(missing, rows, strict=True)}
        return replace(prepared, vectors=vectors)
