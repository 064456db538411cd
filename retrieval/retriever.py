"""A question becomes ranked passages that its reader may read.

The engines' filter is for speed. What may be read is decided by the catalogue, twice in one way: for the
candidates and for the texts that are shown. The number of statements and of engine calls depends on the settings
and never on what exists beyond the reader's rights.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from core.anchors import anchors_of
from core.catalog import audiences, passages
from core.catalog.passages import PassageRow, Place
from core.clock import Clock
from core.database import Database, Session
from core.settings import RetrievalSettings
from core.words import Instant, Passage
from features.engine_pair import Candidates, EnginePair
from features.filters import PassageFilter
from features.store import FeatureStore
from retrieval import duplicates, fusion, mmr
from retrieval.errors import EmptyQuestionError, NothingIngestedError
from retrieval.passages import Hit, ReadableText, Span, readable_texts
from retrieval.query import Query

FRAGMENT: Final = "!$&'()*+,;=:@/?%"
"""What stands in the fragment of an address as it is (RFC 3986), and the mark of what is encoded already."""

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates that passed the barrier. Row i of every field belongs together; `relevance` is in [0, 1]."""

    generation_id: int
    places: list[Place]
    vectors: Vector
    relevance: NDArray[np.float64]
    signals: dict[str, NDArray[np.float64]]
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Ranked passages and what making them took. `dropped` counts candidates that the barrier held back.

    `vector` is the question's, shape (dimension,), of the space `space_id`; it leaves the process by no door.
    """

    passages: list[Passage]
    took_ms: float
    embed_ms: float
    dropped: int
    generation_id: int
    space_id: str
    vector: Vector = field(repr=False, compare=False)

    def as_json(self) -> dict[str, object]:
        """The shape that tools rely on. `took_ms` includes embedding the question."""
        shown = [{name: value for name, value in asdict(one).items() if name != "places"} for one in self.passages]
        return {"passages": shown, "took_ms": round(self.took_ms, 3)}


class Retriever:
    """Ranks what a reader may read. Thread-safe: it keeps no state of a question.

    A question asks once which generation readers see, and keeps to it from its vector to the last text.
    `embed_question` is given the question and the space in which it is to be compared.
    """

    def __init__(
        self,
        database: Database,
        store: FeatureStore,
        *,
        embed_question: Callable[[str, str], Vector],
        settings: RetrievalSettings,
        clock: Clock,
    ) -> None:
        self.database = database
        self.store = store
        self.embed_question = embed_question
        self.settings = settings
        self.clock = clock

    def search(self, query: Query) -> Ranking:
        """The best passages, best first; raises `NothingIngestedError` on an empty catalogue.

        Raises `SpaceMismatchError` when the embedding model that the catalogue was built with is not there any more.
        """
        started = time.perf_counter()
        engines = self._engines(query)
        caught_up = time.perf_counter()
        vector = self.embed_question(query.text, engines.space_id)
        embed_ms = 1000 * (time.perf_counter() - caught_up)
        at = self._moment(query)
        with self.database.read() as session:
            pool = self._pool(session, query, engines, vector, at)
            found = self._complete(session, query, pool, at)
        return Ranking(
            passages=found,
            took_ms=1000 * (time.perf_counter() - started),
            embed_ms=embed_ms,
            dropped=pool.dropped,
            generation_id=pool.generation_id,
            space_id=engines.space_id,
            vector=vector,
        )

    def candidates(self, query: Query) -> Pool:
        """Everything that is considered for a question, before the final order: for evaluation and explanation."""
        engines = self._engines(query)
        vector = self.embed_question(query.text, engines.space_id)
        with self.database.read() as session:
            return self._pool(session, query, engines, vector, self._moment(query))

    def order(self, pool: Pool, limit: int, mmr_lambda: float | None = None) -> NDArray[np.intp]:
        """The first `limit` rows of the pool, best first.

        Near-duplicates are collapsed and maximal marginal relevance chooses among the best `mmr_candidates`; what
        lies beyond them follows by relevance.
        """
        settings = self.settings
        wanted = settings.mmr_lambda if mmr_lambda is None else mmr_lambda
        by_relevance = np.argsort(-pool.relevance, kind="stable")
        head, tail = np.split(by_relevance, [settings.mmr_candidates])
        keys = [pool.places[row].text_sha for row in head]
        relevance, vectors = pool.relevance[head], pool.vectors[head]
        kept, _ = duplicates.collapse(relevance, vectors, text_keys=keys, threshold=settings.duplicate_similarity)
        chosen = mmr.mmr_order(relevance[kept], vectors[kept], k=limit, mmr_lambda=wanted)
        return np.concatenate([head[kept[chosen]], tail])[:limit]

    def _moment(self, query: Query) -> Instant:
        return query.at if query.at is not None else self.clock()

    def _engines(self, query: Query) -> EnginePair:
        if not query.text.strip():
            raise EmptyQuestionError("The question is empty.", hint="Ask something.")
        engines = self.store.serving()
        if engines is None:
            raise NothingIngestedError("Nothing has been ingested yet.", hint="Run: threadwise ingest PATH")
        return engines

    def _pool(self, session: Session, query: Query, engines: EnginePair, vector: Vector, at: Instant) -> Pool:
        allowed = self._filter(session, query, at)
        size, number = self.settings.pool, engines.generation_id
        found = self.store.search_rows(vector, query.text, pool=size, filter=allowed, engines=engines)
        places = passages.readable_places(session, number, query.reader, at, found.chunk_ids)
        dropped = len(found.chunk_ids) - len(places)
        if dropped:
            # An engine lags behind the catalogue: once, ask for as many more as were dropped.
            engines.catch_up()
            more = size + dropped
            found = self.store.search_rows(vector, query.text, pool=more, filter=allowed, engines=engines)
            places = passages.readable_places(session, number, query.reader, at, found.chunk_ids)
        return self._scored(number, found, places, at, dropped)

    def _filter(self, session: Session, query: Query, at: Instant) -> PassageFilter:
        reader = query.reader
        may = None if reader.unrestricted else audiences.audience_ids(session, reader.principals, reader.without)
        return PassageFilter(audience_ids=may, at=at, sources=query.sources, kinds=query.kinds, authors=query.authors)

    def _scored(
        self, generation_id: int, found: Candidates, places: dict[str, Place], at: Instant, dropped: int
    ) -> Pool:
        rows = [row for row, chunk_id in enumerate(found.chunk_ids) if chunk_id in places]
        readable = [places[found.chunk_ids[row]] for row in rows]
        dense, lexical = found.dense[rows], found.lexical[rows]
        settings = self.settings
        if settings.fusion == "rrf":
            fused = fusion.rrf(dense, lexical, k=settings.rrf_k)
        else:
            fused = fusion.convex(dense, lexical, dense_weight=settings.dense_weight)
        documents = [place.document_id for place in readable]
        signals = self.store.ranking_signals(documents, at, half_life_days=settings.recency_half_life_days)
        weights = {"recency": settings.recency_weight, "helpfulness": settings.reaction_weight}
        lifted = fused + sum(weight * signals[name] for name, weight in weights.items())
        relevance = lifted / (1.0 + sum(weights.values()))
        # BM25 counts what others may read too: outside, it is only ever a share of the pool's best (ADR 0009).
        shares = lexical.astype(np.float64) / (float(np.max(lexical, initial=0.0)) or 1.0)
        shown = {"dense": dense.astype(np.float64), "lexical": shares, "fused": fused} | signals
        return Pool(generation_id, readable, found.vectors[rows], relevance, shown, dropped)

    def _complete(self, session: Session, query: Query, pool: Pool, at: Instant) -> list[Passage]:
        """The best `top_k` rows, each with its neighbours, no chunk shown twice and no text either."""
        top_k = query.top_k or self.settings.top_k
        reach = self.settings.neighbours
        # A hit may be shown inside an earlier one, or say what an earlier one says: of this many, top_k are left.
        ranked = self.order(pool, top_k * (2 + 2 * reach), query.mmr_lambda).tolist()
        around = [
            (pool.places[row].document_id, pool.places[row].ordinal + step)
            for row in ranked
            for step in range(-reach, reach + 1)
        ]
        texts = passages.readable_passages(session, pool.generation_id, query.reader, at, around)
        near: defaultdict[str, list[Span]] = defaultdict(list)
        for (document_id, _), row in texts.items():
            near[document_id].append(_span(row))
        shown = _first_of_each_text(ranked, pool.places, texts)
        own = [texts[_key(pool.places[row])] for row in shown]
        hits = [Hit(document_id=row.document_id, span=_span(row)) for row in own]
        merged = readable_texts(hits, near, reach=reach)[:top_k]
        return [_passage(own[text.hit], text, pool, shown[text.hit]) for text in merged]


def _key(place: Place) -> tuple[str, int]:
    return place.document_id, place.ordinal


def _first_of_each_text(
    ranked: Sequence[int], places: Sequence[Place], texts: Mapping[tuple[str, int], PassageRow]
) -> list[int]:
    """The rows that may be read. What was posted in two channels has two contexts, so its vectors can lie apart."""
    first: dict[str, int] = {}
    for row in ranked:
        if found := texts.get(_key(places[row])):
            first.setdefault(found.text, row)
    return list(first.values())


def _span(row: PassageRow) -> Span:
    # A conversation's own link already opens it.
    anchors = anchors_of(row.anchor) if row.kind == "page" else ()
    return Span(ordinal=row.ordinal, start=row.start, end=row.end, text=row.text, anchors=anchors)


def _passage(row: PassageRow, text: ReadableText, pool: Pool, place: int) -> Passage:
    """The passage of a hit: at the page or heading where its own chunk begins, with those of all that it shows."""
    own = next((anchor for _, anchor in _span(row).anchors), "")
    return Passage(
        chunk_id=row.chunk_id,
        document_id=row.document_id,
        external_id=row.external_id,
        source=row.source,
        title=row.title,
        uri=_address(row.uri, own),
        text=text.text,
        score=float(pool.relevance[place]),
        signals={name: float(column[place]) for name, column in pool.signals.items()},
        places=tuple((offset, _address(row.uri, anchor)) for offset, anchor in text.anchors),
    )


def _address(uri: str, anchor: str) -> str:
    return f"{uri}#{quote(anchor, safe=FRAGMENT)}" if anchor else uri
