"""Clearing away a generation that is deleted: its rows go in batches, so that nobody waits long for the lock."""

from collections.abc import Sequence

from sqlalchemy import and_, delete, exists, literal, select

from core import tables as t
from core.catalog.feeds import BATCH
from core.database import Session


def has_rows(session: Session, generation_id: int) -> bool:
    """Whether anything of a generation is left but its own row."""
    tables = (t.chunk, t.change, t.build)
    return any(
        session.execute(select(literal(1)).where(table.c.generation_id == generation_id).limit(1)).first()
        for table in tables
    )


def delete_some(session: Session, generation_id: int, limit: int) -> int:
    """Delete up to `limit` rows of each kind of a deleted generation, and vectors only they had; returns how many."""
    c = t.chunk.c
    rows = session.execute(select(c.id, c.text_sha).where(c.generation_id == generation_id).limit(limit)).all()
    ids, shas = [row[0] for row in rows], sorted({row[1] for row in rows})
    gone = len(ids)
    for start in range(0, len(ids), BATCH):
        some = c.id.in_(ids[start : start + BATCH])
        session.execute(delete(t.chunk).where(c.generation_id == generation_id, some))
    for start in range(0, len(shas), BATCH):
        _delete_vectors(session, generation_id, shas[start : start + BATCH])
    x, b = t.change.c, t.build.c
    changes = select(x.seq).where(x.generation_id == generation_id).order_by(x.seq).limit(limit)
    gone += session.execute(delete(t.change).where(x.seq.in_(changes))).rowcount
    owed = select(b.document_id).where(b.generation_id == generation_id).limit(limit)
    mine = and_(b.generation_id == generation_id, b.document_id.in_(owed))
    return gone + session.execute(delete(t.build).where(mine)).rowcount


def _delete_vectors(session: Session, generation_id: int, text_shas: Sequence[str]) -> None:
    """Those of these texts that no chunk of another generation of the same space has."""
    g, c, e = t.generation.c, t.chunk.c, t.embedding.c
    space = select(g.space_id).where(g.id == generation_id).scalar_subquery()
    others = select(g.id).where(g.space_id == space, g.state != "deleted")
    used = exists().where(c.text_sha == e.text_sha, c.generation_id.in_(others))
    session.execute(delete(t.embedding).where(e.space_id == space, e.text_sha.in_(text_shas), ~used))
