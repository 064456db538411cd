"""The ways to cut a text, and each of them made ready to be asked as the product asks."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray

from benchmarks.cutting.texts import Corpus, Text
from core.catalog.feeds import WordsRow
from core.catalog.passages import Place
from core.settings import RetrievalSettings
from core.words import OPEN_FROM, OPEN_TO, digest_of
from features import words_schema
from features.minilm import FOLDER, MODEL_FILE, open_session, run
from features.tokenizer import Tokenizer
from ingest.chunking import ChunkLimits, chunk_document
from retrieval import fusion
from retrieval.passages import Span
from retrieval.retriever import Pool
from threadwise.runtime import Threadwise

OVERLAP = 20
RANKED = 50  # passages of one question


@dataclass(frozen=True, slots=True)
class Cut:
    """A chunk: which text it is of, its place there, and what is embedded and indexed."""

    text: int
    span: Span
    indexed: str


Vector = NDArray[np.float32]
Made = tuple[list[Text], list[Cut]]


def structured(corpus: Corpus, tokenizer: Tokenizer, *, size: int) -> Made:
    """What the product does."""
    cuts = [
        Cut(number, Span(ordinal=c.ordinal, start=c.start, end=c.end, text=c.text), c.indexed_text)
        for number, text in enumerate(corpus.grouped)
        for c in chunk_document(
            text.document, source="s", tokenizer=tokenizer, limits=ChunkLimits(size, OVERLAP), pipeline="p"
        )
    ]
    return corpus.grouped, cuts


def windows(corpus: Corpus, tokenizer: Tokenizer, *, size: int) -> Made:
    """Fixed windows that step over whatever stands there; the first one of a text begins with its title."""
    cuts: list[Cut] = []
    for number, text in enumerate(corpus.flat):
        spans = tokenizer.spans(text.body)
        for ordinal, first in enumerate(range(0, max(len(spans) - OVERLAP, 1), size - OVERLAP)):
            if inside := spans[first : first + size]:
                start, end = inside[0][0], inside[-1][1]
                shown = text.body[start:end]
                title = "" if ordinal else f"{text.document.title}\n"
                cuts.append(Cut(number, Span(ordinal=ordinal, start=start, end=end, text=shown), title + shown))
    return corpus.flat, cuts


WAYS: dict[str, tuple[Callable[[Corpus, Tokenizer], Made], int]] = {
    "structure 256": (partial(structured, size=256), 256),
    "fixed 400/20": (partial(windows, size=400), 512),
    "fixed 400/20 seen 256": (partial(windows, size=400), 256),
    "fixed 254/20": (partial(windows, size=254), 512),
    "structure 400": (partial(structured, size=402), 512),
    "structure 128": (partial(structured, size=128), 256),
}
"""How it is cut, and how many tokens the embedder reads, its own two included; the first is the default."""


class Arm:
    """One corpus cut in one way."""

    def __init__(self, threadwise: Threadwise, corpus: Corpus, way: str, cache: Path) -> None:
        cutter, self.seen = WAYS[way]
        self.threadwise = threadwise
        self.tokenizer = threadwise.embedder.tokenizer
        self.texts, self.cuts = cutter(corpus, self.tokenizer)
        self.spans: defaultdict[str, list[Span]] = defaultdict(list)
        for cut in self.cuts:
            self.spans[str(cut.text)].append(cut.span)
        sizes = [len(self.tokenizer.ids(cut.indexed)) for cut in self.cuts]
        self.tokens = sum(min(size, self.seen) for size in sizes)
        self.unread = 1 - self.tokens / sum(sizes)
        self.vectors = self._embedded(cache)
        self._schema, self._analyzer = words_schema.schema(), words_schema.analyzer()
        self._searcher = self._indexed().searcher()

    def ranked(self, question: str, vector: Vector, settings: RetrievalSettings) -> list[int]:
        """Cuts by number, best first: both pools, fusion, near-duplicates and MMR as the retriever has them."""
        cosines = self.vectors @ vector
        clauses = words_schema.term_clauses(self._schema, self._searcher, self._analyzer.analyze(question))
        near = np.argsort(-cosines, kind="stable")[: settings.pool].tolist()
        words = self._worded(clauses, settings.pool)
        pool = sorted({*near, *words}, key=lambda number: (-cosines[number], number))
        mine = words_schema.any_of(self._schema, "chunk_id", [str(number) for number in pool])
        words = self._worded([mine, *clauses], len(pool))
        lexical = np.array([words.get(number, 0.0) for number in pool], dtype=np.float32)
        fused = fusion.convex(cosines[pool], lexical, dense_weight=settings.dense_weight)
        cuts = [self.cuts[number] for number in pool]
        places = [Place(str(cut.span.start), str(cut.text), cut.span.ordinal, cut.indexed) for cut in cuts]
        made = Pool(1, places, self.vectors[pool], fused, {}, 0)
        return [pool[row] for row in self.threadwise.retriever.order(made, RANKED).tolist()]

    def _embedded(self, cache: Path) -> Vector:
        names = [digest_of(FOLDER, str(self.seen), cut.indexed) for cut in self.cuts]
        known = {name: row for place in cache.glob("*.npz") for name, row in zip(*np.load(place).values(), strict=True)}
        model = self.threadwise.settings.embedding.cache_dir.expanduser() / FOLDER / MODEL_FILE
        session = open_session(model, 1)
        new = {
            name: run(session, self._ids(c.indexed))
            for name, c in zip(names, self.cuts, strict=True)
            if name not in known
        }
        if new:
            np.savez(cache / f"{digest_of(*new)}.npz", names=list(new), vectors=list(new.values()))
        return np.array([(known | new)[name] for name in names], dtype=np.float32)

    def _ids(self, text: str) -> list[int]:
        ids = self.tokenizer.ids(text)
        return ids if len(ids) <= self.seen else [*ids[: self.seen - 1], ids[-1]]

    def _indexed(self) -> tantivy.Index:
        index = tantivy.Index(self._schema)
        words_schema.register(index)
        writer = index.writer(50_000_000, 1)
        for number, cut in enumerate(self.cuts):
            row = WordsRow(
                chunk_id=str(number),
                text=cut.indexed,
                text_sha="",
                audience_id=0,
                source="s",
                kind="page",
                author="",
                valid_from=OPEN_FROM,
                valid_to=OPEN_TO,
            )
            writer.add_document(words_schema.document(row))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        return index

    def _worded(self, clauses: Sequence[words_schema.Clause], limit: int) -> dict[int, float]:
        """BM25 by cut, of the best `limit`."""
        hits = self._searcher.search(tantivy.Query.boolean_query(list(clauses)), limit, count=False).hits
        return {int(str(self._searcher.doc(address).get_first("chunk_id"))): float(score) for score, address in hits}
