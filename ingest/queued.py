"""Runs that wait in the queue, worked by whoever is rung: claim, plan or resume, apply, end or give back.

A worker may die at any point. Its counter stands still, somebody frees the run and rings, and the next one goes on:
from the start where there is no plan yet, else with the documents that are not settled.
"""

import random
import time
import uuid
from collections.abc import Callable

from core.catalog import queue
from core.catalog.queue import ClaimedRun
from core.crashpoints import crashpoint
from core.errors import LostClaimError
from core.settings import QueueSettings
from ingest.errors import RunCancelledError, RunStoppedError, WorkerLostError
from ingest.faults import backoff, fault_of
from ingest.lease import kept
from ingest.locks import source_lock
from ingest.pipeline import Ingestion, IngestReport
from ingest.request import Request
from ingest.sources import Source
from ingest.work import Report

LOOK_SECONDS = 0.05

Opened = Callable[[ClaimedRun], tuple[Source | None, Request]]


class QueuedRuns:
    """Works runs of one catalogue. One worker works one run at a time."""

    def __init__(self, ingestion: Ingestion, opened: Opened, settings: QueueSettings) -> None:
        self.ingestion = ingestion
        self.database = ingestion.database
        self.opened = opened
        self.settings = settings

    def work(self, stop: Callable[[str], bool], report: Report, run_id: str | None = None) -> str | None:
        """Work whichever run is next, or exactly the named one, as far as it goes; never raises for the run.

        Returns its id, None if there is none to take. When `stop`, asked with the id, turns true the run is given
        back, its attempt not counted.
        """
        claimed = self._claim(run_id)
        if claimed is None:
            return None
        crashpoint("claim.after")
        ingestion, lock = self.ingestion, source_lock(self.ingestion.locks, claimed.source, required=False)
        seconds = ingestion.settings.lease_seconds
        with lock, kept(self.database, claimed.id, claimed.token, seconds=seconds) as lease:
            try:
                self._advance(claimed, lambda: stop(claimed.id) or lease.lost.is_set(), report)
            except Exception as error:  # noqa: BLE001 - recorded with the run, which is tried again or has failed
                self._leave(claimed, error, lambda: stop(claimed.id))
        with self.database.write() as session:
            queue.ring_next(session, claimed.source_id, ingestion.clock())
        return claimed.id

    def _leave(self, claimed: ClaimedRun, error: Exception, stop: Callable[[], bool]) -> None:
        """Let go of the run. What may be over in a moment is given that moment first: nobody else has it meanwhile."""
        if fault_of(error) == "transient" and not isinstance(error, RunStoppedError):
            until = time.monotonic() + backoff(claimed.attempt, random.random())  # noqa: S311 - no secret
            while time.monotonic() < until and not stop():
                time.sleep(LOOK_SECONDS)
        self.ingestion.end.left_by_worker(claimed, error, max_attempts=self.settings.max_attempts, stop=stop)

    def _claim(self, run_id: str | None) -> ClaimedRun | None:
        token = uuid.uuid4().hex
        with self.database.write() as session:
            if run_id is None:
                return queue.claim_next(session, token=token)
            return queue.claim_run(session, run_id, token=token)

    def _advance(self, claimed: ClaimedRun, stop: Callable[[], bool], report: Report) -> IngestReport:
        if claimed.attempt > self.settings.max_attempts:
            raise WorkerLostError(f"{claimed.attempt - 1} workers died of it.", hint="Look at what the source holds.")
        with self.database.read() as session:
            if queue.is_cancel_requested(session, claimed.id):
                raise RunCancelledError("The run was cancelled.")
        source, request = self.opened(claimed)
        if stop():
            raise LostClaimError(f"Run {claimed.id} is not this worker's any more.")
        return self.ingestion.work(claimed, source, request, stop=stop, report=report)
