"""Generations: which one readers see, and the steps of the others towards that and away from it.

A generation is standing until it has failed, was cancelled or is deleted. Every commit of a document reaches all
standing generations: in one it is written, in the others its old chunks end and its new state is owed.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, insert, literal, select, update

from core import tables as t
from core.catalog import builds, clearing
from core.catalog.feeds import live_generation
from core.catalog.sequence import lock
from core.catalog.upsert import insert_missing, upsert
from core.clock import database_now
from core.database import Session
from core.errors import ThreadwiseError
from core.words import MICROS, Instant, Space

State = Literal["building", "ready", "active", "retired", "failed", "cancelled", "deleted"]
UNSEEN: tuple[State, ...] = ("building", "ready")
LITTER: tuple[State, ...] = ("retired", "failed", "cancelled")

Beat = tuple[str, int]
"""A holder's token and where its counter stands."""


class GenerationMismatchError(ThreadwiseError):
    """This program or its models cut or embed documents in another way than the generation that readers see."""

    code = "generation_mismatch"


class GenerationNotFoundError(ThreadwiseError):
    """There is no generation of this number, or none to go back to."""

    code = "generation_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generation. `recipe` is the JSON of what its documents are cut and embedded with, empty for an old one."""

    id: int
    state: State
    pipeline: str
    space_id: str
    recipe: str
    created_at: Instant
    settled_at: Instant | None
    error: str


def live_id(session: Session) -> int | None:
    """The generation that readers see, or None before the first ingestion."""
    return session.execute(select(t.live_generation.c.generation_id)).scalar_one_or_none()


def generation_for(session: Session, *, pipeline: str, space: Space, now: Instant, recipe: str = "") -> int:
    """The live generation, made by the first ingestion; raises `GenerationMismatchError` for what it is not made by."""
    live = live_generation(session)
    if live is None:
        # Two first runs at once: whoever comes second finds what the first has made.
        lock(session)
        live = live_generation(session)
    if live is None:
        number = _insert(session, pipeline=pipeline, space=space, recipe=recipe, state="active", now=now)
        upsert(session, t.live_generation, [{"id": 1, "generation_id": number}])
        return number
    g = t.generation.c
    stored, known = session.execute(select(g.pipeline, g.recipe).where(g.id == live[0])).one()
    if (stored, live[1]) != (pipeline, space.id):
        what = "embedding model" if live[1] != space.id else "chunking"
        raise GenerationMismatchError(
            f"This catalogue was built with another {what} than the one at hand.",
            hint="Run: threadwise generations build, then: threadwise generations activate. Or restore what changed.",
        )
    if recipe and not known:
        session.execute(update(t.generation).where(g.id == live[0]).values(recipe=recipe))
    return live[0]


def start(session: Session, *, pipeline: str, space: Space, recipe: str, now: Instant) -> int:
    """Begin a generation to which every live document is owed; commits from now on add to what is owed."""
    lock(session)
    number = _insert(session, pipeline=pipeline, space=space, recipe=recipe, state="building", now=now)
    builds.owe_everything(session, number)
    return number


def find(session: Session, number: int) -> Generation:
    """The generation of this number. Raises `GenerationNotFoundError`."""
    found = listed(session, t.generation.c.id == number)
    if not found:
        raise GenerationNotFoundError(f"There is no generation {number}.", hint="Run: threadwise generations list")
    return found[0]


def listed(session: Session, *conditions: ColumnElement[bool]) -> list[Generation]:
    """Generations in the order in which they were begun."""
    columns = [t.generation.c[name] for name in Generation.__slots__]
    rows = session.execute(select(*columns).where(*conditions).order_by(t.generation.c.id))
    return [Generation(**dict(zip(Generation.__slots__, row, strict=True))) for row in rows]


def unseen(session: Session) -> Generation | None:
    """The newest generation that is being built or waits to be activated, or None."""
    found = listed(session, t.generation.c.state.in_(UNSEEN))
    return found[-1] if found else None


def newest_retired(session: Session) -> Generation | None:
    """The generation that readers saw before the present one, or None."""
    found = listed(session, t.generation.c.state == "retired")
    return max(found, key=lambda one: (one.settled_at or 0, one.id), default=None)


def of_space(session: Session, space_id: str) -> list[Generation]:
    """Every generation whose vectors are of this space, the newest first."""
    return listed(session, t.generation.c.space_id == space_id)[::-1]


def settle(session: Session, number: int, *, before: Sequence[State], after: State, error: str = "") -> bool:
    """Take a step from one of the states `before`; False when it stands elsewhere. `error` says why."""
    mine = and_(t.generation.c.id == number, t.generation.c.state.in_(before))
    values = {"state": after, "settled_at": database_now(session), "error": error}
    return session.execute(update(t.generation).where(mine).values(values)).rowcount == 1


def explain(session: Session, number: int, error: str) -> None:
    """Keep why a generation may not be activated, or that nothing stands in its way (empty)."""
    session.execute(update(t.generation).where(t.generation.c.id == number).values(error=error))


def swap(session: Session, number: int) -> bool:
    """Let readers see this generation from the commit on; the one they saw is retired. False if it may not be taken.

    The caller holds the lock of `sequence.lock` and has checked that nothing is owed to the generation.
    """
    before = live_id(session)
    if before == number or not settle(session, number, before=("ready", "retired"), after="active"):
        return False
    if before is not None:
        settle(session, before, before=("active",), after="retired")
        builds.close_accounts(session, before)
    upsert(session, t.live_generation, [{"id": 1, "generation_id": number}])
    return True


def collectable(session: Session, *, grace_seconds: float, also_newest: bool) -> list[Generation]:
    """Generations nobody can need: retired, failed and cancelled ones so long ago; deleted ones that left rows.

    The newest retired one stays for a rollback unless `also_newest`.
    """
    g = t.generation.c
    long_ago = g.settled_at <= database_now(session) - literal(int(grace_seconds * MICROS))
    kept = None if also_newest else newest_retired(session)
    ended = listed(session, g.state.in_(LITTER), long_ago)
    half_gone = [one for one in listed(session, g.state == "deleted") if clearing.has_rows(session, one.id)]
    return half_gone + [one for one in ended if kept is None or one.id != kept.id]


def holder(session: Session, number: int) -> Beat:
    """Who works on a generation: a token, empty when nobody does, and a counter that grows while its holder lives."""
    g = t.generation.c
    token, beat = session.execute(select(g.lease_token, g.beat).where(g.id == number)).one()
    return token, beat


def hold(session: Session, number: int, token: str, seen: Beat) -> bool:
    """Take a generation that nobody holds, or whose holder has stood still as `seen`; False if somebody was faster."""
    g = t.generation.c
    still = and_(g.id == number, g.lease_token == seen[0], g.beat == seen[1], g.state.in_(builds.STANDING))
    values = {"lease_token": token, "beat": g.beat + 1}
    return session.execute(update(t.generation).where(still).values(values)).rowcount == 1


def beat(session: Session, number: int, token: str) -> bool:
    """Say that the holder lives; False when the generation is no longer its own."""
    values = {"beat": t.generation.c.beat + 1}
    return session.execute(update(t.generation).where(_held(number, token)).values(values)).rowcount == 1


def is_held(session: Session, number: int, token: str) -> bool:
    """The fence: whether what was made under this token may be written."""
    return session.execute(select(t.generation.c.id).where(_held(number, token))).first() is not None


def let_go(session: Session, number: int, token: str) -> None:
    """Nobody holds the generation any more."""
    session.execute(update(t.generation).where(_held(number, token)).values(lease_token=""))


def _held(number: int, token: str) -> ColumnElement[bool]:
    g = t.generation.c
    return and_(g.id == number, g.lease_token == token, g.state.in_(builds.STANDING))


def _insert(session: Session, *, pipeline: str, space: Space, recipe: str, state: State, now: Instant) -> int:
    insert_missing(session, t.space, [{"id": space.id, "description": json.dumps(asdict(space), sort_keys=True)}])
    row: dict[str, Any] = {"pipeline": pipeline, "space_id": space.id, "recipe": recipe, "created_at": now}
    row |= {"state": state, "settled_at": database_now(session)}
    return int(session.execute(insert(t.generation).values(row).returning(t.generation.c.id)).scalar_one())
