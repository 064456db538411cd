"""Who did what as an admin. Rows are only ever added."""

from dataclasses import dataclass

from sqlalchemy import insert, select

from core import tables as t
from core.database import Session
from core.words import Instant


@dataclass(frozen=True, slots=True)
class Act:
    """One admin act: `outcome` is `done` or the code of the error it ended with."""

    at: Instant
    key_id: str
    act: str
    target: str
    outcome: str


def record(session: Session, act: Act) -> None:
    """Add one row, in the transaction of the act where there is one."""
    names = ("at", "key_id", "act", "target", "outcome")
    session.execute(insert(t.audit).values({name: getattr(act, name) for name in names}))


def latest(session: Session, limit: int = 100) -> list[Act]:
    """The newest acts first."""
    c = t.audit.c
    rows = select(c.at, c.key_id, c.act, c.target, c.outcome).order_by(c.id.desc()).limit(limit)
    return [Act(*row) for row in session.execute(rows)]
