"""Tombstones: what was deleted and may not come back, a document by its id, a person by a hash of the principal.

Whoever buries takes the locks that every commit of ingestion takes (`hold_commits`), so that of the two the one that
commits later has seen the other. A principal itself is not stored.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import and_, delete, or_, select, update

from core import tables as t
from core.catalog.feeds import BATCH
from core.catalog.sequence import lock, record_changes, take
from core.catalog.upsert import insert_new
from core.clock import database_now
from core.database import Session
from core.words import MICROS, Instant, document_id_of

Kind = Literal["document", "person"]
OPEN = ("pending", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Of one store the ids that were removed, and how many of them a second look found; None before that look."""

    store: str
    ids: tuple[str, ...] = ()
    left: int | None = None

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        return {"store": self.store, "removed": len(self.ids), "left": self.left, "ids": list(self.ids)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Burial:
    """What is to be buried. `source` is a name; it and `external_id` are empty for a person."""

    kind: Kind
    key: str
    source: str = ""
    external_id: str = ""
    reason: str = ""
    requested_by: str = ""
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone(Burial):
    """What is buried. `purged_at` is empty until nothing of it was left in any store."""

    id: int
    purged_at: Instant | None
    receipts: tuple[Receipt, ...]

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        return asdict(self) | {"receipts": [receipt.as_json() for receipt in self.receipts]}


def batches(values: Iterable[str]) -> Iterator[list[str]]:
    """These values in order, as many at once as one statement can take."""
    ordered = sorted(values)
    for start in range(0, len(ordered), BATCH):
        yield ordered[start : start + BATCH]


@lru_cache(maxsize=65_536)
def person_key(principal: str) -> str:
    """The key of a person's tombstone: SHA-256 (hex) of the principal."""
    return hashlib.sha256(principal.encode()).hexdigest()


def hold_commits(session: Session) -> None:
    """Let nobody plan, commit or end a run until this transaction ends; the first thing of one that buries or lifts.

    Runs before the counter, as everybody locks them: in another order two could wait for one another.
    """
    r = t.run.c
    unfinished = select(r.id).where(r.finished_at.is_(None)).order_by(r.id)
    session.execute(unfinished.with_for_update(key_share=True))
    lock(session)


def bury(session: Session, burial: Burial) -> bool:
    """Keep a tombstone, after `hold_commits`; False if it was there. Its source is read from scratch."""
    lock(session)
    source_id = session.execute(select(t.source.c.id).where(t.source.c.name == burial.source)).scalar_one_or_none()
    row = {name: getattr(burial, name) for name in ("kind", "key", "external_id", "reason", "requested_by", "at")}
    row |= {"source_id": source_id, "purged_at": None, "receipts": "[]"}
    new = insert_new(session, t.tombstone, row)
    _read_from_scratch(session, source_id if burial.kind == "document" else None)
    return new


def lift(session: Session, document_id: str) -> bool:
    """Let a document come back with the next ingestion, after `hold_commits`; False if it was not buried."""
    lock(session)
    mine = and_(t.tombstone.c.kind == "document", t.tombstone.c.key == document_id)
    found = session.execute(delete(t.tombstone).where(mine).returning(t.tombstone.c.source_id)).first()
    if found is not None:
        _read_from_scratch(session, found[0])
    return found is not None


def buried(session: Session, document_ids: Sequence[str]) -> frozenset[str]:
    """Of these documents, those that may not be written. Ask after `sequence.lock`, in the commit itself."""
    c = t.tombstone.c
    found: set[str] = set()
    for some in batches(document_ids):
        found.update(session.execute(select(c.key).where(c.kind == "document", c.key.in_(some))).scalars())
    return frozenset(found)


def buried_names(session: Session, source_id: int) -> frozenset[str]:
    """The external ids of a source's buried documents, also of those that were buried before it was known here."""
    c = t.tombstone.c
    rows = select(c.external_id, c.key, c.source_id).where(c.kind == "document")
    of_source = or_(c.source_id == source_id, c.source_id.is_(None))
    name = session.execute(select(t.source.c.name).where(t.source.c.id == source_id)).scalar_one()
    return frozenset(
        external_id
        for external_id, key, number in session.execute(rows.where(of_source))
        if number is not None or key == document_id_of(name, external_id)
    )


def erased_people(session: Session) -> frozenset[str]:
    """The keys (see `person_key`) of everybody who was erased."""
    c = t.tombstone.c
    return frozenset(session.execute(select(c.key).where(c.kind == "person")).scalars())


def listing(session: Session, *, kind: Kind | None = None) -> list[Tombstone]:
    """Every tombstone with its receipts, the newest first."""
    return _tombstones(session, t.tombstone.c.kind == kind if kind else True)


def find(session: Session, kind: Kind, key: str) -> Tombstone | None:
    """The tombstone of that key, or None."""
    return next(iter(_tombstones(session, and_(t.tombstone.c.kind == kind, t.tombstone.c.key == key))), None)


def due(session: Session, grace_seconds: float) -> list[Tombstone]:
    """What has to be purged: what never was whole, and once more what was before the grace was over.

    Whoever had read something before it was deleted may have written it down after the first look.
    """
    c = t.tombstone.c
    settled = c.at + int(grace_seconds * MICROS)
    again = and_(c.purged_at < settled, settled < database_now(session))
    return _tombstones(session, or_(c.purged_at.is_(None), again))


def put_receipts(
    session: Session, tombstone_id: int, receipts: Iterable[Receipt], *, purged_at: Instant | None = None
) -> None:
    """Keep what was removed and what is left; with `purged_at` nothing is."""
    stored = json.dumps([receipt.as_json() for receipt in receipts])
    values = {"receipts": stored, "purged_at": purged_at}
    session.execute(update(t.tombstone).where(t.tombstone.c.id == tombstone_id).values(values))


def hide(session: Session, document_ids: Collection[str], *, removed: bool) -> set[str]:
    """Take every chunk of these documents from its readers, in all generations; the ids of those that had signals.

    A document that is `removed` has no live version, no signals and nothing to build any more.
    """
    lock(session)
    had_signals: set[str] = set()
    for some in batches(document_ids):
        c = t.chunk.c
        mine = and_(c.document_id.in_(some), c.live)
        found = session.execute(select(c.generation_id, c.id).where(mine).order_by(c.generation_id, c.id)).all()
        session.execute(update(t.chunk).where(mine).values(live=False, valid_to=c.valid_from))
        first = take(session, len(found))
        for generation_id, rows in groupby(enumerate(found), key=lambda pair: int(pair[1][0])):
            record_changes(session, generation_id, [(row[1], first + place) for place, row in rows])
        if removed:
            had_signals |= _remove(session, some)
    return had_signals


def stop_work(session: Session, source_id: int, external_ids: Collection[str]) -> None:
    """Nobody goes on with what was to be done for these documents; a run that is under way counts them as deleted."""
    runs = select(t.run.c.id).where(t.run.c.source_id == source_id)
    for some in batches(external_ids):
        mine = and_(t.work.c.external_id.in_(some), t.work.c.run_id.in_(runs), t.work.c.state.in_(OPEN))
        session.execute(update(t.work).where(mine).values(state="cancelled", lease_token="", error_code="deleted"))


def now(session: Session) -> Instant:
    """The database's own time: tombstones of all processes compare."""
    return Instant(session.execute(select(database_now(session))).scalar_one())


def _remove(session: Session, document_ids: Sequence[str]) -> set[str]:
    session.execute(update(t.document).where(t.document.c.id.in_(document_ids)).values(version_id=None))
    number = t.document_signals.c.document_id
    gone = delete(t.document_signals).where(number.in_(document_ids)).returning(number)
    building = update(t.build).where(t.build.c.document_id.in_(document_ids))
    session.execute(building.values(state="done", lease_token=""))
    return set(session.execute(gone).scalars())


def _read_from_scratch(session: Session, source_id: int | None) -> None:
    """Forget that the content of a source is known, and will be when its run ends; without one that of every source."""
    known = update(t.source).values(fingerprint="")
    soon = update(t.run).values(fingerprint="").where(t.run.c.finished_at.is_(None))
    session.execute(known if source_id is None else known.where(t.source.c.id == source_id))
    session.execute(soon if source_id is None else soon.where(t.run.c.source_id == source_id))


def _tombstones(session: Session, wanted: Any) -> list[Tombstone]:  # noqa: ANN401 - a condition, or True for none
    c = t.tombstone.c
    names = ("id", "kind", "key", "external_id", "reason", "requested_by", "at", "purged_at", "receipts")
    named = select(t.source.c.name, *(c[name] for name in names)).select_from(t.tombstone.outerjoin(t.source))
    found = []
    for source, *row in session.execute(named.where(wanted).order_by(c.id.desc())):
        values = dict(zip(names, row, strict=True))
        values["receipts"] = tuple(
            Receipt(store=kept["store"], ids=tuple(kept["ids"]), left=kept["left"])
            for kept in json.loads(values["receipts"])
        )
        found.append(Tombstone(source=source or "", **values))
    return found
