"""Runs, their work items and their ledger. A work item is done once, whoever tries it and however often."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, literal, select, update

from core import tables as t
from core.catalog import letters
from core.catalog.letters import Failed
from core.database import Session
from core.errors import LostClaimError
from core.words import Bucket, ChangeKind, Instant

Settled = Literal["committed", "quarantined", "pending", "cancelled"]
WORKER_LOST = "worker_lost"
UNFINISHED = ("planning", "planned", "running")


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
    stage: str = ""  # where it failed: read, cut, embed, commit
    size: int = 0  # bytes of what could not be taken


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
        """Documents that will not be worked on again."""
        return self.total - self.states.get("pending", 0) - self.states.get("running", 0)


def lock_unfinished(session: Session, source_id: int) -> None:
    """Whoever commits for a run of this source locks the run first: so does whoever is about to overtake it."""
    r = t.run.c
    unfinished = select(r.id).where(r.source_id == source_id, r.state.in_(UNFINISHED)).order_by(r.id)
    session.execute(unfinished.with_for_update(key_share=True))


def supersede_unfinished(session: Session, source_id: int, now: Instant, *, but: str = "") -> None:
    """Close what an earlier, killed or overtaken run of this source left open: its claims can no longer commit.

    Plans that nobody has applied are no longer true either.
    """
    lock_unfinished(session, source_id)
    r = t.run.c
    overtaken = and_(r.source_id == source_id, r.state.in_(UNFINISHED), r.id != but)
    open_items = and_(t.work.c.run_id.in_(select(r.id).where(overtaken)), t.work.c.state.in_(("pending", "running")))
    letters.reopen(session, open_items)
    session.execute(update(t.work).where(open_items).values(state="superseded", lease_token=""))
    session.execute(update(t.run).where(overtaken).values(state="superseded", finished_at=now, lease_token=""))


def add_work(session: Session, run_id: str, items: Sequence[tuple[str, ChangeKind, str]]) -> None:
    """One pending work item per (external id, kind of change, blob hash)."""
    rest = {"run_id": run_id, "state": "pending", "attempt": 0, "lease_token": ""}
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


def add_quality(session: Session, run_id: str, counts: Mapping[tuple[str, str], int]) -> None:
    """What was noticed in the documents of a run: (kind, detail) → how often."""
    rows = [
        {"run_id": run_id, "kind": kind, "detail": detail, "count": count}
        for (kind, detail), count in sorted(counts.items())
    ]
    if rows:
        session.execute(insert(t.quality), rows)


def claim(session: Session, run_id: str, *, token: str, limit: int, waiting: Collection[int] = ()) -> list[WorkItem]:
    """Take up to `limit` items that nobody has tried, or when there are none left one that was tried, and that alone.

    The attempt is counted now, so that a crash while working counts too. What was in hand when a worker died may have
    killed it: it is tried again beside nothing else, so that nothing shares its fate. Items that are `waiting` for
    their next try are left out. Raises `LostClaimError` when the run is held under another token.
    """
    # Threads of one worker choose one after the other.
    _hold(session, run_id, token)
    c = t.work.c
    numbers = _choose(session, run_id, limit, waiting)
    if not numbers:
        return []
    values = {"state": "running", "attempt": c.attempt + 1, "lease_token": token}
    session.execute(update(t.work).where(c.id.in_(numbers)).values(values))
    taken = select(c.id, c.external_id, c.change, c.blob_sha, c.attempt).where(c.id.in_(numbers)).order_by(c.id)
    return [
        WorkItem(id=row[0], external_id=row[1], change=row[2], blob_sha=row[3], attempt=row[4], token=token)
        for row in session.execute(taken)
    ]


def _hold(session: Session, run_id: str, token: str) -> None:
    r = t.run.c
    mine = select(r.id).where(r.id == run_id, r.lease_token == token, r.state == "running")
    if session.execute(mine.with_for_update(key_share=True)).first() is None:
        raise LostClaimError(f"Run {run_id} was taken over.", hint="Whoever has it now goes on with it.")


def _choose(session: Session, run_id: str, limit: int, waiting: Collection[int]) -> list[int]:
    c = t.work.c
    tried_before = select(c.id).where(c.run_id == run_id, c.state == "running", c.attempt > 1).limit(1)
    if session.execute(tried_before).first():
        return []
    pending = and_(c.run_id == run_id, c.state == "pending")
    fresh = select(c.id).where(pending, c.attempt == 0).order_by(c.id).limit(limit)
    numbers = [row[0] for row in session.execute(fresh)]
    if numbers:
        return numbers
    if session.execute(select(c.id).where(c.run_id == run_id, c.state == "running").limit(1)).first():
        return []
    again = select(c.id).where(pending, c.id.not_in(waiting)).order_by(c.attempt, c.id).limit(1)
    return [row[0] for row in session.execute(again)]


def free_work(session: Session, run_id: str, *, max_attempts: int) -> list[Failed]:
    """Let what a lost worker had in hand be tried again; returns what has used up its attempts and is given up."""
    c = t.work.c
    in_hand = and_(c.run_id == run_id, c.state == "running")
    spent = [row[0] for row in session.execute(select(c.id).where(in_hand, c.attempt >= max_attempts))]
    reason = "Its worker died at every attempt."
    given_up = {"state": "quarantined", "error_code": WORKER_LOST, "error": reason, "lease_token": ""}
    session.execute(update(t.work).where(in_hand, c.attempt >= max_attempts).values(given_up))
    session.execute(update(t.work).where(in_hand).values(state="pending", lease_token=""))
    return [Failed(work_id=number, stage="worker", code=WORKER_LOST, reason=reason) for number in spent]


def release(session: Session, token: str, only: Collection[int] | None = None) -> int:
    """Give back what this token holds unsettled, its attempt refunded: whoever stops on purpose did not fail."""
    c = t.work.c
    mine: ColumnElement[bool] = and_(c.lease_token == token, c.state == "running")
    if only is not None:
        mine = and_(mine, c.id.in_(only))
    freed = update(t.work).where(mine).values(state="pending", attempt=c.attempt - 1, lease_token="")
    return session.execute(freed).rowcount


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


def settle(session: Session, outcomes: Sequence[tuple[WorkItem, Outcome]], now: Instant) -> None:
    """Write what became of claims that `still_held` has found to hold; what is given up becomes a dead letter."""
    names = ("state", "chunks", "embedded", "error_code", "error")
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    rows = [{"item_id": item.id} | {name: getattr(outcome, name) for name in names} for item, outcome in outcomes]
    if not rows:
        return
    one = update(t.work).where(t.work.c.id == bindparam("item_id"))
    session.execute(one.values(values | {"lease_token": ""}), rows)
    failed = [
        Failed(work_id=item.id, stage=outcome.stage, code=outcome.error_code, reason=outcome.error, size=outcome.size)
        for item, outcome in outcomes
        if outcome.state == "quarantined"
    ]
    letters.add_documents(session, failed, now)


def progress(session: Session, run_id: str) -> Progress:
    """Where a run stands, counted from its rows: there is no counter that could drift."""
    c = t.work.c
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
    # Read last: work that was superseded or cancelled between two statements must not look like work that is done.
    run_state, unchanged = session.execute(select(t.run.c.state, t.run.c.unchanged).where(t.run.c.id == run_id)).one()
    place = t.dead_letter.c
    refused = select(func.count()).where(place.run_id == run_id, place.kind == "place", place.state != "ignored")
    return Progress(
        states=states,
        changes=changes,
        chunks=int(chunks),
        embedded=int(embedded),
        unchanged=unchanged,
        refused=session.execute(refused).scalar_one(),
        state=run_state,
    )


def finish(session: Session, run_id: str, token: str, now: Instant) -> tuple[str, str]:
    """Close a run whose items are all settled; its state and the fingerprint of what was planned.

    The ledger lines of quarantined documents become `failed`, those of deleted ones `tombstoned`.

    Raises `LostClaimError` when the run is held under another token.
    """
    _hold(session, run_id, token)
    count_as(session, run_id, "quarantined", "failed")
    count_as(session, run_id, "cancelled", "tombstoned")
    counts = progress(session, run_id)
    failed = select(t.ledger.c.id).where(t.ledger.c.run_id == run_id, t.ledger.c.bucket == "failed").limit(1)
    clean = counts.refused == 0 and session.execute(failed).first() is None
    state = "succeeded" if clean else "succeeded_with_quarantine"
    ended = update(t.run).where(t.run.c.id == run_id).values(state=state, finished_at=now, lease_token="")
    return state, session.execute(ended.returning(t.run.c.fingerprint)).scalar_one()


def count_as(session: Session, run_id: str, state: str, bucket: Bucket) -> None:
    """The ledger lines of documents whose work ended in this state go to a bucket, with the state as the reason."""
    ended = select(t.work.c.external_id).where(t.work.c.run_id == run_id, t.work.c.state == state)
    lines = and_(t.ledger.c.run_id == run_id, t.ledger.c.external_id.in_(ended))
    session.execute(update(t.ledger).where(lines).values(bucket=bucket, reason=state))


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
        session.execute(update(t.run).where(r.id == run_id).values(row | {"lease_token": ""}))
    else:
        session.execute(insert(t.run).values(row | {"id": run_id, "source_id": source_id, "started_at": now}))
    lines = select(literal(run_id), literal(""), old.channel, old.bucket, old.reason, func.sum(old.item_count))
    grouped = lines.where(old.run_id == last[0]).group_by(old.channel, old.bucket, old.reason)
    names = ["run_id", "external_id", "channel", "bucket", "reason", "item_count"]
    session.execute(insert(t.ledger).from_select(names, grouped))
    return unchanged


def quarantined(session: Session, run_id: str) -> list[tuple[str, str, str]]:
    """(place, code, reason) of everything the run could not take."""
    told = letters.of_run(session, run_id)
    rows = [(letter.place, letter.code, letter.reason) for letter in reversed(told)]
    w = t.ledger.c
    counted = select(w.channel, w.reason, func.sum(w.item_count)).where(w.run_id == run_id, w.bucket == "failed")
    lines = counted.where(w.external_id == "").group_by(w.channel, w.reason).order_by(w.channel, w.reason)
    # A line that stands for a refused file is told with the file.
    known = {code for _, code, _ in rows}
    further = [(place, code, f"{count} could not be read.") for place, code, count in session.execute(lines)]
    return rows + [row for row in further if row[1] not in known]
