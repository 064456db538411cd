"""Requests that may be sent twice: the key of the first one leads to its run."""

from sqlalchemy import delete, select

from core import tables as t
from core.catalog.upsert import insert_new
from core.database import Session
from core.words import Instant


def find(session: Session, key_id: str, key: str) -> tuple[str, str] | None:
    """(hash of what was asked, run id) of the request that came with this key first."""
    c = t.idempotency.c
    row = session.execute(select(c.body_sha, c.run_id).where(c.key_id == key_id, c.key == key)).first()
    return None if row is None else (row[0], row[1])


def remember(session: Session, key_id: str, key: str, *, body_sha: str, run_id: str, now: Instant) -> bool:
    """Keep that this request led to this run; False if the key is known already."""
    row = {"key_id": key_id, "key": key, "body_sha": body_sha, "run_id": run_id, "at": now}
    return insert_new(session, t.idempotency, row)


def forget(session: Session, before: Instant) -> int:
    """Delete keys that came before; returns how many."""
    return session.execute(delete(t.idempotency).where(t.idempotency.c.at < before)).rowcount
