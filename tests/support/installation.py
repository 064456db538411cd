"""A whole installation in a temporary folder, with the real embedder, and ways to watch or break it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from core import tables as t
from core.errors import ThreadwiseError
from core.settings import IngestSettings, Settings
from core.words import Space
from features.embedding import Embedder
from features.tokenizer import Tokenizer
from threadwise.runtime import Threadwise


class WatchedEmbedder:
    """The real embedder; counts what it embeds and calls `before` first, which may raise."""

    def __init__(self, embedder: Embedder, before: Callable[[str], None] = lambda _text: None) -> None:
        self._embedder = embedder
        self._before = before
        self.texts: list[str] = []

    @property
    def space(self) -> Space:
        """The real space."""
        return self._embedder.space

    @property
    def tokenizer(self) -> Tokenizer:
        """The real tokenizer."""
        return self._embedder.tokenizer

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed, one text noted after the other."""
        for text in texts:
            self._before(text)
        self.texts.extend(texts)
        return self._embedder.embed_documents(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed a question."""
        return self._embedder.embed_query(text)


class PoisonError(ThreadwiseError):
    """A permanent failure made for a test."""

    code = "poison"


def installation(
    folder: Path, database_url: str = "", before: Callable[[str], None] = lambda _text: None, **ingest: float
) -> tuple[Threadwise, WatchedEmbedder]:
    """An installation whose embedder is watched."""
    sections = IngestSettings.model_validate(ingest)
    settings = Settings(data_dir=folder, ingest=sections)
    if database_url:
        settings = Settings(data_dir=folder, database_url=database_url, ingest=sections)
    threadwise = Threadwise(settings)
    watched = WatchedEmbedder(threadwise.embedder, before)
    threadwise.embedder = watched
    return threadwise, watched


def write_pages(folder: Path, pages: dict[str, str]) -> Path:
    """A folder of Markdown pages, exactly these."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.md"):
        old.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text)
    return folder


PAGES = {
    "leave.md": "# Leave\n\nEverybody has 25 days of leave.\n",
    "bikes.md": "# Bikes\n\nA bike is leased for three years.\n",
    "vpn.md": "# VPN\n\nInstall the client and sign in.\n",
}


def live_texts(threadwise: Threadwise) -> set[str]:
    """The text of every live chunk."""
    with threadwise.database.read() as session:
        return set(session.execute(select(t.chunk.c.text).where(t.chunk.c.live)).scalars())
