"""Small installations whose generations differ in how they cut and embed, at no cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

from core import tables as t
from core.catalog import generations as catalog
from core.settings import EmbeddingSettings, IngestSettings, LlmSettings, Settings
from core.words import Space
from retrieval.query import Query
from tests.support.faults.toys import ToyEmbedder
from threadwise.runtime import Threadwise

OTHER = "other"


def pages(count: int, words: int = 90) -> dict[str, str]:
    """Markdown pages whose words are all their own."""
    texts = {n: " ".join(f"w{n}x{i}" for i in range(words)) for n in range(count)}
    return {f"page-{n}.md": f"# Page {n}\n\n{text}\n" for n, text in texts.items()}


class OtherToy(ToyEmbedder):
    """A toy of another space: longer vectors, turned around."""

    def __init__(self) -> None:
        super().__init__()
        self.space = Space(model=OTHER, revision="1", runtime="none", dimension=24, max_tokens=256)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """A unit vector (24,)."""
        return np.concatenate([np.zeros(8, dtype=np.float32), super().embed_query(text)[::-1]])


def house(folder: Path, model: str = "minilm", **ingest: float) -> Threadwise:
    """The installation of this folder, its settings naming one of the two toys; it knows the other one too."""
    settings = Settings(
        data_dir=folder,
        embedding=EmbeddingSettings(model=model),
        ingest=IngestSettings.model_validate(ingest),
        llm=LlmSettings(kind="none"),
    )
    threadwise = Threadwise(settings)
    threadwise.embedder = OtherToy() if model == OTHER else ToyEmbedder()
    threadwise.recipes.embedders |= {OTHER: OtherToy(), "minilm": ToyEmbedder()}
    return threadwise


def quiet(*_: object) -> None:
    """Report to nobody."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


def built(threadwise: Threadwise) -> int:
    """The number of a generation that is ready."""
    return threadwise.generations.build(stop=never, report=quiet).generation.id


def seen(threadwise: Threadwise) -> int:
    """The number of a new generation that readers see."""
    number = built(threadwise)
    return threadwise.generations.activate(number, stop=never, report=quiet).generation.id


def found(threadwise: Threadwise, text: str = "w1x1 w1x2 w3x5 w5x60", top_k: int = 5) -> list[tuple[str, str, float]]:
    """Chunk id, text and score of the best."""
    ranking = threadwise.search(Query(text=text, reader=threadwise.reader(), top_k=top_k))
    return [(passage.chunk_id, passage.text, passage.score) for passage in ranking.passages]


def live_ids(threadwise: Threadwise, number: int) -> set[str]:
    """The live chunks of one generation."""
    c = t.chunk.c
    with threadwise.database.read() as session:
        return set(session.execute(select(c.id).where(c.generation_id == number, c.live)).scalars())


def followed(threadwise: Threadwise) -> None:
    """Return when the engines have followed the pointer: what is loaded beside is loaded then."""
    with threadwise.database.read() as session:
        live = catalog.live_id(session)
    for _ in range(200):
        serving = threadwise.store.serving()
        assert serving is not None
        if serving.generation_id == live:
            return
        opened = threadwise.store._online._opened
        assert opened is not None
        opened.engines.close()
    pytest.fail("the engines never followed")


class ImmuneToy(ToyEmbedder):
    """Embeds whatever it is given, poison too."""

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, d)."""
        return np.stack([self.embed_query(text) for text in texts])


def finish(data_dir: str, settings: dict[str, Any]) -> None:
    """Do what is left of building by these settings, letting readers see it, and deleting what they saw before."""
    with house(Path(data_dir), **settings) as threadwise:
        generations = threadwise.generations
        generations.grace_seconds = 0
        if threadwise.recipes.is_outdated():
            generations.build(stop=never, report=quiet)
            generations.activate(stop=never, report=quiet)
        generations.collect(everything=True)
