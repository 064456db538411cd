"""One state of a generation's vectors: immutable, so that any number of searches read it while the next is built."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from core.settings import IndexSettings
from features import approximate
from features.approximate import Approximate, Found
from features.columns import Columns, Slots
from features.filters import PassageFilter

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class VectorView:
    """Slots [0, n) keep their meaning; `alive` (n,) says which still count; `vectors` is float32 (n, d).

    Up to `exact_rows` rows that pass a filter are compared one by one: exact, and faster than a filtered graph.
    """

    columns: Columns
    slots: Slots
    vectors: NDArray[np.float32]
    numbers: Mapping[str, NDArray[Any]]
    alive: Mask
    sequence: int
    settings: IndexSettings
    exact_rows: int
    index: Approximate | None = None
    epoch: int = 0  # counts compactions, each of which gives every slot another meaning

    def mask(self, passage_filter: PassageFilter) -> Mask:
        """Which slots (n,) the filter leaves."""
        if passage_filter.matches_nothing:
            return np.zeros_like(self.alive)
        at = passage_filter.at
        mask = self.alive & (self.numbers["valid_from"] <= at) & (self.numbers["valid_to"] > at)
        for name, wanted in _conditions(passage_filter):
            # Every code of this view is in the table: clipping only spares the check of the bounds.
            mask &= self.columns.codes[name].table(wanted).take(self.numbers[name], mode="clip")
        return mask & self._among(passage_filter.chunk_ids) if passage_filter.chunk_ids else mask

    def search(self, query: NDArray[np.float32], k: int, mask: Mask) -> Found:
        """The k most similar slots within the mask and their exact cosines, best first, equal ones by chunk id."""
        faiss.omp_set_num_threads(self.settings.threads)  # OpenMP keeps this number per calling thread
        chosen = np.flatnonzero(mask)
        if self.index is None or len(chosen) <= self.exact_rows:
            found, _ = approximate.exact(self.vectors, query, k, None if len(chosen) == len(mask) else chosen)
        else:
            found = self._search_index(self.index, query, k, mask)
        similarities = self.similarities(query, found)
        order = sorted(range(len(found)), key=lambda i: (-similarities[i], self.columns.chunk_ids[found[i]]))[:k]
        return found[order], similarities[order]

    def slots_of(self, chunk_ids: Sequence[str]) -> NDArray[np.int64]:
        """The chunks' slots (n,), -1 for those that are not here."""
        count = len(self.alive)
        slots = [self.slots.get(chunk_id) for chunk_id in chunk_ids]
        return np.array([slot if slot < count else -1 for slot in slots], dtype=np.int64)

    def similarities(self, query: NDArray[np.float32], slots: NDArray[np.int64]) -> NDArray[np.float32]:
        """Exact cosines (n,). Row by row and without BLAS: a row's bits do not depend on its companions."""
        result: NDArray[np.float32] = np.einsum("ij,j->i", self.vectors[slots], query)
        return result

    def _search_index(self, index: Approximate, query: NDArray[np.float32], k: int, mask: Mask) -> NDArray[np.int64]:
        near, _ = approximate.search(index, self.settings, query, k, mask)
        behind = np.flatnonzero(mask[index.covered :]) + index.covered
        late, _ = approximate.exact(self.vectors, query, k, behind)
        return np.concatenate([near, late])

    def _among(self, chunk_ids: Sequence[str]) -> Mask:
        mask = np.zeros_like(self.alive)
        slots = self.slots_of(chunk_ids)
        mask[slots[slots >= 0]] = True
        return mask


def _conditions(passage_filter: PassageFilter) -> Iterator[tuple[str, Sequence[Any]]]:
    if passage_filter.audience_ids is not None:
        yield "audience_id", passage_filter.audience_ids
    named = (("source", passage_filter.sources), ("kind", passage_filter.kinds), ("author", passage_filter.authors))
    yield from ((name, wanted) for name, wanted in named if wanted)
