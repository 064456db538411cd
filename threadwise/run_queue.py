"""What admins do with runs: submit, plan, apply, watch, cancel, pause, retry, schedule; what a worker does with one."""

import shutil
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.catalog import idempotency, letters, outcomes, overview, plans, queue, retries, runs, sources
from core.catalog.letters import Letter
from core.catalog.overview import RunRow, SourceRow, Standing
from core.catalog.plans import StoredPlan
from core.catalog.sources import KnownSource
from core.crashpoints import crashpoint
from core.database import Session
from core.errors import RunNotFoundError, ThreadwiseError, UnknownSourceError
from core.room import require_room
from core.settings import QueueSettings
from core.words import Instant
from ingest.errors import LetterNotFoundError, PlanNotFoundError, WorldChangedError
from ingest.pipeline import Ingestion
from ingest.queued import QueuedRuns
from ingest.sources import Source
from ingest.work import Report
from threadwise.errors import IdempotencyConflictError, QueueFullError
from threadwise.opening import Idempotency, Opening, SubmitRequest
from threadwise.plans import apply_plan, plan_shape

UPLOAD_SECONDS = 3600.0  # after which an upload that nobody submitted is given up


class RunQueue:
    """The queue of one installation."""

    def __init__(self, ingestion: Ingestion, opening: Opening, *, settings: QueueSettings, uploads: Path) -> None:
        self.ingestion = ingestion
        self.database = ingestion.database
        self.clock = ingestion.clock
        self.opening = opening
        self.settings = settings
        self.uploads = uploads
        self.queued = QueuedRuns(ingestion, opening.claimed, settings)

    def submit(self, request: SubmitRequest) -> str:
        """Queue a run and return its id; whoever is told the id may count on the run.

        What can be seen to be wrong at once raises here: a source that is not known, a path with nothing at it, of an
        unknown kind or of another kind than the source; too little room, too many runs that wait already.
        """
        if known_run := self._same(request.idempotency):
            return known_run
        require_room(self.ingestion.blobs.folder, self.opening.settings.min_free_mb)
        source, settled = self.opening.asked(request)
        run_id = uuid.uuid4().hex
        try:
            self._accept(request, source, settled.as_asked(), run_id)
        except _KnownRequestError:
            return self._same(request.idempotency) or run_id
        crashpoint("accept.after_commit")
        return run_id

    def _accept(self, request: SubmitRequest, source: Source, values: dict[str, Any], run_id: str) -> None:
        now = self.clock()
        with self.database.write() as session:
            number = sources.source_id(session, name=request.source, kind=source.kind, now=now)
            if queue.waiting_runs(session, number) >= self.settings.max_waiting:
                raise QueueFullError(
                    f"{self.settings.max_waiting} runs of {request.source!r} wait already.",
                    hint="Let some of them end first, or cancel them.",
                )
            queue.submit(
                session, run_id=run_id, source_id=number, request=values, requested_by=request.requested_by, now=now
            )
            if request.idempotency:
                _remember(session, request.idempotency, run_id, now)
            crashpoint("accept.before_commit")

    def submit_all(self, requested_by: str) -> tuple[list[str], dict[str, ThreadwiseError]]:
        """Queue a run for every source: the ids of the runs, and by source why one could not be queued."""
        queued: list[str] = []
        refused: dict[str, ThreadwiseError] = {}
        for row in self.sources():
            try:
                queued.append(self.submit(SubmitRequest(source=row.name, requested_by=requested_by)))
            except ThreadwiseError as error:
                refused[row.name] = error
        return queued, refused

    def work(self, run_id: str, stop: Callable[[], bool], report: Report = lambda _s, _t, _c: None) -> str:
        """Work exactly this run as far as it goes, and return the state it is in then.

        It is given back when `stop` turns true, or when its time is over and another source waits.
        """
        self._work(stop, report, run_id)
        return self.standing(run_id).run.state

    def work_next(self, stop: Callable[[], bool], report: Report = lambda _s, _t, _c: None) -> str | None:
        """Work the run whose source waited longest, as far as it goes; its id, None if there is none to take."""
        return self._work(stop, report, None)

    def _work(self, stop: Callable[[], bool], report: Report, run_id: str | None) -> str | None:
        until = time.monotonic() + self.settings.slice_seconds
        worked = self.queued.work(lambda own: stop() or self._is_others_turn(own, until), report, run_id)
        if worked is not None:
            self._forget_uploads()
        return worked

    def plan(self, run_id: str) -> dict[str, Any]:
        """What a planned run would do. Raises `RunNotFoundError` and `PlanNotFoundError`."""
        self.standing(run_id)
        with self.database.read() as session:
            stored, buckets = plans.of_run(session, run_id), runs.ledger_buckets(session, run_id)
        if stored is None:
            raise PlanNotFoundError(f"Run {run_id} has no plan to look at.", hint="threadwise ingest PATH --plan")
        return plan_shape(stored, buckets)

    def apply(self, plan_hash: str) -> str:
        """Let workers do exactly what was planned, once: a plan that was applied already leads to the same run.

        Raises `PlanNotFoundError`, and `WorldChangedError` when source or catalogue are not as they were.
        """
        stored = self._stored_plan(plan_hash)
        if stored.state == "planned":
            self._check_source(stored)
            with self.database.write() as session:
                apply_plan(session, stored, now=self.clock())
        elif stored.state in ("superseded", "cancelled"):
            raise WorldChangedError(f"The plan was {stored.state}.", hint="Plan again: threadwise ingest PATH --plan")
        return stored.run_id

    def standing(self, run_id: str) -> Standing:
        """Where a run stands. Raises `RunNotFoundError`."""
        with self.database.read() as session:
            found = overview.standing(session, run_id)
        if found is None:
            raise RunNotFoundError(f"There is no run {run_id}.", hint="threadwise runs lists them.")
        return found

    def latest(self, *, source: str | None = None, limit: int = 20) -> list[RunRow]:
        """The newest runs first."""
        with self.database.read() as session:
            return overview.latest_runs(session, source=source, limit=limit)

    def sources(self) -> list[SourceRow]:
        """Every source with its newest run."""
        with self.database.read() as session:
            return overview.sources(session, stale_hours=self.settings.stale_hours)

    def cancel(self, run_id: str) -> bool:
        """Ask for the end of a run; False if it had ended. Raises `RunNotFoundError`."""
        self.standing(run_id)
        with self.database.write() as session:
            return queue.request_cancel(session, run_id, self.clock())

    def quarantined(self, run_id: str) -> list[tuple[str, str, str]]:
        """(place, code, reason) of everything a run could not take."""
        with self.database.read() as session:
            return runs.quarantined(session, run_id)

    def ledger(self, run_id: str) -> dict[str, Any]:
        """Where everything went that a run read, file by file where there are files, and what was noticed in it.

        Raises `RunNotFoundError`.
        """
        self.standing(run_id)
        with self.database.read() as session:
            return {
                "run_id": run_id,
                "lines": overview.ledger(session, run_id),
                "files": outcomes.of_files(session, run_id),
                "quality": overview.quality(session, run_id),
            }

    def schedule(self, name: str, every_minutes: int) -> None:
        """Read a source again at this interval, 0 = only when asked. Raises `UnknownSourceError`."""
        with self.database.write() as session:
            if not sources.set_schedule(session, name, every_minutes):
                raise UnknownSourceError(f"No source {name!r} is known.", hint="threadwise sources lists them.")

    def pause(self, name: str) -> None:
        """Take no run of this source until it goes on; one at work is given back. Raises `UnknownSourceError`."""
        number = self._named(name).id
        with self.database.write() as session:
            queue.pause(session, number, "asked")

    def resume(self, name: str) -> None:
        """Take runs of this source again, whyever it is paused. Raises `UnknownSourceError`."""
        number = self._named(name).id
        with self.database.write() as session:
            why = queue.paused_sources(session).get(number, "")
            queue.resume(session, number, why, self.clock())

    def letters(self, source: str | None = None, state: str | None = "open", limit: int = 100) -> list[Letter]:
        """Dead letters, newest first. Raises `UnknownSourceError`."""
        if source is not None:
            self._named(source)
        with self.database.read() as session:
            return letters.listing(session, source=source, state=state, limit=limit)

    def letter(self, number: int) -> Letter:
        """One dead letter. Raises `LetterNotFoundError`."""
        with self.database.read() as session:
            found = letters.find(session, number)
        if found is None:
            raise LetterNotFoundError(f"There is no dead letter {number}.", hint="threadwise dead-letters lists them.")
        return found

    def retry_letters(
        self, numbers: Collection[int] | None = None, source: str | None = None, requested_by: str = ""
    ) -> list[str]:
        """Try these open letters again, or all (of one source): the ids of the queued runs, one for each source.

        Documents are tried from their stored form; a source with a file that could not be read is read again.
        """
        chosen = self._chosen(numbers, source)
        queued = []
        for name in sorted({letter.source for letter in chosen}):
            mine = [letter for letter in chosen if letter.source == name]
            if any(letter.kind == "place" for letter in mine):
                queued.append(self.submit(SubmitRequest(source=name, requested_by=requested_by)))
                with self.database.write() as session:
                    letters.mark(session, [letter.id for letter in mine], "retried", self.clock())
            elif run_id := self._retried(name, mine, requested_by):
                queued.append(run_id)
        return queued

    def ignore_letters(self, numbers: Collection[int]) -> int:
        """Do without what these open letters are about, also in later runs; returns how many were open."""
        for number in numbers:
            self.letter(number)
        with self.database.write() as session:
            return letters.mark(session, numbers, "ignored", self.clock())

    def _retried(self, name: str, chosen: list[Letter], requested_by: str) -> str | None:
        run_id, now = uuid.uuid4().hex, self.clock()
        number = self._named(name).id
        with self.database.write() as session:
            left = retries.submit(session, chosen, run_id=run_id, source_id=number, requested_by=requested_by, now=now)
        return run_id if left else None

    def _chosen(self, numbers: Collection[int] | None, source: str | None) -> list[Letter]:
        if numbers is None:
            return self.letters(source, limit=100_000)
        return [letter for number in numbers if (letter := self.letter(number)).state == "open"]

    def _stored_plan(self, plan_hash: str) -> StoredPlan:
        with self.database.read() as session:
            stored = plans.find(session, plan_hash)
        if stored is None:
            raise PlanNotFoundError(f"There is no plan {plan_hash}.", hint="threadwise ingest PATH --plan")
        return stored

    def _check_source(self, stored: StoredPlan) -> None:
        """Raise `WorldChangedError` unless the source still is what was planned from."""
        planned = stored.plan["resolution"]["fingerprint"]
        with self.database.read() as session:
            claimed = queue.as_claimed(session, stored.run_id)
        source, request = self.opening.claimed(claimed)
        if source is not None and planned and self.ingestion.fingerprint(source, request.options) != planned:
            raise WorldChangedError(
                "The source has changed since it was planned.", hint="Plan again: threadwise ingest PATH --plan"
            )

    def _same(self, asked: Idempotency | None) -> str | None:
        if asked is None:
            return None
        with self.database.read() as session:
            found = idempotency.find(session, asked.key_id, asked.key)
        if found is None:
            return None
        body_sha, run_id = found
        if body_sha != asked.body_sha:
            raise IdempotencyConflictError(
                "This Idempotency-Key came with another request before.", hint="Choose a new key for a new request."
            )
        return run_id

    def _named(self, name: str) -> KnownSource:
        known = self.opening.known(name)
        if known is None:
            raise UnknownSourceError(f"No source {name!r} is known.", hint="threadwise sources lists them.")
        return known

    def _forget_uploads(self) -> None:
        """Delete uploads that no source was read from last and no run has still to read."""
        if not self.uploads.is_dir():
            return
        with self.database.read() as session:
            needed = {Path(path).parent for path in (*queue.open_paths(session), *sources.locations(session))}
        # One that is coming in right now belongs to no run yet.
        old = time.time() - UPLOAD_SECONDS
        for folder in self.uploads.iterdir():
            # Another worker may be deleting the same one, and what is no folder is none of ours.
            with suppress(OSError):
                if folder not in needed and max(file.stat().st_mtime for file in (folder, *folder.iterdir())) < old:
                    shutil.rmtree(folder, ignore_errors=True)

    def _is_others_turn(self, run_id: str, until: float) -> bool:
        if time.monotonic() < until:
            return False
        with self.database.read() as session:
            return queue.others_wait(session, run_id)


class _KnownRequestError(Exception):
    """Somebody else was faster with the same key."""


def _remember(session: Session, asked: Idempotency, run_id: str, now: Instant) -> None:
    if not idempotency.remember(session, asked.key_id, asked.key, body_sha=asked.body_sha, run_id=run_id, now=now):
        raise _KnownRequestError
