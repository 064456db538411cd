"""From a claimed run to its plan: read the source, and write what has to be done, or keep it to be looked at."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.blobs import BlobStore
from core.catalog import documents, leases, letters, outcomes, plans, purging, queue, runs, sequence, sources
from core.catalog.documents import Target
from core.catalog.queue import ClaimedRun
from core.clock import Clock
from core.crashpoints import crashpoint
from core.database import Database, Session
from core.errors import LostClaimError
from ingest import buried, enacting, estimate
from ingest.enacting import Resolution
from ingest.errors import DocumentNotFoundError, EmptySourceError, RunCancelledError, RunStoppedError
from ingest.options import SourceOptions
from ingest.plan import Findings, examine
from ingest.recipe import Recipe
from ingest.request import Request
from ingest.sources import Source

LOOK_SECONDS = 1.0  # between two looks at whether the run was cancelled


@dataclass(frozen=True, slots=True)
class Planned:
    """What is planned: a claimed run, for a generation, of a source with this fingerprint, cut and embedded so."""

    claimed: ClaimedRun
    target: Target
    fingerprint: str
    recipe: Recipe


class Planner:
    """Plans runs of one catalogue."""

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock, *, lanes: int) -> None:
        self.database = database
        self.blobs = blobs
        self.clock = clock
        self.lanes = lanes

    def plan(self, source: Source, request: Request, planned: Planned, stop: Callable[[], bool]) -> None:
        """Read the source and write the plan; once more where somebody deleted for good what was read meanwhile.

        Raises `EmptySourceError`, `DocumentNotFoundError`, `RunStoppedError` and `RunCancelledError`.
        """
        while True:
            findings = self._findings(planned.target, request.options, source)
            examine(source, findings, self.blobs, self._watch(planned.claimed.id, stop))
            if request.document:
                _restrict(findings, request.document)
            # Nothing is remembered while something in the source waits for its time: it has to be read again.
            resolution = enacting.resolution_of(
                findings,
                source,
                planned.target,
                fingerprint="" if findings.waiting else planned.fingerprint,
                request=request,
            )
            if findings.emptied and not request.allow_empty:
                self._refuse_emptied(findings, source, resolution, planned, request)
            estimated = self._estimate(findings, planned) if request.plan_only else None
            crashpoint("plan.before_commit")
            if self._write(findings, resolution, planned, estimated):
                crashpoint("plan.after_commit")
                return
            self._forget(findings)

    def _write(
        self, findings: Findings, resolution: Resolution, planned: Planned, estimated: dict[str, object] | None
    ) -> bool:
        """Write the plan; False when it has in it what was deleted for good since the source was read."""
        run_id, now = planned.claimed.id, self.clock()
        with self.database.write() as session:
            runs.lock_unfinished(session, planned.target.source_id)
            fence(session, planned.claimed)
            if queue.is_cancel_requested(session, run_id):
                raise RunCancelledError("The run was cancelled.")
            sequence.lock(session)
            if buried.graves_of(session, planned.target.source_id) != findings.graves:
                return False
            enacting.record(session, findings, planned.target)
            if estimated is not None:
                enacting.keep(session, resolution, planned.target, estimated, now)
            else:
                enacting.enact(session, resolution, planned.target, now=now)
                found, same = resolution.fingerprint, resolution.unchanged
                plans.start(session, run_id, fingerprint=found, unchanged=same, now=now)
        return True

    def _forget(self, findings: Findings) -> None:
        """Remove what was stored for a plan that is not true any more."""
        with self.database.read() as session:
            unused = purging.unused_blobs(session, {sha for *_, sha in findings.work if sha})
        for sha in unused:
            self.blobs.remove(sha)

    def _watch(self, run_id: str, stop: Callable[[], bool]) -> Callable[[], None]:
        """What raises once the run is to end before its time: asked at every item, and the catalogue now and then."""
        asked = time.monotonic()

        def check() -> None:
            nonlocal asked
            if stop():
                raise RunStoppedError("The run was stopped.", hint="It goes on where it was.")
            if time.monotonic() - asked > LOOK_SECONDS:
                asked = time.monotonic()
                with self.database.read() as session:
                    if queue.is_cancel_requested(session, run_id):
                        raise RunCancelledError("The run was cancelled.")

        return check

    def _findings(self, target: Target, options: SourceOptions, source: Source) -> Findings:
        with self.database.read() as session:
            return Findings(
                documents.known_documents(session, target.source_id),
                self.clock(),
                graves=buried.graves_of(session, target.source_id),
                ignored=letters.ignored_documents(session, target.source_id),
                options=options,
                by_item=source.kind == outcomes.OF_FILES,
                covered=source.covered,
            )

    def _refuse_emptied(
        self, findings: Findings, source: Source, resolution: Resolution, planned: Planned, request: Request
    ) -> None:
        """What nobody may read any more by the source's listings is withdrawn, unless this only is a plan."""
        if request.options.include or request.options.exclude:
            raise EmptySourceError(
                "Nothing in the source is left by its patterns (include, exclude); what it brought is kept.",
                hint='Correct them, forget them with --include "" or --exclude "", or say --allow-empty.',
            )
        if not request.plan_only:
            self._withdraw(findings, source, resolution, planned)
        raise EmptySourceError(
            "The source has no documents any more; those that it brought are kept.",
            hint="Check that the folder is mounted and the path is right, or say --allow-empty.",
        )

    def _withdraw(self, findings: Findings, source: Source, resolution: Resolution, planned: Planned) -> None:
        findings.withdraw(source)
        lost = {name: sorted(readers) for name, readers in findings.narrowed.items()}
        with self.database.write() as session:
            fence(session, planned.claimed)
            known = sources.known_source(session, planned.target.source)
            # What is refused was perhaps a wrong path: the next run reads where there was something.
            where = known.location if known and known.location else resolution.location
            options = known.options if known else {}
            only_rights = replace(resolution, narrowed=lost, location=where, options=options)
            enacting.enact_rights(session, only_rights, planned.target)
            # What is there again must not look unchanged: rights were taken away.
            sources.set_fingerprint(session, planned.target.source_id, "")

    def _estimate(self, findings: Findings, planned: Planned) -> dict[str, object]:
        recipe, target = planned.recipe, planned.target
        return estimate.of(findings.work, self.database, self.blobs, recipe=recipe, target=target, lanes=self.lanes)


def fence(session: Session, claimed: ClaimedRun) -> None:
    """Nothing of what a worker found out is written once its claim is lost. Raises `LostClaimError`."""
    if not leases.is_held(session, claimed.id, claimed.token):
        raise LostClaimError(f"Run {claimed.id} was taken over by another worker.")


def _restrict(findings: Findings, name: str) -> None:
    if name not in findings.seen and name not in findings.known:
        raise DocumentNotFoundError(f"The source has no document {name!r}.", hint="Search shows external ids.")
    findings.restrict_to(name)
