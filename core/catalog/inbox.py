"""What people asked from outside, kept before its arrival is acknowledged, and worked under a lease.

An entry is `waiting` until a reply may be visible, then `posting` until it is known to be: whoever takes over an
entry that is `posting` has to look for the reply before it posts another one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, delete, func, literal, or_, select, update

from core import tables as t
from core.catalog.upsert import insert_new
from core.clock import database_now
from core.database import Session
from core.words import MICROS, Instant

OPEN = ("waiting", "posting")
Settled = Literal["done", "failed", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry that this worker has now. `is_posting`: an earlier worker may have posted a reply."""

    id: str
    kind: str
    line: str
    payload: str  # JSON, read by whoever works on it: one that nobody can read must not hold up the others
    is_posting: bool
    attempt: int
    received_at: Instant
    waited_seconds: float
    error_code: str  # of the last try, empty if there was none
    token: str


def accept(
    session: Session,
    *,
    entry_id: str,
    kind: str,
    line: str,
    payload: Mapping[str, Any],
    now: Instant,
    message: str = "",
) -> bool:
    """Keep an entry; False if this event, or another one about the same message, is there already.

    `now` orders the entries of a line; what came from one process never has the same.
    """
    row: dict[str, object] = {"id": entry_id, "message": message or None, "kind": kind, "line": line}
    row |= {"payload": json.dumps(payload), "answer_id": "", "error_code": ""}
    row |= {"state": "waiting", "attempt": 0, "lease_token": "", "lease_until": 0, "due_at": 0, "received_at": now}
    return insert_new(session, t.inbox, row)


def claim(session: Session, *, token: str, lease_seconds: float) -> Entry | None:
    """Take the oldest entry that is due, that nobody holds, and before which no other of its line is open."""
    c = t.inbox.c
    now = database_now(session)
    earlier = t.inbox.alias("earlier")
    blocked = select(earlier.c.id).where(
        earlier.c.line == c.line,
        earlier.c.state.in_(OPEN),
        or_(earlier.c.received_at < c.received_at, and_(earlier.c.received_at == c.received_at, earlier.c.id < c.id)),
    )
    free = and_(c.state.in_(OPEN), c.due_at <= now, c.lease_until < now, ~blocked.exists())
    oldest = select(c.id).where(free).order_by(c.received_at, c.id).limit(1).with_for_update(skip_locked=True)
    entry_id = session.execute(oldest).scalar_one_or_none()
    if entry_id is None:
        return None
    taken = {"attempt": c.attempt + 1, "lease_token": token, "lease_until": _lease_end(session, lease_seconds)}
    session.execute(update(t.inbox).where(c.id == entry_id).values(taken))
    age = (now - c.received_at).label("age")
    columns = (c.id, c.kind, c.line, c.payload, c.state, c.attempt, c.received_at, c.error_code, age)
    row = session.execute(select(*columns).where(c.id == entry_id)).one()
    return Entry(
        id=row.id,
        kind=row.kind,
        line=row.line,
        payload=row.payload,
        is_posting=row.state == "posting",
        attempt=row.attempt,
        received_at=Instant(row.received_at),
        waited_seconds=row.age / MICROS,
        error_code=row.error_code,
        token=token,
    )


def any_open(session: Session) -> bool:
    """Whether anything is left to do, now or later."""
    return session.execute(select(t.inbox.c.id).where(t.inbox.c.state.in_(OPEN)).limit(1)).first() is not None


def renew(session: Session, entry_id: str, token: str, lease_seconds: float) -> bool:
    """Keep an entry a while longer; False if somebody else has it or it is settled."""
    until = _lease_end(session, lease_seconds)
    return session.execute(update(t.inbox).where(_held(entry_id, token)).values(lease_until=until)).rowcount == 1


def begin_posting(session: Session, entry_id: str, token: str, answer_id: str) -> bool:
    """From now on a reply may be visible; False if this worker must not post one."""
    values = {"state": "posting", "answer_id": answer_id}
    return session.execute(update(t.inbox).where(_held(entry_id, token)).values(values)).rowcount == 1


def settle(session: Session, entry_id: str, token: str, state: Settled, error_code: str = "") -> bool:
    """End an entry; False if it is not this worker's any more."""
    values = {"state": state, "error_code": error_code, "lease_token": "", "lease_until": 0}
    return session.execute(update(t.inbox).where(_held(entry_id, token)).values(values)).rowcount == 1


def release(
    session: Session, entry_id: str, token: str, *, seconds: float, error_code: str = "", refund: bool = False
) -> bool:
    """Give an entry back, to be taken again after so many seconds; with `refund` the attempt does not count."""
    due = database_now(session) + literal(int(seconds * MICROS))
    values: dict[str, Any] = {"lease_token": "", "lease_until": 0, "due_at": due, "error_code": error_code}
    if refund:
        values["attempt"] = t.inbox.c.attempt - 1
    return session.execute(update(t.inbox).where(_held(entry_id, token)).values(values)).rowcount == 1


def withdraw(session: Session, message: str) -> bool:
    """Its message is gone: there will be no reply unless one may be visible, and no later question leans on it.

    False if there was nothing to withdraw.
    """
    c = t.inbox.c
    gone = update(t.inbox).where(c.message == message, c.state.in_(("waiting", "done")))
    return session.execute(gone.values(state="withdrawn", lease_token="", lease_until=0)).rowcount == 1


def earlier(session: Session, line: str, before: Instant, limit: int = 3) -> list[tuple[Instant, dict[str, Any]]]:
    """(received, payload) of what was asked in this line before and was answered, newest first."""
    c = t.inbox.c
    wanted = select(c.received_at, c.payload).where(c.line == line, c.received_at < before, c.state == "done")
    rows = session.execute(wanted.order_by(c.received_at.desc()).limit(limit))
    return [(Instant(received), json.loads(payload)) for received, payload in rows]


def standing(session: Session) -> tuple[int, float]:
    """(entries without a reply, seconds that the oldest of them has waited)."""
    c = t.inbox.c
    age = database_now(session) - func.min(c.received_at)
    count, waited = session.execute(select(func.count(), age).where(c.state.in_(OPEN))).one()
    return int(count), (waited or 0) / MICROS


def forget(session: Session, seconds: float) -> int:
    """Delete what was settled and came in so long ago; returns how many."""
    c = t.inbox.c
    before = database_now(session) - literal(int(seconds * MICROS))
    return session.execute(delete(t.inbox).where(c.received_at < before, c.state.not_in(OPEN))).rowcount


def _held(entry_id: str, token: str) -> ColumnElement[bool]:
    c = t.inbox.c
    return and_(c.id == entry_id, c.lease_token == token, c.state.in_(OPEN))


def _lease_end(session: Session, lease_seconds: float) -> ColumnElement[int]:
    return database_now(session) + literal(int(lease_seconds * MICROS))
