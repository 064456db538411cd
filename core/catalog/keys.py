"""Keys of programs and people: the secret is stored nowhere, only its SHA-256."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import insert, or_, select, update

from core import tables as t
from core.database import Session
from core.words import Instant

Scope = Literal["ask", "admin", "local"]
SCOPES: tuple[Scope, ...] = ("ask", "admin", "local")
PREFIX = "tw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the catalogue has it. `local` may name paths of this machine: only the installation's own key has it."""

    id: str
    name: str
    scopes: tuple[str, ...]
    principals: tuple[str, ...]
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None

    def is_alive(self, now: Instant) -> bool:
        """Whether it opens anything at this time."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_[\w-]+", re.ASCII)
_COLUMNS = [t.api_key.c[name] for name in Key.__slots__]


def create(
    session: Session,
    *,
    name: str,
    scopes: Sequence[Scope],
    principals: Sequence[str],
    now: Instant,
    expires_at: Instant | None = None,
) -> tuple[Key, str]:
    """A new key and its secret, 256 random bits, which is shown this once."""
    number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    whole = f"{PREFIX}_{number}_{secret}"
    row = {"id": number, "name": name, "digest": _digest(whole), "created_at": now, "expires_at": expires_at}
    row |= {"scopes": json.dumps(sorted(scopes)), "principals": json.dumps(sorted(principals))}
    session.execute(insert(t.api_key).values(row))
    key = find(session, number)
    if key is None:
        raise LookupError(number)
    return key, whole


def verified(session: Session, secret: str, now: Instant) -> Key | None:
    """The living key with this secret, or None; how far a wrong one is right does not show in the time taken."""
    found = _FORM.fullmatch(secret)
    number = found[1] if found else ""
    stored = session.execute(select(t.api_key.c.digest).where(t.api_key.c.id == number)).scalar_one_or_none()
    if not hmac.compare_digest(stored or "", _digest(secret)):
        return None
    key = find(session, number)
    return key if key and key.is_alive(now) else None


def find(session: Session, number: str) -> Key | None:
    """The key of this id, dead or alive."""
    row = session.execute(select(*_COLUMNS).where(t.api_key.c.id == number)).first()
    return None if row is None else _key(tuple(row))


def every(session: Session) -> list[Key]:
    """All keys, oldest first."""
    ordered = select(*_COLUMNS).order_by(t.api_key.c.created_at, t.api_key.c.id)
    return [_key(tuple(row)) for row in session.execute(ordered)]


def revoke(session: Session, number: str, now: Instant) -> bool:
    """From the commit on the key opens nothing; False if there is no such living key."""
    c = t.api_key.c
    alive = update(t.api_key).where(c.id == number, c.revoked_at.is_(None))
    return session.execute(alive.values(revoked_at=now)).rowcount == 1


def touch(session: Session, number: str, now: Instant, every_micros: int = 60_000_000) -> None:
    """Remember the use of a key, at most once a minute."""
    c = t.api_key.c
    stale = or_(c.last_used_at.is_(None), c.last_used_at < now - every_micros)
    session.execute(update(t.api_key).where(c.id == number, stale).values(last_used_at=now))


def _digest(secret: str) -> str:
    # A random 256-bit secret needs no salt and no slow hash: there is no list of likely ones to try.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _key(row: tuple[object, ...]) -> Key:
    values = dict(zip(Key.__slots__, row, strict=True))
    for name in ("scopes", "principals"):
        values[name] = tuple(json.loads(str(values[name])))
    return Key(**values)  # type: ignore[arg-type]
