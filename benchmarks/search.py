"""Search latency beside the query embedding, and memory, on a real catalogue.

    .venv/bin/python benchmarks/search.py [SLACK_EXPORT.zip] [--json]

Ingests the archive, then asks its own titles as questions, as a member of the workspace. Prints the milliseconds of
embedding and of everything else (p50, p99) with a limit beside them, SQL statements for each question, and the
proportional set size (PSS) of the process. Without an argument the demonstration's export is used.
"""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

import numpy as np
from sqlalchemy import event, select

from core import tables as t
from core.catalog.passages import Reader
from core.settings import Settings
from retrieval.query import Query
from threadwise.runtime import Threadwise

DEMO = Path(__file__).parents[1] / "demo" / "slack-export"
QUESTIONS = 300
LIMIT_MS = 5.0  # p50 beside the embedding, at 100,000 chunks


def pss_mb() -> float:
    """Proportional set size of this process in MiB."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def questions(threadwise: Threadwise) -> tuple[list[str], Reader]:
    """Titles of documents without their channel, and a reader of the public channels."""
    with threadwise.database.read() as session:
        titles = [row[0] for row in session.execute(select(t.document.c.title).order_by(t.document.c.id))]
        workspace = session.execute(select(t.source.c.workspace)).scalar_one()
    texts = [title.partition(": ")[2] for title in titles]
    drawn = random.Random(7).sample(texts, min(QUESTIONS, len(texts)))
    return [text for text in drawn if text.strip()], Reader(principals=(workspace,))


def measure(archive: Path) -> dict[str, object]:
    """Every figure, by name."""
    with tempfile.TemporaryDirectory() as folder, Threadwise(Settings(data_dir=Path(folder))) as threadwise:
        chunks = threadwise.ingest(archive, name="bench").chunks
        after_ingest = pss_mb()
        started = time.perf_counter()
        threadwise.warm()
        warm = time.perf_counter() - started
        asked, reader = questions(threadwise)
        statements: list[str] = []
        event.listen(threadwise.database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
        rankings = [threadwise.search(Query(text=text, reader=reader)) for text in asked]
        embed = np.array([ranking.embed_ms for ranking in rankings])
        rest = np.array([ranking.took_ms - ranking.embed_ms for ranking in rankings])
        return {
            "chunks": chunks,
            "questions": len(asked),
            "embed_ms_p50_p99": np.round(np.percentile(embed, [50, 99]), 2).tolist(),
            "beside_ms_p50_p99": np.round(np.percentile(rest, [50, 99]), 2).tolist(),
            "beside_p50_over_limit": round(float(np.median(rest)) / LIMIT_MS, 2),
            "statements_per_question": round(len(statements) / len(asked), 2),
            "warm_seconds": round(warm, 2),
            "pss_mb_after_ingest": round(after_ingest),
            "pss_mb_searching": round(pss_mb()),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", nargs="?", type=Path, default=DEMO)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.archive)
    print(json.dumps(figures) if options.json else "\n".join(f"{key:<26} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
