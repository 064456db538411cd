"""The bare embedder: chunks per second by length and threads, and the time of a query.

`python benchmarks/embedder.py [--json] [--texts 200] [--model minilm]`. Workers are threads of one process with a
session each, as ingestion uses them; "inner" are threads inside one call. The machine should be otherwise idle.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.settings import EmbeddingSettings
from features.embedding import Embedder, open_embedder

LENGTHS = (40, 100, 200)
SHAPES = ((1, 1), (2, 1), (1, 2))  # workers, threads inside one call
QUERIES = 200
VOCABULARY = (
    "leave vacation policy office laptop printer password account expenses travel budget deployment cluster backup "
    "database handbook onboarding contract salary pension insurance meeting calendar security incident network the a "
    "of in and to for with when before after every please must may not who where how days weeks months 14 30 2026"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Embedding of texts of one length by one shape of threads."""

    workers: int
    inner: int
    tokens: int
    chunks_per_second: float


def texts_of(embedder: Embedder, tokens: int, *, count: int) -> list[str]:
    """`count` different texts of `tokens` tokens each (one or two less where a word does not fit)."""
    rng = random.Random(tokens)
    texts = []
    for _ in range(count):
        text = " ".join(rng.choices(VOCABULARY.split(), k=tokens))
        spans = embedder.tokenizer.spans(text)
        texts.append(text[: spans[min(tokens, len(spans)) - 1][1]])
    return texts


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def throughput(embedder: Embedder, texts: Sequence[str], *, workers: int) -> float:
    """Texts per second, the best of two rounds after a warm-up; documents of four chunks, as ingestion meets them."""
    documents = [texts[start : start + 4] for start in range(0, len(texts), 4)]
    with ThreadPoolExecutor(workers) as pool:
        rounds = [documents[: 2 * workers], documents, documents]
        taken = [seconds(partial(_embed_all, pool, embedder, part)) for part in rounds]
    return len(texts) / min(taken[1:])


def _embed_all(pool: ThreadPoolExecutor, embedder: Embedder, documents: Sequence[Sequence[str]]) -> None:
    for _ in pool.map(embedder.embed_documents, documents):
        pass


def query_p50_ms(embedder: Embedder) -> float:
    """Median time of a twelve-token question, milliseconds."""
    questions = texts_of(embedder, 12, count=QUERIES)
    return statistics.median(seconds(partial(embedder.embed_query, question)) for question in questions) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--model", default="minilm")
    options = parser.parse_args()
    rows, p50 = [], {}
    for workers, inner in SHAPES:
        embedder = open_embedder(EmbeddingSettings(model=options.model, threads=inner))
        for tokens in LENGTHS:
            rate = throughput(embedder, texts_of(embedder, tokens, count=options.texts), workers=workers)
            rows.append(Throughput(workers=workers, inner=inner, tokens=tokens, chunks_per_second=round(rate, 1)))
        p50[str(inner)] = round(query_p50_ms(embedder), 3)
    if options.json:
        print(json.dumps({"throughput": [asdict(row) for row in rows], "query_ms_p50_by_inner_threads": p50}))
        return
    print(f"{'workers':>8}{'inner':>7}{'tokens':>8}{'chunks/s':>10}")
    for row in rows:
        print(f"{row.workers:8}{row.inner:7}{row.tokens:8}{row.chunks_per_second:10.1f}")
    print("query p50: " + ", ".join(f"{ms:.2f} ms with {inner} inner thread(s)" for inner, ms in p50.items()))


if __name__ == "__main__":
    main()
