"""Sources: where documents come from."""

import json
from dataclasses import dataclass

from sqlalchemy import select, update

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
    """The id of the named source, made if it is new."""
    row = {"name": name, "kind": kind, "workspace": "", "fingerprint": "", "created_at": now}
    row |= {"location": "", "audience": ""}
    insert_missing(session, t.source, [row])
    number, stored = session.execute(select(t.source.c.id, t.source.c.kind).where(t.source.c.name == name)).one()
    require_kind(name, stored, kind)
    return int(number)


def require_kind(name: str, stored: str, kind: str) -> None:
    """Raise `SourceKindError` unless what was read just now is of the kind that the source has always been."""
    if stored != kind:
        raise SourceKindError(
            f"The source {name!r} is of kind {stored}, not {kind}.", hint="Choose another name with --source."
        )


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A source as the catalogue has it. `fingerprint` is of what was last ingested whole, or empty."""

    id: int
    kind: str
    fingerprint: str
    location: str
    audience: tuple[str, ...] | None  # principals that replace what the source says


def known_source(session: Session, name: str) -> KnownSource | None:
    """The source of that name, or None."""
    c = t.source.c
    columns = (c.id, c.kind, c.fingerprint, c.location, c.audience)
    row = session.execute(select(*columns).where(c.name == name)).first()
    if row is None:
        return None
    number, kind, fingerprint, location, audience = row
    return KnownSource(number, kind, fingerprint, location, tuple(json.loads(audience)) if audience else None)


def claim_workspace(session: Session, number: int, workspace: str) -> None:
    """Remember which workspace a source's principals belong to.

    Raises `WorkspaceTakenError` when another source has it: revoked rights would live on in the older one.
    """
    c = t.source.c
    other = select(c.name).where(c.workspace == workspace, c.id != number)
    name = session.execute(other).scalar() if workspace else None
    if name is not None:
        raise WorkspaceTakenError(
            f"The workspace {workspace} is already the source {name!r}.", hint=f"Ingest it with --source {name}."
        )
    session.execute(update(t.source).where(c.id == number).values(workspace=workspace))


def remember_options(session: Session, number: int, *, location: str, audience: tuple[str, ...] | None) -> None:
    """Keep where a source was read from and whose audience replaces its own, for the next run."""
    stored = "" if audience is None else json.dumps(audience)
    session.execute(update(t.source).where(t.source.c.id == number).values(location=location, audience=stored))


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
