"""Plans that were kept: how they are shown, and how one becomes real."""

from collections.abc import Mapping
from typing import Any

from core.catalog import documents, feeds, plans, runs, sequence
from core.catalog.documents import Target
from core.catalog.plans import StoredPlan
from core.database import Session
from core.words import Instant
from ingest import buried, enacting
from ingest.enacting import Resolution
from ingest.errors import WorldChangedError


def plan_shape(stored: StoredPlan, buckets: Mapping[str, int]) -> dict[str, Any]:
    """What applying a plan would do, in the shape that tools rely on."""
    resolution = Resolution.read(stored.plan["resolution"])
    work, moved = resolution.work, set(resolution.moved)
    listed = {
        "added": work["added"],
        "changed": [name for name in work["changed"] if name not in moved],
        "removed": work["removed"],
        "audience_changed": resolution.moved,
    }
    counts = {name: len(names) for name, names in listed.items()}
    return {
        "run_id": stored.run_id,
        "source": stored.source,
        "plan_hash": stored.plan_hash,
        "state": stored.state,
        "documents": listed,
        "counts": counts | {"unchanged": resolution.unchanged, "refused": len(resolution.refused)},
        **stored.plan["estimate"],
        "ledger": {"total": sum(buckets.values()), "buckets": dict(buckets)},
    }


def apply_plan(session: Session, stored: StoredPlan, *, now: Instant) -> None:
    """Make a waiting plan real, exactly as it was shown; nothing if somebody was faster.

    Raises `WorldChangedError` when the catalogue has moved on since.
    """
    resolution = Resolution.read(stored.plan["resolution"])
    runs.lock_unfinished(session, stored.source_id)
    sequence.lock(session)
    live = feeds.live_generation(session)
    known = documents.known_documents(session, stored.source_id)
    base = enacting.base_of(known, buried.graves_of(session, stored.source_id))
    if live is None or live[0] != resolution.generation_id or base != resolution.base:
        raise WorldChangedError(
            "The catalogue has changed since this was planned.", hint="Plan again: threadwise ingest PATH --plan"
        )
    if not plans.release(session, stored.run_id, now):
        return
    target = Target(
        source_id=stored.source_id,
        source=stored.source,
        run_id=stored.run_id,
        generation_id=live[0],
        space_id=live[1],
    )
    enacting.enact(session, resolution, target, now=now)
