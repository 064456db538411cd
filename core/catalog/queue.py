"""Runs that wait for a worker: submitted with their ring in one transaction, claimed by whoever is rung.

The broker only ever carries the id of a run. What is written here decides; a ring that is lost, doubled or late
changes nothing but when somebody looks.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ScalarSelect,
    Subquery,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from core import tables as t
from core.catalog import letters
from core.catalog.leases import OPEN
from core.catalog.runs import count_as, release
from core.catalog.sequence import count_up
from core.catalog.upsert import insert_new
from core.database import Session
from core.words import MICROS, Instant

Ended = Literal["succeeded", "succeeded_with_quarantine", "failed", "cancelled"]
Pause = Literal["", "asked", "storage_full", "dependency_down"]


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
    row = _row(run_id, source_id, request, requested_by, now) | {"state": "queued", "due_at": due_at}
    if not insert_new(session, t.run, row):
        return False
    ring(session, run_id, now)
    return True


def begin(
    session: Session, *, run_id: str, source_id: int, request: Mapping[str, Any], requested_by: str, now: Instant
) -> ClaimedRun:
    """A run that its submitter works at once. Should it die of it, the run waits like every other."""
    token = uuid.uuid4().hex
    held = {"state": "planning", "lease_token": token, "attempt": 1}
    session.execute(insert(t.run).values(_row(run_id, source_id, request, requested_by, now) | held))
    return as_claimed(session, run_id, token)


def _row(run_id: str, source_id: int, request: Mapping[str, Any], requested_by: str, now: Instant) -> dict[str, Any]:
    row = {"id": run_id, "source_id": source_id, "fingerprint": "", "unchanged": 0, "requested_by": requested_by}
    return row | {"request": json.dumps(request, sort_keys=True), "queued_at": now, "started_at": now}


def waiting_runs(session: Session, source_id: int) -> int:
    """How many runs of this source nobody has looked at yet."""
    mine = select(func.count()).where(t.run.c.source_id == source_id, t.run.c.state == "queued")
    return session.execute(mine).scalar_one()


def ring(session: Session, run_id: str, now: Instant) -> None:
    """Ask that a worker look at this run, once the transaction is committed."""
    session.execute(insert(t.outbox).values(run_id=run_id, created_at=now))


def unsent(session: Session, limit: int = 100) -> list[tuple[int, str]]:
    """(outbox id, run id) of rings that no broker has taken yet, oldest first."""
    c = t.outbox.c
    waiting = select(c.id, c.run_id).where(c.sent_at.is_(None)).order_by(c.id).limit(limit)
    return [(row[0], row[1]) for row in session.execute(waiting)]


def mark_sent(session: Session, ids: Sequence[int], now: Instant) -> None:
    """The broker has these rings."""
    session.execute(update(t.outbox).where(t.outbox.c.id.in_(ids)).values(sent_at=now))


def forget_sent(session: Session, before: Instant) -> int:
    """Delete rings that were sent before; returns how many."""
    return session.execute(delete(t.outbox).where(t.outbox.c.sent_at < before)).rowcount


def free_runs(session: Session) -> dict[str, int]:
    """Of every source the run that is next, where a worker may take it and no unsent ring is for it; oldest first.

    With its attempts so far. Those behind it need no ring before it has ended.
    """
    free = _next_of_each_source()
    unsent_ring = select(t.outbox.c.run_id).where(t.outbox.c.sent_at.is_(None))
    rows = select(free.c.id, free.c.attempt).where(free.c.place == 1, free.c.id.not_in(unsent_ring))
    return {row[0]: row[1] for row in session.execute(rows.order_by(free.c.queued_at, free.c.id))}


def claim_run(session: Session, run_id: str, *, token: str) -> ClaimedRun | None:
    """Take this run if nobody holds it or another one of its source, and the source is not paused; else None.

    The attempt is counted now, so that a crash counts too.
    """
    r = t.run.c
    of_source = select(r.source_id).where(r.id == run_id).scalar_subquery()
    # The run before its source, as whoever works on a run or applies a plan: else two could wait for one another.
    session.execute(select(r.id).where(r.id == run_id).with_for_update(key_share=True))
    lock_source(session, of_source)
    begun = case((r.state == "queued", "planning"), else_=r.state)
    values = {"state": begun, "lease_token": token, "attempt": r.attempt + 1, "beat": r.beat + 1}
    if not session.execute(update(t.run).where(r.id == run_id, _free()).values(values)).rowcount:
        return None
    served = count_up(session, "served")
    session.execute(update(t.source).where(t.source.c.id == of_source).values(served=served))
    return as_claimed(session, run_id, token)


def lock_source(session: Session, source_id: int | ScalarSelect[int]) -> None:
    """Two runs of one source are taken one after the other: whoever comes second waits here."""
    session.execute(select(t.source.c.id).where(t.source.c.id == source_id).with_for_update(key_share=True))


def claim_next(session: Session, *, token: str) -> ClaimedRun | None:
    """Take the oldest run of the source that was served the longest time ago, or None when no run is free."""
    for run_id in _in_turn(session):
        # Whoever was late lets go of the source before it looks at the next: two could wait for one another.
        with session.begin_nested() as attempt:
            claimed = claim_run(session, run_id, token=token)
            if claimed is not None:
                return claimed
            attempt.rollback()
    return None


def _in_turn(session: Session) -> list[str]:
    free = _next_of_each_source()
    rows = select(free.c.id).join(t.source, t.source.c.id == free.c.source_id).where(free.c.place == 1)
    in_turn = rows.order_by(t.source.c.served, free.c.queued_at, free.c.id).limit(100)
    return list(session.execute(in_turn).scalars())


def as_claimed(session: Session, run_id: str, token: str = "") -> ClaimedRun:
    """A run as whoever works it sees it; without a token nobody does."""
    r = t.run.c
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


def note_progress(session: Session, run_id: str) -> None:
    """Something of the run was settled under this claim: only attempts without any count against it."""
    session.execute(update(t.run).where(t.run.c.id == run_id, t.run.c.attempt > 1).values(attempt=1))


def release_run(session: Session, run_id: str, token: str, *, refund: bool) -> bool:
    """Give an unfinished run back with what it had in hand; with `refund` this try counts as none.

    False if it was no longer one's own. Who wants it to go on at once rings; else the sweeper does after a while.
    """
    r = t.run.c
    values: dict[str, Any] = {"lease_token": ""}
    if refund:
        values["attempt"] = r.attempt - 1
    mine = and_(r.id == run_id, r.lease_token == token, r.state.in_(OPEN))
    released = session.execute(update(t.run).where(mine).values(values)).rowcount == 1
    if released:
        release(session, token)
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
) -> bool:
    """Close an open or planned run; what of its work is still open is cancelled. False if it had ended already."""
    r, w = t.run.c, t.work.c
    values: dict[str, Any] = {"state": state, "finished_at": now, "error_code": error_code, "error": error}
    values |= {"lease_token": ""}
    still = r.state.in_((*OPEN, "planned"))
    if not session.execute(update(t.run).where(r.id == run_id, still).values(values)).rowcount:
        return False
    open_work = and_(w.run_id == run_id, w.state.in_(("pending", "running")))
    letters.reopen(session, open_work)
    session.execute(update(t.work).where(open_work).values(state="cancelled", lease_token=""))
    letters.reopen_unread(session, run_id)
    count_as(session, run_id, "cancelled", "failed")
    return True


def request_cancel(session: Session, run_id: str, now: Instant) -> bool:
    """Ask for the end of a run; one that nobody works on ends here. False if it had ended already."""
    r = t.run.c
    unheld = _open_or_planned(r.lease_token == "")
    if session.execute(select(r.id).where(r.id == run_id, unheld).with_for_update(key_share=True)).first():
        return end_run(session, run_id, state="cancelled", now=now)
    asked = update(t.run).where(r.id == run_id, r.state.in_(OPEN)).values(cancel_requested=True)
    return session.execute(asked).rowcount == 1


def _open_or_planned(open_as: ColumnElement[bool]) -> ColumnElement[bool]:
    r = t.run.c
    return (r.state.in_(OPEN) & open_as) | (r.state == "planned")


def pause(session: Session, source_id: int, why: Pause) -> None:
    """Take no run of this source from now on; a pause that somebody asked for stays one."""
    s = t.source.c
    named = update(t.source).where(s.id == source_id)
    session.execute((named if why == "asked" else named.where(s.paused == "")).values(paused=why))


def resume(session: Session, source_id: int, why: Pause, now: Instant) -> bool:
    """Take runs again of a source that is paused for this reason, with a ring; False if it is not."""
    s = t.source.c
    lifted = update(t.source).where(s.id == source_id, s.paused == why, s.paused != "").values(paused="")
    if not session.execute(lifted).rowcount:
        return False
    ring_next(session, source_id, now)
    return True


def paused_sources(session: Session) -> dict[int, Pause]:
    """Why each paused source is paused, by its number."""
    s = t.source.c
    return {row[0]: row[1] for row in session.execute(select(s.id, s.paused).where(s.paused != ""))}


def is_cancel_requested(session: Session, run_id: str) -> bool:
    """Whether somebody asked for the end of this run."""
    return bool(session.execute(select(t.run.c.cancel_requested).where(t.run.c.id == run_id)).scalar_one_or_none())


def is_planned(session: Session, run_id: str) -> bool:
    """Whether what the run has to do is written down: then it can be gone on with anywhere."""
    return session.execute(select(t.run.c.state).where(t.run.c.id == run_id)).scalar_one_or_none() == "running"


def others_wait(session: Session, run_id: str) -> bool:
    """Whether a run of another source waits for a worker."""
    r = t.run.c
    mine = select(r.source_id).where(r.id == run_id).scalar_subquery()
    return session.execute(select(r.id).where(_free(), r.source_id != mine).limit(1)).first() is not None


def due_sources(session: Session, now: Instant) -> list[tuple[int, str, Instant]]:
    """(id, name, due time) of every scheduled source that was last queued a whole interval ago and is not at work."""
    s, r = t.source.c, t.run.c
    last = select(r.source_id, func.max(r.queued_at).label("at")).group_by(r.source_id).subquery()
    at_work = select(r.source_id).where(r.state.in_(OPEN), r.queued_at > 0)
    due = func.coalesce(last.c.at, s.created_at) + cast(s.every_minutes, BigInteger) * (60 * MICROS)
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
    waiting = select(r.id).where(r.source_id == source_id, r.state.in_(OPEN), r.lease_token == "")
    run_id = session.execute(waiting.order_by(r.queued_at, r.id).limit(1)).scalar_one_or_none()
    if run_id is not None:
        ring(session, run_id, now)


def open_paths(session: Session) -> list[str]:
    """The paths that open runs have still to read, or that have to be as they were when a plan is applied."""
    still = t.run.c.state.in_((*OPEN, "planned"))
    rows = session.execute(select(t.run.c.request).where(still, t.run.c.request != ""))
    return [path for (request,) in rows if (path := json.loads(request).get("path"))]


def _next_of_each_source() -> Subquery:
    """The free runs with their places among those of their source: a source has one run worked at a time."""
    r = t.run.c
    place = func.row_number().over(partition_by=r.source_id, order_by=(r.queued_at, r.id)).label("place")
    return select(r.id, r.source_id, r.attempt, r.queued_at, place).where(_free()).subquery()


def _free() -> ColumnElement[bool]:
    """Nobody holds it or another run of its source, and the source is not paused.

    The sources are found once, not for each run anew: else runs that wait would cost as much as their number squared.
    """
    r, other, s = t.run.c, t.run.alias("other").c, t.source.alias("of").c
    held = select(other.source_id).where(other.state.in_(OPEN), other.lease_token != "")
    paused = select(s.id).where(s.paused != "")
    free = and_(r.state.in_(OPEN), r.queued_at > 0, r.lease_token == "")
    return and_(free, r.source_id.not_in(held), r.source_id.not_in(paused))
