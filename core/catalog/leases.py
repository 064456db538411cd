"""Who works on a run: a token, and a counter that grows while its holder lives.

Nobody's clock decides. Whoever finds that a counter has stood still for long enough by its own monotonic clock may
free the run; the token fences every later write of a holder that was only slow.
"""

from sqlalchemy import and_, select, update

from core import tables as t
from core.catalog import letters, runs
from core.catalog.sequence import count_up
from core.database import Session
from core.words import Instant

OPEN = ("queued", "planning", "running")
Beat = tuple[str, int]
"""A holder's token and where its counter stands."""


def holders(session: Session) -> dict[str, Beat]:
    """Every run that somebody holds, with its holder's token and counter."""
    r = t.run.c
    held = select(r.id, r.lease_token, r.beat).where(r.state.in_(OPEN), r.lease_token != "")
    return {row[0]: (row[1], row[2]) for row in session.execute(held)}


def holder_of_source(session: Session, name: str) -> tuple[str, Beat] | None:
    """The run of this source that somebody holds, with the holder's token and counter."""
    r = t.run.c
    held = select(r.id, r.lease_token, r.beat).join(t.source, t.source.c.id == r.source_id)
    row = session.execute(held.where(t.source.c.name == name, r.state.in_(OPEN), r.lease_token != "")).first()
    return None if row is None else (row[0], (row[1], row[2]))


def beat(session: Session, run_id: str, token: str) -> bool:
    """Say that the holder lives; False when the run is no longer its own."""
    mine = and_(t.run.c.id == run_id, t.run.c.lease_token == token, t.run.c.state.in_(OPEN))
    return session.execute(update(t.run).where(mine).values(beat=t.run.c.beat + 1)).rowcount == 1


def prove_writable(session: Session) -> None:
    """Write something: whoever cannot write may not conclude anything from what others did not write."""
    count_up(session, "rescuer")


def is_held(session: Session, run_id: str, token: str) -> bool:
    """The fence: whether what was found out under this token may be written. The row stays locked."""
    mine = and_(t.run.c.id == run_id, t.run.c.lease_token == token, t.run.c.state.in_(OPEN))
    return session.execute(select(t.run.c.id).where(mine).with_for_update(key_share=True)).first() is not None


def rescue(session: Session, run_id: str, seen: Beat, *, max_attempts: int, now: Instant) -> bool:
    """Free a run whose holder's counter still stands where it was seen; False if it moved or somebody was faster.

    What its holder had in hand waits again, its attempt counted; what has used up its attempts is given up.
    """
    token, counter = seen
    r = t.run.c
    still = and_(r.id == run_id, r.lease_token == token, r.beat == counter, r.state.in_(OPEN))
    if not session.execute(update(t.run).where(still).values(lease_token="")).rowcount:
        return False
    session.execute(update(t.run).where(r.id == run_id, r.state == "planning").values(state="queued"))
    spent = runs.free_work(session, run_id, max_attempts=max_attempts)
    letters.add_documents(session, spent, now)
    return True
