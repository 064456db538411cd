"""Applying a run: claim documents, prepare them, commit each once.

Several threads prepare, each with its own embedding session; one thread commits, so that waiting for the disk never
keeps the embedder waiting. Documents that are ready together share a transaction. A claim that was lost, to a newer
run or to another process, writes nothing.
"""

import random
import time
from collections.abc import Callable, Sequence

import structlog

from core.catalog import documents, generations, leases, letters, runs, sequence, tombstones
from core.catalog import queue as queued
from core.catalog.documents import NewVersion
from core.catalog.runs import Outcome, WorkItem
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database, Session
from core.errors import LostClaimError, ThreadwiseError
from core.settings import IngestSettings
from core.words import document_id_of
from ingest.errors import (
    DocumentStuckError,
    GenerationSwitchedError,
    RunCancelledError,
    RunStoppedError,
    RunSupersededError,
)
from ingest.faults import backoff, code_of, fault_of, told
from ingest.lanes import GROUP, Lanes
from ingest.prepare import Prepared, Preparer

CLAIM = 32  # documents claimed at once by one thread
RECOUNT_SECONDS = 1.0

Report = Callable[[int, int, int], None]
"""Called with (settled documents, all documents, chunks written) as a run goes on."""

log = structlog.get_logger(__name__)


class RunLoop:
    """Works one run to its end, in this process, under the token of its lease."""

    def __init__(
        self,
        database: Database,
        preparer: Preparer,
        *,
        token: str,
        settings: IngestSettings,
        clock: Clock,
        stop: Callable[[], bool] = lambda: False,
        check_room: Callable[[], None] = lambda: None,
    ) -> None:
        self.database = database
        self.preparer = preparer
        self.target = preparer.target
        self.settings = settings
        self.clock = clock
        self.wanted_to_stop = stop
        self.check_room = check_room
        self._token = token
        self._lanes = Lanes(self._claim, preparer, room=2 * GROUP)
        self._waiting: dict[int, float] = {}  # when a failed item may be tried again, in monotonic seconds
        self._progressed = False

    def run(self, report: Report) -> runs.Progress:
        """Return when every item is settled.

        Raises `RunSupersededError` when a newer run took over, `RunCancelledError` when somebody asked for the end of
        this one, `RunStoppedError` when `stop` turned true, and what `fault_of` calls nobody's attempt. Then what is
        ready is committed and the rest given back.
        """
        self._lanes.start(self.settings.workers)
        try:
            return self._commit_until_settled(report)
        finally:
            self._give_back(self._lanes.close())

    def _give_back(self, ready: Sequence[Prepared]) -> None:
        """Commit what is ready, and free what is not: whoever goes on need not wait for the lease to be lost."""
        try:
            if ready:
                self._commit_group(ready)
            with self.database.write() as session:
                runs.release(session, self._token)
        except ThreadwiseError as error:
            log.warning("claims_not_released", code=error.code)

    def _claim(self) -> list[WorkItem]:
        now = time.monotonic()
        waiting = [number for number, until in list(self._waiting.items()) if until > now]
        with self.database.write() as session:
            items = runs.claim(session, self.target.run_id, token=self._token, limit=CLAIM, waiting=waiting)
        if items:
            crashpoint("work.claimed")
        return items

    def _commit_until_settled(self, report: Report) -> runs.Progress:
        counts = self._count()
        settled, chunks, counted = counts.settled, counts.chunks, time.monotonic()
        report(settled, counts.total, chunks)
        while counts.settled < counts.total:
            self._look_after_lanes()
            if self.wanted_to_stop():
                raise RunStoppedError("The run was stopped.", hint="It goes on where it was.")
            group = self._lanes.next_group(counts.total - settled)
            for prepared in self._commit_group(group) if group else ():
                settled += 1
                chunks += len(prepared.chunks)
            # Counting reads every row of the run: now and then it corrects what was added up since.
            if not group or settled >= counts.total or time.monotonic() - counted > RECOUNT_SECONDS:
                counts, counted = self._count(), time.monotonic()
                settled, chunks = counts.settled, counts.chunks
                self.check_room()
            report(settled, counts.total, chunks)
        return counts

    def _look_after_lanes(self) -> None:
        if self._lanes.crashes:
            if isinstance(self._lanes.crashes[0], LostClaimError):
                self._count()  # which says more exactly what became of the run
            raise self._lanes.crashes[0]
        for item, others in self._lanes.stuck(self.settings.document_seconds):
            log.warning("document_stuck", work=item.id, attempt=item.attempt)
            with self.database.write() as session:
                runs.release(session, self._token, others)
            error = DocumentStuckError(f"It took longer than {self.settings.document_seconds:g} seconds.")
            self._record_failure(Prepared(item=item, error=error, stage="prepare"), error)

    def _count(self) -> runs.Progress:
        with self.database.read() as session:
            counts = runs.progress(session, self.target.run_id)
            cancelled = queued.is_cancel_requested(session, self.target.run_id)
            paused = queued.paused_sources(session).get(self.target.source_id) == "asked"
        if cancelled or counts.state == "cancelled":
            raise RunCancelledError("The run was cancelled.", hint="What it had committed stays.")
        if paused:
            raise RunStoppedError("The source was paused.", hint="threadwise runs resume lets it go on.")
        if counts.state != "running":
            raise RunSupersededError("A newer run of the same source took over.", hint="Wait for that one to end.")
        return counts

    def _commit_group(self, group: Sequence[Prepared]) -> list[Prepared]:
        """Commit the group in one transaction, or one by one if that fails; returns what is settled now.

        Raises what is nobody's fault: nothing of the group is an attempt then.
        """
        for prepared in group:
            if prepared.error is not None and fault_of(prepared.error) not in ("transient", "permanent"):
                raise prepared.error
        try:
            crashpoint("commit.before")
            with self.database.write() as session:
                settled = self._commit(session, group)
        except Exception as error:
            if fault_of(error) not in ("transient", "permanent"):
                raise
            if len(group) == 1:
                return self._record_failure(group[0], error)
            log.warning("commit_group_failed", documents=len(group), error=type(error).__name__)
            return [one for prepared in group for one in self._commit_group([prepared])]
        crashpoint("commit.after")
        return settled

    def _commit(self, session: Session, group: Sequence[Prepared]) -> list[Prepared]:
        """Settle and write every item whose claim still holds; the first statements are the fences."""
        leases.is_held(session, self.target.run_id, self._token)
        # From here on nobody changes what readers see: no document is buried, no generation switched beside this.
        sequence.lock(session)
        held = runs.still_held(session, [prepared.item for prepared in group])
        if len(held) < len(group):
            log.info("claims_lost", count=len(group) - len(held))
        if held and generations.live_id(session) != self.target.generation_id:
            raise GenerationSwitchedError("Readers see another generation now.", hint="The run goes on with it.")
        buried = self._buried(session, group)
        outcomes = [(prepared, self._outcome(prepared, buried)) for prepared in group if prepared.item.id in held]
        runs.settle(session, [(prepared.item, outcome) for prepared, outcome in outcomes], self.clock())
        self._write(session, [prepared for prepared, outcome in outcomes if outcome.state == "committed"])
        settled = [prepared for prepared, outcome in outcomes if outcome.state != "pending"]
        if settled and not self._progressed:
            queued.note_progress(session, self.target.run_id)
            self._progressed = True
        return settled

    def _buried(self, session: Session, group: Sequence[Prepared]) -> frozenset[str]:
        """The external ids of those that somebody has deleted for good since they were planned."""
        ids = {document_id_of(self.target.source, one.item.external_id): one.item.external_id for one in group}
        return frozenset(ids[number] for number in tombstones.buried(session, list(ids)))

    def _write(self, session: Session, group: Sequence[Prepared]) -> None:
        now, target = self.clock(), self.target
        gone = [prepared.item.external_id for prepared in group if prepared.document is None]
        documents.commit_removals(session, target, gone, now=now)
        documents.commit_metadata(session, target, _versions(group, metadata_only=True), now=now)
        documents.commit_versions(session, target, _versions(group, metadata_only=False), now=now)
        letters.resolve_documents(session, target.source_id, [one.item.external_id for one in group], now)

    def _outcome(self, prepared: Prepared, buried: frozenset[str]) -> Outcome:
        if prepared.item.external_id in buried:
            return Outcome(state="cancelled", error_code="deleted")
        if prepared.error is not None:
            return self._failure(prepared, prepared.error)
        return Outcome(state="committed", chunks=len(prepared.chunks), embedded=len(prepared.vectors))

    def _failure(self, prepared: Prepared, error: Exception) -> Outcome:
        item, code = prepared.item, code_of(error)
        log.warning("document_failed", work=item.id, attempt=item.attempt, code=code, error=type(error).__name__)
        given_up = fault_of(error) == "permanent" or item.attempt >= self.settings.max_attempts
        # Not one instant for all: what they failed of may be one thing that they would all meet again.
        self._waiting[item.id] = time.monotonic() + backoff(item.attempt, random.random())  # noqa: S311 - no secret
        return Outcome(
            state="quarantined" if given_up else "pending",
            error_code=code,
            error=told(error),
            stage=prepared.stage or "commit",
            size=prepared.size,
        )

    def _record_failure(self, prepared: Prepared, error: Exception) -> list[Prepared]:
        outcome = self._failure(prepared, error)
        with self.database.write() as session:
            leases.is_held(session, self.target.run_id, self._token)
            held = runs.still_held(session, [prepared.item])
            if held:
                runs.settle(session, [(prepared.item, outcome)], self.clock())
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
