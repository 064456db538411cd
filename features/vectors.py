"""The vectors of one generation as this process searches them: a view of the catalogue that catches up on demand."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.catalog import features as catalog
from core.catalog import feeds
from core.database import Session
from core.settings import IndexSettings
from features import approximate
from features.columns import Columns, Rows, Slots
from features.errors import SpaceMismatchError
from features.filters import PassageFilter
from features.vector_view import VectorView

EXACT_ROWS = 50_000
DEAD_SHARE = 0.2
TAIL_SHARE = 0.1
_ATTRIBUTES = ("audience_id", "source", "kind", "author", "valid_from", "valid_to")
_UNKNOWN = (-1, "", "")  # of a document whose row was not there yet: its chunks come with a later change
_HINT = "Restore the embedding settings, or ingest everything again into a new THREADWISE_DATA_DIR."


class VectorTable:
    """The vectors of one generation. Thread-safe: any number of searches, one change at a time.

    A change builds the next view and swaps one reference; who is searching keeps the view it has.
    """

    def __init__(
        self, generation_id: int, space_id: str, settings: IndexSettings, *, exact_rows: int = EXACT_ROWS
    ) -> None:
        self.generation_id = generation_id
        self.space_id = space_id
        self._settings = settings
        self._exact_rows = exact_rows
        self._changing = threading.Lock()
        self._building = threading.Lock()
        self._indexed_rows = 0
        self._view = self._empty(0)

    @property
    def view(self) -> VectorView:
        """The newest state; it stays valid, and the same, for as long as it is held."""
        return self._view

    @property
    def sequence(self) -> int:
        """The newest change that this table knows; -1 before the first load."""
        return self._view.sequence

    @property
    def dimension(self) -> int:
        """The length of every vector; 0 before the first load."""
        return int(self._view.vectors.shape[1])

    def __len__(self) -> int:
        return int(np.count_nonzero(self._view.alive))

    def catch_up(self, session: Session) -> None:
        """Load everything, or apply what changed since the last call. Raises `SpaceMismatchError`."""
        with self._changing:
            if self.sequence < 0:
                self._view = self._load(session)
            else:
                self._view = self._followed(session, self._view)
        self._index()

    def search(
        self, query: NDArray[np.float32], k: int, passage_filter: PassageFilter
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Chunk ids and cosines of the k passages most similar to `query` (d,), best first."""
        view = self._view
        slots, similarities = view.search(self.checked(query), k, view.mask(passage_filter))
        return [view.columns.chunk_ids[slot] for slot in slots.tolist()], similarities

    def similarities(self, query: NDArray[np.float32], chunk_ids: Sequence[str]) -> NDArray[np.float32]:
        """Exact cosines (n,) of these chunks; NaN for those that are not here."""
        view, wanted = self._view, self.checked(query)
        slots = view.slots_of(chunk_ids)
        result = np.full(len(slots), np.nan, dtype=np.float32)
        result[slots >= 0] = view.similarities(wanted, slots[slots >= 0])
        return result

    def vectors_of(self, chunk_ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors (n, d) of these chunks; a row of NaN for those that are not here."""
        view = self._view
        slots = view.slots_of(chunk_ids)
        result = np.full((len(slots), view.vectors.shape[1]), np.nan, dtype=np.float32)
        result[slots >= 0] = view.vectors[slots[slots >= 0]]
        return result

    def checked(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """The query as FAISS wants it, contiguous float32 (d,). Raises `SpaceMismatchError` for another length."""
        if query.shape != (self.dimension,) and self.dimension:
            raise SpaceMismatchError(
                f"The question has the shape {query.shape}, the index holds vectors of {self.dimension} numbers.",
                hint=_HINT,
            )
        return np.ascontiguousarray(query, dtype=np.float32)

    def _empty(self, dimension: int) -> VectorView:
        columns = Columns(dimension)
        numbers, none = columns.numbers(0), np.zeros(0, dtype=np.bool_)
        state = (columns, Slots({}), columns.vectors(0), numbers, none)
        return VectorView(*state, sequence=-1, settings=self._settings, exact_rows=self._exact_rows)

    def _load(self, session: Session) -> VectorView:
        dimension = _dimension(catalog.space_facts(session, self.space_id))
        # The number is read first: where the statements see different states, later changes are applied twice.
        newest = feeds.last_change(session, self.generation_id)
        rows = _all_rows(session, self.generation_id, self.space_id, dimension)
        return replace(_appended(self._empty(dimension), rows, ()), sequence=newest)

    def _followed(self, session: Session, view: VectorView) -> VectorView:
        newest, touched = feeds.changed_chunks(session, self.generation_id, view.sequence)
        if newest <= view.sequence:
            return view
        batches = catalog.vector_tuples(session, self.generation_id, self.space_id, touched)
        rows = _rows_of([row for batch in batches for row in batch], int(view.vectors.shape[1]))
        return self._compacted(replace(_appended(view, rows, touched), sequence=newest))

    def _compacted(self, view: VectorView) -> VectorView:
        """The same state without its dead slots, once they are too many to be carried along."""
        dead = len(view.alive) - int(np.count_nonzero(view.alive))
        if dead <= DEAD_SHARE * len(view.alive):
            return view
        columns = view.columns.compacted(np.flatnonzero(view.alive))
        self._indexed_rows = 0
        return replace(
            view,
            columns=columns,
            slots=Slots({chunk_id: slot for slot, chunk_id in enumerate(columns.chunk_ids)}),
            vectors=columns.vectors(len(columns)),
            numbers=columns.numbers(len(columns)),
            alive=np.ones(len(columns), dtype=np.bool_),
            index=None,
            epoch=view.epoch + 1,
        )

    def _index(self) -> None:
        """Build the approximate index, or extend it over a tail that has become long; one thread at a time."""
        view = self._view
        rows = len(view.alive)
        due = rows > self._exact_rows and rows > (1 + TAIL_SHARE) * self._indexed_rows
        if self._settings.kind == "flat" or not due or not self._building.acquire(blocking=False):
            return
        try:
            self._publish(view, approximate.covering(view.index, self._settings, view.vectors))
        finally:
            self._building.release()

    def _publish(self, view: VectorView, index: approximate.Approximate | None) -> None:
        with self._changing:
            if self._view.epoch == view.epoch:
                self._view = replace(self._view, index=index)
                self._indexed_rows = len(view.alive)


def _dimension(space: Mapping[str, Any]) -> int:
    if not space["normalised"]:
        raise SpaceMismatchError(
            f"The vectors of {space['model']} are not normalised: their inner products are no cosines.", hint=_HINT
        )
    return int(space["dimension"])


def _all_rows(session: Session, generation_id: int, space_id: str, dimension: int) -> Rows:
    documents = catalog.document_facts(session)
    ids, parents, texts, authors, starts, ends = _transposed(catalog.live_chunks(session, generation_id), 6)
    places: dict[str, int] = {}
    of_chunk = [places.setdefault(sha, len(places)) for sha in texts]
    with closing(catalog.vector_batches(session, space_id)) as batches:
        matrix, filled = _matrix(batches, places, dimension)
    facts = [documents.get(number, _UNKNOWN) for number in parents]
    columns = (*([fact[part] for fact in facts] for part in range(3)), authors, starts, ends)
    # Equal texts share one stored vector; where all differ, the matrix is already in the chunks' order.
    vectors = matrix if len(places) == len(ids) else matrix[of_chunk]
    rows = Rows(ids, parents, vectors, dict(zip(_ATTRIBUTES, columns, strict=True)))
    if filled.all() and _UNKNOWN not in facts:
        return rows
    return rows.only([i for i, place in enumerate(of_chunk) if filled[place] and facts[i] is not _UNKNOWN])


def _transposed(batches: Iterable[Sequence[Sequence[Any]]], width: int) -> list[list[Any]]:
    columns: list[list[Any]] = [[] for _ in range(width)]
    for batch in batches:
        for column, values in zip(columns, zip(*batch, strict=True), strict=True):
            column.extend(values)
    return columns


def _matrix(
    batches: Iterable[Sequence[tuple[str, bytes]]], places: Mapping[str, int], dimension: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The vectors (n, dimension) at their texts' places, and which places (n,) were filled."""
    matrix = np.empty((len(places), dimension), dtype=np.float32)
    filled = np.zeros(len(places), dtype=np.bool_)
    for batch in batches:
        wanted = [(places[sha], raw) for sha, raw in batch if sha in places]
        slots = [place for place, _ in wanted]
        matrix[slots] = _decoded([raw for _, raw in wanted], dimension)
        filled[slots] = True
    return matrix, filled


def _rows_of(tuples: Sequence[catalog.VectorTuple], dimension: int) -> Rows:
    ids, raw, parents, *attributes = zip(*tuples, strict=True) if tuples else ((),) * 9
    return Rows(ids, parents, _decoded(raw, dimension), dict(zip(_ATTRIBUTES, attributes, strict=True)))


def _decoded(raw: Sequence[bytes], dimension: int) -> NDArray[np.float32]:
    if any(len(vector) != 4 * dimension for vector in raw):
        raise SpaceMismatchError(f"A stored vector is not {dimension} numbers long as its space says.", hint=_HINT)
    return np.frombuffer(b"".join(raw), dtype="<f4").reshape(len(raw), dimension)


def _appended(view: VectorView, rows: Rows, touched: Sequence[str]) -> VectorView:
    """The next view: the touched chunks' slots are dead, the rows have new ones."""
    gone = view.slots_of(touched)
    alive = np.concatenate([view.alive, np.ones(len(rows), dtype=np.bool_)])
    alive[gone[gone >= 0]] = False
    slots = view.columns.append(rows)
    moved = dict.fromkeys(touched, -1) | dict(zip(rows.chunk_ids, slots, strict=True))
    count = len(view.columns)
    return replace(
        view,
        slots=view.slots.moving(moved),
        vectors=view.columns.vectors(count),
        numbers=view.columns.numbers(count),
        alive=alive,
    )
