"""What becomes of a run that did not end well: given back where trying again can help, ended where it cannot."""

import time
from collections.abc import Callable

import structlog

from core.catalog import leases, queue
from core.catalog.queue import ClaimedRun, Pause
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database, Session
from core.errors import DatabaseUnavailableError, StorageFullError
from ingest.errors import RunCancelledError, RunStoppedError
from ingest.faults import code_of, fault_of, told

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = (0.1, 0.2, 0.5, 1.0)
"""Between two tries to write while the database cannot be written; the last one is repeated."""


class RunEnd:
    """Records why a run was left."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    def left_by_worker(
        self, claimed: ClaimedRun, error: Exception, *, max_attempts: int, stop: Callable[[], bool]
    ) -> None:
        """Record it once the database can be written again, or leave it to the rescuer when told to stop.

        A full disk or a lost dependency pauses the source and is nobody's attempt.
        """
        log.info("run_left", run=claimed.id, attempt=claimed.attempt, code=code_of(error), error=type(error).__name__)
        waits = list(PATIENCE_SECONDS)
        while True:
            try:
                with self.database.write() as session:
                    crashpoint("release.before")
                    self._settle(session, claimed, error, max_attempts)
            except (DatabaseUnavailableError, StorageFullError):
                if stop():
                    return
                time.sleep(waits.pop(0) if len(waits) > 1 else waits[0])
            else:
                return

    def left_by_its_submitter(self, claimed: ClaimedRun, error: BaseException) -> None:
        """Somebody waits for this run and is told: it ends, unless its plan is written and can be gone on with."""
        try:
            with self.database.write() as session:
                if leases.is_held(session, claimed.id, claimed.token):
                    self._end_or_keep(session, claimed, error)
        except (DatabaseUnavailableError, StorageFullError) as trouble:
            log.warning("run_not_settled", run=claimed.id, code=trouble.code)

    def _end_or_keep(self, session: Session, claimed: ClaimedRun, error: BaseException) -> None:
        now = self.clock()
        if isinstance(error, RunCancelledError):
            queue.end_run(session, claimed.id, state="cancelled", now=now)
        elif queue.is_planned(session, claimed.id) and fault_of(error) != "permanent":
            queue.release_run(session, claimed.id, claimed.token, refund=True)
        elif isinstance(error, Exception):
            queue.end_run(session, claimed.id, state="failed", now=now, error_code=code_of(error), error=told(error))
        else:
            queue.end_run(session, claimed.id, state="cancelled", now=now)

    def _settle(self, session: Session, claimed: ClaimedRun, error: Exception, max_attempts: int) -> None:
        now, fault = self.clock(), fault_of(error)
        if not leases.is_held(session, claimed.id, claimed.token):
            return
        if isinstance(error, RunCancelledError):
            queue.end_run(session, claimed.id, state="cancelled", now=now)
        elif fault == "overtaken" or isinstance(error, RunStoppedError | DatabaseUnavailableError):
            queue.release_run(session, claimed.id, claimed.token, refund=True)
            queue.ring(session, claimed.id, now)
        elif pause := _pause_of(error):
            queue.release_run(session, claimed.id, claimed.token, refund=True)
            queue.pause(session, claimed.source_id, pause)
        elif fault == "transient" and queue.as_claimed(session, claimed.id).attempt < max_attempts:
            queue.release_run(session, claimed.id, claimed.token, refund=False)
        else:
            queue.end_run(session, claimed.id, state="failed", now=now, error_code=code_of(error), error=told(error))


def _pause_of(error: Exception) -> Pause:
    fault = fault_of(error)
    if fault == "storage_full":
        return "storage_full"
    return "dependency_down" if fault == "dependency_down" else ""
