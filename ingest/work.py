"""Applying a run: claim documents, prepare them, commit each once.

Several threads prepare, each with its own embedding session; one thread commits, so that waiting for the disk never
keeps the embedder waiting. Documents that are ready together share a transaction. A claim that was lost, to a newer
run or to another process, writes nothing.
"""

import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence

import structlog

from core.catalog import documents, runs
from core.catalog import queue as queued
from core.catalog.documents import NewVersion
from core.catalog.runs import Outcome, WorkItem
from core.clock import Clock
from core.database import Database, Session
from core.errors import ThreadwiseError
from core.settings import IngestSettings
from ingest.errors import RunCancelledError, RunStoppedError, RunSupersededError
from ingest.prepare import Prepared, Preparer

CLAIM = 32  # documents claimed at once by one thread
GROUP = 64  # documents that may share one transaction
IDLE_SECONDS = 0.05
GATHER_SECONDS = 0.25
RECOUNT_SECONDS = 1.0

Report = Callable[[int, int, int], None]
"""Called with (settled documents, all documents, chunks written) as a run goes on."""

log = structlog.get_logger(__name__)


class RunLoop:
    """Works one run to its end, in this process."""

    def __init__(
        self,
        database: Database,
        preparer: Preparer,
        *,
        settings: IngestSettings,
        clock: Clock,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.database = database
        self.preparer = preparer
        self.target = preparer.target
        self.settings = settings
        self.clock = clock
        self.wanted_to_stop = stop
        self._token = uuid.uuid4().hex
        self._ready: queue.Queue[Prepared] = queue.Queue(maxsize=2 * GROUP)
        self._stop = threading.Event()
        self._crashes: list[Exception] = []

    def run(self, report: Report) -> runs.Progress:
        """Return when every item is settled.

        Raises `RunSupersededError` when a newer run took over, `RunCancelledError` when somebody asked for the end of
        this one, and `RunStoppedError` when `stop` turned true. Then what is ready is committed and the rest given
        back.
        """
        bodies = [self._prepare_claims] * self.settings.workers + [self._keep_leases]
        threads = [threading.Thread(target=self._guard, args=(body,), daemon=True) for body in bodies]
        for thread in threads:
            thread.start()
        try:
            return self._commit_until_settled(report)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._give_back()

    def _give_back(self) -> None:
        """Commit what is ready, and free what is not: whoever goes on need not wait for a lease to run out."""
        try:
            ready = [self._ready.get_nowait() for _ in range(self._ready.qsize())]
            if ready:
                self._commit_group(ready)
            with self.database.write() as session:
                runs.release(session, self._token)
        except ThreadwiseError as error:
            log.warning("claims_not_released", code=error.code)

    def _guard(self, body: Callable[[], None]) -> None:
        try:
            body()
        except Exception as error:  # noqa: BLE001 - raised again by the committing thread
            self._crashes.append(error)

    def _prepare_claims(self) -> None:
        while not self._stop.is_set():
            items = self._claim()
            if not items:
                self._stop.wait(IDLE_SECONDS)
            for prepared in self.preparer.prepare(items):
                self._hand_over(prepared)
                if self._stop.is_set():
                    return

    def _claim(self) -> list[WorkItem]:
        with self.database.write() as session:
            return runs.claim(
                session,
                self.target.run_id,
                token=self._token,
                limit=CLAIM,
                lease_seconds=self.settings.lease_seconds,
                max_attempts=self.settings.max_attempts,
            )

    def _hand_over(self, prepared: Prepared) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(prepared, timeout=IDLE_SECONDS)
            except queue.Full:
                continue
            return

    def _keep_leases(self) -> None:
        while not self._stop.wait(self.settings.lease_seconds / 3):
            with self.database.write() as session:
                runs.renew(session, self._token, self.settings.lease_seconds)

    def _commit_until_settled(self, report: Report) -> runs.Progress:
        counts = self._count()
        settled, chunks, counted = counts.settled, counts.chunks, time.monotonic()
        report(settled, counts.total, chunks)
        while counts.settled < counts.total:
            if self._crashes:
                raise self._crashes[0]
            if self.wanted_to_stop():
                raise RunStoppedError("The run was stopped.", hint="It goes on where it was.")
            group = self._next_group(counts.total - settled)
            for prepared in self._commit_group(group) if group else ():
                settled += 1
                chunks += len(prepared.chunks)
            # Counting reads every row of the run: now and then it corrects what was added up since.
            if not group or settled >= counts.total or time.monotonic() - counted > RECOUNT_SECONDS:
                counts, counted = self._count(), time.monotonic()
                settled, chunks = counts.settled, counts.chunks
            report(settled, counts.total, chunks)
        return counts

    def _count(self) -> runs.Progress:
        with self.database.read() as session:
            counts = runs.progress(session, self.target.run_id)
            cancelled = queued.is_cancel_requested(session, self.target.run_id)
        if cancelled or counts.state == "cancelled":
            raise RunCancelledError("The run was cancelled.", hint="What it had committed stays.")
        if counts.state != "running":
            raise RunSupersededError("A newer run of the same source took over.", hint="Wait for that one to end.")
        return counts

    def _next_group(self, missing: int) -> list[Prepared]:
        """What became ready within `GATHER_SECONDS`, at most `GROUP` documents: one wait for the disk for all."""
        group: list[Prepared] = []
        deadline = time.monotonic() + GATHER_SECONDS
        while len(group) < GROUP and (left := deadline - time.monotonic()) > 0 and not self._crashes:
            try:
                group.append(self._ready.get(timeout=left))
            except queue.Empty:
                break
            if len(group) >= missing:
                break
        return group

    def _commit_group(self, group: Sequence[Prepared]) -> list[Prepared]:
        """Commit the group in one transaction, or one by one if that fails; returns what is settled now."""
        try:
            with self.database.write() as session:
                return self._commit(session, group)
        except Exception as error:  # noqa: BLE001 - recorded with the item, which is retried or quarantined
            if len(group) == 1:
                return self._record_failure(group[0], error)
            log.warning("commit_group_failed", documents=len(group), error=type(error).__name__)
            return [settled for prepared in group for settled in self._commit_group([prepared])]

    def _commit(self, session: Session, group: Sequence[Prepared]) -> list[Prepared]:
        """Settle and write every item whose claim still holds; the first statement is the fence."""
        held = runs.still_held(session, [prepared.item for prepared in group])
        if len(held) < len(group):
            log.info("claims_lost", count=len(group) - len(held))
        outcomes = [(prepared, self._outcome(prepared)) for prepared in group if prepared.item.id in held]
        runs.settle(session, [(prepared.item, outcome) for prepared, outcome in outcomes])
        self._write(session, [prepared for prepared, outcome in outcomes if outcome.state == "committed"])
        return [prepared for prepared, outcome in outcomes if outcome.state != "pending"]

    def _write(self, session: Session, group: Sequence[Prepared]) -> None:
        now, target = self.clock(), self.target
        gone = [prepared.item.external_id for prepared in group if prepared.document is None]
        documents.commit_removals(session, target, gone, now=now)
        documents.commit_metadata(session, target, _versions(group, metadata_only=True), now=now)
        documents.commit_versions(session, target, _versions(group, metadata_only=False), now=now)

    def _outcome(self, prepared: Prepared) -> Outcome:
        if prepared.error is not None:
            return self._failure(prepared.item, prepared.error)
        return Outcome(state="committed", chunks=len(prepared.chunks), embedded=len(prepared.vectors))

    def _failure(self, item: WorkItem, error: Exception) -> Outcome:
        if isinstance(error, ThreadwiseError):
            code, message, permanent = error.code, str(error), not error.retryable
        else:
            # A foreign message might quote the document: only its class is kept.
            code, message, permanent = "unexpected", type(error).__name__, False
        log.warning("document_failed", work=item.id, attempt=item.attempt, code=code, error=type(error).__name__)
        given_up = permanent or item.attempt >= self.settings.max_attempts
        return Outcome(state="quarantined" if given_up else "pending", error_code=code, error=message)

    def _record_failure(self, prepared: Prepared, error: Exception) -> list[Prepared]:
        outcome = self._failure(prepared.item, error)
        with self.database.write() as session:
            held = runs.still_held(session, [prepared.item])
            if held:
                runs.settle(session, [(prepared.item, outcome)])
        return [prepared] if held and outcome.state != "pending" else []


def _versions(group: Sequence[Prepared], *, metadata_only: bool) -> list[NewVersion]:
    return [
        NewVersion(
            document=prepared.document,
            blob_sha=prepared.item.blob_sha,
            chunks=prepared.chunks,
            vectors=prepared.vectors,
        )
        for prepared in group
        if prepared.document is not None and prepared.metadata_only is metadata_only
    ]
