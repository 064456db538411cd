"""What the vector engine knows of each chunk, in columns that only ever grow.

A writer appends; readers hold slices that end where the writer stood, so that appending never disturbs them.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

GROWTH = 1.25
CODED = ("audience_id", "source", "kind", "author")
TIMES = ("valid_from", "valid_to")


class Codes:
    """Numbers for the distinct values of one column, in order of arrival; a number never changes its meaning."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def encode(self, values: Iterable[Hashable]) -> list[int]:
        """The values' numbers; a new value gets the next one."""
        numbers = self._numbers
        return [numbers.setdefault(value, len(numbers)) for value in values]

    def table(self, wanted: Iterable[Hashable]) -> NDArray[np.bool_]:
        """By number, whether its value is among `wanted`: indexing it with a coded column gives a mask."""
        allowed = np.zeros(len(self._numbers) + 1, dtype=np.bool_)
        numbers = [self._numbers[value] for value in wanted if value in self._numbers]
        allowed[numbers] = True
        return allowed


@dataclass(frozen=True, slots=True)
class Slots:
    """Where each live chunk is: a large mapping that stays and a small one of what moved since (-1: gone)."""

    settled: Mapping[str, int]
    moved: Mapping[str, int] = field(default_factory=dict)

    def get(self, chunk_id: str) -> int:
        """The chunk's slot, or -1."""
        found = self.moved.get(chunk_id)
        return self.settled.get(chunk_id, -1) if found is None else found

    def moving(self, changes: Mapping[str, int], *, settle_at: int = 10_000) -> "Slots":
        """A new mapping with the changes; this one stays as it is."""
        moved = {**self.moved, **changes}
        if len(moved) < settle_at:
            return Slots(self.settled, moved)
        return Slots({chunk_id: slot for chunk_id, slot in {**self.settled, **moved}.items() if slot >= 0})


@dataclass(frozen=True, slots=True)
class Rows:
    """New rows in columns: `vectors` float32 (n, d), the others n long."""

    chunk_ids: Sequence[str]
    document_ids: Sequence[str]
    vectors: NDArray[np.float32]
    attributes: Mapping[str, Sequence[Any]]  # those of CODED and TIMES

    def __len__(self) -> int:
        return len(self.chunk_ids)

    def only(self, places: Sequence[int]) -> "Rows":
        """A copy of the rows at these places."""
        return Rows(
            [self.chunk_ids[place] for place in places],
            [self.document_ids[place] for place in places],
            self.vectors[np.array(places, dtype=np.intp)],
            {name: [values[place] for place in places] for name, values in self.attributes.items()},
        )


class Columns:
    """Growing buffers: ids, documents, float32 vectors (n, d), int32 codes and int64 times (n,)."""

    def __init__(self, dimension: int) -> None:
        self.chunk_ids: list[str] = []
        self.document_ids: list[str] = []
        self.codes = {name: Codes() for name in CODED}
        self._vectors = np.empty((0, dimension), dtype=np.float32)
        self._numbers = {name: np.empty(0, dtype=np.int32 if name in CODED else np.int64) for name in (*CODED, *TIMES)}

    def __len__(self) -> int:
        return len(self.chunk_ids)

    def append(self, rows: Rows) -> range:
        """Add rows behind all others and return their slots."""
        start, end = len(self), len(self) + len(rows)
        if start:
            self._reserve(end)
            self._vectors[start:end] = rows.vectors
        else:
            # The first load is by far the largest: its vectors are taken over, not copied.
            self._reserve_numbers(end)
            self._vectors = rows.vectors
        for name, buffer in self._numbers.items():
            values = rows.attributes[name]
            buffer[start:end] = self.codes[name].encode(values) if name in CODED else values
        self.chunk_ids.extend(rows.chunk_ids)
        self.document_ids.extend(rows.document_ids)
        return range(start, end)

    def vectors(self, count: int) -> NDArray[np.float32]:
        """The first `count` vectors, contiguous and never written again."""
        return self._vectors[:count]

    def numbers(self, count: int) -> dict[str, NDArray[Any]]:
        """The first `count` values of every other column."""
        return {name: buffer[:count] for name, buffer in self._numbers.items()}

    def compacted(self, slots: NDArray[np.intp]) -> "Columns":
        """A copy of these slots alone, in their order; codes keep their meaning."""
        kept = Columns(self._vectors.shape[1])
        kept.codes = self.codes
        kept.chunk_ids = [self.chunk_ids[slot] for slot in slots.tolist()]
        kept.document_ids = [self.document_ids[slot] for slot in slots.tolist()]
        kept._vectors = self._vectors[slots]
        kept._numbers = {name: buffer[slots] for name, buffer in self._numbers.items()}
        return kept

    def _reserve(self, count: int) -> None:
        if count > len(self._vectors):
            capacity = int(count * GROWTH)
            self._vectors = _enlarged(self._vectors, capacity)
            self._reserve_numbers(capacity)

    def _reserve_numbers(self, capacity: int) -> None:
        self._numbers = {name: _enlarged(buffer, capacity) for name, buffer in self._numbers.items()}


def _enlarged(buffer: NDArray[Any], capacity: int) -> NDArray[Any]:
    larger = np.empty((capacity, *buffer.shape[1:]), dtype=buffer.dtype)
    larger[: len(buffer)] = buffer
    return larger
