"""One ingestion from start to end: short cut, plan, apply, report."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.blobs import BlobStore
from core.catalog import documents, queue, runs, sources
from core.catalog.documents import Target
from core.catalog.queue import ClaimedRun
from core.clock import Clock
from core.database import Database, Session
from core.errors import LostClaimError, ValueRefusedError
from core.settings import IngestSettings
from core.words import Space, digest_of
from ingest import plan
from ingest.errors import DocumentNotFoundError, EmptySourceError, SourceBusyError
from ingest.locks import source_lock
from ingest.prepare import Chunker, DocumentEmbedder, Preparer
from ingest.sources import Source
from ingest.work import Report, RunLoop

LONGEST_NAME = 200
"""Characters of a source's name and of a principal, as the catalogue has room for."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How documents become chunks and vectors. The embedder is made only when something has to be embedded."""

    pipeline: str
    space: Space
    chunker: Callable[[str], Chunker]  # for the documents of the named source
    embedder: Callable[[], DocumentEmbedder]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is ingested under which name. `location` and `audience` are remembered for the next time."""

    name: str
    location: str = ""
    audience: tuple[str, ...] | None = None  # principals that replace what the source says
    allow_empty: bool = False  # take everything away when the source has nothing any more
    document: str | None = None  # only the document of this external id

    def __post_init__(self) -> None:
        for name in (self.name, *(self.audience or ())):
            if len(name) > LONGEST_NAME:
                raise ValueRefusedError(
                    f"A name of {len(name)} characters is too long.", hint=f"At most {LONGEST_NAME} fit."
                )


class Ingestion:
    """Ingests sources into one catalogue."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        recipe: Recipe,
        *,
        settings: IngestSettings,
        clock: Clock,
        locks: Path,
    ) -> None:
        self.database = database
        self.blobs = blobs
        self.recipe = recipe
        self.settings = settings
        self.clock = clock
        self.locks = locks

    def ingest(self, source: Source, request: Request, report: Report) -> IngestReport:
        """Bring the catalogue to the source's present state; a source that did not change costs one look at it.

        Raises `SourceBusyError` while another process ingests the same source, and `EmptySourceError` rather than take
        every document away unasked.
        """
        started = time.perf_counter()
        with source_lock(self.locks, request.name):
            self._refuse_while_worked(request.name)
            fingerprint = self._fingerprint(source)
            if unchanged := self._unchanged(request, fingerprint, started):
                return unchanged
            target, fingerprint = self._plan(source, request, fingerprint)
            embed_seconds = self._apply(target, fingerprint, report)
            return self._report(target.run_id, time.perf_counter() - started, embed_seconds)

    def work(
        self, claimed: ClaimedRun, source: Source, request: Request, *, stop: Callable[[], bool], report: Report
    ) -> IngestReport:
        """Work a claimed run of the queue; the caller holds the source's lock and keeps the lease.

        Raises what `ingest` raises, and `RunStoppedError` or `RunCancelledError` when it is to end before its time.
        """
        started = time.perf_counter()
        if claimed.state == "running":
            target, fingerprint = self._target(source, request.name, claimed.id), claimed.fingerprint
        else:
            fingerprint = "" if request.document else self._fingerprint(source)
            if fingerprint and (unchanged := self._unchanged(request, fingerprint, started, claimed)):
                return unchanged
            target, fingerprint = self._plan(source, request, fingerprint, claimed)
        embed_seconds = self._apply(target, fingerprint, report, stop)
        return self._report(claimed.id, time.perf_counter() - started, embed_seconds)

    def repeat(self, source: Source, request: Request) -> IngestReport | None:
        """The report of a run that finds nothing changed, or None: then the source has to be ingested."""
        started = time.perf_counter()
        with source_lock(self.locks, request.name):
            return self._unchanged(request, self._fingerprint(source), started)

    def _refuse_while_worked(self, name: str) -> None:
        with self.database.read() as session:
            if queue.is_source_held(session, name):
                raise SourceBusyError(
                    f"A worker is ingesting the source {name!r}.", hint="Wait for it: threadwise runs"
                )

    def _fingerprint(self, source: Source) -> str:
        return digest_of(source.fingerprint(), self.recipe.pipeline, self.recipe.space.id)

    def _unchanged(
        self, request: Request, fingerprint: str, started: float, claimed: ClaimedRun | None = None
    ) -> IngestReport | None:
        run_id = claimed.id if claimed else uuid.uuid4().hex
        with self.database.write() as session:
            stored = sources.known_source(session, request.name)
            if stored is None or stored.fingerprint != fingerprint:
                return None
            _fence(session, claimed)
            count = runs.repeat_last_run(session, stored.id, run_id=run_id, now=self.clock(), queued=bool(claimed))
            if count is None:
                return None
            buckets = runs.ledger_buckets(session, run_id)
            if stored.location != request.location:
                self._remember(session, stored.id, request)
        seconds = time.perf_counter() - started
        return IngestReport(run_id=run_id, state="succeeded", unchanged=count, buckets=buckets, seconds=seconds)

    def _plan(
        self, source: Source, request: Request, fingerprint: str, claimed: ClaimedRun | None = None
    ) -> tuple[Target, str]:
        """The planned run, and the fingerprint to remember: none while something in the source waits for its time."""
        target = self._target(source, request.name, claimed.id if claimed else uuid.uuid4().hex)
        with self.database.read() as session:
            known = documents.known_documents(session, target.source_id)
        findings = plan.examine(source, known, self.blobs, self.clock())
        if findings.emptied and not request.allow_empty:
            findings.withdraw(source)
            with self.database.write() as session:
                _fence(session, claimed)
                plan.record_rights(session, findings, source, target)
                self._remember(session, target.source_id, request)
            raise EmptySourceError(
                "The source has no documents any more; those that it brought are kept.",
                hint="Check that the folder is mounted and the path is right, or say --allow-empty.",
            )
        if request.document:
            _restrict(findings, request.document)
        fingerprint = "" if findings.waiting else fingerprint
        with self.database.write() as session:
            _fence(session, claimed)
            plan.record(
                session,
                findings,
                source,
                target,
                fingerprint=fingerprint,
                now=self.clock(),
                queued=claimed is not None,
                whole=request.document is None,
            )
            self._remember(session, target.source_id, request)
        return target, fingerprint

    def _remember(self, session: Session, source_id: int, request: Request) -> None:
        sources.remember_options(session, source_id, location=request.location, audience=request.audience)

    def _target(self, source: Source, name: str, run_id: str) -> Target:
        space = self.recipe.space
        with self.database.write() as session:
            number = sources.source_id(session, name=name, kind=source.kind, now=self.clock())
            generation = sources.generation_for(session, pipeline=self.recipe.pipeline, space=space, now=self.clock())
        return Target(source_id=number, source=name, run_id=run_id, generation_id=generation, space_id=space.id)

    def _apply(
        self, target: Target, fingerprint: str, report: Report, stop: Callable[[], bool] = lambda: False
    ) -> float:
        with self.database.read() as session:
            open_items = runs.progress(session, target.run_id).total
        embed_seconds = 0.0
        if open_items:
            recipe = self.recipe
            preparer = Preparer(
                self.database,
                self.blobs,
                embedder=recipe.embedder(),
                chunker=recipe.chunker(target.source),
                target=target,
            )
            RunLoop(self.database, preparer, settings=self.settings, clock=self.clock, stop=stop).run(report)
            embed_seconds = preparer.embed_seconds
        with self.database.write() as session:
            if runs.finish(session, target.run_id, self.clock()) == "succeeded" and fingerprint:
                sources.set_fingerprint(session, target.source_id, fingerprint)
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


def _fence(session: Session, claimed: ClaimedRun | None) -> None:
    """Nothing of what a worker found out is written once its claim is lost."""
    if claimed and not queue.holds_run(session, claimed.id, claimed.token):
        raise LostClaimError(f"Run {claimed.id} was taken over by another worker.")


def _restrict(findings: plan.Findings, name: str) -> None:
    if name not in findings.seen and name not in findings.known:
        raise DocumentNotFoundError(f"The source has no document {name!r}.", hint="Search shows external ids.")
    findings.restrict_to(name)
