"""The visible state of a catalogue as sorted rows: what two installations with the same input must share."""

import json
from collections.abc import Iterator

from sqlalchemy import and_, select

from core import tables as t
from core.catalog.signals import SIGNAL_COLUMNS
from core.database import Session


def chunk_ids(session: Session, generation_id: int) -> list[str]:
    """The ids of every live chunk, ascending."""
    c = t.chunk.c
    live = select(c.id).where(c.generation_id == generation_id, c.live)
    return [row[0] for row in session.execute(live.order_by(c.id))]


def chunk_rows(session: Session, generation_id: int) -> Iterator[str]:
    """Every live chunk with its text, place, audience and validity."""
    audience = _audiences(session)
    c, d = t.chunk.c, t.document.c
    columns = (c.id, c.document_id, c.ordinal, c.start, c.end, c.anchor, c.author, c.context, c.text)
    statement = (
        select(*columns, c.valid_from, c.valid_to, d.title, d.uri, d.kind, d.audience_id)
        .join(t.document, and_(d.id == c.document_id, d.version_id == c.version_id))
        .where(c.generation_id == generation_id, c.live)
        .order_by(c.id)
    )
    for *row, audience_id in session.execute(statement):
        yield json.dumps([*row, audience[audience_id]], ensure_ascii=False)


def embedding_rows(session: Session, space_id: str) -> Iterator[str]:
    """Every stored vector, byte by byte, of texts that a live chunk has."""
    used = select(t.chunk.c.text_sha).where(t.chunk.c.live)
    statement = select(t.embedding.c.text_sha, t.embedding.c.vector).where(
        t.embedding.c.space_id == space_id, t.embedding.c.text_sha.in_(used)
    )
    for text_sha, vector in session.execute(statement.order_by(t.embedding.c.text_sha)):
        yield f"{text_sha} {bytes(vector).hex()}"


def feature_rows(session: Session) -> Iterator[str]:
    """The signals of every live document, without when and in which order they were learned."""
    s = t.document_signals.c
    statement = (
        select(s.document_id, *(s[name] for name in SIGNAL_COLUMNS))
        .join(t.document, t.document.c.id == s.document_id)
        .where(t.document.c.version_id.is_not(None))
        .order_by(s.document_id)
    )
    for row in session.execute(statement):
        yield json.dumps(list(row))


def _audiences(session: Session) -> dict[int, list[str]]:
    members: dict[int, list[str]] = {}
    c = t.audience_principal.c
    for number, principal in session.execute(select(c.audience_id, c.principal).order_by(c.principal)):
        members.setdefault(number, []).append(principal)
    return members
