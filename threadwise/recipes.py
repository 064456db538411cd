"""How the documents of each generation are cut and embedded, and the embedding models that takes.

Present settings make new generations. Whatever is written to a generation that stands is made by its own recipe, so
that changed settings stop nothing and mix nothing.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from threading import Lock

from core.catalog import feeds, generations
from core.catalog.generations import Generation, GenerationMismatchError
from core.database import Database
from core.settings import EmbeddingSettings, IngestSettings
from features.embedding import Embedder, document_room, open_embedder
from features.errors import SpaceMismatchError
from ingest.chunking import ChunkLimits, chunk_document, pipeline_id
from ingest.prepare import Chunker
from ingest.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """What is kept of a recipe. The gap cuts no document; it stands in the chunks' ids because it once stood there."""

    model: str
    chunk_tokens: int
    overlap_tokens: int
    sitting_gap_minutes: int

    def as_json(self) -> str:
        """The stored form."""
        return json.dumps(asdict(self), sort_keys=True)

    def makes_the_same_as(self, other: "Ingredients") -> bool:
        """Whether documents are cut and embedded alike."""
        return (self.model, self.chunk_tokens, self.overlap_tokens) == (
            other.model,
            other.chunk_tokens,
            other.overlap_tokens,
        )


class Recipes:
    """The recipes of one catalogue. Thread-safe; a model is opened when something is embedded with it first."""

    def __init__(
        self,
        database: Callable[[], Database],
        *,
        embedding: EmbeddingSettings,
        ingest: IngestSettings,
        embedder: Callable[[], Embedder],
    ) -> None:
        self._database = database
        self._embedding = embedding
        self._ingest = ingest
        self._present_embedder = embedder
        self._opening = Lock()
        self._made: dict[str, Recipe] = {}
        self.embedders: dict[str, Embedder] = {}  # by model, of those that the settings do not name
        self._of_space: dict[str, Embedder] = {}

    @property
    def ingredients(self) -> Ingredients:
        """What the present settings say."""
        return Ingredients(
            model=self._embedding.model,
            chunk_tokens=self._ingest.chunk_tokens,
            overlap_tokens=self._ingest.overlap_tokens,
            sitting_gap_minutes=self._ingest.sitting_gap_minutes,
        )

    def present(self) -> Recipe:
        """By the present settings: for a generation that is begun now."""
        return self._recipe(self.ingredients.as_json())

    def live(self) -> Recipe:
        """Of the generation that readers see, whatever the settings say; by the settings before any ingestion."""
        with self._database().read() as session:
            number = generations.live_id(session)
            live = None if number is None else generations.find(session, number)
        return self.present() if live is None else self.of(live)

    def of(self, generation: Generation) -> Recipe:
        """Of this generation. Raises `GenerationMismatchError` where this program or its models have moved on."""
        recipe = self._recipe(generation.recipe or self.ingredients.as_json())
        if (recipe.pipeline, recipe.space.id) != (generation.pipeline, generation.space_id):
            what = "embedding model" if recipe.space.id != generation.space_id else "chunking"
            raise GenerationMismatchError(
                f"Generation {generation.id} was built with another {what} than the one at hand.",
                hint="Run: threadwise generations build, then: threadwise generations activate. "
                "Or restore what changed.",
            )
        return recipe

    def is_outdated(self) -> bool:
        """Whether the settings would cut or embed documents in another way than the generation that readers see."""
        with self._database().read() as session:
            number = generations.live_id(session)
            stored = "" if number is None else generations.find(session, number).recipe
        return bool(stored) and not self.ingredients.makes_the_same_as(Ingredients(**json.loads(stored)))

    def embedder_of(self, space_id: str) -> Embedder:
        """The model whose vectors are of this space. Raises `SpaceMismatchError` where it is not to be had."""
        found = self._of_space.get(space_id)
        if found is None:
            found = self._named(self._model_of(space_id))
            if found.space.id != space_id:
                raise SpaceMismatchError(
                    "The catalogue was embedded by another model than the one at hand.",
                    hint="Run: threadwise generations build, then: threadwise generations activate. "
                    "Or restore the embedding settings.",
                )
            self._of_space[space_id] = found
        return found

    def live_embedder(self) -> Embedder:
        """The model of the generation that readers see; that of the settings before any ingestion."""
        with self._database().read() as session:
            live = feeds.live_generation(session)
        return self._present_embedder() if live is None else self.embedder_of(live[1])

    def _model_of(self, space_id: str) -> str:
        with self._database().read() as session:
            stored = [one.recipe for one in generations.of_space(session, space_id) if one.recipe]
        return str(json.loads(stored[0])["model"]) if stored else self._embedding.model

    def _named(self, model: str) -> Embedder:
        if model == self._embedding.model:
            return self._present_embedder()
        with self._opening:
            if model not in self.embedders:
                self.embedders[model] = open_embedder(self._embedding.model_copy(update={"model": model}))
            return self.embedders[model]

    def _recipe(self, stored: str) -> Recipe:
        made = self._made.get(stored)
        if made is None:
            made = self._made[stored] = self._make(stored, Ingredients(**json.loads(stored)))
        return made

    def _make(self, stored: str, ingredients: Ingredients) -> Recipe:
        embedder = self._named(ingredients.model)
        tokenizer = embedder.tokenizer
        room = document_room(embedder) + tokenizer.special
        limits = ChunkLimits(max_tokens=min(ingredients.chunk_tokens, room), overlap=ingredients.overlap_tokens)
        pipeline = pipeline_id(tokenizer.fingerprint, limits, ingredients.sitting_gap_minutes)

        def chunker(source: str) -> Chunker:
            return partial(chunk_document, source=source, tokenizer=tokenizer, limits=limits, pipeline=pipeline)

        return Recipe(
            pipeline=pipeline,
            space=embedder.space,
            chunker=chunker,
            embedder=partial(self._named, ingredients.model),
            stored=stored,
        )
