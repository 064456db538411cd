"""Sources and runs as people ask for them: lists and one run's standing, for every door alike."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import BigInteger, Select, and_, case, cast, func, literal, select

from core import tables as t
from core.catalog import leases, letters, runs
from core.catalog.sources import was_read
from core.clock import database_now
from core.database import Session
from core.words import MICROS, Instant

PROBLEMS = 20  # the newest that are told with a run


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source in a list: `documents` are the live ones, `last_run` is the newest run's id.

    `paused` says why none of its runs is taken, `fresh_at` when a run of it last ended well, `stale` that this was too
    long ago.
    """

    name: str
    kind: str
    workspace: str
    every_minutes: int
    created_at: Instant
    paused: str
    documents: int
    last_run: str | None
    last_state: str | None
    last_at: Instant | None
    fresh_at: Instant | None
    stale: bool

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
    paused: str  # why its source is paused, or empty
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
    """One run with its counts. `total` are documents that need work, `settled` those that are done.

    `seconds` since it went to work, by the database's clock; `problems` are the newest.
    """

    run: RunRow
    progress: runs.Progress
    buckets: dict[str, int]
    seconds: float
    problems: list[dict[str, object]]

    @property
    def stage(self) -> str:
        """What is going on: `queued`, `paused`, `planning`, `planned`, `embedding` or `ended`."""
        run = self.run
        if run.state == "planned" or not run.is_open:
            return run.state if run.state == "planned" else "ended"
        if not run.is_held:
            return "paused" if run.paused else "queued"
        return "planning" if run.state == "planning" else "embedding"

    @property
    def rate(self) -> float | None:
        """Documents settled per second so far, None before the first."""
        settled = self.progress.settled
        return settled / self.seconds if settled and self.seconds > 0 else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the rest is settled at that rate, None where nothing can be said."""
        if self.stage != "embedding" or self.rate is None:
            return None
        return (self.progress.total - self.progress.settled) / self.rate

    def as_json(self) -> dict[str, object]:
        """The run, the shape of an ingestion's report, and where it stands."""
        counts = self.progress
        documents = {name: counts.changes.get(name, 0) for name in ("added", "changed", "removed")}
        documents |= {"unchanged": counts.unchanged}
        documents |= {"quarantined": counts.states.get("quarantined", 0) + counts.refused}
        ledger = {"total": sum(self.buckets.values()), "buckets": self.buckets}
        rest = {"documents": documents, "chunks": counts.chunks, "embedded": counts.embedded, "ledger": ledger}
        return self.run.as_json() | rest | self._pace()

    def _pace(self) -> dict[str, object]:
        counts, rate, eta = self.progress, self.rate, self.eta_seconds
        return {
            "settled": counts.settled,
            "done": counts.settled,
            "total": counts.total,
            "stage": self.stage,
            "seconds": round(self.seconds, 3),
            "rate": None if rate is None else round(rate, 2),
            "eta_seconds": None if eta is None else round(eta, 1),
            "problems": self.problems,
        }


def sources(session: Session, *, stale_hours: float) -> list[SourceRow]:
    """Every source that was ever read, by name.

    Stale is one that was not up to date for so long, or for two of its own intervals.
    """
    s, d, r = t.source.c, t.document.c, t.run.c
    live = (
        select(d.source_id, func.count().label("documents")).where(d.version_id.is_not(None)).group_by(d.source_id)
    ).subquery()
    other, good = t.run.alias().c, t.run.alias().c
    newest = select(other.id).where(other.source_id == s.id).order_by(other.started_at.desc(), other.id).limit(1)
    ended_well = good.state.in_(("succeeded", "succeeded_with_quarantine"))
    fresh = select(func.max(good.finished_at)).where(good.source_id == s.id, ended_well).scalar_subquery()
    twice = cast(s.every_minutes, BigInteger) * (120 * MICROS)
    patience = case((s.every_minutes > 0, twice), else_=int(stale_hours * 3600 * MICROS))
    stale = func.coalesce(fresh, s.created_at) < database_now(session) - patience
    columns = (s.name, s.kind, s.workspace, s.every_minutes, s.created_at, s.paused)
    last = (r.id, r.state, func.coalesce(r.finished_at, r.started_at))
    rows = (
        select(*columns, func.coalesce(live.c.documents, 0), *last, fresh, stale)
        .outerjoin(live, live.c.source_id == s.id)
        .outerjoin(t.run, r.id == newest.scalar_subquery())
        .where(was_read())
        .order_by(s.name)
    )
    found = [dict(zip(SourceRow.__slots__, row, strict=True)) for row in session.execute(rows)]
    return [SourceRow(**row | {"stale": bool(row["stale"])}) for row in found]


def latest_runs(session: Session, *, source: str | None = None, limit: int = 20) -> list[RunRow]:
    """The newest runs first, of one source or of all."""
    rows = _runs().order_by(t.run.c.started_at.desc(), t.run.c.id).limit(limit)
    if source is not None:
        rows = rows.where(t.source.c.name == source)
    return [_row(row) for row in session.execute(rows)]


def standing(session: Session, run_id: str) -> Standing | None:
    """Where one run stands, or None if there is none of this id."""
    row = session.execute(_runs().where(t.run.c.id == run_id)).first()
    if row is None:
        return None
    run = _row(row)
    counts, buckets = runs.progress(session, run_id), runs.ledger_buckets(session, run_id)
    until = database_now(session) if run.finished_at is None else literal(run.finished_at)
    seconds = session.execute(select(until)).scalar_one() - run.started_at
    problems: list[dict[str, object]] = [
        {"place": letter.place, "code": letter.code, "reason": letter.reason, "attempts": letter.attempts}
        for letter in letters.of_run(session, run_id, PROBLEMS)
    ]
    return Standing(run=run, progress=counts, buckets=buckets, seconds=max(seconds, 0) / MICROS, problems=problems)


def ledger(session: Session, run_id: str) -> list[dict[str, Any]]:
    """Where everything went that a run read: items by channel, bucket and reason."""
    c = t.ledger.c
    places = (c.channel, c.bucket, c.reason)
    rows = select(*places, func.sum(c.item_count)).where(c.run_id == run_id).group_by(*places).order_by(*places)
    names = ("channel", "bucket", "reason", "items")
    return [dict(zip(names, (*row[:3], int(row[3])), strict=True)) for row in session.execute(rows)]


def quality(session: Session, run_id: str) -> list[dict[str, Any]]:
    """What was noticed in the documents that a run read: how often, by kind and detail."""
    c = t.quality.c
    rows = select(c.kind, c.detail, c.count).where(c.run_id == run_id).order_by(c.kind, c.detail)
    return [dict(zip(("kind", "detail", "count"), row, strict=True)) for row in session.execute(rows)]


def _runs() -> Select[Any]:
    r = t.run.c
    columns = (r.id, t.source.c.name, r.state, r.requested_by, r.attempt, r.cancel_requested)
    held = and_(r.lease_token != "", r.state.in_(leases.OPEN))
    rest = (held, t.source.c.paused, r.error_code, r.error, r.queued_at, r.started_at, r.finished_at)
    return select(*columns, *rest).join(t.source, t.source.c.id == r.source_id)


def _row(row: Sequence[Any]) -> RunRow:
    values = dict(zip(RunRow.__slots__, row, strict=True))
    return RunRow(**values | {"is_held": bool(values["is_held"])})
