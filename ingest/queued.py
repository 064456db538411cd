"""Runs that wait in the queue, worked by whoever is rung: claim, plan or resume, apply, end or give back.

A worker may die at any point. Its lease runs out, somebody rings, and the next one goes on: from the start where
there is no plan yet, else with the documents that are not settled.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from core.catalog import queue
from core.catalog.queue import ClaimedRun
from core.errors import LostClaimError, ThreadwiseError
from core.settings import QueueSettings
from ingest.errors import RunCancelledError, RunStoppedError, RunSupersededError, WorkerLostError
from ingest.pipeline import Ingestion, IngestReport, Request
from ingest.sources import Source
from ingest.work import Report

log = structlog.get_logger(__name__)

Opened = Callable[[ClaimedRun], tuple[Source, Request]]


@dataclass(slots=True)
class Lease:
    """Whether this worker still has its run; a thread of its own keeps it."""

    lost: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class QueuedRuns:
    """Works runs of one catalogue. One worker works one run at a time."""

    def __init__(self, ingestion: Ingestion, opened: Opened, settings: QueueSettings) -> None:
        self.ingestion = ingestion
        self.database = ingestion.database
        self.opened = opened
        self.settings = settings

    def work(self, run_id: str, stop: Callable[[], bool], report: Report) -> bool:
        """Work the run as far as it goes; False if somebody else has it or it has ended. Never raises for the run.

        When `stop` turns true the run is given back, its attempt not counted.
        """
        claimed = self._claim(run_id)
        if claimed is None:
            return False
        try:
            with self._lease(claimed) as lease:
                self._advance(claimed, lambda: stop() or lease.lost.is_set(), report)
        except Exception as error:  # noqa: BLE001 - recorded with the run, which is tried again or has failed
            self._settle_failure(claimed, error)
        with self.database.write() as session:
            queue.ring_next(session, claimed.source_id, self.ingestion.clock())
        return True

    def _claim(self, run_id: str) -> ClaimedRun | None:
        lease = self.ingestion.settings.lease_seconds
        with self.database.write() as session:
            return queue.claim_run(session, run_id, token=uuid.uuid4().hex, lease_seconds=lease)

    @contextmanager
    def _lease(self, claimed: ClaimedRun) -> Iterator[Lease]:
        lease = Lease()
        thread = threading.Thread(target=self._keep, args=(claimed, lease), daemon=True)
        thread.start()
        try:
            yield lease
        finally:
            lease.done.set()
            thread.join()

    def _keep(self, claimed: ClaimedRun, lease: Lease) -> None:
        seconds = self.ingestion.settings.lease_seconds
        while not lease.done.wait(seconds / 3):
            try:
                with self.database.write() as session:
                    held = queue.renew_run(session, claimed.id, claimed.token, seconds)
            except ThreadwiseError as error:
                log.warning("lease_not_renewed", run=claimed.id, code=error.code)
                continue
            if not held:
                lease.lost.set()
                return

    def _advance(self, claimed: ClaimedRun, stop: Callable[[], bool], report: Report) -> IngestReport:
        if claimed.attempt > self.settings.max_attempts:
            raise WorkerLostError(f"{claimed.attempt - 1} workers died of it.", hint="Look at what the source holds.")
        with self.database.read() as session:
            if queue.is_cancel_requested(session, claimed.id):
                raise RunCancelledError("The run was cancelled.")
        source, request = self.opened(claimed)
        return self.ingestion.work(claimed, source, request, stop=stop, report=report)

    def _settle_failure(self, claimed: ClaimedRun, error: Exception) -> None:
        """Record why a run did not end well: given back where trying again can help, ended where it cannot."""
        now = self.ingestion.clock()
        code = error.code if isinstance(error, ThreadwiseError) else "unexpected"
        log.info("run_left", run=claimed.id, attempt=claimed.attempt, code=code, error=type(error).__name__)
        with self.database.write() as session:
            if not queue.holds_run(session, claimed.id, claimed.token):
                return
            if isinstance(error, RunCancelledError):
                queue.end_run(session, claimed.id, state="cancelled", now=now)
            elif isinstance(error, RunStoppedError):
                queue.release_run(session, claimed.id, claimed.token, refund=True)
                queue.ring(session, claimed.id, now)
            elif self._can_help(claimed, error):
                queue.release_run(session, claimed.id, claimed.token, refund=False)
            else:
                queue.end_run(session, claimed.id, state="failed", now=now, error_code=code, error=_told(error))

    def _can_help(self, claimed: ClaimedRun, error: Exception) -> bool:
        if isinstance(error, LostClaimError | RunSupersededError):
            return False
        retryable = error.retryable if isinstance(error, ThreadwiseError) else True
        return retryable and claimed.attempt < self.settings.max_attempts


def _told(error: Exception) -> str:
    # A foreign message might quote a document: only its class is kept.
    return str(error) if isinstance(error, ThreadwiseError) else type(error).__name__
