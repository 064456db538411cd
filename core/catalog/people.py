"""What the catalogue keeps about a person beside what they said: memberships, questions, opinions, what waits for them.

Whoever is meant is known by the key of their tombstone alone (`core.catalog.tombstones.person_key`).
"""

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, delete, select, update

from core import tables as t
from core.catalog.purging import Removed, present_blob, remove_answers
from core.catalog.tombstones import batches, person_key
from core.database import Session

Found = dict[str, set[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class LiveForm:
    """The state in which readers see a document, and the run that brought it."""

    run_id: str
    blob_sha: str


def live_form(session: Session, document_id: str) -> LiveForm | None:
    """The present state of a document, None where it has none."""
    d, v = t.document.c, t.version.c
    rows = select(v.run_id, present_blob()).join(t.version, v.id == d.version_id).where(d.id == document_id)
    row = session.execute(rows).first()
    return LiveForm(*row) if row else None


def rows_of(session: Session, key: str) -> Found:
    """By store, the keys of every row about this person."""
    a, f, m = t.answer.c, t.feedback.c, t.membership.c
    answers = session.execute(select(a.key_id, a.id))
    opinions = session.execute(select(f.key_id, f.answer_id))
    held = session.execute(select(m.principal, m.holds))
    return {
        "answers": {(number,) for who, number in answers if person_key(who) == key},
        "feedback": {(number, who) for who, number in opinions if person_key(who) == key},
        "memberships": {(who, what) for who, what in held if person_key(who) == key},
        "inbox": {(number,) for number in _entries(session, key)},
        "plans": {(number,) for number, plan in _plans(session) if _without(plan, key) != plan},
    }


def is_known(session: Session, key: str) -> bool:
    """Whether any row is about this person."""
    return any(rows_of(session, key).values())


def remove_person(session: Session, key: str) -> Removed:
    """Take away every row about this person; of memberships the ids that stay are of what was held."""
    found = rows_of(session, key)
    f, m = t.feedback.c, t.membership.c
    removed = remove_answers(session, {number for (number,) in found["answers"]})
    for number, who in found["feedback"]:
        session.execute(delete(t.feedback).where(and_(f.answer_id == number, f.key_id == who)))
    for who, what in found["memberships"]:
        session.execute(delete(t.membership).where(and_(m.principal == who, m.holds == what)))
    entries = {number for (number,) in found["inbox"]}
    for some in batches(entries):
        session.execute(delete(t.inbox).where(t.inbox.c.id.in_(some)))
    plans = {number for (number,) in found["plans"]}
    for number, plan in _plans(session, plans):
        session.execute(update(t.run).where(t.run.c.id == number).values(plan=_without(plan, key)))
    removed["feedback"] |= {number for number, _ in found["feedback"]}
    held = {what for who, what in found["memberships"] if what != who}
    return removed | {"memberships": held, "inbox": entries, "plans": plans}


def left_of_person(session: Session, key: str) -> dict[str, int]:
    """By store, how many rows are about this person."""
    return {store: len(rows) for store, rows in rows_of(session, key).items()}


def _entries(session: Session, key: str) -> list[str]:
    rows = session.execute(select(t.inbox.c.id, t.inbox.c.payload))
    return [number for number, payload in rows if person_key(_sender(payload)) == key]


def _plans(session: Session, only: Collection[str] | None = None) -> list[tuple[str, str]]:
    """(run, plan) of these runs, of all where none are named."""
    r = t.run.c
    rows = session.execute(select(r.id, r.plan).where(r.plan != "").order_by(r.id))
    return [(number, plan) for number, plan in rows if only is None or number in only]


def _without(plan: str, key: str) -> str:
    """The plan as it would be if nobody had told what this person holds."""
    said = json.loads(plan)
    held = said["resolution"]["memberships"]
    left = [pair for pair in held if person_key(pair[0]) != key]
    if left == held:
        return plan
    said["resolution"]["memberships"] = left
    return json.dumps(said, sort_keys=True)


def _sender(payload: str) -> str:
    said = json.loads(payload)
    return f"{said.get('team', '')}/{said.get('user', '')}" if isinstance(said, dict) else ""
