"""Which documents say nearly the same: their sketches, where likes are looked for, and links of two documents each.

A link changes nothing about its documents. It counts while both of them are what they were when they were compared.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, insert, or_, select, update

from core import tables as t
from core.catalog.feeds import BATCH
from core.catalog.tombstones import batches
from core.catalog.upsert import insert_missing
from core.database import Session
from core.words import Instant


@dataclass(frozen=True, slots=True)
class Unsketched:
    """A live document that was not compared with others as it is now, and the blob that holds it."""

    document_id: str
    content_sha: str
    blob_sha: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """One of two documents that are nearly the same, with the principals that may read it."""

    document_id: str
    source: str
    external_id: str
    title: str
    uri: str
    audience: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two documents that are nearly the same: `similarity` of their word sequences both have, as estimated (0 to 1)."""

    similarity: float
    documents: tuple[Twin, Twin]

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on; `same_audience` is false where one of them is read by others."""
        first, second = self.documents
        return {
            "similarity": round(self.similarity, 3),
            "same_audience": first.audience == second.audience,
            "documents": [asdict(one) | {"audience": list(one.audience)} for one in self.documents],
        }


def unsketched(session: Session, method: int, limit: int) -> list[Unsketched]:
    """Documents that wait for their sketch, those that were recorded last first."""
    d = t.document.c
    waiting = _waiting(method, d.id, d.content_sha, d.blob_sha)
    return [Unsketched(*row) for row in session.execute(waiting.order_by(d.recorded_at.desc(), d.id).limit(limit))]


def count_unsketched(session: Session, method: int) -> int:
    """How many documents wait for their sketch."""
    return int(session.execute(_waiting(method, func.count())).scalar_one())


def _waiting(method: int, *columns: ColumnElement[Any]) -> Select[Any]:
    d, k = t.document.c, t.likeness.c
    rows = select(*columns).select_from(t.document).outerjoin(t.likeness, k.document_id == d.id)
    other = or_(k.document_id.is_(None), k.content_sha != d.content_sha, k.method != method)
    return rows.where(other, d.version_id.is_not(None), d.blob_sha != "")


def still_as(session: Session, documents: Collection[Unsketched]) -> set[str]:
    """The ids of those that are live and still what they were."""
    d, found = t.document.c, set[str]()
    wanted = {one.document_id: one.content_sha for one in documents}
    for some in batches(wanted):
        rows = session.execute(select(d.id, d.content_sha).where(d.id.in_(some), d.version_id.is_not(None)))
        found |= {number for number, sha in rows if wanted[number] == sha}
    return found


def left_behind(session: Session) -> list[str]:
    """The ids of sketched documents that their source no longer has, or whose text was lost."""
    d, k = t.document.c, t.likeness.c
    gone = select(k.document_id).join(t.document, d.id == k.document_id)
    return list(session.execute(gone.where(or_(d.version_id.is_(None), d.blob_sha == ""))).scalars())


def forget(session: Session, document_ids: Iterable[str]) -> set[str]:
    """Take away the sketches and links of these documents; the ids of those that had a sketch."""
    n, k, gone = t.near_duplicate.c, t.likeness.c, set[str]()
    for some in batches(document_ids):
        session.execute(delete(t.near_duplicate).where(or_(n.document_id.in_(some), n.twin_id.in_(some))))
        session.execute(delete(t.likeness_band).where(t.likeness_band.c.document_id.in_(some)))
        gone |= set(
            session.execute(delete(t.likeness).where(k.document_id.in_(some)).returning(k.document_id)).scalars()
        )
    return gone


def signatures(session: Session, document_ids: Iterable[str]) -> dict[str, tuple[int, bytes]]:
    """The stored sketches of these documents: the method of each, and its bytes."""
    k, found = t.likeness.c, dict[str, tuple[int, bytes]]()
    for some in batches(document_ids):
        rows = session.execute(select(k.document_id, k.method, k.signature).where(k.document_id.in_(some)))
        found |= {number: (method, bytes(signature)) for number, method, signature in rows}
    return found


def buckets(session: Session, hashes: Iterable[int]) -> dict[int, list[str]]:
    """The documents that are found by each of these hashes."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    wanted = sorted(hashes)
    for start in range(0, len(wanted), BATCH):
        for one, document_id in session.execute(_FOUND_BY, {"hashes": wanted[start : start + BATCH]}):
            found[one].append(document_id)
    return dict(found)


def put_signatures(session: Session, documents: Sequence[Unsketched], made: Mapping[str, bytes], method: int) -> None:
    """Store new sketches. What the documents had before must be forgotten."""
    rows = [
        {
            "document_id": one.document_id,
            "content_sha": one.content_sha,
            "method": method,
            "signature": made[one.document_id],
        }
        for one in documents
    ]
    if rows:
        session.execute(insert(t.likeness), rows)


def keep_signatures(session: Session, documents: Iterable[Unsketched]) -> None:
    """Let the sketches and links of documents hold for what they are now: nothing that is compared has changed."""
    k = t.likeness.c
    for one in documents:
        session.execute(update(t.likeness).where(k.document_id == one.document_id).values(content_sha=one.content_sha))


def put_links(
    session: Session, twins: Iterable[tuple[str, str, float]], bands: Iterable[tuple[int, str]], now: Instant
) -> None:
    """Store links, the smaller id first, and the hashes by which later documents find these."""
    rows = [{"hash": one, "document_id": document_id} for one, document_id in bands]
    if rows:
        session.execute(insert(t.likeness_band), rows)
    links = [
        {"document_id": low, "twin_id": high, "similarity": similarity, "recorded_at": now}
        for low, high, similarity in twins
    ]
    insert_missing(session, t.near_duplicate, links)


def pairs(session: Session, *, source: str | None = None, limit: int) -> tuple[int, list[Pair]]:
    """How many pairs there are, of one source or of all, and the most alike of them."""
    n = t.near_duplicate.c
    total = int(session.execute(_standing(source, func.count())).scalar_one())
    best = _standing(source, n.document_id, n.twin_id, n.similarity)
    rows = session.execute(best.order_by(n.similarity.desc(), n.document_id, n.twin_id).limit(limit)).all()
    twins = _twins(session, {number for row in rows for number in row[:2]})
    return total, [Pair(similarity=row[2], documents=(twins[row[0]], twins[row[1]])) for row in rows]


def _standing(source: str | None, *columns: ColumnElement[Any]) -> Select[Any]:
    """Of the links those whose documents are both live and what they were when they were compared."""
    n, rows = t.near_duplicate.c, select(*columns).select_from(t.near_duplicate)
    names = []
    for number in (n.document_id, n.twin_id):
        document, sketch, place = t.document.alias(), t.likeness.alias(), t.source.alias()
        rows = rows.join(document, and_(document.c.id == number, document.c.version_id.is_not(None)))
        same = and_(sketch.c.document_id == number, sketch.c.content_sha == document.c.content_sha)
        rows = rows.join(sketch, same).join(place, place.c.id == document.c.source_id)
        names.append(place.c.name)
    return rows if source is None else rows.where(or_(*(name == source for name in names)))


def _twins(session: Session, document_ids: Collection[str]) -> dict[str, Twin]:
    d, p, twins = t.document.c, t.audience_principal.c, dict[str, Twin]()
    columns = (d.id, t.source.c.name, d.external_id, d.title, d.uri, d.audience_id)
    for some in batches(document_ids):
        rows = select(*columns).join(t.source, t.source.c.id == d.source_id).where(d.id.in_(some))
        found = session.execute(rows).all()
        readers: defaultdict[int, list[str]] = defaultdict(list)
        held = select(p.audience_id, p.principal).where(p.audience_id.in_({row[5] for row in found}))
        for number, principal in session.execute(held.order_by(p.principal)):
            readers[number].append(principal)
        twins |= {
            row[0]: Twin(**dict(zip(_TWIN, row[:5], strict=True)), audience=tuple(readers[row[5]])) for row in found
        }
    return twins


_FOUND_BY = (
    select(t.likeness_band.c.hash, t.likeness_band.c.document_id)
    .where(t.likeness_band.c.hash.in_(bindparam("hashes", expanding=True)))
    .order_by(t.likeness_band.c.hash, t.likeness_band.c.document_id)
)
_TWIN = ("document_id", "source", "external_id", "title", "uri")
