"""Runs, their work items and their ledger. A work item is done once, whoever tries it and however often."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import and_, bindparam, func, insert, literal, select, update

from core import tables as t
from core.clock import database_now
from core.database import Session
from core.errors import LostClaimError
from core.words import ChangeKind, Instant

MICROS = 1_000_000
Settled = Literal["committed", "quarantined", "pending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One document's work, claimed. `attempt` counts this try; `token` fences every write made for it."""

    id: int
    external_id: str
    change: ChangeKind
    blob_sha: str
    attempt: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a work item: how many chunks it has and how many had to be embedded, or why it failed."""

    state: Settled
    chunks: int = 0
    embedded: int = 0
    error_code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Counts of one run, from its rows."""

    states: Mapping[str, int]
    changes: Mapping[str, int]  # committed ones, by kind of change
    chunks: int
    embedded: int
    unchanged: int
    refused: int
    state: str

    @property
    def total(self) -> int:
        """Documents that need work."""
        return sum(self.states.values())

    @property
    def settled(self) -> int:
        """Documents that are committed or quarantined."""
        return self.states.get("committed", 0) + self.states.get("quarantined", 0)


def supersede_unfinished(session: Session, source_id: int, now: Instant, *, but: str = "") -> None:
    """Close what an earlier, killed or overtaken run of this source left open: its claims can no longer commit."""
    r = t.run.c
    overtaken = and_(r.source_id == source_id, r.state.in_(("planning", "running")), r.id != but)
    open_items = and_(t.work.c.run_id.in_(select(r.id).where(overtaken)), t.work.c.state.in_(("pending", "running")))
    session.execute(update(t.work).where(open_items).values(state="superseded"))
    session.execute(update(t.run).where(overtaken).values(state="superseded", finished_at=now))


def create_run(
    session: Session, *, run_id: str, source_id: int, fingerprint: str, unchanged: int, now: Instant
) -> None:
    """Record a planned run that waits in no queue; work, ledger and quarantine rows follow in the same transaction."""
    row = {"id": run_id, "source_id": source_id, "state": "running", "started_at": now}
    session.execute(insert(t.run).values(row | {"fingerprint": fingerprint, "unchanged": unchanged}))


def plan_run(session: Session, run_id: str, *, fingerprint: str, unchanged: int, now: Instant) -> None:
    """The same for a run that was queued and is claimed; the caller has checked that the claim holds."""
    values = {"state": "running", "fingerprint": fingerprint, "unchanged": unchanged, "started_at": now}
    session.execute(update(t.run).where(t.run.c.id == run_id).values(values))


def add_work(session: Session, run_id: str, items: Sequence[tuple[str, ChangeKind, str]]) -> None:
    """One pending work item per (external id, kind of change, blob hash)."""
    rest = {"run_id": run_id, "state": "pending", "attempt": 0, "lease_token": "", "lease_until": 0}
    rest |= {"chunks": 0, "embedded": 0, "error_code": "", "error": ""}
    rows = [{"external_id": who, "change": change, "blob_sha": blob} | rest for who, change, blob in items]
    if rows:
        session.execute(insert(t.work), rows)


def add_ledger(session: Session, run_id: str, counts: Mapping[tuple[str, str, str, str], int]) -> None:
    """Ledger lines: (document's external id or empty, channel, bucket, reason) → number of items."""
    rows = [
        {
            "run_id": run_id,
            "external_id": who,
            "channel": channel,
            "bucket": bucket,
            "reason": reason,
            "item_count": items,
        }
        for (who, channel, bucket, reason), items in sorted(counts.items())
    ]
    if rows:
        session.execute(insert(t.ledger), rows)


def add_quarantine(session: Session, run_id: str, rows: Sequence[tuple[str, str, str]], now: Instant) -> None:
    """What was refused before it became a document: (place, code, reason)."""
    values = [
        {"run_id": run_id, "place": place, "code": code, "reason": reason, "recorded_at": now}
        for place, code, reason in rows
    ]
    if values:
        session.execute(insert(t.quarantine), values)


def claim(
    session: Session, run_id: str, *, token: str, limit: int, lease_seconds: float, max_attempts: int
) -> list[WorkItem]:
    """Take up to `limit` items: pending ones, or when there are none those whose lease ran out.

    The attempt is counted now, so that a crash while working counts too; items whose attempts are used up by
    crashes are quarantined instead of taken.
    """
    # What was being worked on when its worker died may have killed it: one at a time, so that few share its fate.
    numbers = _pending(session, run_id, limit) or _abandoned(session, run_id, 1, max_attempts)
    if not numbers:
        return []
    c = t.work.c
    lease = {"state": "running", "attempt": c.attempt + 1, "lease_token": token}
    until = database_now(session) + literal(int(lease_seconds * MICROS))
    session.execute(update(t.work).where(c.id.in_(numbers)).values(lease | {"lease_until": until}))
    taken = select(c.id, c.external_id, c.change, c.blob_sha, c.attempt).where(c.id.in_(numbers)).order_by(c.id)
    return [
        WorkItem(id=row[0], external_id=row[1], change=row[2], blob_sha=row[3], attempt=row[4], token=token)
        for row in session.execute(taken)
    ]


def _pending(session: Session, run_id: str, limit: int) -> list[int]:
    c = t.work.c
    free = select(c.id).where(c.run_id == run_id, c.state == "pending").order_by(c.id).limit(limit)
    return [row[0] for row in session.execute(free.with_for_update(skip_locked=True))]


def _abandoned(session: Session, run_id: str, limit: int, max_attempts: int) -> list[int]:
    c = t.work.c
    expired = and_(c.run_id == run_id, c.state == "running", c.lease_until < database_now(session))
    spent = {"state": "quarantined", "error_code": "worker_lost", "error": "Its worker died at every attempt."}
    session.execute(update(t.work).where(expired, c.attempt >= max_attempts).values(spent))
    free = select(c.id).where(expired).order_by(c.attempt, c.id).limit(limit)
    return [row[0] for row in session.execute(free.with_for_update(skip_locked=True))]


def renew(session: Session, token: str, lease_seconds: float) -> int:
    """Push back the lease of everything this token holds; returns how many items that is."""
    until = database_now(session) + literal(int(lease_seconds * MICROS))
    mine = and_(t.work.c.lease_token == token, t.work.c.state == "running")
    return session.execute(update(t.work).where(mine).values(lease_until=until)).rowcount


def release(session: Session, token: str) -> int:
    """Give back what this token holds unsettled, its attempt refunded: whoever stops on purpose did not fail."""
    c = t.work.c
    mine = update(t.work).where(c.lease_token == token, c.state == "running")
    return session.execute(mine.values(state="pending", attempt=c.attempt - 1, lease_token="", lease_until=0)).rowcount


def still_held(session: Session, items: Sequence[WorkItem]) -> set[int]:
    """Of these claims, the ids of those that still hold; they stay locked until the transaction ends.

    This is the fence: what was computed under a claim that is not among them must not be written.
    """
    c = t.work.c
    rows = session.execute(
        select(c.id, c.attempt, c.lease_token)
        .where(c.id.in_([item.id for item in items]), c.state == "running")
        .with_for_update()
    )
    held = {(row.id, row.attempt, row.lease_token) for row in rows}
    return {item.id for item in items if (item.id, item.attempt, item.token) in held}


def settle(session: Session, outcomes: Sequence[tuple[WorkItem, Outcome]]) -> None:
    """Write what became of claims that `still_held` has found to hold."""
    names = ("state", "chunks", "embedded", "error_code", "error")
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    rows = [{"item_id": item.id} | asdict(outcome) for item, outcome in outcomes]
    if rows:
        session.execute(update(t.work).where(t.work.c.id == bindparam("item_id")).values(values), rows)


def progress(session: Session, run_id: str) -> Progress:
    """Where a run stands, counted from its rows: there is no counter that could drift."""
    c = t.work.c
    run_state, unchanged = session.execute(select(t.run.c.state, t.run.c.unchanged).where(t.run.c.id == run_id)).one()
    states: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    chunks = embedded = 0
    grouped = select(c.state, c.change, func.count(), func.sum(c.chunks), func.sum(c.embedded))
    for state, change, count, some, new in session.execute(
        grouped.where(c.run_id == run_id).group_by(c.state, c.change)
    ):
        states[state] += count
        if state == "committed":
            changes[change] += count
        chunks += some
        embedded += new
    refused = select(func.count()).select_from(t.quarantine).where(t.quarantine.c.run_id == run_id)
    return Progress(
        states=states,
        changes=changes,
        chunks=int(chunks),
        embedded=int(embedded),
        unchanged=unchanged,
        refused=session.execute(refused).scalar_one(),
        state=run_state,
    )


def finish(session: Session, run_id: str, now: Instant) -> str:
    """Close a run whose items are all settled; the ledger lines of quarantined documents become `failed`."""
    count_as_failed(session, run_id, "quarantined")
    counts = progress(session, run_id)
    failed = select(t.ledger.c.id).where(t.ledger.c.run_id == run_id, t.ledger.c.bucket == "failed").limit(1)
    clean = counts.refused == 0 and session.execute(failed).first() is None
    state = "succeeded" if clean else "succeeded_with_quarantine"
    mine = and_(t.run.c.id == run_id, t.run.c.state == "running")
    if session.execute(update(t.run).where(mine).values(state=state, finished_at=now)).rowcount != 1:
        raise LostClaimError(f"Run {run_id} was superseded by a newer one of the same source.")
    return state


def count_as_failed(session: Session, run_id: str, state: str) -> None:
    """The ledger lines of documents whose work ended in this state become `failed`, with the state as the reason."""
    failed = select(t.work.c.external_id).where(t.work.c.run_id == run_id, t.work.c.state == state)
    lines = and_(t.ledger.c.run_id == run_id, t.ledger.c.external_id.in_(failed))
    session.execute(update(t.ledger).where(lines).values(bucket="failed", reason=state))


def ledger_buckets(session: Session, run_id: str) -> dict[str, int]:
    """Items per bucket; they add up to the run's total."""
    c = t.ledger.c
    rows = session.execute(select(c.bucket, func.sum(c.item_count)).where(c.run_id == run_id).group_by(c.bucket))
    return {bucket: int(items) for bucket, items in rows}


def repeat_last_run(session: Session, source_id: int, *, run_id: str, now: Instant, queued: bool = False) -> int | None:
    """Record a run that found its source exactly as the last good run left it, ledger included.

    Returns the number of its documents, or None when there is no such run. Writes nothing but these rows; a run
    that was queued has its row already.
    """
    r, d, old = t.run.c, t.document.c, t.ledger.c
    good = select(r.id, r.fingerprint).where(r.source_id == source_id, r.state == "succeeded", r.fingerprint != "")
    last = session.execute(good.order_by(r.finished_at.desc()).limit(1)).first()
    if last is None:
        return None
    live = select(func.count()).where(d.source_id == source_id, d.version_id.is_not(None))
    unchanged = int(session.execute(live).scalar_one())
    row = {"state": "succeeded", "fingerprint": last[1], "unchanged": unchanged, "finished_at": now}
    if queued:
        session.execute(update(t.run).where(r.id == run_id).values(row | {"lease_until": 0, "lease_token": ""}))
    else:
        session.execute(insert(t.run).values(row | {"id": run_id, "source_id": source_id, "started_at": now}))
    lines = select(literal(run_id), literal(""), old.channel, old.bucket, old.reason, func.sum(old.item_count))
    grouped = lines.where(old.run_id == last[0]).group_by(old.channel, old.bucket, old.reason)
    names = ["run_id", "external_id", "channel", "bucket", "reason", "item_count"]
    session.execute(insert(t.ledger).from_select(names, grouped))
    return unchanged


def quarantined(session: Session, run_id: str) -> list[tuple[str, str, str]]:
    """(place, code, reason) of everything the run could not take."""
    c = t.work.c
    items = select(c.external_id, c.error_code, c.error).where(c.run_id == run_id, c.state == "quarantined")
    q = t.quarantine.c
    refused = select(q.place, q.code, q.reason).where(q.run_id == run_id)
    rows = [tuple(row) for part in (refused, items) for row in session.execute(part)]
    w = t.ledger.c
    counted = select(w.channel, w.reason, func.sum(w.item_count)).where(w.run_id == run_id, w.bucket == "failed")
    lines = counted.where(w.external_id == "").group_by(w.channel, w.reason).order_by(w.channel, w.reason)
    # A line that stands for a refused file is told with the file.
    known = {code for _, code, _ in rows}
    told = [(place, code, f"{count} could not be read.") for place, code, count in session.execute(lines)]
    return rows + [row for row in told if row[1] not in known]
