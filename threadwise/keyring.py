"""Keys of programs and people, and the record of what admins did with them."""

from collections.abc import Sequence

from core.catalog import audit, keys
from core.catalog.audit import Act
from core.catalog.keys import Key, Scope
from core.clock import Clock
from core.database import Database
from core.errors import KeyNotFoundError
from core.words import EVERYONE, Instant

DAY_MICROS = 86_400_000_000


class Keyring:
    """The keys of one installation."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    def create(
        self, *, name: str, scopes: Sequence[Scope], principals: Sequence[str] = (), expires_days: float | None = None
    ) -> tuple[Key, str]:
        """A new key and its secret, which nobody can ask for again. Without principals it reads as `everyone`."""
        now = self.clock()
        until = None if expires_days is None else Instant(now + int(expires_days * DAY_MICROS))
        with self.database.write() as session:
            return keys.create(
                session, name=name, scopes=scopes, principals=principals or (EVERYONE,), now=now, expires_at=until
            )

    def verify(self, secret: str) -> Key | None:
        """The living key with this secret, or None."""
        now = self.clock()
        with self.database.read() as session:
            return keys.verified(session, secret, now)

    def touch(self, key_id: str) -> None:
        """Remember that a key was used, at most once a minute."""
        with self.database.write() as session:
            keys.touch(session, key_id, self.clock())

    def every(self) -> list[Key]:
        """All keys, dead ones too."""
        with self.database.read() as session:
            return keys.every(session)

    def revoke(self, key_id: str) -> None:
        """From now on the key opens nothing. Raises `KeyNotFoundError`."""
        with self.database.write() as session:
            if not keys.revoke(session, key_id, self.clock()):
                raise KeyNotFoundError(f"There is no living key {key_id}.", hint="threadwise keys list shows them.")

    def record_act(self, key_id: str, act: str, target: str, outcome: str = "done") -> None:
        """Write down an admin act; an outcome is `done` or the code of an error."""
        with self.database.write() as session:
            audit.record(session, Act(self.clock(), key_id, act, target, outcome))

    def acts(self, limit: int = 100) -> list[Act]:
        """The newest acts first."""
        with self.database.read() as session:
            return audit.latest(session, limit)
