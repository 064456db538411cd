"""Change sequence numbers: taken from a counter row inside the commit, so that commit order is their order."""

from collections.abc import Iterable

from sqlalchemy import insert, select, update

from core import tables as t
from core.catalog.upsert import insert_missing
from core.database import Session

_NAME = "change"


def take(session: Session, count: int) -> int:
    """Reserve `count` numbers and return the first. The counter row stays locked until the commit."""
    return count_up(session, _NAME, count) - count + 1


def lock(session: Session) -> None:
    """Let nobody else change what readers see until this transaction ends: what was looked up now still holds then."""
    count_up(session, _NAME, 0)


def count_up(session: Session, name: str, by: int = 1) -> int:
    """The new value of a counter. Its row stays locked until the commit."""
    counter = t.counter.c
    step = update(t.counter).where(counter.name == name).values(value=counter.value + by).returning(counter.value)
    newest = session.execute(step).scalar_one_or_none()
    if newest is None:
        insert_missing(session, t.counter, [{"name": name, "value": 0}])
        newest = session.execute(step).scalar_one()
    return int(newest)


def record_changes(session: Session, generation_id: int, changes: Iterable[tuple[str, int]]) -> None:
    """Write one change row for each (chunk id, number taken); engines follow these rows."""
    rows = [{"seq": seq, "generation_id": generation_id, "chunk_id": chunk_id} for chunk_id, seq in changes]
    if rows:
        session.execute(insert(t.change), rows)


def current(session: Session) -> int:
    """The newest number taken, 0 before the first."""
    return session.execute(select(t.counter.c.value).where(t.counter.c.name == _NAME)).scalar_one_or_none() or 0
