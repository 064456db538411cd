"""Who may read what: audiences are numbered sets of principals, memberships say what a principal holds."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, delete, or_, select, union

from core import tables as t
from core.catalog.upsert import insert_missing
from core.database import Session
from core.words import EVERYONE, digest_of


def audience_id(session: Session, principals: Sequence[str]) -> int:
    """The number of this set of principals, given one if it is new."""
    digest = digest_of(*sorted(set(principals)))
    wanted = select(t.audience.c.id).where(t.audience.c.digest == digest)
    found = session.execute(wanted).scalar_one_or_none()
    if found is not None:
        return int(found)
    insert_missing(session, t.audience, [{"digest": digest}])
    number = int(session.execute(wanted).scalar_one())
    members = [{"principal": principal, "audience_id": number} for principal in sorted(set(principals))]
    insert_missing(session, t.audience_principal, members)
    return number


def replace_memberships(session: Session, source_id: int, pairs: Iterable[tuple[str, str]]) -> int:
    """Make `(principal, holds)` the whole of what this source says; returns how many rows changed."""
    held = t.membership.c
    now = set(pairs)
    before = {
        (row.principal, row.holds)
        for row in session.execute(select(held.principal, held.holds).where(held.source_id == source_id))
    }
    for principal, holds in before - now:
        session.execute(
            delete(t.membership).where(held.source_id == source_id, held.principal == principal, held.holds == holds)
        )
    rows = [{"principal": who, "holds": what, "source_id": source_id} for who, what in sorted(now - before)]
    insert_missing(session, t.membership, rows)
    return len(before ^ now)


def is_known_principal(session: Session, principal: str) -> bool:
    """Whether any audience names it or any membership mentions it."""
    held = t.membership.c
    places = union(
        select(t.audience_principal.c.principal).where(t.audience_principal.c.principal == principal),
        select(held.principal).where(or_(held.principal == principal, held.holds == principal)),
    )
    return principal == EVERYONE or session.execute(places).first() is not None


def own_principals(principals: Iterable[str]) -> list[str]:
    """What a reader holds by itself, `everyone` included: the value of `principals` in `readable_audiences`."""
    return sorted({*principals, EVERYONE})


@cache
def readable_audiences() -> Select[int]:
    """A sub-select: the audiences met by the bound `principals` and by what they hold, `without` excepted.

    Deny by default: whoever is not named holds nothing.
    """
    own: BindParameter[Any] = bindparam("principals", expanding=True)
    lost: BindParameter[Any] = bindparam("without", expanding=True)
    held = select(t.membership.c.holds).where(t.membership.c.principal.in_(own), t.membership.c.holds.not_in(lost))
    who = t.audience_principal.c.principal
    return select(t.audience_principal.c.audience_id).where(or_(who.in_(own), who.in_(held))).distinct()


def audience_ids(session: Session, principals: Iterable[str], without: Iterable[str] = ()) -> tuple[int, ...]:
    """The audiences these principals meet now, in ascending order: one statement, whoever asks.

    `without` names what a membership says they hold and somebody who knows better says they do not.
    """
    rows = session.execute(readable_audiences(), {"principals": own_principals(principals), "without": list(without)})
    return tuple(sorted(row[0] for row in rows))
