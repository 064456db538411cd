"""Answers that were given, and what their readers thought of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import insert, select

from core import tables as t
from core.catalog.upsert import upsert
from core.database import Session
from core.words import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer with what is needed to explain it. `citations` and `trace` are JSON."""

    id: str
    asked_at: Instant
    key_id: str
    principals: tuple[str, ...]
    question: str
    status: str
    text: str
    citations: Sequence[Mapping[str, Any]]
    generation_id: int | None
    model: str
    template: str
    trace: Mapping[str, Any]


_JSON = ("principals", "citations", "trace")


def keep(session: Session, answer: StoredAnswer) -> None:
    """Store an answer that was given."""
    row = {name: getattr(answer, name) for name in StoredAnswer.__slots__}
    session.execute(insert(t.answer).values(row | {name: json.dumps(row[name]) for name in _JSON}))


def find(session: Session, answer_id: str) -> StoredAnswer | None:
    """The answer of this id, or None."""
    columns = [t.answer.c[name] for name in StoredAnswer.__slots__]
    row = session.execute(select(*columns).where(t.answer.c.id == answer_id)).first()
    if row is None:
        return None
    values = dict(zip(StoredAnswer.__slots__, row, strict=True))
    values |= {name: json.loads(values[name]) for name in _JSON}
    return StoredAnswer(**values | {"principals": tuple(values["principals"])})


def rate(session: Session, answer_id: str, *, key_id: str, value: Literal[-1, 1], comment: str, now: Instant) -> None:
    """Keep what the holder of a key thinks of an answer; a second opinion replaces the first."""
    row = {"answer_id": answer_id, "key_id": key_id, "value": value, "comment": comment, "at": now}
    upsert(session, t.feedback, [row])
