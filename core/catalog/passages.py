"""The read barrier: the only way by which text leaves the catalogue towards a reader."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, String, and_, bindparam, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from core import tables as t
from core.catalog.audiences import own_principals, readable_audiences
from core.database import Session
from core.words import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """The principals somebody has now. `unrestricted` is for evaluation and maintenance by the installation's owner.

    They hold what the memberships of sources say, but for `without`: what is known to have been lost since. Where that
    is a conversation, nothing that was said in it is read either, whatever audience it had when it was said.
    """

    principals: tuple[str, ...]
    without: tuple[str, ...] = ()
    unrestricted: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk that its reader may read: where it stands, without its text."""

    chunk_id: str
    document_id: str
    ordinal: int
    text_sha: str


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A chunk that its reader may read, with its text and where it comes from."""

    chunk_id: str
    document_id: str
    ordinal: int
    start: int
    end: int
    text: str
    anchor: str
    external_id: str
    title: str
    uri: str
    kind: str
    source: str


def readable_places(
    session: Session, generation_id: int, reader: Reader, at: Instant, chunk_ids: Sequence[str]
) -> dict[str, Place]:
    """Of these chunks, those that are live, valid at `at` and readable; by chunk id, in one statement."""
    values = _barrier_values(generation_id, reader, at) | {"chunk_ids": chunk_ids}
    rows = session.execute(_places(unrestricted=reader.unrestricted), values).all()
    return {row[0]: Place(*row) for row in rows}


def readable_passages(
    session: Session, generation_id: int, reader: Reader, at: Instant, places: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], PassageRow]:
    """The chunks at (document id, ordinal) that pass the same barrier, hits and neighbours alike, with their text."""
    wanted = set(places)
    ordinals = [ordinal for _, ordinal in wanted] or [0]
    values = _barrier_values(generation_id, reader, at) | {
        "document_ids": sorted({document_id for document_id, _ in wanted}),
        "first": min(ordinals),
        "last": max(ordinals),
    }
    rows = session.execute(_texts(unrestricted=reader.unrestricted), values).all()
    return {(row[1], row[2]): PassageRow(*row) for row in rows if (row[1], row[2]) in wanted}


def readable_documents(
    session: Session, generation_id: int, reader: Reader, at: Instant, document_ids: Iterable[str]
) -> frozenset[str]:
    """Of these documents, those of which the same barrier lets anything pass."""
    values = _barrier_values(generation_id, reader, at) | {"document_ids": sorted(document_ids)}
    return frozenset(session.execute(_documents(unrestricted=reader.unrestricted), values).scalars())


# Building these statements would take longer than running them.


@cache
def _places(*, unrestricted: bool) -> Select[Any]:
    c = t.chunk.c
    wanted = c.id.in_(bindparam("chunk_ids", expanding=True))
    return _behind_barrier(select(c.id, c.document_id, c.ordinal, c.text_sha), unrestricted=unrestricted).where(wanted)


@cache
def _documents(*, unrestricted: bool) -> Select[Any]:
    wanted = t.chunk.c.document_id.in_(bindparam("document_ids", expanding=True))
    return _behind_barrier(select(t.chunk.c.document_id).distinct(), unrestricted=unrestricted).where(wanted)


@cache
def _texts(*, unrestricted: bool) -> Select[Any]:
    c, d = t.chunk.c, t.document.c
    columns = (c.id, c.document_id, c.ordinal, c.start, c.end, c.text, c.anchor, d.external_id, d.title, d.uri, d.kind)
    # SQLite reads the whole table for a list of pairs, and follows the index for this.
    documents = c.document_id.in_(bindparam("document_ids", expanding=True))
    wanted = and_(documents, c.ordinal.between(bindparam("first"), bindparam("last")))
    return _behind_barrier(select(*columns, t.source.c.name), unrestricted=unrestricted).where(wanted)


def _behind_barrier(statement: Select[Any], *, unrestricted: bool) -> Select[Any]:
    c, d = t.chunk.c, t.document.c
    guarded = (
        statement.join_from(t.chunk, t.document, and_(d.id == c.document_id, d.version_id == c.version_id))
        .join(t.source, t.source.c.id == d.source_id)
        .where(
            c.generation_id == bindparam("generation_id"),
            c.live,
            c.valid_from <= bindparam("at"),
            c.valid_to > bindparam("at"),
        )
    )
    if unrestricted:
        return guarded
    said_in = t.source.c.workspace + "/" + _FirstPart(d.external_id)
    lost: BindParameter[Any] = bindparam("without", expanding=True)
    return guarded.where(d.audience_id.in_(readable_audiences()), said_in.not_in(lost))


class _FirstPart(FunctionElement[str]):
    """Of an external id what stands before its first colon: the conversation, where it was said in one."""

    type = String()
    inherit_cache = True

    def __init__(self, text: ColumnElement[str]) -> None:
        super().__init__(text)


@compiles(_FirstPart, "sqlite")
def _first_part_of_sqlite(element: _FirstPart, compiler: SQLCompiler, **more: Any) -> str:  # noqa: ANN401 - its own
    text = compiler.process(element.clauses, **more)
    return f"substr({text}, 1, max(instr({text}, ':') - 1, 0))"


@compiles(_FirstPart, "postgresql")
def _first_part_of_postgres(element: _FirstPart, compiler: SQLCompiler, **more: Any) -> str:  # noqa: ANN401 - its own
    text = compiler.process(element.clauses, **more)
    return f"substr({text}, 1, greatest(strpos({text}, ':') - 1, 0))"


def _barrier_values(generation_id: int, reader: Reader, at: Instant) -> dict[str, Any]:
    values: dict[str, Any] = {"generation_id": generation_id, "at": at}
    own = {"principals": own_principals(reader.principals), "without": reader.without}
    return values if reader.unrestricted else values | own
