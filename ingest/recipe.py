"""How documents become chunks and vectors of one generation."""

from collections.abc import Callable
from dataclasses import dataclass

from core.words import Space
from ingest.prepare import Chunker, DocumentEmbedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How documents become chunks and vectors. The embedder is made only when something has to be embedded."""

    pipeline: str
    space: Space
    chunker: Callable[[str], Chunker]  # for the documents of the named source
    embedder: Callable[[], DocumentEmbedder]
    stored: str = ""  # JSON: what is kept of it with a generation that is made by it
