"""What a plan comes to, as one value: written at once, or kept and written exactly so when somebody applies it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.catalog import audiences, documents, letters, plans, runs, sequence, sources
from core.catalog.documents import Known, Target
from core.database import Session
from core.words import Instant, digest_of
from ingest.buried import Graves
from ingest.plan import Findings
from ingest.request import Request
from ingest.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Everything that applying a plan writes beside the documents themselves, as plain values.

    `base` is a digest of what the catalogue knew of the source when the plan was made.
    """

    base: str
    content: str  # a hash over the blobs of the work
    generation_id: int
    fingerprint: str
    unchanged: int
    workspace: str
    workspaces: list[str]
    memberships: list[tuple[str, str]]
    narrowed: dict[str, list[str]]
    refused: list[tuple[str, str, str]]
    location: str
    audience: list[str] | None
    options: dict[str, Any]
    whole: bool
    work: dict[str, list[str]] = field(default_factory=dict)  # by kind of change: external ids
    moved: list[str] = field(default_factory=list)

    @property
    def plan_hash(self) -> str:
        """The same plan for the same state of the source and of the catalogue has the same hash (SHA-256, hex)."""
        return digest_of(json.dumps(asdict(self), sort_keys=True))

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Resolution":
        """The inverse of `dataclasses.asdict` and JSON."""
        pairs = [(who, what) for who, what in stored["memberships"]]
        refused = [(place, code, reason) for place, code, reason in stored["refused"]]
        of_old = {"workspaces": [stored["workspace"]] if stored["workspace"] else [], "options": {}}
        return cls(**{**of_old, **stored, "memberships": pairs, "refused": refused})


def resolution_of(
    findings: Findings,
    source: Source,
    target: Target,
    *,
    fingerprint: str,
    request: Request,
) -> Resolution:
    """What the findings come to. A run of one document says nothing about the rest of its source."""
    work: dict[str, list[str]] = {"added": [], "changed": [], "removed": []}
    for name, change, _ in findings.work:
        work[change].append(name)
    blobs = hashlib.sha256("".join(sorted(blob for _, _, blob in findings.work)).encode()).hexdigest()
    return Resolution(
        base=base_of(findings.known, findings.graves),
        content=blobs,
        generation_id=target.generation_id,
        fingerprint=fingerprint,
        unchanged=findings.unchanged,
        workspace=source.workspace or "",
        workspaces=list(source.workspaces),
        memberships=sorted(set(findings.graves.living(source.memberships()))),
        narrowed={name: sorted(readers) for name, readers in sorted(findings.narrowed.items())},
        refused=findings.refused,
        location=request.location,
        audience=None if request.audience is None else list(request.audience),
        options=request.options.as_json(),
        whole=request.document is None,
        work=work,
        moved=findings.moved,
    )


def base_of(known: Mapping[str, Known], graves: Graves) -> str:
    """A digest of what the catalogue has of one source, and of what may not come back.

    A plan that was made on another state is not true any more.
    """
    lines = [
        f"{name} {document.blob_sha} {document.live} {' '.join(sorted(document.audience))}"
        for name, document in sorted(known.items())
    ]
    return digest_of(*lines, graves.digest)


def record(session: Session, findings: Findings, target: Target) -> None:
    """Write the work, the ledger and the quality report of a run that is being planned."""
    runs.add_work(session, target.run_id, findings.work)
    runs.add_ledger(session, target.run_id, findings.ledger)
    runs.add_quality(session, target.run_id, findings.quality)


def enact(session: Session, resolution: Resolution, target: Target, *, now: Instant) -> None:
    """Make the plan true: what an earlier run of this source left open is superseded, lost rights are lost now.

    Raises `WorkspaceTakenError`.
    """
    source_id, run_id = target.source_id, target.run_id
    runs.supersede_unfinished(session, source_id, now, but=run_id)
    if resolution.whole:
        letters.add_places(session, run_id, resolution.refused, now)
        letters.overtake(session, source_id, run_id, now)
    enact_rights(session, resolution, target)
    if resolution.whole or any(resolution.work.values()):
        # Until the run has ended well, the next one may not take the short cut.
        sources.set_fingerprint(session, source_id, "")


def enact_rights(session: Session, resolution: Resolution, target: Target) -> None:
    """Write who holds what and who lost what by the source's present listings, and how it was read."""
    sequence.lock(session)
    sources.claim_workspaces(session, target.source_id, resolution.workspace, resolution.workspaces)
    audiences.replace_memberships(session, target.source_id, resolution.memberships)
    documents.narrow_audiences(session, source=target.source, audiences=resolution.narrowed)
    audience = None if resolution.audience is None else tuple(resolution.audience)
    sources.remember_options(
        session, target.source_id, location=resolution.location, audience=audience, options=resolution.options
    )


def keep(session: Session, resolution: Resolution, target: Target, estimate: Mapping[str, Any], now: Instant) -> None:
    """Let the plan wait until somebody applies it; earlier ones of the source are overtaken by it."""
    plans.overtake(session, target.source_id, now)
    plans.keep(
        session,
        target.run_id,
        plan_hash=resolution.plan_hash,
        plan={"resolution": asdict(resolution), "estimate": dict(estimate)},
        fingerprint=resolution.fingerprint,
        unchanged=resolution.unchanged,
    )
