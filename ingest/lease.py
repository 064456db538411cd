"""Holding a run: a thread of its own says that the worker lives, for as long as it works."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from core.catalog import leases
from core.database import Database
from core.errors import ThreadwiseError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Lease:
    """Whether this worker still has its run. What it finds out after that is not written."""

    run_id: str
    token: str
    lost: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def kept(database: Database, run_id: str, token: str, *, seconds: float) -> Iterator[Lease]:
    """Keep the run for as long as the block lasts; without a sign of life for `seconds` it may be taken over."""
    lease = Lease(run_id, token)
    thread = threading.Thread(target=_keep, args=(database, lease, seconds / 3), daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.done.set()
        thread.join()


def _keep(database: Database, lease: Lease, every_seconds: float) -> None:
    while not lease.done.wait(every_seconds):
        try:
            with database.write() as session:
                held = leases.beat(session, lease.run_id, lease.token)
        except ThreadwiseError as error:
            # Whoever rescues cannot write then either, and so concludes nothing.
            log.warning("lease_not_kept", run=lease.run_id, code=error.code)
            continue
        if not held:
            lease.lost.set()
            return
