"""Vectors and words of the live generation, searched together. Engines know the catalogue and nothing of Feast."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from core.catalog import features as catalog
from core.database import Database
from core.settings import IndexSettings
from features.filters import PassageFilter
from features.vectors import EXACT_ROWS, VectorTable
from features.words import WordIndex

log = structlog.get_logger()

Worded = tuple[list[str], NDArray[np.float32]]
"""Chunk ids and their BM25 scores (n,)."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the engines found, each passage once, in the order of its cosine.

    `dense` float32 (n,) is the exact cosine of every candidate, also of one that only its words brought in (0
    without a query vector); `lexical` float32 (n,) its BM25 score, 0 where no word matches; `vectors` is (n, d).
    """

    chunk_ids: list[str]
    document_ids: list[str]
    dense: NDArray[np.float32]
    lexical: NDArray[np.float32]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.chunk_ids)


@dataclass(frozen=True, slots=True)
class _Pair:
    identity: tuple[int, int, str]
    vectors: VectorTable
    words: WordIndex


class Engines:
    """The engines of whichever generation is live. Thread-safe; opens nothing before the first `catch_up`."""

    def __init__(
        self, database: Database, data_dir: Path, settings: IndexSettings, *, exact_rows: int = EXACT_ROWS
    ) -> None:
        self._database = database
        self._folder = data_dir / "engines"
        self._settings = settings
        self._exact_rows = exact_rows
        self._switching = threading.Lock()
        self._pair: _Pair | None = None

    @property
    def generation(self) -> tuple[int, str] | None:
        """Id and space of the generation that is loaded, or None."""
        pair = self._pair
        return None if pair is None else (pair.vectors.generation_id, pair.vectors.space_id)

    def catch_up(self) -> None:
        """Follow the catalogue: one cheap read when nothing changed; loads everything for a new live generation."""
        with self._database.read() as session:
            live = catalog.live_state(session)
        if live is None:
            return
        pair = self._pair
        if pair is None or pair.identity != live.identity:
            pair = self._switched(live)
        if pair.vectors.sequence != live.newest:
            with self._database.read() as session:
                pair.vectors.catch_up(session)
        if pair.words.sequence != live.newest:
            pair.words.feed(self._database)

    def search(
        self, vector: NDArray[np.float32] | None, question: str, *, pool: int, passage_filter: PassageFilter
    ) -> Candidates:
        """The union of the `pool` nearest by vector (d,) and the `pool` best by words, all scored by both."""
        pair = self._pair
        if pair is None:
            return _nothing(0)
        view = pair.vectors.view
        query = None if vector is None else pair.vectors.checked(vector)
        near = [] if query is None else view.search(query, pool, view.mask(passage_filter))[0].tolist()
        worded, scores = self._worded(pair.words, lambda: pair.words.search(question, pool, passage_filter))
        place = view.slots_of(worded)
        slots = np.array(list(dict.fromkeys([*near, *place[place >= 0].tolist()])), dtype=np.int64)
        dense = np.zeros(len(slots), dtype=np.float32) if query is None else view.similarities(query, slots)
        ids = [view.columns.chunk_ids[slot] for slot in slots.tolist()]
        order = sorted(range(len(ids)), key=lambda i: (-dense[i], ids[i]))
        ids, slots = [ids[i] for i in order], slots[order]
        known = dict(zip(worded, scores.tolist(), strict=True))
        missing = [chunk_id for chunk_id in ids if chunk_id not in known]
        further, scores = self._worded(pair.words, lambda: (missing, pair.words.scores(question, missing)))
        known |= dict(zip(further, scores.tolist(), strict=True))
        lexical = np.array([known.get(chunk_id, 0.0) for chunk_id in ids], dtype=np.float32)
        parents = [view.columns.document_ids[slot] for slot in slots.tolist()]
        return Candidates(ids, parents, dense[order], lexical, view.vectors[slots])

    def vectors_of(self, chunk_ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors (n, d) of these chunks; a row of NaN for those that are not here."""
        pair = self._pair
        return np.empty((len(chunk_ids), 0), dtype=np.float32) if pair is None else pair.vectors.vectors_of(chunk_ids)

    def indexed_texts(self, chunk_ids: Sequence[str]) -> tuple[int, dict[str, str]]:
        """How many chunks the lexical engine holds, and the hash of what it indexed for each of these."""
        self.catch_up()
        pair = self._pair
        return (0, {}) if pair is None else (len(pair.words), pair.words.text_shas(chunk_ids))

    def _worded(self, words: WordIndex, ask: Callable[[], Worded]) -> Worded:
        """What the words answer, from a new build where the old one is damaged; nothing where that fails too."""
        nothing: Worded = [], np.empty(0, dtype=np.float32)
        try:
            return ask()
        except (OSError, ValueError) as error:  # Tantivy raises nothing but ValueError
            log.warning("words_not_searched", generation=words.generation_id, error=str(error))
        if not words.repair(self._database):
            return nothing
        try:
            return ask()
        except (OSError, ValueError):
            log.exception("words_not_repaired", generation=words.generation_id)
            words.despair()
            return nothing

    def _switched(self, live: catalog.Live) -> _Pair:
        with self._switching:
            pair = self._pair
            if pair is None or pair.identity != live.identity:
                folder = self._folder / f"{live.generation_id}-{live.created_at}" / "words"
                vectors = VectorTable(live.generation_id, live.space_id, self._settings, exact_rows=self._exact_rows)
                pair = _Pair(live.identity, vectors, WordIndex(folder, live.generation_id))
                with self._database.read() as session:
                    pair.vectors.catch_up(session)
                pair.words.feed(self._database)
                # Whoever asks meanwhile waits: the read barrier lets no chunk of the older generation pass.
                self._pair = pair
            return pair


def _nothing(dimension: int) -> Candidates:
    none = np.empty(0, dtype=np.float32)
    return Candidates([], [], none, none, np.empty((0, dimension), dtype=np.float32))
