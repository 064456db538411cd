"""Questions that came from outside: kept before anybody is told so, answered once, whoever dies in between."""

import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from core import clock
from core.catalog import inbox
from core.catalog.inbox import Entry, Settled
from core.clock import Clock
from core.database import Database
from core.errors import ThreadwiseError
from core.words import Instant

log = structlog.get_logger(__name__)

LONGEST_SECONDS = 900.0
"""That work on one entry may take at least; then whoever hangs loses it."""

KEPT_SECONDS = 30 * 86_400.0
"""Settled entries stay so long: an event that comes again is known, and a thread can be taken up again."""


class Inbox:
    """The inbox of one installation. An entry is held by one worker at a time, for `lease_seconds` unless renewed."""

    def __init__(self, database: Database, *, lease_seconds: float, clock: Clock = clock.now) -> None:
        self.database = database
        self.clock = clock
        self._last = Instant(0)
        self.lease_seconds = lease_seconds

    def accept(self, *, entry_id: str, kind: str, line: str, payload: Mapping[str, Any], message: str = "") -> bool:
        """Keep an entry; when this returns it is on disk. False if it is there already."""
        with self.database.write() as session:
            now = self._last = Instant(max(self.clock(), self._last + 1))
            return inbox.accept(
                session, entry_id=entry_id, kind=kind, line=line, payload=payload, message=message, now=now
            )

    def claim(self) -> Entry | None:
        """The next entry to work on, or None."""
        with self.database.read() as session:
            if not inbox.any_open(session):
                return None
        with self.database.write() as session:
            return inbox.claim(session, token=uuid.uuid4().hex, lease_seconds=self.lease_seconds)

    @contextmanager
    def kept(self, entry: Entry) -> Iterator[None]:
        """While inside, a thread of its own keeps the lease."""
        done = threading.Event()
        thread = threading.Thread(target=self._keep, args=(entry, done), name="inbox-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def begin_posting(self, entry: Entry, answer_id: str = "") -> bool:
        """Say that a reply may be visible from now on; False if this worker must not post one.

        The lease begins anew, so that a reply under way has landed before anybody looks for it.
        """
        with self.database.write() as session:
            held = inbox.renew(session, entry.id, entry.token, self.lease_seconds)
            return held and inbox.begin_posting(session, entry.id, entry.token, answer_id)

    def settle(self, entry: Entry, state: Settled, error_code: str = "") -> bool:
        """End an entry; False if somebody else has it."""
        with self.database.write() as session:
            return inbox.settle(session, entry.id, entry.token, state, error_code)

    def release(self, entry: Entry, *, seconds: float, error_code: str = "", refund: bool = False) -> bool:
        """Give an entry back for so many seconds; with `refund` the attempt does not count."""
        with self.database.write() as session:
            return inbox.release(session, entry.id, entry.token, seconds=seconds, error_code=error_code, refund=refund)

    def withdraw(self, message: str) -> bool:
        """The message is gone: stop its entry unless a reply may be visible already."""
        with self.database.write() as session:
            return inbox.withdraw(session, message)

    def earlier(self, entry: Entry) -> list[tuple[Instant, dict[str, Any]]]:
        """(received, payload) of what was asked in the same line before and was answered, newest first."""
        with self.database.read() as session:
            return inbox.earlier(session, entry.line, entry.received_at)

    def standing(self) -> tuple[int, float]:
        """(entries without a reply, seconds that the oldest of them has waited)."""
        with self.database.read() as session:
            return inbox.standing(session)

    def forget(self) -> int:
        """Delete what was settled long ago; returns how many entries."""
        with self.database.write() as session:
            return inbox.forget(session, KEPT_SECONDS)

    def _keep(self, entry: Entry, done: threading.Event) -> None:
        ends = time.monotonic() + max(LONGEST_SECONDS, 30 * self.lease_seconds)
        while not done.wait(self.lease_seconds / 3) and time.monotonic() < ends:
            try:
                with self.database.write() as session:
                    if not inbox.renew(session, entry.id, entry.token, self.lease_seconds):
                        return
            except ThreadwiseError as error:
                log.warning("inbox_lease_not_renewed", code=error.code)
