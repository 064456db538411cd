"""Runs that wait for a worker: submitted with their ring in one transaction, claimed under a lease.

The broker only ever carries the id of a run. What is written here decides; a ring that is lost, doubled or late
changes nothing but when somebody looks.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, delete, func, insert, literal, or_, select, update

from core import tables as t
from core.catalog.runs import MICROS, count_as_failed
from core.catalog.upsert import insert_missing
from core.clock import database_now
from core.database import Session
from core.words import Instant

OPEN = ("queued", "planning", "running")
Ended = Literal["succeeded", "succeeded_with_quarantine", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedRun:
    """A run that this worker has now. `state` is where it stood: `running` means that its plan is already written."""

    id: str
    source: str
    source_id: int
    state: str
    attempt: int
    fingerprint: str
    request: Mapping[str, Any]
    token: str


def submit(
    session: Session,
    *,
    run_id: str,
    source_id: int,
    request: Mapping[str, Any],
    requested_by: str,
    now: Instant,
    due_at: Instant | None = None,
) -> bool:
    """Queue a run and its ring, in the caller's transaction; False if that due run of a schedule exists already."""
    row = {"id": run_id, "source_id": source_id, "state": "queued", "fingerprint": "", "unchanged": 0}
    row |= {"request": json.dumps(request, sort_keys=True), "requested_by": requested_by, "due_at": due_at}
    row |= {"queued_at": now, "started_at": now}
    insert_missing(session, t.run, [row])
    if session.execute(select(t.run.c.id).where(t.run.c.id == run_id)).first() is None:
        return False
    ring(session, run_id, now)
    return True


def ring(session: Session, run_id: str, now: Instant) -> None:
    """Ask that a worker look at this run, once the transaction is committed."""
    session.execute(insert(t.outbox).values(run_id=run_id, created_at=now))


def unsent(session: Session, limit: int = 100) -> list[tuple[int, str]]:
    """(outbox id, run id) of rings that no broker has taken yet, oldest first."""
    c = t.outbox.c
    waiting = select(c.id, c.run_id).where(c.sent_at.is_(None)).order_by(c.id).limit(limit)
    return [(row[0], row[1]) for row in session.execute(waiting)]


def mark_sent(session: Session, ids: Sequence[int], now: Instant) -> None:
    """The broker has these rings; the runs count as rung from now on."""
    c = t.outbox.c
    rung = select(c.run_id).where(c.id.in_(ids))
    session.execute(update(t.run).where(t.run.c.id.in_(rung)).values(rung_at=database_now(session)))
    session.execute(update(t.outbox).where(c.id.in_(ids)).values(sent_at=now))


def forget_sent(session: Session, before: Instant) -> int:
    """Delete rings that were sent before; returns how many."""
    return session.execute(delete(t.outbox).where(t.outbox.c.sent_at < before)).rowcount


def ring_forgotten(session: Session, *, quiet_seconds: float, now: Instant) -> list[str]:
    """Ring again every open run that nobody holds and that was not rung for a while; returns their ids."""
    r = t.run.c
    quiet = database_now(session) - literal(int(quiet_seconds * MICROS))
    waiting = select(t.outbox.c.run_id).where(t.outbox.c.sent_at.is_(None))
    forgotten = and_(_free(session), r.rung_at < quiet, r.id.not_in(waiting))
    ids = [row[0] for row in session.execute(select(r.id).where(forgotten).order_by(r.queued_at))]
    for run_id in ids:
        ring(session, run_id, now)
    return ids


def claim_run(session: Session, run_id: str, *, token: str, lease_seconds: float) -> ClaimedRun | None:
    """Take a run that nobody holds, of a source that nobody works on, or None.

    The attempt is counted now, so that a crash counts too.
    """
    r = t.run.c
    of_source = select(r.source_id).where(r.id == run_id).scalar_subquery()
    # Two runs of one source are claimed one after the other: whoever comes second waits for this row.
    session.execute(select(t.source.c.id).where(t.source.c.id == of_source).with_for_update())
    if session.execute(select(r.id).where(r.source_id == of_source, _worked(session)).limit(1)).first():
        return None
    values = {"lease_token": token, "attempt": r.attempt + 1, "lease_until": _lease_end(session, lease_seconds)}
    if not session.execute(update(t.run).where(r.id == run_id, _free(session)).values(values)).rowcount:
        return None
    session.execute(update(t.run).where(r.id == run_id, r.state == "queued").values(state="planning"))
    columns = (t.source.c.name, r.source_id, r.state, r.attempt, r.fingerprint, r.request)
    row = session.execute(select(*columns).join(t.source, t.source.c.id == r.source_id).where(r.id == run_id)).one()
    return ClaimedRun(
        id=run_id,
        source=row[0],
        source_id=row[1],
        state=row[2],
        attempt=row[3],
        fingerprint=row[4],
        request=json.loads(row[5] or "{}"),
        token=token,
    )


def renew_run(session: Session, run_id: str, token: str, lease_seconds: float) -> bool:
    """Push back the end of this worker's lease; False when the run is no longer its own."""
    values = {"lease_until": _lease_end(session, lease_seconds)}
    return session.execute(update(t.run).where(_held(run_id, token)).values(values)).rowcount == 1


def holds_run(session: Session, run_id: str, token: str) -> bool:
    """The fence: whether what was found out under this claim may be written. The row stays locked."""
    return session.execute(select(t.run.c.id).where(_held(run_id, token)).with_for_update()).first() is not None


def release_run(session: Session, run_id: str, token: str, *, refund: bool) -> bool:
    """Give an unfinished run back; with `refund` this try counts as none. False if it was no longer one's own.

    Who wants it to go on at once rings; else the sweeper does after a while.
    """
    r = t.run.c
    values: dict[str, Any] = {"lease_until": 0, "lease_token": "", "rung_at": database_now(session)}
    if refund:
        values["attempt"] = r.attempt - 1
    released = session.execute(update(t.run).where(_held(run_id, token)).values(values)).rowcount == 1
    if released:
        session.execute(update(t.run).where(r.id == run_id, r.state == "planning").values(state="queued"))
    return released


def end_run(
    session: Session,
    run_id: str,
    *,
    state: Ended,
    now: Instant,
    error_code: str = "",
    error: str = "",
    unchanged: int | None = None,
) -> bool:
    """Close an open run; what of its work is still open is cancelled. False if it had ended already."""
    r, w = t.run.c, t.work.c
    values: dict[str, Any] = {"state": state, "finished_at": now, "error_code": error_code, "error": error}
    values |= {"lease_until": 0, "lease_token": ""} | ({} if unchanged is None else {"unchanged": unchanged})
    if not session.execute(update(t.run).where(r.id == run_id, r.state.in_(OPEN)).values(values)).rowcount:
        return False
    open_work = and_(w.run_id == run_id, w.state.in_(("pending", "running")))
    session.execute(update(t.work).where(open_work).values(state="cancelled"))
    count_as_failed(session, run_id, "cancelled")
    return True


def request_cancel(session: Session, run_id: str, now: Instant) -> bool:
    """Ask for the end of a run; one that nobody works on ends here. False if it had ended already."""
    r = t.run.c
    if session.execute(select(r.id).where(r.id == run_id, _free(session))).first():
        return end_run(session, run_id, state="cancelled", now=now)
    asked = update(t.run).where(r.id == run_id, r.state.in_(OPEN)).values(cancel_requested=True)
    return session.execute(asked).rowcount == 1


def is_cancel_requested(session: Session, run_id: str) -> bool:
    """Whether somebody asked for the end of this run."""
    return bool(session.execute(select(t.run.c.cancel_requested).where(t.run.c.id == run_id)).scalar_one_or_none())


def is_source_held(session: Session, name: str) -> bool:
    """Whether a worker is at a run of this source right now."""
    held = select(t.run.c.id).join(t.source, t.source.c.id == t.run.c.source_id)
    return session.execute(held.where(t.source.c.name == name, _worked(session)).limit(1)).first() is not None


def others_wait(session: Session, run_id: str) -> bool:
    """Whether a run of another source waits for a worker."""
    r = t.run.c
    mine = select(r.source_id).where(r.id == run_id).scalar_subquery()
    return session.execute(select(r.id).where(_free(session), r.source_id != mine).limit(1)).first() is not None


def due_sources(session: Session, now: Instant) -> list[tuple[int, str, Instant]]:
    """(id, name, due time) of every scheduled source that was last queued a whole interval ago and is not at work."""
    s, r = t.source.c, t.run.c
    last = select(r.source_id, func.max(r.queued_at).label("at")).group_by(r.source_id).subquery()
    at_work = select(r.source_id).where(r.state.in_(OPEN), r.queued_at > 0)
    due = func.coalesce(last.c.at, s.created_at) + s.every_minutes * (60 * MICROS)
    rows = select(s.id, s.name, due).outerjoin(last, last.c.source_id == s.id)
    wanted = rows.where(s.every_minutes > 0, due <= now, s.id.not_in(at_work)).order_by(due)
    return [(row[0], row[1], Instant(row[2])) for row in session.execute(wanted)]


def submit_due(session: Session, now: Instant) -> list[str]:
    """Queue the runs whose time has come and return their ids; two clocks at once queue each of them once."""
    made = []
    for number, name, at in due_sources(session, now):
        run_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{name}@{at}").hex
        if submit(session, run_id=run_id, source_id=number, request={}, requested_by="schedule", now=now, due_at=at):
            made.append(run_id)
    return made


def ring_next(session: Session, source_id: int, now: Instant) -> None:
    """Ring for the run of this source that waits longest: it could not be taken while another one was worked."""
    r = t.run.c
    waiting = select(r.id).where(r.source_id == source_id, r.state == "queued").order_by(r.queued_at).limit(1)
    run_id = session.execute(waiting).scalar_one_or_none()
    if run_id is not None:
        ring(session, run_id, now)


def open_paths(session: Session) -> list[str]:
    """The paths that open runs have still to read."""
    rows = session.execute(select(t.run.c.request).where(t.run.c.state.in_(OPEN), t.run.c.request != ""))
    return [path for (request,) in rows if (path := json.loads(request).get("path"))]


def _free(session: Session) -> ColumnElement[bool]:
    r = t.run.c
    return and_(r.state.in_(OPEN), r.queued_at > 0, or_(r.lease_until < database_now(session), r.lease_token == ""))


def _worked(session: Session) -> ColumnElement[bool]:
    r = t.run.c
    return and_(r.state.in_(OPEN), r.lease_token != "", r.lease_until >= database_now(session))


def _held(run_id: str, token: str) -> ColumnElement[bool]:
    r = t.run.c
    return and_(r.id == run_id, r.lease_token == token, r.state.in_(OPEN))


def _lease_end(session: Session, lease_seconds: float) -> ColumnElement[int]:
    return database_now(session) + literal(int(lease_seconds * MICROS))
