"""One ingestion from start to end: short cut, plan, apply, report."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.blobs import BlobStore
from core.catalog import generations, leases, queue, retries, runs, sources
from core.catalog.documents import Target
from core.catalog.generations import GenerationMismatchError
from core.catalog.queue import ClaimedRun
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database
from core.room import require_room
from core.settings import IngestSettings
from core.words import digest_of
from ingest.ending import RunEnd
from ingest.errors import (
    SourceBusyError,
    SourcePausedError,
)
from ingest.hygiene.inspection import HYGIENE_VERSION
from ingest.lease import kept
from ingest.linking import BESIDE, Linker
from ingest.locks import source_lock
from ingest.options import SourceOptions
from ingest.planning import Planned, Planner, fence
from ingest.prepare import Preparer
from ingest.recipe import Recipe
from ingest.request import Request
from ingest.rescue import take_over
from ingest.sources import Source
from ingest.work import Report, RunLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What a run did. `buckets` add up to every item (Slack: message) that the source holds."""

    run_id: str
    state: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    quarantined: int = 0
    chunks: int = 0
    embedded: int = 0
    buckets: dict[str, int]
    seconds: float
    embed_seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        names = ("added", "changed", "unchanged", "removed", "quarantined")
        return {
            "run_id": self.run_id,
            "state": self.state,
            "documents": {name: getattr(self, name) for name in names},
            "chunks": self.chunks,
            "embedded": self.embedded,
            "ledger": {"total": sum(self.buckets.values()), "buckets": self.buckets},
            "seconds": round(self.seconds, 3),
        }


class Ingestion:
    """Ingests sources into one catalogue."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        recipe: Callable[[], Recipe],
        *,
        settings: IngestSettings,
        clock: Clock,
        locks: Path,
    ) -> None:
        self.database = database
        self.blobs = blobs
        self._recipe = recipe
        self.settings = settings
        self.clock = clock
        self.locks = locks
        self.end = RunEnd(database, clock)
        self.linker = Linker(database, blobs, clock)
        self.planner = Planner(database, blobs, clock, lanes=settings.workers)

    @property
    def recipe(self) -> Recipe:
        """How documents are cut and embedded for the generation that readers see now."""
        return self._recipe()

    def ingest(self, source: Source, request: Request, report: Report) -> IngestReport:
        """Bring the catalogue to the source's present state; a source that did not change costs one look at it.

        Raises `SourceBusyError` while another process ingests the same source, `SourcePausedError`, `StorageFullError`,
        and `EmptySourceError` rather than take every document away unasked.
        """
        started = time.perf_counter()
        with source_lock(self.locks, request.name):
            self._take_over(request.name)
            if not request.plan_only and (
                unchanged := self._unchanged(request, self.fingerprint(source, request.options), started)
            ):
                return unchanged
            claimed = self._begin(source, request)
            try:
                with kept(self.database, claimed.id, claimed.token, seconds=self.settings.lease_seconds) as lease:
                    return self.work(claimed, source, request, stop=lease.lost.is_set, report=report)
            except BaseException as error:
                self.end.left_by_its_submitter(claimed, error)
                raise

    def work(
        self, claimed: ClaimedRun, source: Source | None, request: Request, *, stop: Callable[[], bool], report: Report
    ) -> IngestReport:
        """Work a claimed run; the caller keeps its lease. A run whose plan is written needs no source any more.

        Raises what `ingest` raises, and `RunStoppedError` or `RunCancelledError` when it is to end before its time.
        """
        started = time.perf_counter()
        require_room(self.blobs.folder, self.settings.min_free_mb)
        if source is None or claimed.state == "running":
            target = self._target(claimed)
            if claimed.state != "running":
                self._start_retry(claimed)
        else:
            fingerprint = "" if request.document else self.fingerprint(source, request.options)
            if not request.plan_only and (unchanged := self._unchanged(request, fingerprint, started, claimed)):
                return unchanged
            target = self._target(claimed)
            self.planner.plan(source, request, Planned(claimed, target, fingerprint, self.recipe), stop)
            if request.plan_only:
                return self._report(claimed.id, time.perf_counter() - started)
        embed_seconds = self._apply(target, claimed.token, report, stop)
        return self._report(claimed.id, time.perf_counter() - started, embed_seconds)

    def repeat(self, source: Source, request: Request) -> IngestReport | None:
        """The report of a run that finds nothing changed, or None: then the source has to be ingested."""
        started = time.perf_counter()
        with source_lock(self.locks, request.name):
            return self._unchanged(request, self.fingerprint(source, request.options), started)

    def _take_over(self, name: str) -> None:
        """Go on only when nobody works on the source: a worker that does not move any more is waited out and freed."""
        with self.database.read() as session:
            known = sources.known_source(session, name)
            held = leases.holder_of_source(session, name) is not None
            paused = queue.paused_sources(session).get(known.id, "") if known else ""
        if paused == "asked":
            raise SourcePausedError(
                f"The source {name!r} is paused.", hint=f"Let it go on with: threadwise runs resume {name}"
            )
        if held:
            take_over(self.database, name, self.clock, self.settings)

    def _begin(self, source: Source, request: Request) -> ClaimedRun:
        run_id, now = uuid.uuid4().hex, self.clock()
        with self.database.write() as session:
            number = sources.source_id(session, name=request.name, kind=source.kind, now=now)
            queue.lock_source(session, number)
            if leases.holder_of_source(session, request.name):
                raise SourceBusyError(f"A worker has just taken {request.name!r}.", hint="Wait for it: threadwise runs")
            return queue.begin(
                session,
                run_id=run_id,
                source_id=number,
                request=request.as_asked(),
                requested_by="command line",
                now=now,
            )

    def fingerprint(self, source: Source, options: SourceOptions) -> str:
        """SHA-256 (hex) over the source's content and how it is cleaned, cut and embedded."""
        recipe, how = self.recipe, json.dumps(options.as_json(), sort_keys=True)
        return digest_of(source.fingerprint(), how, HYGIENE_VERSION, recipe.pipeline, recipe.space.id)

    def _unchanged(
        self, request: Request, fingerprint: str, started: float, claimed: ClaimedRun | None = None
    ) -> IngestReport | None:
        run_id = claimed.id if claimed else uuid.uuid4().hex
        with self.database.read() as session:
            stored = sources.known_source(session, request.name)
        if stored is None or not fingerprint or stored.fingerprint != fingerprint:
            return None
        with self.database.write() as session:
            if claimed:
                fence(session, claimed)
            count = runs.repeat_last_run(session, stored.id, run_id=run_id, now=self.clock(), queued=bool(claimed))
            if count is None:
                return None
            buckets = runs.ledger_buckets(session, run_id)
            wanted = (request.location, request.audience, request.options.as_json())
            if (stored.location, stored.audience, stored.options) != wanted:
                location, audience, options = wanted
                sources.remember_options(session, stored.id, location=location, audience=audience, options=options)
        seconds = time.perf_counter() - started
        return IngestReport(run_id=run_id, state="succeeded", unchanged=count, buckets=buckets, seconds=seconds)

    def _start_retry(self, claimed: ClaimedRun) -> None:
        with self.database.write() as session:
            fence(session, claimed)
            retries.start(session, claimed, self.clock())

    def _target(self, claimed: ClaimedRun) -> Target:
        recipe = self.recipe
        try:
            with self.database.write() as session:
                generation = generations.generation_for(
                    session, pipeline=recipe.pipeline, space=recipe.space, recipe=recipe.stored, now=self.clock()
                )
        except GenerationMismatchError:
            if self.recipe is recipe:
                raise
            return self._target(claimed)  # readers were given another generation just now
        return Target(
            source_id=claimed.source_id,
            source=claimed.source,
            run_id=claimed.id,
            generation_id=generation,
            space_id=recipe.space.id,
        )

    def _apply(self, target: Target, token: str, report: Report, stop: Callable[[], bool]) -> float:
        with self.database.read() as session:
            open_items = runs.progress(session, target.run_id).total
        embed_seconds = 0.0
        if open_items:
            preparer = Preparer(
                self.database,
                self.blobs,
                embedder=self.recipe.embedder(),
                chunker=self.recipe.chunker(target.source),
                target=target,
            )
            loop = RunLoop(
                self.database,
                preparer,
                token=token,
                settings=self.settings,
                clock=self.clock,
                stop=stop,
                check_room=partial(require_room, self.blobs.folder, self.settings.min_free_mb),
            )
            loop.run(report)
            embed_seconds = preparer.embed_seconds
        self.linker.catch_up(open_items + BESIDE, stop)
        crashpoint("finish.before")
        with self.database.write() as session:
            state, fingerprint = runs.finish(session, target.run_id, token, self.clock())
            if state == "succeeded" and fingerprint:
                sources.set_fingerprint(session, target.source_id, fingerprint)
        crashpoint("finish.after")
        return embed_seconds

    def _report(self, run_id: str, seconds: float, embed_seconds: float = 0.0) -> IngestReport:
        with self.database.read() as session:
            counts = runs.progress(session, run_id)
            buckets = runs.ledger_buckets(session, run_id)
        return IngestReport(
            run_id=run_id,
            state=counts.state,
            added=counts.changes.get("added", 0),
            changed=counts.changes.get("changed", 0),
            removed=counts.changes.get("removed", 0),
            unchanged=counts.unchanged,
            quarantined=counts.states.get("quarantined", 0) + counts.refused,
            chunks=counts.chunks,
            embedded=counts.embedded,
            buckets=buckets,
            seconds=seconds,
            embed_seconds=embed_seconds,
        )
