"""Vectors and words of one generation, searched together. Engines know the catalogue and nothing of Feast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from core.catalog import feeds
from core.database import Database
from core.settings import IndexSettings
from features.filters import PassageFilter
from features.vectors import EXACT_ROWS, VectorTable
from features.words import WordIndex

log = structlog.get_logger()

Worded = tuple[list[str], NDArray[np.float32]]
"""Chunk ids and their BM25 scores (n,)."""

Identity = tuple[int, int, str]
"""Number, time of creation and space of a generation: what tells it from those of another database too."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the engines found, each passage once, in the order of its cosine.

    `dense` float32 (n,) is the exact cosine of every candidate, also of one that only its words brought in (0
    without a query vector); `lexical` float32 (n,) its BM25 score, 0 where no word matches; `vectors` is (n, d). All
    of them are chunks of the generation `generation_id`, 0 before any ingestion.
    """

    chunk_ids: list[str]
    document_ids: list[str]
    dense: NDArray[np.float32]
    lexical: NDArray[np.float32]
    vectors: NDArray[np.float32]
    generation_id: int = 0

    def __len__(self) -> int:
        return len(self.chunk_ids)


def nothing() -> Candidates:
    """What is found before any ingestion."""
    none = np.empty(0, dtype=np.float32)
    return Candidates([], [], none, none, np.empty((0, 0), dtype=np.float32))


def engine_folder(data_dir: Path, generation_id: int, created_at: int) -> Path:
    """Where a generation's engines keep their files."""
    return data_dir / "engines" / f"{generation_id}-{created_at}"


class EnginePair:
    """The engines of one generation. Thread-safe; nothing is loaded before the first `catch_up`."""

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        settings: IndexSettings,
        identity: Identity,
        *,
        exact_rows: int = EXACT_ROWS,
    ) -> None:
        self.identity = identity
        self.generation_id, created_at, self.space_id = identity
        self._database = database
        self.vectors = VectorTable(self.generation_id, self.space_id, settings, exact_rows=exact_rows)
        self.words = WordIndex(engine_folder(data_dir, self.generation_id, created_at) / "words", self.generation_id)

    def catch_up(self, newest: int | None = None) -> None:
        """Follow the catalogue to its `newest` change, which is looked up when it is not given."""
        if newest is None:
            with self._database.read() as session:
                newest = feeds.last_change(session, self.generation_id)
        if self.vectors.sequence != newest:
            with self._database.read() as session:
                self.vectors.catch_up(session)
        if self.words.sequence != newest:
            self.words.feed(self._database)

    def search(
        self, vector: NDArray[np.float32] | None, question: str, *, pool: int, passage_filter: PassageFilter
    ) -> Candidates:
        """The union of the `pool` nearest by vector (d,) and the `pool` best by words, all scored by both."""
        view = self.vectors.view
        query = None if vector is None else self.vectors.checked(vector)
        near = [] if query is None else view.search(query, pool, view.mask(passage_filter))[0].tolist()
        worded, scores = self._worded(lambda: self.words.search(question, pool, passage_filter))
        place = view.slots_of(worded)
        slots = np.array(list(dict.fromkeys([*near, *place[place >= 0].tolist()])), dtype=np.int64)
        dense = np.zeros(len(slots), dtype=np.float32) if query is None else view.similarities(query, slots)
        ids = [view.columns.chunk_ids[slot] for slot in slots.tolist()]
        order = sorted(range(len(ids)), key=lambda i: (-dense[i], ids[i]))
        ids, slots = [ids[i] for i in order], slots[order]
        known = dict(zip(worded, scores.tolist(), strict=True))
        missing = [chunk_id for chunk_id in ids if chunk_id not in known]
        further, scores = self._worded(lambda: (missing, self.words.scores(question, missing)))
        known |= dict(zip(further, scores.tolist(), strict=True))
        lexical = np.array([known.get(chunk_id, 0.0) for chunk_id in ids], dtype=np.float32)
        parents = [view.columns.document_ids[slot] for slot in slots.tolist()]
        return Candidates(ids, parents, dense[order], lexical, view.vectors[slots], self.generation_id)

    def indexed_texts(self, chunk_ids: Sequence[str]) -> tuple[int, dict[str, str]]:
        """How many chunks the lexical engine holds, and the hash of what it indexed for each of these."""
        return len(self.words), self.words.text_shas(chunk_ids)

    def _worded(self, ask: Callable[[], Worded]) -> Worded:
        """What the words answer, from a new build where the old one is damaged; nothing where that fails too."""
        empty: Worded = [], np.empty(0, dtype=np.float32)
        try:
            return ask()
        except (OSError, ValueError) as error:  # Tantivy raises nothing but ValueError
            log.warning("words_not_searched", generation=self.generation_id, error=str(error))
        if not self.words.repair(self._database):
            return empty
        try:
            return ask()
        except (OSError, ValueError):
            log.exception("words_not_repaired", generation=self.generation_id)
            self.words.despair()
            return empty
