"""Making what is derived from the catalogue anew: words, vectors, features. Readers keep what they have meanwhile."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.catalog import integrity
from core.catalog.integrity import Generation
from core.database import Database
from core.settings import IndexSettings
from features.files import exclusive
from features.registry import REGISTRY_FILE
from features.store import open_feature_store
from features.vectors import VectorTable
from features.words import WordIndex
from threadwise.derived import APPLIED, words_folder
from threadwise.findings import Progress

Part = Literal["words", "vectors", "features"]
PARTS: tuple[Part, ...] = ("words", "vectors", "features")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What was made anew: `count` are chunks of words and vectors, views and services of features."""

    part: Part
    generation_id: int | None
    count: int
    seconds: float

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on."""
        return {
            "part": self.part,
            "generation": self.generation_id,
            "count": self.count,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilding:
    """Rebuilds the derived stores of one installation."""

    database: Database
    data_dir: Path
    index: IndexSettings

    def rebuild(self, parts: Sequence[Part], report: Progress) -> list[Rebuilt]:
        """Make these parts anew, those of every generation that keeps its chunks."""
        with self.database.read() as session:
            generations = integrity.standing(session)
        steps: list[tuple[Part, Generation | None]] = [
            (part, generation)
            for part in PARTS
            if part in parts
            for generation in (generations if part != "features" else [None])
        ]
        done: list[Rebuilt] = []
        for part, generation in steps:
            report("rebuild", len(done), len(steps))
            done.append(self._timed(part, generation))
        report("rebuild", len(done), len(steps))
        return done

    def words(self, generation: Generation) -> int:
        """Build the index of words anew; returns how many chunks it holds. Searches use the old one until then."""
        folder = words_folder(self.data_dir, generation)
        folder.mkdir(parents=True, exist_ok=True)
        index = WordIndex(folder, generation.id)
        index.rebuild(self.database)
        return len(index)

    def vectors(self, generation: Generation) -> int:
        """Load the vectors anew, as every process does when it starts; returns how many there are."""
        table = VectorTable(generation.id, generation.space_id, self.index)
        with self.database.read() as session:
            integrity.hold_still(session)
            table.catch_up(session)
        return len(table)

    def features(self) -> int:
        """Register every view and service anew; returns how many there are. Imports Feast: seconds."""
        with exclusive(self.data_dir / "feast.lock", wait=True):
            (self.data_dir / APPLIED).unlink(missing_ok=True)
            if self.database.is_sqlite:
                for part in self.data_dir.glob(f"{REGISTRY_FILE}*"):
                    part.unlink()
        store = open_feature_store(data_dir=self.data_dir, database_url=self.database.url, index=self.index)
        try:
            return len(store.registered())
        finally:
            store.close()

    def _timed(self, part: Part, generation: Generation | None) -> Rebuilt:
        started = time.perf_counter()
        if generation is None:
            count, number = self.features(), None
        else:
            make: Callable[[Generation], int] = self.words if part == "words" else self.vectors
            count, number = make(generation), generation.id
        seconds = time.perf_counter() - started
        return Rebuilt(part=part, generation_id=number, count=count, seconds=seconds)
