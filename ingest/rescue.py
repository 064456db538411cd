"""Freeing runs whose worker is gone, so that somebody else goes on with them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from core.catalog import leases, queue
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database
from core.errors import ThreadwiseError
from core.settings import IngestSettings
from ingest.errors import SourceBusyError
from ingest.stillness import Stillness

log = structlog.get_logger(__name__)

LOOKS = 4
"""A holder is given up after so many looks at least, however long the time between two of them was."""


@dataclass(slots=True)
class Rescuer:
    """Frees every run whose holder's counter stands still for `seconds` of this process's own monotonic time."""

    database: Database
    clock: Clock
    seconds: float
    max_attempts: int  # of a document
    monotonic: Callable[[], float] = time.monotonic
    _stillness: Stillness[str] = field(init=False)

    def __post_init__(self) -> None:
        self._stillness = Stillness(self.seconds / LOOKS)

    @property
    def pause_seconds(self) -> float:
        """How often it has to look."""
        return self.seconds / LOOKS

    def look(self) -> list[str]:
        """Look once, free what has to be freed with a ring for it, and return the ids of the freed runs.

        While the database cannot be written nobody's counter can grow: then everything seen is forgotten.
        """
        try:
            with self.database.write() as session:
                leases.prove_writable(session)
                held = leases.holders(session)
            still = self._stillness.look(held, self.monotonic())
            return [run_id for run_id, seconds in still.items() if seconds >= self.seconds and self._free(run_id, held)]
        except ThreadwiseError:
            self._stillness.forget()
            raise

    def _free(self, run_id: str, held: dict[str, leases.Beat]) -> bool:
        with self.database.write() as session:
            now = self.clock()
            freed = leases.rescue(session, run_id, held[run_id], max_attempts=self.max_attempts, now=now)
            crashpoint("rescue.before")
            if freed:
                queue.ring(session, run_id, now)
        if freed:
            log.warning("run_rescued", run=run_id)
        return freed


def take_over(
    database: Database,
    source: str,
    clock: Clock,
    settings: IngestSettings,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when nobody holds a run of this source, after waiting out and freeing one whose worker is gone.

    Raises `SourceBusyError` as soon as the worker shows that it lives.
    """
    rescuer = Rescuer(database, clock, settings.lease_seconds, settings.max_attempts)
    first = None
    while True:
        with database.read() as session:
            found = leases.holder_of_source(session, source)
        if found is None:
            return
        if first is not None and found != first:
            raise SourceBusyError(f"A worker is ingesting the source {source!r}.", hint="Wait for it: threadwise runs")
        first = found
        if found[0] not in rescuer.look():
            sleep(rescuer.pause_seconds)
