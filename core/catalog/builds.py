"""What is owed to generations that readers do not see: one row for each document whose chunks they still need.

The rows of the generation that readers see are of no account: documents are committed to it directly.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, insert, literal, or_, select, update

from core import tables as t
from core.catalog.feeds import BATCH
from core.catalog.sequence import lock
from core.catalog.upsert import upsert
from core.database import Session

STANDING = ("building", "ready", "active", "retired")
WORKER_LOST = "worker_lost"
_OPEN = ("pending", "running")
_CLEAN: dict[str, Any] = {"attempt": 0, "lease_token": "", "error_code": "", "error": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A document that somebody prepares for a generation: what it is read from, and which version it has to be."""

    document_id: str
    external_id: str
    source_id: int
    source: str
    blob_sha: str
    version_id: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How far a generation is. `documents` are all live ones; every one of them has to be done or quarantined."""

    documents: int
    pending: int
    done: int
    quarantined: int
    chunks: int

    @property
    def missing(self) -> int:
        """Live documents that the account knows nothing of."""
        return self.documents - self.pending - self.done - self.quarantined

    @property
    def settled(self) -> int:
        """Documents that will not be worked on again."""
        return self.done + self.quarantined

    @property
    def quarantine_share(self) -> float:
        """Share of the live documents that were given up."""
        return self.quarantined / self.documents if self.documents else 0.0


def standing(session: Session) -> list[int]:
    """The generations that every commit has to reach; under `sequence.lock` nobody begins or ends one meanwhile."""
    g = t.generation.c
    return list(session.execute(select(g.id).where(g.state.in_(STANDING)).order_by(g.id)).scalars())


def owe(session: Session, generation_ids: Sequence[int], document_ids: Sequence[str]) -> None:
    """These documents have changed: whatever was made of them for these generations has to be made again."""
    rows = [
        _CLEAN | {"generation_id": number, "document_id": document_id, "state": "pending"}
        for number in generation_ids
        for document_id in document_ids
    ]
    if rows:
        upsert(session, t.build, rows)


def owe_everything(session: Session, generation_id: int) -> None:
    """Every live document is owed to a generation that is new."""
    _for_live_documents(session, generation_id, "pending")


def forgive(session: Session, generation_ids: Sequence[int], document_ids: Sequence[str]) -> None:
    """Nothing of these documents is owed any more: they were removed, or written into these generations just now."""
    for start in range(0, len(document_ids), BATCH):
        some = document_ids[start : start + BATCH]
        rows = and_(t.build.c.generation_id.in_(generation_ids), t.build.c.document_id.in_(some))
        session.execute(update(t.build).where(rows).values(_CLEAN | {"state": "done"}))


def close_accounts(session: Session, generation_id: int) -> None:
    """Readers saw this generation until now: it has every live document but those that were given up for it."""
    b = t.build.c
    known = exists().where(b.generation_id == generation_id, b.document_id == t.document.c.id)
    _for_live_documents(session, generation_id, "done", ~known)


def retry(session: Session, generation_id: int) -> int:
    """What was given up is owed again; returns how many documents that is."""
    lock(session)
    given_up = and_(t.build.c.generation_id == generation_id, t.build.c.state == "quarantined")
    return session.execute(update(t.build).where(given_up).values(_CLEAN | {"state": "pending"})).rowcount


def adopt(session: Session, generation_id: int, token: str, *, max_attempts: int) -> None:
    """Take over what a dead holder had in hand: its attempts count, and what has used them up is given up."""
    lock(session)
    b = t.build.c
    orphaned = and_(b.generation_id == generation_id, b.state == "running", b.lease_token != token)
    spent = {"state": "quarantined", "error_code": WORKER_LOST, "error": "Its worker died at every attempt."}
    session.execute(update(t.build).where(orphaned, b.attempt >= max_attempts).values(spent))
    session.execute(update(t.build).where(orphaned).values(state="pending", lease_token=""))


def sources_owed(session: Session, generation_id: int) -> list[tuple[int, str]]:
    """(id, name) of the sources of which documents are still owed, by name."""
    b, s = t.build.c, t.source.c
    rows = (
        select(s.id, s.name)
        .join(t.document, t.document.c.source_id == s.id)
        .join(t.build, b.document_id == t.document.c.id)
        .where(b.generation_id == generation_id, b.state.in_(_OPEN), t.document.c.version_id.is_not(None))
        .distinct()
        .order_by(s.name)
    )
    return [(number, name) for number, name in session.execute(rows)]


def count_owed(session: Session, generation_id: int, source_id: int, limit: int) -> int:
    """How many documents of this source are owed or in somebody's hands, counted up to `limit`."""
    b, d = t.build.c, t.document.c
    mine = and_(b.generation_id == generation_id, b.state.in_(_OPEN), d.source_id == source_id)
    some = select(d.id).join(t.build, b.document_id == d.id).where(mine, d.version_id.is_not(None)).limit(limit)
    return session.execute(select(func.count()).select_from(some.subquery())).scalar_one()


def claim(
    session: Session, generation_id: int, token: str, *, source_id: int, limit: int, waiting: Collection[str] = ()
) -> list[Owed]:
    """Take up to `limit` documents of a source that nobody has tried, or when there are none left one that was tried.

    The attempt is counted now, so that a crash while working counts too. What was in hand when a worker died may have
    killed it: it is tried again beside nothing else, so that nothing shares its fate. Documents that are `waiting` for
    their next try are left out.
    """
    # Nobody commits and no other thread chooses meanwhile: two would lock these rows each in an order of its own.
    lock(session)
    mine = select(t.generation.c.id).where(t.generation.c.id == generation_id, t.generation.c.lease_token == token)
    if session.execute(mine).first() is None:
        return []
    b = t.build.c
    chosen = _choose(session, generation_id, source_id, limit, waiting)
    if not chosen:
        return []
    rows = and_(b.generation_id == generation_id, b.document_id.in_(chosen))
    values = {"state": "running", "attempt": b.attempt + 1, "lease_token": token}
    session.execute(update(t.build).where(rows, b.state == "pending").values(values))
    return _owed(session, and_(rows, b.state == "running", b.lease_token == token))


def _choose(
    session: Session, generation_id: int, source_id: int, limit: int, waiting: Collection[str]
) -> Sequence[str]:
    b, d = t.build.c, t.document.c
    in_hand = select(b.document_id).where(b.generation_id == generation_id, b.state == "running").limit(1)
    if session.execute(in_hand.where(b.attempt > 1)).first():
        return ()
    pending = and_(b.generation_id == generation_id, b.state == "pending")
    live = and_(d.source_id == source_id, d.version_id.is_not(None))
    free = select(b.document_id).join(t.document, d.id == b.document_id).where(pending, live)
    fresh = session.execute(free.where(b.attempt == 0).limit(limit)).scalars().all()
    if fresh or session.execute(in_hand).first():
        return fresh
    again = free.where(b.document_id.not_in(waiting)).order_by(b.attempt, b.document_id).limit(1)
    return session.execute(again).scalars().all()


def _owed(session: Session, condition: ColumnElement[bool], limit: int | None = None) -> list[Owed]:
    b, d = t.build.c, t.document.c
    columns = (d.id, d.external_id, d.source_id, t.source.c.name, d.blob_sha, d.version_id, b.attempt)
    rows = (
        select(*columns)
        .join(t.document, d.id == b.document_id)
        .join(t.source, t.source.c.id == d.source_id)
        .where(condition)
        .order_by(d.id)
        .limit(limit)
    )
    return [Owed(**dict(zip(Owed.__slots__, row, strict=True))) for row in session.execute(rows)]


def still_owed(session: Session, generation_id: int, token: str, items: Sequence[Owed]) -> set[Owed]:
    """Of these claims, those that may be written: not claimed by another, and of the version they were.

    Of two claims of one document, whose version changed between them, at most the newer is one of them. Under
    `sequence.lock` nothing of this changes before the commit.
    """
    b, d = t.build.c, t.document.c
    mine = and_(b.generation_id == generation_id, b.state == "running", b.lease_token == token)
    ids = [item.document_id for item in items]
    rows = select(d.id, d.version_id, b.attempt).join(t.document, d.id == b.document_id).where(mine, d.id.in_(ids))
    held = {tuple(row) for row in session.execute(rows)}
    return {item for item in items if (item.document_id, item.version_id, item.attempt) in held}


def fail(session: Session, generation_id: int, token: str, item: Owed, *, final: bool, code: str, error: str) -> None:
    """Record why a document could not be made; it is tried again unless this is `final`."""
    b = t.build.c
    mine = and_(b.generation_id == generation_id, b.document_id == item.document_id, b.lease_token == token)
    values = {"state": "quarantined" if final else "pending", "lease_token": "", "error_code": code, "error": error}
    session.execute(update(t.build).where(mine, b.state == "running").values(values))


def release(session: Session, generation_id: int, token: str, document_ids: Collection[str] | None = None) -> None:
    """Give back what is in hand, or these of it, the attempt refunded: whoever stops on purpose did not fail."""
    lock(session)
    b = t.build.c
    mine = and_(b.generation_id == generation_id, b.lease_token == token, b.state == "running")
    if document_ids is not None:
        mine = and_(mine, b.document_id.in_(document_ids))
    session.execute(update(t.build).where(mine).values(state="pending", attempt=b.attempt - 1, lease_token=""))


def account(session: Session, generation_id: int) -> Account:
    """Where a generation stands, counted from its rows."""
    b, d, c = t.build.c, t.document.c, t.chunk.c
    live = d.version_id.is_not(None)
    mine = select(b.state, func.count()).join(t.document, d.id == b.document_id)
    grouped = mine.where(b.generation_id == generation_id, live).group_by(b.state)
    states: dict[str, int] = dict(session.execute(grouped).all())
    documents = session.execute(select(func.count()).select_from(t.document).where(live)).scalar_one()
    chunks = select(func.count()).select_from(t.chunk).where(c.generation_id == generation_id, c.live)
    return Account(
        documents=documents,
        pending=states.get("pending", 0) + states.get("running", 0),
        done=states.get("done", 0),
        quarantined=states.get("quarantined", 0),
        chunks=session.execute(chunks).scalar_one(),
    )


def given_up(session: Session, generation_id: int, limit: int = 20) -> list[tuple[str, str, str]]:
    """(external id, code, reason) of documents that this generation goes without."""
    b, d = t.build.c, t.document.c
    rows = select(d.external_id, b.error_code, b.error).join(t.document, d.id == b.document_id)
    mine = and_(b.generation_id == generation_id, b.state == "quarantined", d.version_id.is_not(None))
    return [(who, code, why) for who, code, why in session.execute(rows.where(mine).order_by(d.id).limit(limit))]


def misfits(session: Session, generation_id: int) -> list[str]:
    """Documents whose live chunks are not those of one whole live version; none in a sound generation."""
    c, d = t.chunk.c, t.document.c
    mine = and_(c.generation_id == generation_id, c.live)
    foreign = or_(d.version_id.is_(None), d.version_id != c.version_id)
    elsewhere = select(c.document_id).join(t.document, d.id == c.document_id).where(mine, foreign).distinct()
    gaps = select(c.document_id).where(mine).group_by(c.document_id).having(func.count() != func.max(c.ordinal) + 1)
    return sorted({*session.execute(elsewhere).scalars(), *session.execute(gaps).scalars()})


def sample(session: Session, generation_id: int, limit: int) -> list[tuple[Owed, list[str]]]:
    """Some documents that are done, spread over all of them, each with its live chunks in order."""
    b, c = t.build.c, t.chunk.c
    done = and_(b.generation_id == generation_id, b.state == "done", t.document.c.version_id.is_not(None))
    ids = select(c.id).where(c.generation_id == generation_id, c.live).order_by(c.ordinal)
    # The ids are hashes: the first of them are a sample of all.
    return [
        (one, list(session.execute(ids.where(c.document_id == one.document_id)).scalars()))
        for one in _owed(session, done, limit)
    ]


def is_done(session: Session, generation_id: int, document_id: str, version_id: int) -> bool:
    """Whether a generation has this version of a document, and it is the live one."""
    b, d = t.build.c, t.document.c
    mine = and_(b.generation_id == generation_id, b.state == "done", d.id == document_id, d.version_id == version_id)
    rows = select(d.id).join(t.build, b.document_id == d.id)
    return session.execute(rows.where(mine)).first() is not None


def _for_live_documents(session: Session, generation_id: int, state: str, *conditions: ColumnElement[bool]) -> None:
    d = t.document.c
    fixed = {"generation_id": generation_id, "state": state} | _CLEAN
    rows = select(d.id, *(literal(value) for value in fixed.values())).where(d.version_id.is_not(None), *conditions)
    session.execute(insert(t.build).from_select(["document_id", *fixed], rows))
