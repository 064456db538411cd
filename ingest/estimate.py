"""What applying a plan will take, by cutting its documents and embedding a few of their chunks."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from core.blobs import BlobStore
from core.catalog import documents
from core.catalog.documents import Target
from core.database import Database
from core.words import ChangeKind, Chunk, Document
from ingest.prepare import Chunker, DocumentEmbedder

if TYPE_CHECKING:
    from ingest.recipe import Recipe

SAMPLE = 8  # texts embedded to see how fast this machine is
ROUNDED = 2


def of(
    work: Sequence[tuple[str, ChangeKind, str]],
    database: Database,
    blobs: BlobStore,
    *,
    recipe: "Recipe",
    target: Target,
    lanes: int,
) -> dict[str, object]:
    """`chunks` that the plan writes, `chunks_to_embed` among them, `expected_minutes` for those on this machine."""
    total = 0
    missing: dict[str, str] = {}  # by hash; the texts of the first few only
    for chunks in _cut(work, database, blobs, recipe.chunker(target.source), target):
        total += len(chunks)
        texts = {chunk.text_sha: chunk.indexed_text for chunk in chunks}
        with database.read() as session:
            cached = documents.cached_texts(session, target.space_id, sorted(texts))
        missing |= {
            sha: text[:0] if len(missing) > SAMPLE else text for sha, text in texts.items() if sha not in cached
        }
    sample = [text for text in missing.values() if text][:SAMPLE]
    seconds = _seconds_each(recipe.embedder(), sample) * len(missing) if missing else 0.0
    minutes = seconds / 60 / max(1, min(lanes, os.cpu_count() or 1))
    return {"chunks": total, "chunks_to_embed": len(missing), "expected_minutes": round(minutes, ROUNDED)}


def _cut(
    work: Iterable[tuple[str, ChangeKind, str]],
    database: Database,
    blobs: BlobStore,
    chunker: Chunker,
    target: Target,
) -> Iterator[list[Chunk]]:
    for name, change, blob in work:
        if change == "removed":
            continue
        document = Document.from_canonical(blobs.get(blob))
        with database.read() as session:
            stands = documents.content_of(session, target.source, name) == document.content_sha
        if not stands:
            yield chunker(document)


def _seconds_each(embedder: DocumentEmbedder, texts: Sequence[str]) -> float:
    embedder.embed_documents(texts[:1])  # what loading the model takes is not what a text takes
    started = time.perf_counter()
    embedder.embed_documents(texts)
    return (time.perf_counter() - started) / len(texts)
