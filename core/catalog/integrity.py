"""What has to hold within the catalogue, as queries for what breaks it. Nothing here writes.

A query yields places: ids of documents, chunks (`generation/chunk`), runs or rows, and never a text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, except_, exists, func, select, text

from core import tables as t
from core.catalog.sequence import current
from core.database import Session
from core.words import digest_of

STANDING = ("building", "ready", "active", "retired")
"""States of a generation that keeps its chunks."""

ENDED = ("succeeded", "succeeded_with_quarantine", "failed", "cancelled", "superseded")
_DAMAGES = 20  # of the database file, after which no more are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which generations are looked at, and from when on (microseconds) something must have been recorded."""

    generations: tuple[int, ...]
    since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A generation that keeps its chunks."""

    id: int
    created_at: int
    pipeline: str
    space_id: str
    state: str


Query = Callable[[Session, Scope], Iterable[str]]


def hold_still(session: Session) -> None:
    """Let every later statement of this transaction see the same state; has to be its first."""
    if session.dialect.name != "sqlite":  # where a transaction sees one state anyway
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def standing(session: Session) -> list[Generation]:
    """Every generation that keeps its chunks, by number."""
    g = t.generation.c
    rows = session.execute(
        select(g.id, g.created_at, g.pipeline, g.space_id, g.state).where(g.state.in_(STANDING)).order_by(g.id)
    )
    return [Generation(id=r[0], created_at=r[1], pipeline=r[2], space_id=r[3], state=r[4]) for r in rows]


def file_damages(session: Session) -> list[str]:
    """What SQLite itself finds wrong with its file, and references to rows that are not there; numbers only."""
    if session.dialect.name != "sqlite":
        return []
    found = session.exec_driver_sql(f"PRAGMA quick_check({_DAMAGES})").scalars().all()
    if found != ["ok"]:
        return [f"page/{number}" for number in range(1, len(found) + 1)]
    broken = session.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_DAMAGES)
    return [f"{row[0]}/{row[1]}" for row in broken]


def awaiting(session: Session) -> list[str]:
    """Documents that the next run of their source brings again, because what is stored of them is damaged."""
    d = t.document.c
    marked = select(d.id).where(d.version_id.is_not(None), d.content_sha == "")
    return list(session.execute(marked.order_by(d.id)).scalars())


def has_registry(session: Session) -> bool:
    """Whether the feature registry that a server keeps beside the catalogue has its services."""
    tables = select(func.count()).select_from(text("information_schema.tables"))
    named = tables.where(text("table_name = 'feature_services' AND table_schema = current_schema()"))
    if not session.execute(named).scalar_one():
        return False
    return bool(session.execute(text("SELECT count(*) FROM feature_services")).scalar_one())


def live_count(session: Session, generation: Generation) -> int:
    """How many live chunks of a generation have their vector."""
    c, e = t.chunk.c, t.embedding.c
    embedded = and_(e.text_sha == c.text_sha, e.space_id == generation.space_id)
    rows = select(func.count()).select_from(t.chunk.join(t.embedding, embedded))
    return int(session.execute(rows.where(c.generation_id == generation.id, c.live)).scalar_one())


def _wrong_pointers(session: Session, _scope: Scope) -> Iterator[str]:
    """The generation that readers see is the one that is active, and there is no other."""
    g = t.generation.c
    pointed = session.execute(select(t.live_generation.c.generation_id)).scalar_one_or_none()
    active = set(session.execute(select(g.id).where(g.state == "active")).scalars())
    seen = set() if pointed is None else {pointed}
    yield from (str(number) for number in sorted(active ^ seen))


def _wrong_versions(session: Session, scope: Scope) -> Iterator[str]:
    """A live document names a version of its own, of the content that it has."""
    d, v = t.document.c, t.version.c
    good = and_(v.id == d.version_id, v.document_id == d.id, v.content_sha == d.content_sha)
    rows = select(d.id).where(d.version_id.is_not(None), d.content_sha != "", d.recorded_at >= scope.since)
    yield from session.execute(rows.where(~exists().where(good)).order_by(d.id)).scalars()


def _superseded_live(session: Session, scope: Scope) -> Iterator[str]:
    """A live chunk belongs to the live version of its document."""
    c, d = t.chunk.c, t.document.c
    other = d.version_id.is_(None) | (d.version_id != c.version_id)
    yield from _chunks(session, scope, _with_document().where(c.live, other, ~_buried(d.id)))


def _readable_graves(session: Session, _scope: Scope) -> Iterator[str]:
    """Nothing of a deleted document is live."""
    d, c = t.document.c, t.chunk.c
    live = d.version_id.is_not(None) | exists().where(c.document_id == d.id, c.live)
    yield from session.execute(select(d.id).where(_buried(d.id), live).order_by(d.id)).scalars()


def _full_graves(session: Session, _scope: Scope) -> Iterator[str]:
    """A document that was purged has no row: nothing can be of a document that is not there."""
    d = t.document.c
    yield from session.execute(select(d.id).where(_buried(d.id, purged=True)).order_by(d.id)).scalars()


def _missing_embeddings(session: Session, scope: Scope) -> Iterator[str]:
    """Every live chunk has a vector in the space of its generation."""
    c, e = t.chunk.c, t.embedding.c
    there = exists().where(e.text_sha == c.text_sha, e.space_id == t.generation.c.space_id)
    rows = select(c.generation_id, c.id).join(t.generation, t.generation.c.id == c.generation_id)
    yield from _chunks(session, scope, rows.where(c.live, ~there))


def _wrong_intervals(session: Session, scope: Scope) -> Iterator[str]:
    """No chunk ends before it begins."""
    c = t.chunk.c
    yield from _chunks(session, scope, select(c.generation_id, c.id).where(c.valid_from > c.valid_to))


def _missing_changes(session: Session, scope: Scope) -> Iterator[str]:
    """Every live chunk has a change row, by which the engines learn of it."""
    c = t.chunk.c
    for number in scope.generations:
        live = select(c.id).where(c.generation_id == number, c.live, c.recorded_at >= scope.since)
        told = select(t.change.c.chunk_id).where(t.change.c.generation_id == number)
        lost = session.execute(except_(live, told)).scalars()
        yield from (f"{number}/{chunk_id}" for chunk_id in sorted(lost))


def _missing_signals(session: Session, scope: Scope) -> Iterator[str]:
    """Every live document has its signals."""
    d = t.document.c
    there = exists().where(t.document_signals.c.document_id == d.id)
    rows = select(d.id).where(d.version_id.is_not(None), d.content_sha != "", d.recorded_at >= scope.since, ~there)
    yield from session.execute(rows.order_by(d.id)).scalars()


def _wrong_audiences(session: Session, _scope: Scope) -> Iterator[str]:
    """An audience has exactly the principals that it was made for; one without any may be meant."""
    a, p = t.audience.c, t.audience_principal.c
    members: dict[int, list[str]] = {}
    for number, principal in session.execute(select(p.audience_id, p.principal)):
        members.setdefault(number, []).append(principal)
    for number, digest in session.execute(select(a.id, a.digest).order_by(a.id)):
        if digest_of(*sorted(members.get(number, ()))) != digest:
            yield str(number)


def _counter_behind(session: Session, _scope: Scope) -> Iterator[str]:
    """The counter of changes stands at the newest of them, or beyond."""
    newest = session.execute(select(func.coalesce(func.max(t.change.c.seq), 0))).scalar_one()
    version = session.execute(select(func.coalesce(func.max(t.version.c.id), 0))).scalar_one()
    if current(session) < max(newest, version):
        yield "change"


def _work_of_ended_runs(session: Session, scope: Scope) -> Iterator[str]:
    """A run that has ended has no work left."""
    w, r = t.work.c, t.run.c
    rows = select(w.id).join(t.run, r.id == w.run_id).where(r.state.in_(ENDED), w.state.in_(("pending", "running")))
    yield from map(str, session.execute(rows.where(_ended_since(scope)).order_by(w.id)).scalars())


def _lost_ledger_lines(session: Session, scope: Scope) -> Iterator[str]:
    """Whatever a run brought stands in its ledger; a run that counts no single document says nothing of it."""
    w, r, line = t.work.c, t.run.c, t.ledger.alias().c
    counted = exists().where(t.ledger.c.run_id == w.run_id, t.ledger.c.external_id == w.external_id)
    telling = exists().where(line.run_id == w.run_id, line.external_id != "")
    rows = select(w.id).join(t.run, r.id == w.run_id)
    rows = rows.where(w.change.in_(("added", "changed")), r.started_at >= scope.since, telling, ~counted)
    yield from map(str, session.execute(rows.order_by(w.id)).scalars())


def _ended_since(scope: Scope) -> ColumnElement[bool]:
    return func.coalesce(t.run.c.finished_at, t.run.c.started_at) >= scope.since


def _with_document() -> Select[Any]:
    c = t.chunk.c
    return select(c.generation_id, c.id).join(t.document, t.document.c.id == c.document_id)


def _buried(document_id: ColumnElement[str], *, purged: bool = False) -> ColumnElement[bool]:
    b = t.tombstone.c
    grave = exists().where(b.kind == "document", b.key == document_id)
    return grave.where(b.purged_at.is_not(None)) if purged else grave


def _chunks(session: Session, scope: Scope, statement: Select[Any]) -> Iterator[str]:
    c = t.chunk.c
    mine = statement.where(c.generation_id.in_(scope.generations), c.recorded_at >= scope.since)
    rows = session.execute(mine.order_by(c.generation_id, c.id))
    return (f"{number}/{chunk_id}" for number, chunk_id in rows)


OF_CHUNKS: Mapping[str, Query] = {
    "superseded_live": _superseded_live,
    "embedding_missing": _missing_embeddings,
    "interval_wrong": _wrong_intervals,
    "change_missing": _missing_changes,
}
"""What has to hold in each generation by itself, by the kind of what breaks it."""

OF_CATALOGUE: Mapping[str, Query] = {
    "pointer_wrong": _wrong_pointers,
    "version_wrong": _wrong_versions,
    "deleted_readable": _readable_graves,
    "deleted_left": _full_graves,
    "signals_missing": _missing_signals,
    "audience_wrong": _wrong_audiences,
    "counter_behind": _counter_behind,
    "work_left": _work_of_ended_runs,
    "ledger_line_lost": _lost_ledger_lines,
}
"""What has to hold beside that."""
