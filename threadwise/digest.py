"""Crash equivalence: one hash for everything a reader can meet, equal however often ingestion was killed.

It covers chunks (id, text, place, audience, validity), embedding bytes, feature values and the words indexed for each
chunk. It leaves out what may differ: when something was recorded, runs, attempts, leases, sequence numbers, row
numbers and engine files.
"""

import hashlib
from collections.abc import Iterable

from core.catalog import feeds, state
from features.engines import Engines
from threadwise.runtime import Threadwise


def catalogue_digest(threadwise: Threadwise) -> dict[str, str]:
    """SHA-256 (hex) of each part, and of all of them under `all`. Empty catalogues share one digest."""
    with threadwise.database.read() as session:
        generation, space = feeds.live_generation(session) or (0, "")
        parts = {
            "chunks": _hash(state.chunk_rows(session, generation)),
            "embeddings": _hash(state.embedding_rows(session, space)),
            "features": _hash(state.feature_rows(session)),
        }
        ids = state.chunk_ids(session, generation)
    engines = Engines(threadwise.database, threadwise.settings.data_dir, threadwise.settings.index).serving()
    held, indexed = (0, {}) if engines is None else engines.indexed_texts(ids)
    parts["words"] = _hash([str(held), *(f"{chunk_id} {indexed.get(chunk_id)}" for chunk_id in ids)])
    return parts | {"all": _hash(f"{name} {value}" for name, value in sorted(parts.items()))}


def _hash(lines: Iterable[str]) -> str:
    sha = hashlib.sha256()
    for line in lines:
        sha.update(line.encode())
        sha.update(b"\n")
    return sha.hexdigest()
