"""A small installation with a feature store over it, for tests of the feature layer."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.database import Database
from core.settings import IndexSettings
from core.words import Space
from features.filters import PassageFilter
from features.store import FeatureStore, open_feature_store
from tests.support import catalog_rows as rows

DIMENSION = 16
NOW = 2_000_000_000_000_000
QUESTION = "how do I request parental leave"
WORDS = ("leave", "parental", "request", "vpn", "laptop", "office", "holiday", "payroll")


@dataclass(frozen=True, slots=True)
class Installation:
    """Its catalogue, the rows written into it, and the store that reads them."""

    database: Database
    generation: int
    space: Space
    written: tuple[rows.Row, ...]
    store: FeatureStore

    def write(self, *new: rows.Row) -> None:
        rows.write(self.database, self.generation, self.space, new)

    def audience(self, *principals: str) -> int:
        return rows.audience_of(self.database, *principals)

    def readable(self, *principals: str) -> PassageFilter:
        return PassageFilter(audience_ids=(self.audience(*principals),), at=NOW)


def question_vector(seed: int = 99) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = rows.unit_vectors(1, DIMENSION, seed)[0]
    return vector


def sample(count: int = 60) -> tuple[rows.Row, ...]:
    """Chunks of documents of three audiences, with signals of every shape."""
    vectors = rows.unit_vectors(count, DIMENSION)
    rng = np.random.default_rng(4)
    return tuple(
        rows.Row(
            name=f"c{i}",
            document=f"d{i // 2}",
            text=" ".join(rng.choice(WORDS, 6)) + f" {i}",
            vector=vectors[i],
            audience=(("everyone", "C-private", "C-board")[(i // 2) % 3],),
            source=("handbook", "slack")[(i // 2) % 2],
            kind=("page", "thread")[(i // 2) % 2],
            signals=_signals(i // 2),
        )
        for i in range(count)
    )


def _signals(number: int) -> dict[str, int]:
    known = {"last_activity": NOW - number * 86_400_000_000} if number % 4 else {}
    return known | {"replies": number, "reactions": 3 * number, "resolved": number % 2, "official": number % 3 == 0}


def install(folder: Path, written: tuple[rows.Row, ...], database: Database | None = None) -> Installation:
    """Into an empty folder, over an empty migrated catalogue, by default that of the folder."""
    database = database or rows.create(folder)
    space = rows.space_of(DIMENSION)
    generation = rows.start_generation(database, space)
    rows.write(database, generation, space, written)
    store = open_feature_store(data_dir=folder, database_url=database.url, index=IndexSettings())
    return Installation(database, generation, space, written, store)
