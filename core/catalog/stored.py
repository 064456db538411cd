"""What the catalogue has of each document, read in batches, and which blobs it counts on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, exists, func, select, union

from core import tables as t
from core.catalog import tombstones
from core.catalog.feeds import BATCH
from core.database import Session

_STREAM = {"yield_per": 500}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """One live chunk. `content_sha` is of the version that it was cut from."""

    generation_id: int
    id: str
    content_sha: str
    ordinal: int
    text: str
    context: str
    text_sha: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """One live document with its live chunks. `unsettled` are the generations that have still to bring it."""

    id: str
    external_id: str
    source: str
    blob_sha: str
    chunks: list[StoredChunk] = field(default_factory=list)
    unsettled: set[int] = field(default_factory=set)


def documents(session: Session, generations: Sequence[int], *, since: int = 0) -> Iterator[list[StoredDocument]]:
    """Every live document that was recorded since, with its chunks in these generations, in batches by id.

    Those that wait for being brought again are left out.
    """
    d = t.document.c
    columns = (d.id, d.external_id, t.source.c.name, d.blob_sha)
    rows = select(*columns).join(t.source, t.source.c.id == d.source_id).where(_recorded(since)).order_by(d.id)
    last = ""
    while found := session.execute(rows.where(d.id > last).limit(BATCH)).all():
        last = found[-1][0]
        batch = {row[0]: StoredDocument(id=row[0], external_id=row[1], source=row[2], blob_sha=row[3]) for row in found}
        _add_chunks(session, batch, generations)
        yield list(batch.values())


def _add_chunks(session: Session, batch: dict[str, StoredDocument], generations: Sequence[int]) -> None:
    c, b = t.chunk.c, t.build.c
    names = ("generation_id", "id", "ordinal", "text", "context", "text_sha", "start", "end")
    rows = select(c.document_id, t.version.c.content_sha, *(c[name] for name in names))
    rows = rows.join(t.version, t.version.c.id == c.version_id)
    mine = and_(c.document_id.in_(list(batch)), c.generation_id.in_(generations), c.live)
    for document_id, content_sha, *rest in session.execute(rows.where(mine).order_by(c.generation_id, c.ordinal)):
        values = dict(zip(names, rest, strict=True))
        batch[document_id].chunks.append(StoredChunk(content_sha=content_sha, **values))
    open_rows = select(b.generation_id, b.document_id).where(b.document_id.in_(list(batch)), b.state != "done")
    for generation_id, document_id in session.execute(open_rows.where(b.generation_id.in_(generations))):
        batch[document_id].unsettled.add(generation_id)


def count_documents(session: Session, *, since: int = 0) -> int:
    """How many documents `documents` brings."""
    return int(session.execute(select(func.count()).where(_recorded(since))).scalar_one())


def _recorded(since: int) -> ColumnElement[bool]:
    d = t.document.c
    return and_(d.version_id.is_not(None), d.content_sha != "", d.recorded_at >= since)


def needed_blobs(session: Session, *, since: int = 0) -> Iterator[tuple[str, str]]:
    """(blob hash, what counts on it) of versions and of open work; a deleted document needs none."""
    v, w = t.version.c, t.work.c
    grave = exists().where(t.tombstone.c.kind == "document", t.tombstone.c.key == v.document_id)
    versions = select(v.blob_sha, v.id).where(v.blob_sha != "", v.recorded_at >= since, ~grave)
    with session.execute(versions, execution_options=_STREAM) as rows:
        yield from ((sha, f"version/{number}") for sha, number in rows)
    open_work = select(w.blob_sha, w.id).where(w.state.in_(("pending", "running")), w.blob_sha != "")
    yield from ((sha, f"work/{number}") for sha, number in session.execute(open_work))


def kept_blobs(session: Session) -> set[str]:
    """The hashes of all blobs that something may still read."""
    w, letter = t.work.c, t.dead_letter.c
    rows = union(
        select(t.document.c.blob_sha),
        select(t.version.c.blob_sha),
        select(w.blob_sha).where(w.state.in_(("pending", "running"))),
        select(letter.blob_sha).where(letter.state == "open"),
    )
    return set(session.execute(rows).scalars()) - {""}


def buried_blobs(session: Session) -> set[str]:
    """The hashes of blobs that were deleted with documents and people."""
    return {
        sha
        for tombstone in tombstones.listing(session)
        for receipt in tombstone.receipts
        if receipt.store == "blobs"
        for sha in receipt.ids
    }


def orphan_embeddings(session: Session, space_id: str) -> set[str]:
    """Text hashes of vectors that no chunk of this space's generations has, live or not."""
    c, e, g = t.chunk.c, t.embedding.c, t.generation.c
    used = exists().where(c.text_sha == e.text_sha, g.id == c.generation_id, g.space_id == e.space_id)
    return set(session.execute(select(e.text_sha).where(e.space_id == space_id, ~used)).scalars())


def spaces(session: Session) -> list[str]:
    """The id of every space."""
    return list(session.execute(select(t.space.c.id).order_by(t.space.c.id)).scalars())


def indexed_chunks(session: Session, generation_id: int, *, after: int) -> tuple[dict[str, str], set[str]]:
    """What an index that knows all changes up to `after` must hold, and what it may hold or not.

    The first maps chunk ids to text hashes, the second are ids of chunks that changed since.
    """
    c, ch = t.chunk.c, t.change.c
    moved = select(ch.chunk_id).where(ch.generation_id == generation_id, ch.seq > after)
    touched = set(session.execute(moved.distinct()).scalars())
    live = select(c.id, c.text_sha).where(c.generation_id == generation_id, c.live)
    with session.execute(live, execution_options=_STREAM) as rows:
        return {chunk_id: sha for chunk_id, sha in rows if chunk_id not in touched}, touched
