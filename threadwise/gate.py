"""What a generation has to show before readers may see it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.blobs import BlobStore
from core.catalog import builds
from core.catalog.builds import Account
from core.catalog.generations import Generation
from core.database import Database
from core.errors import ThreadwiseError
from core.settings import IndexSettings
from core.words import Document
from features.engine_pair import EnginePair
from features.vector_view import VectorView
from ingest.recipe import Recipe
from threadwise.integrity import check_generation

SAMPLE = 200
"""Documents that are cut again, and chunks that have to find themselves."""

SELF_RETRIEVAL = 0.99
TIE = 1e-6  # a cosine so near to the best is the best: texts that are alike share it
PAUSE_SECONDS = 0.05
LOOKS = 5  # at engines that are being fed, before they count as wrong
SHOWN = 5  # findings of a kind that are told

Golden = Callable[[int], list[str]]
"""What speaks against a generation, given by its number, after asking it what is known to be answerable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Looks at a generation and says what stands in its way; it changes nothing but the generation's own engines."""

    database: Database
    blobs: BlobStore
    data_dir: Path
    index: IndexSettings
    quarantine_share: float
    golden: Golden | None = None

    def reasons(self, generation: Generation, recipe: Recipe) -> list[str]:
        """Sentences, one for each thing that is wrong; none when readers may see the generation."""
        with self.database.read() as session:
            found = self.of_account(builds.account(session, generation.id))
            misfits = builds.misfits(session, generation.id)[:SHOWN]
        found += [f"Document {one} has other chunks than one version gives." for one in misfits]
        found += [f"Document {one} is cut in another way by its recipe." for one in self._miscut(generation, recipe)]
        found += self._of_engines(generation)
        found += [f"{kind}: {place}" for kind, place in self._findings(generation)]
        return found + (self.golden(generation.id) if self.golden else [])

    def of_account(self, account: Account) -> list[str]:
        """What speaks against a generation that is owed nothing; cheap enough for the transaction of the swap."""
        if account.quarantine_share <= self.quarantine_share:
            return []
        share, limit = f"{account.quarantine_share:.2%}", f"{self.quarantine_share:.2%}"
        return [f"{account.quarantined} documents could not be made: {share}, at most {limit} are allowed."]

    def feed(self, generation: Generation) -> EnginePair:
        """The generation's engines, up to date; its words lie ready for whoever searches it first."""
        identity = (generation.id, generation.created_at, generation.space_id)
        pair = EnginePair(self.database, self.data_dir, self.index, identity)
        pair.catch_up()
        return pair

    def _miscut(self, generation: Generation, recipe: Recipe) -> Iterator[str]:
        with self.database.read() as session:
            sample = builds.sample(session, generation.id, SAMPLE)
        for owed, stored in sample:
            try:
                document = Document.from_canonical(self.blobs.get(owed.blob_sha))
                wanted = [chunk.id for chunk in recipe.chunker(owed.source)(document)]
            except ThreadwiseError:
                continue  # a damaged blob is found, and named, by the check
            if wanted != stored and self._is_still(generation, owed.document_id, owed.version_id):
                yield owed.document_id

    def _is_still(self, generation: Generation, document_id: str, version_id: int) -> bool:
        with self.database.read() as session:
            return builds.is_done(session, generation.id, document_id, version_id)

    def _of_engines(self, generation: Generation) -> list[str]:
        pair, chunks, held = self.feed(generation), 0, (0, 0)
        for look in range(LOOKS):
            with self.database.read() as session:
                chunks = builds.account(session, generation.id).chunks
            held = (len(pair.vectors), len(pair.words))
            if held == (chunks, chunks):
                return self._of_neighbours(pair.vectors.view)
            time.sleep(PAUSE_SECONDS * look)  # somebody else may be feeding the words just now
            pair.catch_up()
        return [f"{chunks} chunks stand against {held[0]} vectors and {held[1]} texts in the engines."]

    def _of_neighbours(self, view: VectorView) -> list[str]:
        alive = np.flatnonzero(view.alive)
        chosen = alive[:: max(1, len(alive) // SAMPLE)][:SAMPLE]
        found = sum(_finds_itself(view, int(slot)) for slot in chosen)
        if found >= SELF_RETRIEVAL * len(chosen):
            return []
        return [f"{len(chosen) - found} of {len(chosen)} chunks do not find themselves."]

    def _findings(self, generation: Generation) -> list[tuple[str, str]]:
        found = check_generation(self.database, self.blobs, self.data_dir, self.index, generation.id)
        return [(finding.kind, finding.place) for finding in found][: 4 * SHOWN]


def _finds_itself(view: VectorView, slot: int) -> bool:
    vector = view.vectors[slot]
    _, best = view.search(vector, 1, view.alive)
    own = float(view.similarities(vector, np.array([slot]))[0])
    return bool(len(best)) and float(best[0]) - own <= TIE
