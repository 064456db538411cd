"""Plans: what a run will do. One becomes real at once, or waits until somebody applies it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select, update

from core import tables as t
from core.catalog.queue import ring
from core.database import Session
from core.errors import LostClaimError
from core.words import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A plan that was kept. `state` is its run's: `planned` until it is applied or overtaken."""

    run_id: str
    source_id: int
    source: str
    state: str
    plan_hash: str
    plan: Mapping[str, Any]


def start(session: Session, run_id: str, *, fingerprint: str, unchanged: int, now: Instant) -> None:
    """A claimed run has its plan and goes to work. Raises `LostClaimError` when it is not being planned."""
    values = {"state": "running", "fingerprint": fingerprint, "unchanged": unchanged, "started_at": now}
    _step(session, run_id, "planning", values)


def keep(
    session: Session,
    run_id: str,
    *,
    plan_hash: str,
    plan: Mapping[str, Any],
    fingerprint: str,
    unchanged: int,
) -> None:
    """A claimed run has its plan and waits until it is applied; earlier plans of its source are overtaken."""
    values = {"state": "planned", "fingerprint": fingerprint, "unchanged": unchanged, "lease_token": ""}
    _step(session, run_id, "planning", values | {"plan_hash": plan_hash, "plan": json.dumps(plan, sort_keys=True)})


def overtake(session: Session, source_id: int, now: Instant, *, but: str = "") -> None:
    """Plans of this source that nobody has applied are no longer offered."""
    r, w = t.run.c, t.work.c
    older = and_(r.source_id == source_id, r.state == "planned", r.id != but)
    theirs = and_(w.run_id.in_(select(r.id).where(older)), w.state == "pending")
    session.execute(update(t.work).where(theirs).values(state="superseded"))
    session.execute(update(t.run).where(older).values(state="superseded", finished_at=now))


def release(session: Session, run_id: str, now: Instant) -> bool:
    """Let workers take a plan that waited; False if it does not wait any more."""
    waits = update(t.run).where(t.run.c.id == run_id, t.run.c.state == "planned")
    if not session.execute(waits.values(state="running", attempt=0, started_at=now)).rowcount:
        return False
    ring(session, run_id, now)
    return True


def find(session: Session, plan_hash: str) -> StoredPlan | None:
    """The plan of this hash that waits, else the newest."""
    return _found(session, t.run.c.plan_hash == plan_hash)


def of_run(session: Session, run_id: str) -> StoredPlan | None:
    """The plan of this run, None if it was not made to be looked at first."""
    return _found(session, t.run.c.id == run_id)


def _found(session: Session, which: Any) -> StoredPlan | None:  # noqa: ANN401 - a condition
    r = t.run.c
    columns = (r.id, r.source_id, t.source.c.name, r.state, r.plan_hash, r.plan)
    rows = select(*columns).join(t.source, t.source.c.id == r.source_id).where(which, r.plan_hash != "")
    row = session.execute(rows.order_by(r.state != "planned", r.queued_at.desc(), r.id).limit(1)).first()
    if row is None:
        return None
    return StoredPlan(
        run_id=row[0], source_id=row[1], source=row[2], state=row[3], plan_hash=row[4], plan=json.loads(row[5])
    )


def _step(session: Session, run_id: str, state: str, values: Mapping[str, Any]) -> None:
    mine = update(t.run).where(t.run.c.id == run_id, t.run.c.state == state)
    if session.execute(mine.values(**values)).rowcount != 1:
        raise LostClaimError(f"Run {run_id} is not being planned any more.", hint="threadwise runs shows what it does.")
