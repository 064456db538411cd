"""Small documents, chunks and targets for tests of the catalogue."""

import numpy as np

from core.catalog import plans, queue, sources
from core.catalog.documents import NewVersion, Target, commit_versions
from core.catalog.generations import generation_for
from core.database import Database
from core.words import OPEN_FROM, Block, Chunk, Document, Instant, Signals, Space, chunk_id_of

SPACE = Space(model="test", revision="1", runtime="none", dimension=4, max_tokens=64)
NOW = Instant(1_700_000_000_000_000)


def page(external_id: str, *texts: str, audience: tuple[str, ...] = ("everyone",), reactions: int = 0) -> Document:
    """A page with one block for each text."""
    return Document(
        external_id=external_id,
        kind="page",
        title=f"About {external_id}",
        uri=f"{external_id}.md",
        audience=audience,
        blocks=tuple(Block(text=text) for text in texts),
        signals=Signals(reactions=reactions),
    )


def cut(document: Document, source: str = "docs") -> list[Chunk]:
    """One chunk for each block."""
    chunks, start = [], 0
    for ordinal, block in enumerate(document.blocks):
        chunks.append(
            Chunk(
                id=chunk_id_of(source, document.external_id, document.content_sha, "p1", ordinal),
                ordinal=ordinal,
                text=block.text,
                context=document.title,
                start=start,
                end=start + len(block.text),
                anchor="",
                author="",
                valid_from=OPEN_FROM,
            )
        )
        start += len(block.text) + 1
    return chunks


def vectors_for(chunks: list[Chunk]) -> dict[str, bytes]:
    """A unit vector for each text, the same for the same text."""
    made = {}
    for chunk in chunks:
        seed = int(chunk.text_sha[:8], 16)
        raw = np.random.default_rng(seed).normal(size=SPACE.dimension).astype("<f4")
        made[chunk.text_sha] = (raw / np.linalg.norm(raw)).astype("<f4").tobytes()
    return made


def new_target(database: Database, source: str = "docs", run_id: str = "run1") -> Target:
    """A source with a generation and an empty run."""
    with database.write() as session:
        number = sources.source_id(session, name=source, kind="files", now=NOW)
        generation = generation_for(session, pipeline="p1", space=SPACE, now=NOW)
        queue.begin(session, run_id=run_id, source_id=number, request={}, requested_by="", now=NOW)
        plans.start(session, run_id, fingerprint="f", unchanged=0, now=NOW)
    return Target(source_id=number, source=source, run_id=run_id, generation_id=generation, space_id=SPACE.id)


def commit(database: Database, target: Target, document: Document, now: int = NOW) -> list[Chunk]:
    """Commit a document as ingestion does, one chunk a block."""
    chunks = cut(document, target.source)
    new = NewVersion(document=document, blob_sha="b" * 64, chunks=chunks, vectors=vectors_for(chunks))
    with database.write() as session:
        commit_versions(session, target, [new], now=Instant(now))
    return chunks
