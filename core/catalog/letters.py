"""Dead letters: what a run could not take, until somebody retries or ignores it, or a later run takes it after all."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update

from core import tables as t
from core.catalog.feeds import BATCH
from core.database import Session
from core.words import Instant

LetterState = Literal["open", "retried", "ignored", "resolved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A file (`place`) or a document (by its external id) that could not be taken. `size` is in bytes, 0 = unknown."""

    id: int
    run_id: str
    source: str
    kind: str
    place: str
    change: str
    stage: str
    code: str
    reason: str
    blob_sha: str
    size: int
    attempts: int
    state: str
    recorded_at: Instant
    settled_at: Instant | None

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A document whose work was given up: where it failed and why."""

    work_id: int
    stage: str
    code: str
    reason: str
    size: int = 0


def add_places(session: Session, run_id: str, rows: Sequence[tuple[str, str, str]], now: Instant) -> None:
    """Replace the letters about places of this run's source by (place, code, reason) of what it refuses now.

    What somebody has ignored stays ignored as long as it fails in the same way.
    """
    source_id = session.execute(select(t.run.c.source_id).where(t.run.c.id == run_id)).scalar_one()
    _settle(session, and_(_of(source_id, "place"), _is_live()), "resolved", now)
    ignored = _ignored(session, source_id, "place")
    values = [
        _row(run_id, source_id, now)
        | {"kind": "place", "place": place, "stage": "read", "code": code, "reason": reason, "attempts": 1}
        | ({"state": "ignored", "settled_at": now} if (place, code) in ignored else {})
        for place, code, reason in rows
    ]
    if values:
        session.execute(insert(t.dead_letter), values)


def add_documents(session: Session, failed: Iterable[Failed], now: Instant) -> None:
    """A letter for each document whose work was given up."""
    w = t.work.c
    for one in failed:
        columns = (w.run_id, t.run.c.source_id, w.external_id, w.change, w.blob_sha, w.attempt)
        row = session.execute(select(*columns).join(t.run, t.run.c.id == w.run_id).where(w.id == one.work_id)).one()
        run_id, source_id, place, change, blob_sha, attempts = row
        _settle(session, and_(_of(source_id, "document"), _letter.place == place, _is_live()), "resolved", now)
        values = {"kind": "document", "place": place, "change": change, "blob_sha": blob_sha, "attempts": attempts}
        values |= {"stage": one.stage, "code": one.code, "reason": one.reason, "size": one.size}
        session.execute(insert(t.dead_letter).values(_row(run_id, source_id, now) | values))


def resolve_documents(session: Session, source_id: int, external_ids: Sequence[str], now: Instant) -> None:
    """These documents have been taken after all."""
    for start in range(0, len(external_ids), BATCH):
        some = _letter.place.in_(external_ids[start : start + BATCH])
        _settle(session, and_(_of(source_id, "document"), some, _is_live()), "resolved", now)


def overtake(session: Session, source_id: int, run_id: str, now: Instant) -> None:
    """The plan of this run says anew what the whole source holds: letters about any other state are settled.

    A retry of one would bring back what the source does not have any more, for readers that it had then.
    """
    live = select(_letter.id, _letter.place, _letter.blob_sha).where(_of(source_id, "document"), _is_live())
    waiting = session.execute(live).all()
    w = t.work.c
    for start in range(0, len(waiting), BATCH):
        some = waiting[start : start + BATCH]
        planned = select(w.external_id, w.blob_sha).where(
            w.run_id == run_id, w.external_id.in_([row[1] for row in some])
        )
        stands = {(row[0], row[1]) for row in session.execute(planned)}
        gone = [number for number, place, blob in some if (place, blob) not in stands]
        _settle(session, _letter.id.in_(gone), "resolved", now)


def reopen_unread(session: Session, run_id: str) -> None:
    """This run has ended early: what was to be retried by reading its source again waits for a decision once more."""
    r, w = t.run.c, t.work.c
    source_id = select(r.source_id).where(r.id == run_id).scalar_subquery()
    at_work = select(w.external_id).join(t.run, r.id == w.run_id)
    at_work = at_work.where(
        r.source_id == source_id, r.finished_at.is_(None), r.state != "planned", w.state.in_(("pending", "running"))
    )
    left = or_(_letter.kind == "place", _letter.place.not_in(at_work))
    retried = and_(_letter.source_id == source_id, _letter.state == "retried", left)
    session.execute(update(t.dead_letter).where(retried).values(state="open", settled_at=None))


def reopen(session: Session, cut_short: ColumnElement[bool]) -> None:
    """This work, open until now, will not be done: letters that were to be retried by it wait for a decision again."""
    work = select(t.work.c.id).join(t.run, t.run.c.id == t.work.c.run_id).where(cut_short)
    theirs = work.where(t.work.c.external_id == _letter.place, t.run.c.source_id == _letter.source_id)
    retried = and_(_letter.kind == "document", _letter.state == "retried", theirs.exists())
    session.execute(update(t.dead_letter).where(retried).values(state="open", settled_at=None))


def ignored_documents(session: Session, source_id: int) -> frozenset[tuple[str, str]]:
    """(external id, blob hash) of what somebody has decided to do without."""
    c = _letter
    wanted = and_(_of(source_id, "document"), c.state == "ignored")
    return frozenset((row[0], row[1]) for row in session.execute(select(c.place, c.blob_sha).where(wanted)))


def mark(session: Session, numbers: Collection[int], state: LetterState, now: Instant) -> int:
    """Give open letters their end; returns how many were open."""
    return _settle(session, and_(_letter.id.in_(numbers), _letter.state == "open"), state, now)


def find(session: Session, number: int) -> Letter | None:
    """The letter of that number, or None."""
    row = session.execute(_letters().where(_letter.id == number)).first()
    return None if row is None else _read(row)


def listing(
    session: Session, *, source: str | None = None, state: str | None = "open", limit: int = 100
) -> list[Letter]:
    """Letters, newest first; of one source and in one state unless these are None."""
    rows = _letters().order_by(_letter.id.desc()).limit(limit)
    if source is not None:
        rows = rows.where(t.source.c.name == source)
    if state is not None:
        rows = rows.where(_letter.state == state)
    return [_read(row) for row in session.execute(rows)]


def of_run(session: Session, run_id: str, limit: int | None = None) -> list[Letter]:
    """What one run could not take, newest first."""
    rows = _letters().where(_letter.run_id == run_id).order_by(_letter.id.desc())
    return [_read(row) for row in session.execute(rows if limit is None else rows.limit(limit))]


def count_open(session: Session) -> int:
    """How many wait for a decision."""
    return session.execute(select(func.count()).where(_letter.state == "open")).scalar_one()


_letter = t.dead_letter.c


def _of(source_id: int, kind: str) -> Any:  # noqa: ANN401 - a condition
    return and_(_letter.source_id == source_id, _letter.kind == kind)


def _is_live() -> Any:  # noqa: ANN401 - a condition
    return _letter.state.in_(("open", "retried"))


def _settle(session: Session, which: Any, state: LetterState, now: Instant) -> int:  # noqa: ANN401 - a condition
    return session.execute(update(t.dead_letter).where(which).values(state=state, settled_at=now)).rowcount


def _ignored(session: Session, source_id: int, kind: str) -> frozenset[tuple[str, str]]:
    wanted = and_(_of(source_id, kind), _letter.state == "ignored")
    rows = session.execute(select(_letter.place, _letter.code).where(wanted))
    return frozenset((row[0], row[1]) for row in rows)


def _row(run_id: str, source_id: int, now: Instant) -> dict[str, Any]:
    row = {"run_id": run_id, "source_id": source_id, "change": "", "blob_sha": "", "size": 0}
    return row | {"state": "open", "recorded_at": now, "settled_at": None}


def _letters() -> Any:  # noqa: ANN401 - a statement
    names = [t.source.c.name if name == "source" else _letter[name] for name in Letter.__slots__]
    return select(*names).join(t.source, t.source.c.id == _letter.source_id)


def _read(row: Sequence[Any]) -> Letter:
    return Letter(**dict(zip(Letter.__slots__, row, strict=True)))
