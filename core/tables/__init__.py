"""The tables of the catalogue. Only code that writes a table adds it; migrations create it.

Times are microseconds (see `core.words`). Ids that answers and links may refer to are hashes; the others are numbers.
"""

from core.tables.catalogue import (
    audience,
    audience_principal,
    build,
    change,
    chunk,
    counter,
    document,
    document_signals,
    embedding,
    generation,
    live_generation,
    membership,
    source,
    space,
    tombstone,
    version,
    workspace,
)
from core.tables.doors import answer, api_key, audit, feedback, inbox
from core.tables.ground import metadata
from core.tables.likeness import likeness, likeness_band, near_duplicate
from core.tables.runs import dead_letter, idempotency, ledger, outbox, quality, run, work

__all__ = [
    "answer",
    "api_key",
    "audience",
    "audience_principal",
    "audit",
    "build",
    "change",
    "chunk",
    "counter",
    "dead_letter",
    "document",
    "document_signals",
    "embedding",
    "feedback",
    "generation",
    "idempotency",
    "inbox",
    "ledger",
    "likeness",
    "likeness_band",
    "live_generation",
    "membership",
    "metadata",
    "near_duplicate",
    "outbox",
    "quality",
    "run",
    "source",
    "space",
    "tombstone",
    "version",
    "work",
    "workspace",
]
