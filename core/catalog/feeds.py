"""What the engines read: the live chunks of one generation, whole or as the changes since a sequence number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select

from core import tables as t
from core.database import Session

BATCH = 500  # ids in one statement: below SQLite's limit of bound parameters


@dataclass(frozen=True, slots=True)
class VectorRow:
    """One live chunk as the vector engine holds it. `vector` is float32, little endian."""

    chunk_id: str
    vector: bytes
    document_id: str
    audience_id: int
    source: str
    kind: str
    author: str
    valid_from: int
    valid_to: int
    row_version: int


@dataclass(frozen=True, slots=True)
class WordsRow:
    """One live chunk as the lexical engine holds it: what is indexed, and what may filter it."""

    chunk_id: str
    text: str
    text_sha: str
    audience_id: int
    source: str
    kind: str
    author: str
    valid_from: int
    valid_to: int


_LIVE = select(t.generation.c.id, t.generation.c.space_id).join(
    t.live_generation, t.live_generation.c.generation_id == t.generation.c.id
)


def live_generation(session: Session) -> tuple[int, str] | None:
    """Id and space id of the generation that readers see, or None before the first ingestion."""
    row = session.execute(_LIVE).first()
    return (row[0], row[1]) if row else None


def last_change(session: Session, generation_id: int) -> int:
    """The newest sequence number of the generation; 0 when nothing was ever written."""
    newest = session.execute(select(func.max(t.change.c.seq)).where(t.change.c.generation_id == generation_id))
    return newest.scalar_one() or 0


def changed_chunks(session: Session, generation_id: int, after: int) -> tuple[int, list[str]]:
    """The newest sequence number and the distinct chunks that changed since `after`, in no order.

    A chunk among them that the row feeds do not return is no longer live and leaves the engines.
    """
    newest = last_change(session, generation_id)
    if newest <= after:
        return newest, []
    where = and_(t.change.c.generation_id == generation_id, t.change.c.seq > after)
    return newest, list(session.execute(select(t.change.c.chunk_id).where(where).distinct()).scalars())


def vector_rows(
    session: Session, generation_id: int, space_id: str, chunk_ids: Sequence[str] | None = None
) -> Iterator[VectorRow]:
    """Live chunks with their vectors, all of them or those of `chunk_ids`; ordered by id when all."""
    statement = (
        _live(generation_id, t.chunk.c.id, t.embedding.c.vector, t.chunk.c.document_id)
        .add_columns(*_filterable(), t.chunk.c.row_version)
        .join(t.embedding, and_(t.embedding.c.text_sha == t.chunk.c.text_sha, t.embedding.c.space_id == space_id))
    )
    return (VectorRow(*row) for row in _rows(session, statement, chunk_ids))


def words_rows(session: Session, generation_id: int, chunk_ids: Sequence[str] | None = None) -> Iterator[WordsRow]:
    """Live chunks with their indexed text, all of them or those of `chunk_ids`."""
    statement = _live(generation_id, t.chunk.c.id, t.chunk.c.context, t.chunk.c.text, t.chunk.c.text_sha)
    for chunk_id, context, text, *rest in _rows(session, statement.add_columns(*_filterable()), chunk_ids):
        yield WordsRow(chunk_id, f"{context}\n{text}" if context else text, *rest)


def _filterable() -> tuple[ColumnElement[Any], ...]:
    return (
        t.document.c.audience_id,
        t.source.c.name,
        t.document.c.kind,
        t.chunk.c.author,
        t.chunk.c.valid_from,
        t.chunk.c.valid_to,
    )


def _live(generation_id: int, *columns: ColumnElement[Any]) -> Select[Any]:
    return (
        select(*columns)
        .select_from(t.chunk)
        .join(t.document, t.document.c.id == t.chunk.c.document_id)
        .join(t.source, t.source.c.id == t.document.c.source_id)
        .where(t.chunk.c.generation_id == generation_id, t.chunk.c.live)
    )


def _rows(session: Session, statement: Select[Any], chunk_ids: Sequence[str] | None) -> Iterator[Any]:
    if chunk_ids is None:
        yield from session.execute(statement.order_by(t.chunk.c.id))
        return
    for start in range(0, len(chunk_ids), BATCH):
        wanted = chunk_ids[start : start + BATCH]
        yield from session.execute(statement.where(t.chunk.c.id.in_(wanted)))
