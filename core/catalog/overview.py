"""Sources and runs as people ask for them: lists and one run's standing, for every door alike."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, and_, func, select

from core import tables as t
from core.catalog import runs
from core.clock import database_now
from core.database import Session
from core.words import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source in a list: `documents` are the live ones, `last_run` is the newest run's id."""

    name: str
    kind: str
    workspace: str
    every_minutes: int
    created_at: Instant
    documents: int
    last_run: str | None
    last_state: str | None
    last_at: Instant | None

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run in a list. Times are microseconds; `finished_at` is None while it is open."""

    run_id: str
    source: str
    state: str
    requested_by: str
    attempt: int
    cancel_requested: bool
    is_held: bool  # somebody works on it right now
    error_code: str
    error: str
    queued_at: Instant
    started_at: Instant
    finished_at: Instant | None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.finished_at is None

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One run with its counts. `total` are documents that need work, `settled` those that are done."""

    run: RunRow
    progress: runs.Progress
    buckets: dict[str, int]

    def as_json(self) -> dict[str, object]:
        """The run, the shape of an ingestion's report, and where it stands."""
        counts = self.progress
        documents = {name: counts.changes.get(name, 0) for name in ("added", "changed", "removed")}
        documents |= {"unchanged": counts.unchanged}
        documents |= {"quarantined": counts.states.get("quarantined", 0) + counts.refused}
        ledger = {"total": sum(self.buckets.values()), "buckets": self.buckets}
        rest = {"documents": documents, "chunks": counts.chunks, "embedded": counts.embedded, "ledger": ledger}
        return self.run.as_json() | rest | {"settled": counts.settled, "total": counts.total}


def sources(session: Session) -> list[SourceRow]:
    """Every source, by name."""
    s, d, r = t.source.c, t.document.c, t.run.c
    live = (
        select(d.source_id, func.count().label("documents")).where(d.version_id.is_not(None)).group_by(d.source_id)
    ).subquery()
    other = t.run.alias().c
    newest = select(other.id).where(other.source_id == s.id).order_by(other.started_at.desc(), other.id).limit(1)
    columns = (s.name, s.kind, s.workspace, s.every_minutes, s.created_at, func.coalesce(live.c.documents, 0))
    rows = select(*columns, r.id, r.state, func.coalesce(r.finished_at, r.started_at))
    rows = (
        rows.outerjoin(live, live.c.source_id == s.id)
        .outerjoin(t.run, r.id == newest.scalar_subquery())
        .order_by(s.name)
    )
    return [SourceRow(**dict(zip(SourceRow.__slots__, row, strict=True))) for row in session.execute(rows)]


def latest_runs(session: Session, *, source: str | None = None, limit: int = 20) -> list[RunRow]:
    """The newest runs first, of one source or of all."""
    rows = _runs(session).order_by(t.run.c.started_at.desc(), t.run.c.id).limit(limit)
    if source is not None:
        rows = rows.where(t.source.c.name == source)
    return [_row(row) for row in session.execute(rows)]


def standing(session: Session, run_id: str) -> Standing | None:
    """Where one run stands, or None if there is none of this id."""
    row = session.execute(_runs(session).where(t.run.c.id == run_id)).first()
    if row is None:
        return None
    counts, buckets = runs.progress(session, run_id), runs.ledger_buckets(session, run_id)
    return Standing(run=_row(row), progress=counts, buckets=buckets)


def _runs(session: Session) -> Select[Any]:
    r = t.run.c
    columns = (r.id, t.source.c.name, r.state, r.requested_by, r.attempt, r.cancel_requested)
    held = and_(r.lease_token != "", r.lease_until >= database_now(session))
    rest = (held, r.error_code, r.error, r.queued_at, r.started_at, r.finished_at)
    return select(*columns, *rest).join(t.source, t.source.c.id == r.source_id)


def _row(row: Sequence[Any]) -> RunRow:
    values = dict(zip(RunRow.__slots__, row, strict=True))
    return RunRow(**values | {"is_held": bool(values["is_held"])})
