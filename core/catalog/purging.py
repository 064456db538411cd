"""Taking away every row of what was deleted, and looking afterwards what is left.

Ids stay: of changes, in ledgers and in receipts. Text does not. Everything here can be repeated.
"""

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, case, delete, false, func, or_, select, text, union, update

from core import tables as t
from core.catalog import likeness
from core.catalog.sequence import lock
from core.catalog.tombstones import OPEN, batches
from core.database import Database, Session

Removed = dict[str, set[str]]
"""By store, the ids of what was removed."""

CHECKPOINT_MS = 2_000
_ID = re.compile(r"[0-9a-f]{32}")
_OF_DOCUMENTS = (("builds", t.build), ("signals", t.document_signals))
_REFERRING = (t.document, t.version, t.work, t.dead_letter)


@dataclass(frozen=True, slots=True)
class Place:
    """A document by its id and by where it is in its source, which has it known or not."""

    document_id: str
    source_id: int
    external_id: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows go: of the `whole` documents all, of the `older` ones those that are not of their live version."""

    whole: tuple[Place, ...] = ()
    older: tuple[Place, ...] = ()


def place_of(session: Session, document_id: str) -> tuple[str, Place] | None:
    """The source's name and the place of a document that the catalogue has; None for any other."""
    d = t.document.c
    found = select(t.source.c.name, d.id, d.source_id, d.external_id).join(t.source, t.source.c.id == d.source_id)
    row = session.execute(found.where(d.id == document_id)).first()
    return (row[0], Place(*row[1:])) if row else None


def source_names(session: Session) -> dict[int, str]:
    """The name of every source."""
    return {int(number): name for number, name in session.execute(select(t.source.c.id, t.source.c.name))}


def present_blob() -> ColumnElement[str]:
    """The blob of a document in its live version; the version's own where the document waits to be brought again."""
    return case((t.document.c.blob_sha == "", t.version.c.blob_sha), else_=t.document.c.blob_sha)


def stored_forms(session: Session) -> Iterator[tuple[str, int, str, bool]]:
    """(blob hash, source, external id, whether the live version has it) of every stored state of every document.

    The hash is empty where the blob of a version was lost.
    """
    d, v, w, letter = t.document.c, t.version.c, t.work.c, t.dead_letter.c
    named = t.document.outerjoin(t.version, v.id == d.version_id)
    live = select(func.coalesce(present_blob(), ""), d.source_id, d.external_id, d.version_id.is_not(None))
    live = live.select_from(named).where(or_(d.version_id.is_not(None), d.blob_sha != ""))
    older = select(v.blob_sha, d.source_id, d.external_id, false()).join(t.document, d.id == v.document_id)
    planned = select(w.blob_sha, t.run.c.source_id, w.external_id, false()).join(t.run, t.run.c.id == w.run_id)
    refused = select(letter.blob_sha, letter.source_id, letter.place, false()).where(letter.blob_sha != "")
    forms = union(live, older, planned.where(w.blob_sha != ""), refused)
    for sha, source_id, external_id, is_live in session.execute(forms):
        yield sha, int(source_id), external_id, bool(is_live)


def chunks_of(session: Session, scope: Scope) -> set[str]:
    """The ids of the chunks that `remove` would take away."""
    rows = (select(t.chunk.c.id).where(wanted) for wanted in _parts(scope, t.chunk.c.document_id, t.chunk.c.version_id))
    return {chunk_id for one in rows for chunk_id in session.execute(one).scalars()}


def answers_on(session: Session, ids: Collection[str]) -> set[str]:
    """Answers that cite one of these documents or chunks, or looked at it."""
    if not ids:
        return set()
    wanted, c = frozenset(ids), t.answer.c
    rows = session.execute(select(c.id, c.citations, c.trace), execution_options={"yield_per": 500})
    return {number for number, *parts in rows if any(not wanted.isdisjoint(_ID.findall(part)) for part in parts)}


def remove(session: Session, scope: Scope, vectors: Collection[str] = ()) -> Removed:
    """Take away what is in scope but for files and answers. What is to become of the files, see `unused_blobs`.

    `vectors` are text hashes that went before and may be there again.
    """
    lock(session)
    removed: Removed = {}
    removed["blobs"] = _blobs_of(session, scope) | _forget_work(session, scope)
    v, c = t.version.c, t.chunk.c
    chunks = _parts(scope, c.document_id, c.version_id)
    texts = {sha for wanted in chunks for sha in session.execute(select(c.text_sha).where(wanted)).scalars()}
    removed["chunks"] = _deleted(session, t.chunk, c.id, chunks)
    removed["vectors"] = _remove_vectors(session, texts.union(vectors))
    whole = [place.document_id for place in scope.whole]
    for name, table in _OF_DOCUMENTS:
        number = table.c.document_id
        removed[name] = _deleted(session, table, number, [number.in_(some) for some in batches(whole)])
    # A sketch is of the live version: what was said in an older one may be in it still.
    removed["likeness"] = likeness.forget(session, [*whole, *(place.document_id for place in scope.older)])
    removed["versions"] = _deleted(session, t.version, v.id, _parts(scope, v.document_id, v.id))
    d = t.document.c
    removed["documents"] = _deleted(session, t.document, d.id, [d.id.in_(some) for some in batches(whole)])
    return removed


def remove_answers(session: Session, answer_ids: Iterable[str]) -> Removed:
    """Take away answers and what was thought of them."""
    removed: Removed = {"answers": set(), "feedback": set()}
    for some in batches(answer_ids):
        for name, table, key in (
            ("feedback", t.feedback, t.feedback.c.answer_id),
            ("answers", t.answer, t.answer.c.id),
        ):
            removed[name] |= _deleted(session, table, key, [key.in_(some)])
    return removed


def unused_blobs(session: Session, shas: Iterable[str]) -> set[str]:
    """Of these hashes, those that nothing in the catalogue refers to."""
    wanted = set(shas)
    for some in batches(wanted):
        for table in _REFERRING:
            own = table.c.blob_sha
            wanted -= set(session.execute(select(own).where(own.in_(some)).distinct()).scalars())
    return wanted


def left_rows(session: Session, scope: Scope, removed: Removed) -> dict[str, int]:
    """By store, how many rows of what is in scope, or was removed before, are there."""
    c, v, e = t.chunk.c, t.version.c, t.embedding.c
    whole = [place.document_id for place in scope.whole]
    by_id = [c.id.in_(some) for some in batches(removed.get("chunks", ()))]
    texts = [and_(e.text_sha.in_(some), _unused()) for some in batches(removed.get("vectors", ()))]
    left = {
        "chunks": _found(session, c.id, [*by_id, *_parts(scope, c.document_id, c.version_id)]),
        "vectors": _found(session, e.text_sha, texts),
        "versions": _found(session, v.id, _parts(scope, v.document_id, v.id)),
        "documents": _found(session, t.document.c.id, [t.document.c.id.in_(some) for some in batches(whole)]),
    }
    for name, table in (*_OF_DOCUMENTS, ("likeness", t.likeness)):
        number = table.c.document_id
        left[name] = _found(session, number, [number.in_(some) for some in batches(whole)])
    return {name: len(rows) for name, rows in left.items()}


def overwrite(session: Session) -> None:
    """What this transaction deletes is overwritten in SQLite's file, and not only given free."""
    if session.dialect.name == "sqlite":
        session.execute(text("PRAGMA secure_delete=ON"))


def empty_log(database: Database) -> int | None:
    """Bring SQLite's log into its file and empty it: 0 once it is, 1 while somebody reads; None where there is none."""
    if not database.is_sqlite:
        return None
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        (before,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout={CHECKPOINT_MS}")
        try:
            return int(cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        except sqlite3.OperationalError:
            return 1
        finally:
            cursor.execute(f"PRAGMA busy_timeout={before}")
    finally:
        connection.close()


def _blobs_of(session: Session, scope: Scope) -> set[str]:
    """The files of the rows that go."""
    d, v = t.document.c, t.version.c
    whole = [place.document_id for place in scope.whole]
    found = _found(session, d.blob_sha, [d.id.in_(some) for some in batches(whole)])
    return found | _found(session, v.blob_sha, _parts(scope, v.document_id, v.id))


def _forget_work(session: Session, scope: Scope) -> set[str]:
    """The files that ended work and dead letters name, which name them no more; what is still to be done keeps its."""
    removed: set[str] = set()
    w, letter = t.work.c, t.dead_letter.c
    for place in (*scope.whole, *scope.older):
        runs = select(t.run.c.id).where(t.run.c.source_id == place.source_id)
        own = and_(w.external_id == place.external_id, w.run_id.in_(runs), w.state.not_in(OPEN), w.blob_sha != "")
        removed |= _found(session, w.blob_sha, [own])
        session.execute(update(t.work).where(own).values(blob_sha=""))
        about = and_(letter.source_id == place.source_id, letter.place == place.external_id, letter.kind == "document")
        removed |= _deleted(session, t.dead_letter, letter.blob_sha, [about])
    return removed - {""}


def _remove_vectors(session: Session, text_shas: Iterable[str]) -> set[str]:
    """Take away the vectors of these texts in every space, but of those that another chunk has too."""
    own = t.embedding.c.text_sha
    return _deleted(session, t.embedding, own, [and_(own.in_(some), _unused()) for some in batches(text_shas)])


def _unused() -> ColumnElement[bool]:
    return ~select(t.chunk.c.id).where(t.chunk.c.text_sha == t.embedding.c.text_sha).exists()


def _parts(scope: Scope, document_id: ColumnElement[str], version_id: ColumnElement[int]) -> list[ColumnElement[bool]]:
    """What is in scope of a table of versions or chunks, as conditions of a size that one statement can take."""
    live = select(t.document.c.version_id).where(t.document.c.id == document_id).scalar_subquery()
    older = [place.document_id for place in scope.older]
    whole = [place.document_id for place in scope.whole]
    return [document_id.in_(some) for some in batches(whole)] + [
        and_(document_id.in_(some), version_id != live) for some in batches(older)
    ]


def _deleted(session: Session, table: Table, key: ColumnElement[Any], parts: Iterable[ColumnElement[bool]]) -> set[str]:
    gone = (delete(table).where(wanted).returning(key) for wanted in parts)
    return {str(value) for statement in gone for value in session.execute(statement).scalars()}


def _found(session: Session, key: ColumnElement[Any], parts: Iterable[ColumnElement[bool]]) -> set[str]:
    return {str(value) for wanted in parts for value in session.execute(select(key).where(wanted)).scalars()}
