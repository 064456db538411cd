"""Checks of documents, blobs and vectors, one pass over each; every function yields findings and changes nothing."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from core.blobs import BlobStore
from core.catalog import features as catalog
from core.catalog import stored
from core.catalog.integrity import Generation, Scope
from core.catalog.stored import StoredChunk, StoredDocument
from core.database import Session
from core.errors import BlobDamagedError
from core.words import Document, chunk_id_of
from ingest.chunking import body_of
from threadwise.findings import Finding, Progress

UNIT = 1e-4  # how far from 1 the length of a vector may be


def documents(
    session: Session, scope: Scope, generations: Sequence[Generation], blobs: BlobStore, report: Progress
) -> Iterator[Finding]:
    """Every live document's blob, and its chunks in each of the generations."""
    pipelines = {generation.id: generation.pipeline for generation in generations}
    total, done = stored.count_documents(session, since=scope.since), 0
    for batch in stored.documents(session, scope.generations, since=scope.since):
        for document in batch:
            yield from _document(document, pipelines, blobs)
        done += len(batch)
        report("documents", done, total)


def _document(document: StoredDocument, pipelines: Mapping[int, str], blobs: BlobStore) -> Iterator[Finding]:
    wrong = {f"{chunk.generation_id}/{chunk.id}" for chunk in document.chunks if not _is_right(chunk)}
    wrong |= {
        f"{chunk.generation_id}/{chunk.id}"
        for chunk in document.chunks
        if chunk.id != _id_of(document, chunk, pipelines[chunk.generation_id])
    }
    yield from (Finding("chunk_damaged", place) for place in sorted(wrong))
    try:
        body = body_of(Document.from_canonical(blobs.get(document.blob_sha)))
    except BlobDamagedError:
        yield Finding("blob_damaged", f"document/{document.id}")
        return
    for number in sorted(pipelines.keys() - document.unsettled):
        mine = [chunk for chunk in document.chunks if chunk.generation_id == number]
        if _lacks_some(body, mine):
            yield Finding("chunks_missing", f"{number}/{document.id}")


def _is_right(chunk: StoredChunk) -> bool:
    return text_sha(f"{chunk.context}\n{chunk.text}" if chunk.context else chunk.text) == chunk.text_sha


def text_sha(indexed: str) -> str:
    """The hash (hex) under which the vector of an indexed text is stored."""
    return hashlib.sha256(indexed.encode()).hexdigest()


def _id_of(document: StoredDocument, chunk: StoredChunk, pipeline: str) -> str:
    return chunk_id_of(document.source, document.external_id, chunk.content_sha, pipeline, chunk.ordinal)


def _lacks_some(body: str, chunks: Sequence[StoredChunk]) -> bool:
    """Whether the chunks leave a part of the body out that is more than white space.

    Where an older version of this program laid out the body in another way, only the numbering can tell.
    """
    if sorted(chunk.ordinal for chunk in chunks) != list(range(len(chunks))):
        return True
    if any(body[chunk.start : chunk.end] != chunk.text for chunk in chunks):
        return False
    place = 0
    for chunk in sorted(chunks, key=lambda chunk: chunk.start):
        if body[place : chunk.start].strip():
            return True
        place = max(place, chunk.end)
    return bool(body[place:].strip())


def versions_and_work(session: Session, scope: Scope, blobs: BlobStore, report: Progress) -> Iterator[Finding]:
    """The blobs of every version and of the work that is still to be done."""
    needed = list(stored.needed_blobs(session, since=scope.since))
    good: dict[str, bool] = {}
    for done, (sha, place) in enumerate(needed, 1):
        if sha not in good:
            good[sha] = is_whole(blobs, sha)
        if not good[sha]:
            yield Finding("work_blob_damaged" if place.startswith("work/") else "blob_damaged", place)
        if not done % 500 or done == len(needed):
            report("blobs", done, len(needed))


def is_whole(blobs: BlobStore, sha: str) -> bool:
    """Whether a blob is there and hashes to its name."""
    try:
        blobs.get(sha)
    except BlobDamagedError:
        return False
    return True


def vectors(session: Session, spaces: Iterable[str]) -> Iterator[Finding]:
    """Every stored vector of these spaces: its length, its numbers, its norm."""
    for space in spaces:
        dimension = int(catalog.space_facts(session, space)["dimension"])
        for batch in catalog.vector_batches(session, space):
            yield from (Finding("embedding_damaged", f"{space}/{sha}") for sha in _bad(batch, dimension))


def _bad(batch: Sequence[tuple[str, bytes]], dimension: int) -> Iterator[str]:
    sized = [(sha, raw) for sha, raw in batch if len(raw) == 4 * dimension]
    yield from (sha for sha, raw in batch if len(raw) != 4 * dimension)
    matrix = np.frombuffer(b"".join(raw for _, raw in sized), dtype="<f4").reshape(len(sized), dimension)
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    for place in np.flatnonzero(~(np.abs(norms - 1) < UNIT)).tolist():
        yield sized[place][0]


def unused_vectors(session: Session, spaces: Iterable[str]) -> Iterator[Finding]:
    """Vectors of texts that no chunk has."""
    for space in spaces:
        yield from (
            Finding("embedding_unused", f"{space}/{sha}") for sha in sorted(stored.orphan_embeddings(session, space))
        )


def audience_in(raw: bytes) -> tuple[str, ...]:
    """The principals that a canonical document names as its readers."""
    return tuple(json.loads(raw)["audience"])
