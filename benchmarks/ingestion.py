"""A whole ingestion against its limits, in one run on one machine.

    .venv/bin/python benchmarks/ingestion.py [SLACK_EXPORT.zip] [--json]

Prints chunks per second of the whole ingestion divided by those of the bare embedder in its best shape (the same
texts, one session for each worker thread, nothing else), and the seconds of a second, unchanged ingestion divided by
those of reading and hashing the archive. The bare embedder runs before and after, so that a machine that slows down
is seen. Without an argument the demonstration's export is used, whose run is too short to say much.
"""

import argparse
import hashlib
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import select

from core import tables as t
from core.settings import Settings
from features.embedding import Embedder
from threadwise.runtime import Threadwise

DEMO = Path(__file__).parents[1] / "demo" / "slack-export"
REPEATS = 20


def bare_rate(embedder: Embedder, texts: Sequence[str], threads: int) -> float:
    """Texts per second, one after the other in each thread."""
    with ThreadPoolExecutor(threads) as pool:
        # Every thread makes its session before the clock starts.
        list(pool.map(lambda _: embedder.embed_documents(["warm"]), range(4 * threads)))
        started = time.perf_counter()
        list(pool.map(lambda text: embedder.embed_documents([text]), texts))
        return len(texts) / (time.perf_counter() - started)


def texts_of(threadwise: Threadwise) -> list[str]:
    """What was embedded, in the order of chunk ids."""
    c = t.chunk.c
    with threadwise.database.read() as session:
        rows = session.execute(select(c.context, c.text, c.text_sha).order_by(c.id)).all()
    unique = {sha: f"{context}\n{text}" if context else text for context, text, sha in rows}
    return list(unique.values())


def read_and_hash(archive: Path) -> None:
    """The floor of seeing that an archive has not changed: its bytes as they lie on the disk."""
    hashlib.sha256(archive.read_bytes()).hexdigest()


def read_and_hash_entries(archive: Path) -> None:
    """The same over what is in it, unpacked."""
    with zipfile.ZipFile(archive) as entries:
        for name in entries.namelist():
            hashlib.sha256(entries.read(name)).hexdigest()


def median_ms(action: Callable[[], object]) -> float:
    """Median milliseconds over the repeats."""
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        taken.append(1000 * (time.perf_counter() - started))
    return sorted(taken)[REPEATS // 2]


def no_change(threadwise: Threadwise, archive: Path) -> dict[str, object]:
    """An unchanged ingestion beside reading and hashing its archive."""
    unchanged = median_ms(lambda: threadwise.ingest(archive, name="bench"))
    figures: dict[str, object] = {
        "unchanged_ms": round(unchanged, 2),
        "unchanged_embedded": threadwise.ingest(archive, name="bench").embedded,
    }
    if archive.is_file():
        whole, entries = median_ms(lambda: read_and_hash(archive)), median_ms(lambda: read_and_hash_entries(archive))
        figures |= {
            "read_and_hash_ms": round(whole, 2),
            "unchanged_over_read_and_hash": round(unchanged / whole, 2),
            "unchanged_over_read_and_hash_entries": round(unchanged / entries, 2),
        }
    return figures


def measure(archive: Path) -> dict[str, object]:
    """Every figure, by name."""
    with tempfile.TemporaryDirectory() as folder, Threadwise(Settings(data_dir=Path(folder))) as threadwise:
        workers = threadwise.settings.ingest.workers
        threadwise.embedder.embed_documents(["warm"])
        report = threadwise.ingest(archive, name="bench")
        texts = texts_of(threadwise)
        after = bare_rate(threadwise.embedder, texts, workers)
        with tempfile.TemporaryDirectory() as second, Threadwise(Settings(data_dir=Path(second))) as again:
            again.embedder = threadwise.embedder
            repeat = again.ingest(archive, name="bench")
        before = bare_rate(threadwise.embedder, texts, workers)
        repeated = no_change(threadwise, archive)
    whole = 2 * report.embedded / (report.seconds + repeat.seconds)
    bare = (before + after) / 2
    return {
        "messages": sum(report.buckets.values()),
        "buckets": report.buckets,
        "documents": report.added,
        "chunks": report.chunks,
        "embedded": report.embedded,
        "seconds": [round(report.seconds, 2), round(repeat.seconds, 2)],
        "chunks_per_second": round(whole, 1),
        "bare_chunks_per_second": [round(after, 1), round(before, 1)],
        "whole_over_bare": round(whole / bare, 3),
        **repeated,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", nargs="?", type=Path, default=DEMO)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.archive)
    if options.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:<30} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
