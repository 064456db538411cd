"""Rows of the served views between the catalogue's tables and NumPy columns, in plain values that know no Feast."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.catalog import features as catalog
from core.catalog import feeds
from core.catalog.signals import SIGNAL_COLUMNS, put_signal_rows, signal_rows
from core.database import Session
from features.errors import InvalidRowError, SpaceMismatchError, UnknownEntityError

Stored = dict[str, tuple[Any, ...]]
"""By key, the asked columns in their order."""

Written = tuple[str, Mapping[str, Any], int]
"""Key, values by feature name, event time in microseconds."""


class FeatureRows(Protocol):
    """One view's rows in the catalogue."""

    def read(self, session: Session, keys: Sequence[str], names: Sequence[str]) -> Stored:
        """The asked columns by key, in one statement; unknown keys are absent. `event_timestamp` is a column too."""

    def write(self, session: Session, rows: Sequence[Written]) -> None:
        """Store the rows that are not older than what is there. Raises `UnknownEntityError`, `InvalidRowError`."""

    def delete(self, session: Session, keys: Sequence[str]) -> None:
        """Forget these keys."""


class DocumentRows:
    """`document_signals`: the table of that name."""

    def read(self, session: Session, keys: Sequence[str], names: Sequence[str]) -> Stored:
        """The asked columns of known documents."""
        return signal_rows(session, keys, names)

    def write(self, session: Session, rows: Sequence[Written]) -> None:
        """Store complete rows: what is missing counts as 0, an unknown `last_activity` stays unknown."""
        _require(catalog.known_documents(session, [key for key, _, _ in rows]), rows, "document")
        put_signal_rows(session, [_signals(key, values, at) for key, values, at in rows])

    def delete(self, session: Session, keys: Sequence[str]) -> None:
        """Remove the documents' rows."""
        catalog.delete_signals(session, keys)


class ChunkRows:
    """`chunk_embedding`: the live chunks of the live generation with their vectors; none before any ingestion.

    What a search has found is read from the `generation_id` that it searched.
    """

    def __init__(self, generation_id: int | None = None) -> None:
        self._generation_id = generation_id

    def read(self, session: Session, keys: Sequence[str], names: Sequence[str]) -> Stored:
        """The asked columns of live chunks that have a vector."""
        return catalog.chunk_rows(session, keys, names, self._generation_id)

    def write(self, session: Session, rows: Sequence[Written]) -> None:
        """Store the vectors; the other columns belong to the chunk's document and are not Feast's to change."""
        live = feeds.live_generation(session)
        unknown = frozenset(key for key, _, _ in rows)
        if live is not None:
            length = 4 * int(catalog.space_facts(session, live[1])["dimension"])
            unknown = catalog.put_embeddings(session, *live, [_embedding(row, length) for row in rows])
        _require(frozenset(key for key, _, _ in rows) - unknown, rows, "chunk")

    def delete(self, session: Session, keys: Sequence[str]) -> None:
        """Take the chunks away from their readers."""
        catalog.retire_chunks(session, keys)


def columns(
    kinds: Mapping[str, str], names: Sequence[str], rows: Sequence[Sequence[Any] | None]
) -> dict[str, NDArray[Any]]:
    """Rows as arrays, see `ThreadwiseOnlineStore.read_columns`; `kinds` are the registry's names of the types."""
    return {name: _TO_COLUMN[kinds[name]]([row and row[place] for row in rows]) for place, name in enumerate(names)}


def _numbers(raw: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in raw], dtype=np.float64)


def _texts(raw: Sequence[Any]) -> NDArray[np.object_]:
    return np.array(raw, dtype=np.object_)


def _vectors(raw: Sequence[bytes | None]) -> NDArray[np.float32]:
    dimension = next((len(value) // 4 for value in raw if value is not None), 0)
    missing = np.full(dimension, np.nan, dtype="<f4").tobytes()
    joined = b"".join(missing if value is None else value for value in raw)
    return np.frombuffer(joined, dtype="<f4").reshape(len(raw), dimension)


_TO_COLUMN: Mapping[str, Callable[[Sequence[Any]], NDArray[Any]]] = {
    "Int64": _numbers,
    "Bool": _numbers,
    "String": _texts,
    "Array(Float32)": _vectors,
}


def _signals(key: str, row: Mapping[str, Any], at: int) -> dict[str, Any]:
    stored = {name: row.get(name) or 0 for name in SIGNAL_COLUMNS}
    flags = {name: bool(stored[name]) for name in ("resolved", "official")}
    own = {
        "document_id": key,
        "last_activity": row.get("last_activity"),
        "event_timestamp": at,
        "row_version": _version(key, row),
    }
    return stored | flags | own


def _embedding(row: Written, length: int) -> catalog.EmbeddingWrite:
    key, values, _ = row
    if values.get("vector") is None:
        raise InvalidRowError(f"The row of chunk {key} has no vector.")
    raw = np.array(values["vector"], dtype="<f4").tobytes()
    if len(raw) != length:
        raise SpaceMismatchError(f"The live space has vectors of {length // 4} numbers, chunk {key} was given another.")
    return catalog.EmbeddingWrite(key, raw, _version(key, values))


def _version(key: str, row: Mapping[str, Any]) -> int:
    version = row.get("row_version")
    if version is None:
        raise InvalidRowError(f"The row of {key} has no row_version.", hint="It decides which of two rows is newer.")
    return int(version)


def _require(known: frozenset[str], rows: Sequence[Written], what: str) -> None:
    unknown = sorted({key for key, _, _ in rows} - known)
    if unknown:
        raise UnknownEntityError(f"No commit has brought the {what} {unknown[0]} ({len(unknown)} such rows).")
