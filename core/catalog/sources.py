"""Sources: where documents come from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, not_, or_, select, update

from core import tables as t
from core.catalog.upsert import insert_missing
from core.database import Session
from core.errors import ThreadwiseError
from core.words import Instant


class WorkspaceTakenError(ThreadwiseError):
    """A workspace is one source; a newer export of it belongs to that source."""

    code = "workspace_taken"


class SourceKindError(ThreadwiseError):
    """A source of that name exists and is of another kind."""

    code = "source_kind"


def source_id(session: Session, *, name: str, kind: str, now: Instant) -> int:
    """The id of the named source, made if it is new. Raises `SourceKindError`."""
    row = {"name": name, "kind": kind, "workspace": "", "fingerprint": "", "created_at": now}
    row |= {"location": "", "audience": "", "options": ""}
    insert_missing(session, t.source, [row])
    number, stored = session.execute(select(t.source.c.id, t.source.c.kind).where(t.source.c.name == name)).one()
    if stored != kind:
        named = update(t.source).where(t.source.c.id == number, not_(was_read()))
        if session.execute(named.values(kind=kind)).rowcount == 0:
            require_kind(name, stored, kind)
    return int(number)


def was_read() -> ColumnElement[bool]:
    """Of a row in `source`: whether anything of it was read or may be. Where every run was in vain it is none yet."""
    s, r = t.source.c, t.run.alias().c
    in_vain = r.state.in_(("failed", "cancelled", "superseded"))
    mine = exists().where(r.source_id == s.id)
    return or_(s.location != "", not_(mine), mine.where(not_(in_vain)))


def require_kind(name: str, stored: str, kind: str) -> None:
    """Raise `SourceKindError` unless what was read just now is of the kind that the source has always been."""
    if stored != kind:
        raise SourceKindError(
            f"The source {name!r} is of kind {stored}, not {kind}.", hint="Choose another name with --source."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSource:
    """A source as the catalogue has it. `fingerprint` is of what was last ingested whole, or empty."""

    id: int
    kind: str
    fingerprint: str
    location: str
    audience: tuple[str, ...] | None  # principals that replace what the source says
    options: dict[str, Any]  # how it is read, where that is not as usual


def known_source(session: Session, name: str) -> KnownSource | None:
    """The source of that name, or None."""
    c = t.source.c
    columns = (c.id, c.kind, c.fingerprint, c.location, c.audience, c.options)
    row = session.execute(select(*columns).where(c.name == name)).first()
    if row is None:
        return None
    number, kind, fingerprint, location, audience, options = row
    return KnownSource(
        id=number,
        kind=kind,
        fingerprint=fingerprint,
        location=location,
        audience=tuple(json.loads(audience)) if audience else None,
        options=json.loads(options) if options else {},
    )


def claim_workspaces(session: Session, number: int, workspace: str, principals: Sequence[str]) -> None:
    """Remember which workspace a source is of, and all whose people and conversations its principals are.

    Raises `WorkspaceTakenError` when another source has one: revoked rights would live on in the older one.
    """
    w, s = t.workspace.c, t.source.c
    taken = select(w.principal, s.name).join(t.source, s.id == w.source_id)
    row = session.execute(taken.where(w.principal.in_(principals), w.source_id != number).order_by(w.principal)).first()
    if row is not None:
        raise WorkspaceTakenError(
            f"The workspace {row[0]} is already the source {row[1]!r}.", hint=f"Ingest it with --source {row[1]}."
        )
    session.execute(delete(t.workspace).where(w.source_id == number, w.principal.not_in(principals)))
    insert_missing(session, t.workspace, [{"principal": name, "source_id": number} for name in principals])
    session.execute(update(t.source).where(s.id == number).values(workspace=workspace))


def remember_options(
    session: Session,
    number: int,
    *,
    location: str,
    audience: tuple[str, ...] | None,
    options: Mapping[str, Any],
) -> None:
    """Keep for the next run where a source was read from, whose audience replaces its own, and how it is read."""
    stored = {
        "location": location,
        "audience": "" if audience is None else json.dumps(audience),
        "options": json.dumps(options, sort_keys=True) if options else "",
    }
    session.execute(update(t.source).where(t.source.c.id == number).values(stored))


def locations(session: Session) -> list[str]:
    """Where every source was read from last."""
    return list(session.execute(select(t.source.c.location).where(t.source.c.location != "")).scalars())


def set_schedule(session: Session, name: str, every_minutes: int) -> bool:
    """How often the source is read again, 0 = only when asked; False if there is none of that name."""
    named = update(t.source).where(t.source.c.name == name)
    return session.execute(named.values(every_minutes=every_minutes)).rowcount == 1


def set_fingerprint(session: Session, number: int, fingerprint: str) -> None:
    """Remember that exactly this content is ingested whole (empty: that something is missing)."""
    session.execute(update(t.source).where(t.source.c.id == number).values(fingerprint=fingerprint))
