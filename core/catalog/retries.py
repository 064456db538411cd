"""Trying dead letters again: from the stored form of their documents, without reading the source."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, exists, func, insert, literal, or_, select, update

from core import tables as t
from core.catalog import letters, plans, queue, runs
from core.catalog.letters import Letter
from core.catalog.queue import ClaimedRun
from core.database import Session
from core.words import Instant

REQUEST: dict[str, Any] = {"letters": True}
"""What the request of such a run says: its work is written already."""


def submit(
    session: Session, again: Sequence[Letter], *, run_id: str, source_id: int, requested_by: str, now: Instant
) -> int:
    """Queue a run for these letters of one source about documents, with its ring; returns how many were still open."""
    in_order = sorted(again, key=lambda letter: letter.id)  # two who choose the same do not wait for one another
    wanted = [letter for letter in in_order if letters.mark(session, [letter.id], "retried", now)]
    if not wanted:
        return 0
    queue.submit(session, run_id=run_id, source_id=source_id, request=REQUEST, requested_by=requested_by, now=now)
    runs.add_work(session, run_id, [(letter.place, _change(letter), letter.blob_sha) for letter in wanted])
    for letter in wanted:
        _repeat_ledger(session, run_id, letter)
    return len(wanted)


def start(session: Session, claimed: ClaimedRun, now: Instant) -> None:
    """Let the run go to work on what nobody has decided about otherwise and no later run has settled since."""
    w, other, run = t.work.c, t.work.alias("later").c, t.run.alias("run_of_later").c
    later = exists().where(
        other.external_id == w.external_id,
        other.run_id == run.id,
        run.source_id == claimed.source_id,
        run.id != claimed.id,
        run.state != "planned",  # perhaps nobody ever applies it
        run.queued_at >= select(t.run.c.queued_at).where(t.run.c.id == claimed.id).scalar_subquery(),
        other.state.in_(("pending", "running", "committed")),
    )
    letter = t.dead_letter.c
    same = and_(letter.place == w.external_id, letter.blob_sha == w.blob_sha)
    wanted = exists().where(letter.source_id == claimed.source_id, letter.state.in_(("open", "retried")), same)
    mine = and_(w.run_id == claimed.id, w.state == "pending", or_(later, ~wanted))
    session.execute(update(t.work).where(mine).values(state="superseded"))
    plans.start(session, claimed.id, fingerprint="", unchanged=0, now=now)


def _change(letter: Letter) -> Any:  # noqa: ANN401 - as it was stored
    return letter.change


def _repeat_ledger(session: Session, run_id: str, letter: Letter) -> None:
    old = t.ledger.c
    lines = select(literal(run_id), old.external_id, old.channel, literal("indexed"), literal("retried"))
    mine = lines.add_columns(func.sum(old.item_count)).where(
        old.run_id == letter.run_id, old.external_id == letter.place
    )
    names = ["run_id", "external_id", "channel", "bucket", "reason", "item_count"]
    session.execute(insert(t.ledger).from_select(names, mine.group_by(old.external_id, old.channel)))
