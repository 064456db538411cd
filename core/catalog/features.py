"""What the feature store and the engines ask of the catalogue beside the row feeds; `chunk_embedding`'s writes."""

import json
from collections import defaultdict
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, literal, select, update

from core import tables as t
from core.catalog.builds import STANDING
from core.catalog.feeds import BATCH
from core.catalog.sequence import record_changes, take
from core.catalog.upsert import upsert
from core.database import Session

VectorTuple = tuple[str, bytes, str, int, str, str, str, int, int]
"""Chunk id, vector (float32, little endian), document id, audience, source, kind, author, valid from, valid to."""

ChunkTuple = tuple[str, str, str, str, int, int]
"""Chunk id, document id, text hash, author, valid from, valid to."""

CHUNK_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "vector": t.embedding.c.vector,
    "parent_document": t.chunk.c.document_id,
    "audience_id": t.document.c.audience_id,
    "source": t.source.c.name,
    "kind": t.document.c.kind,
    "author": t.chunk.c.author,
    "valid_from": t.chunk.c.valid_from,
    "valid_to": t.chunk.c.valid_to,
    "row_version": t.chunk.c.row_version,
    "event_timestamp": t.chunk.c.recorded_at,
}
"""The columns of the view `chunk_embedding`, by the names under which the feature registry knows them."""

_STREAM = {"yield_per": 500}

_ENGINE_COLUMNS = (
    "vector",
    "parent_document",
    "audience_id",
    "source",
    "kind",
    "author",
    "valid_from",
    "valid_to",
)


@dataclass(frozen=True, slots=True)
class Live:
    """The generation readers see, when it was made, its space, and the sequence number of its newest change.

    Numbers repeat in a database that replaces another; with `created_at` (microseconds) they name one generation.
    """

    generation_id: int
    created_at: int
    space_id: str
    newest: int

    @property
    def identity(self) -> tuple[int, int, str]:
        """What tells this generation from every other, also from those of another database."""
        return self.generation_id, self.created_at, self.space_id


@dataclass(frozen=True, slots=True)
class EmbeddingWrite:
    """One row for `chunk_embedding`: the vector (float32, little endian) and the version that must not go back."""

    chunk_id: str
    vector: bytes
    row_version: int


def live_state(session: Session) -> Live | None:
    """What the engines compare themselves with before each search, in one statement; None before any ingestion."""
    newest = (
        select(func.coalesce(func.max(t.change.c.seq), 0))
        .where(t.change.c.generation_id == t.live_generation.c.generation_id)
        .correlate(t.live_generation)
        .scalar_subquery()
    )
    row = session.execute(
        select(t.generation.c.id, t.generation.c.created_at, t.generation.c.space_id, newest).join(
            t.live_generation, t.live_generation.c.generation_id == t.generation.c.id
        )
    ).first()
    return Live(*row) if row else None


def is_standing(session: Session, identity: tuple[int, int, str]) -> bool:
    """Whether a generation is still kept up to date with every commit."""
    g = t.generation.c
    number, created_at, space_id = identity
    mine = and_(g.id == number, g.created_at == created_at, g.space_id == space_id, g.state.in_(STANDING))
    return session.execute(select(g.id).where(mine)).first() is not None


def space_facts(session: Session, space_id: str) -> Mapping[str, Any]:
    """The fields of a stored space, as `core.words.Space` names them."""
    stored = session.execute(select(t.space.c.description).where(t.space.c.id == space_id)).scalar_one()
    facts: Mapping[str, Any] = json.loads(stored)
    return facts


def vector_tuples(
    session: Session, generation_id: int, space_id: str, chunk_ids: Sequence[str]
) -> Iterator[Sequence[VectorTuple]]:
    """The rows of `feeds.vector_rows` for some chunks as bare tuples, in batches and in no order."""
    statement = _live_chunks(generation_id, space_id, _ENGINE_COLUMNS)
    for start in range(0, len(chunk_ids), BATCH):
        yield session.execute(statement.where(t.chunk.c.id.in_(chunk_ids[start : start + BATCH]))).all()


def document_facts(session: Session) -> dict[str, tuple[int, str, str]]:
    """Audience, source and kind of every document, by document id."""
    c = t.document.c
    rows = session.execute(
        select(c.id, c.audience_id, t.source.c.name, c.kind).join(t.source, t.source.c.id == c.source_id)
    )
    return {number: (audience, source, kind) for number, audience, source, kind in rows}


def live_chunks(session: Session, generation_id: int) -> Iterator[Sequence[ChunkTuple]]:
    """Every live chunk of a generation, in batches.

    With `document_facts` and `vector_batches` this loads 100k vectors in half the time of the four-table join: the
    sums with nothing keep the database from walking an index in the random order of hashes, and small batches stay
    in the processor's cache and out of Python's collector.
    """
    c = t.chunk.c
    columns = (c.id, c.document_id, c.text_sha, c.author, c.valid_from, c.valid_to)
    statement = select(*columns).where(c.generation_id + 0 == generation_id, c.live)
    with session.execute(statement, execution_options=_STREAM) as rows:
        yield from rows.partitions()


def vector_batches(session: Session, space_id: str) -> Generator[Sequence[tuple[str, bytes]]]:
    """Every stored vector of a space with its text hash, live or not, in batches."""
    c = t.embedding.c
    statement = select(c.text_sha, c.vector).where(c.space_id + "" == space_id)
    with session.execute(statement, execution_options=_STREAM) as rows:
        yield from rows.partitions()


def chunk_rows(
    session: Session, chunk_ids: Sequence[str], columns: Sequence[str], generation_id: int | None = None
) -> dict[str, tuple[Any, ...]]:
    """The asked `CHUNK_COLUMNS` of live chunks of a generation by id, in one statement; others are absent.

    Without a `generation_id` it is the live generation.
    """
    live = select(t.live_generation.c.generation_id).scalar_subquery()
    generation: Any = live if generation_id is None else literal(generation_id)
    space = select(t.generation.c.space_id).where(t.generation.c.id == generation).scalar_subquery()
    statement = _live_chunks(generation, space, columns).where(t.chunk.c.id.in_(chunk_ids))
    return {row[0]: tuple(row[1:]) for row in session.execute(statement)}


def put_embeddings(
    session: Session, generation_id: int, space_id: str, rows: Sequence[EmbeddingWrite]
) -> frozenset[str]:
    """Store the vectors of live chunks and record the change; returns the chunks that are not known, unwritten.

    A row older than what is stored changes nothing. A vector belongs to a text, so every chunk of it changes.
    """
    known = _versions(session, generation_id, [row.chunk_id for row in rows])
    newer = {row.chunk_id: row for row in rows if row.chunk_id in known and row.row_version >= known[row.chunk_id][1]}
    if newer:
        vectors = {known[row.chunk_id][0]: row.vector for row in newer.values()}
        stored = [{"text_sha": sha, "space_id": space_id, "vector": raw} for sha, raw in sorted(vectors.items())]
        upsert(session, t.embedding, stored)
        for chunk_id, row in newer.items():
            one = and_(t.chunk.c.generation_id == generation_id, t.chunk.c.id == chunk_id)
            session.execute(update(t.chunk).where(one).values(row_version=row.row_version))
        _record(session, _sharing(session, space_id, sorted(vectors)))
    return frozenset(row.chunk_id for row in rows) - known.keys()


def retire_chunks(session: Session, chunk_ids: Sequence[str]) -> None:
    """Take chunks away from readers at once, in every generation that has them: the barrier lets them pass no more."""
    c = t.chunk.c
    live: set[tuple[int, str]] = set()
    for start in range(0, len(chunk_ids), BATCH):
        some = and_(c.live, c.id.in_(chunk_ids[start : start + BATCH]))
        live.update(
            (number, chunk_id) for number, chunk_id in session.execute(select(c.generation_id, c.id).where(some))
        )
        session.execute(update(t.chunk).where(some).values(live=False))
    _record(session, live)


def known_documents(session: Session, document_ids: Sequence[str]) -> frozenset[str]:
    """Those of these documents that the catalogue has."""
    found: set[str] = set()
    for start in range(0, len(document_ids), BATCH):
        some = t.document.c.id.in_(document_ids[start : start + BATCH])
        found.update(session.execute(select(t.document.c.id).where(some)).scalars())
    return frozenset(found)


def delete_signals(session: Session, document_ids: Sequence[str]) -> None:
    """Forget the scalar features of these documents."""
    session.execute(delete(t.document_signals).where(t.document_signals.c.document_id.in_(document_ids)))


def _record(session: Session, changed: Collection[tuple[int, str]]) -> None:
    """Change rows for these (generation, chunk)."""
    first = take(session, len(changed)) if changed else 0
    mine: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for place, (number, chunk_id) in enumerate(sorted(changed)):
        mine[number].append((chunk_id, first + place))
    for number, rows in mine.items():
        record_changes(session, number, rows)


def _live_chunks(
    generation_id: int | ColumnElement[int], space_id: str | ColumnElement[str], columns: Sequence[str]
) -> Select[Any]:
    same_text = and_(t.embedding.c.text_sha == t.chunk.c.text_sha, t.embedding.c.space_id == space_id)
    return (
        select(t.chunk.c.id, *(CHUNK_COLUMNS[name] for name in columns))
        .select_from(t.chunk)
        .join(t.document, t.document.c.id == t.chunk.c.document_id)
        .join(t.source, t.source.c.id == t.document.c.source_id)
        .join(t.embedding, same_text)
        .where(t.chunk.c.generation_id == generation_id, t.chunk.c.live)
    )


def _versions(session: Session, generation_id: int, chunk_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Text hash and row version of the live chunks among these."""
    c = t.chunk.c
    found: dict[str, tuple[str, int]] = {}
    for start in range(0, len(chunk_ids), BATCH):
        mine = and_(c.generation_id == generation_id, c.live, c.id.in_(chunk_ids[start : start + BATCH]))
        rows = session.execute(select(c.id, c.text_sha, c.row_version).where(mine))
        found.update({chunk_id: (sha, version) for chunk_id, sha, version in rows})
    return found


def _sharing(session: Session, space_id: str, text_shas: Sequence[str]) -> set[tuple[int, str]]:
    """(generation, chunk) of every live chunk that has one of these texts, where vectors are of this space."""
    c, g = t.chunk.c, t.generation.c
    same = select(c.generation_id, c.id).join(t.generation, g.id == c.generation_id)
    found: set[tuple[int, str]] = set()
    for start in range(0, len(text_shas), BATCH):
        texts = and_(g.space_id == space_id, c.live, c.text_sha.in_(text_shas[start : start + BATCH]))
        found.update((number, chunk_id) for number, chunk_id in session.execute(same.where(texts)))
    return found
