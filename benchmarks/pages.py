"""Whether a citation leads to the right page of a PDF, and what reading PDFs costs against reading their text.

    .venv/bin/python benchmarks/pages.py [FOLDER_OF_PDFS BEIR_FOLDER] [--json]

The documents of the BEIR folder are pages, `NAME.pdf#page=N`, and its questions name the pages that answer them. The
PDFs go through the parser in its sandbox, the corpus in as text; both are asked the same questions, and recall@10
counts questions of which a right page is among the first ten addresses. Without arguments the sets beside
$THREADWISE_EVAL_DATA are used: hr/ and beir/contoso_hr.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from core.catalog.passages import Reader
from core.settings import Settings
from core.words import EVERYONE
from retrieval.query import Query
from threadwise.runtime import Threadwise

DEPTH = 10


def questions(folder: Path) -> list[tuple[str, set[str]]]:
    """Each question with the pages that answer it; those without one are left out."""
    gold: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, page, grade = line.split("\t")
        if int(grade) > 0:
            gold.setdefault(query, set()).add(page)
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(one["text"], gold[one["_id"]]) for one in asked if one["_id"] in gold]


def measure(source: Path, asked: list[tuple[str, set[str]]]) -> dict[str, float]:
    """Recall@1 and @10 of pages, and what the source came to."""
    with tempfile.TemporaryDirectory() as folder, Threadwise(Settings(data_dir=Path(folder))) as threadwise:
        started = time.perf_counter()
        report = threadwise.ingest(source, name="pages")
        seconds = time.perf_counter() - started
        reader = Reader(principals=(EVERYONE,))
        found = {1: 0, DEPTH: 0}
        for question, pages in asked:
            # Two passages may be of one page: only addresses count.
            passages = threadwise.search(Query(text=question, reader=reader, top_k=2 * DEPTH)).passages
            shown = list(dict.fromkeys(passage.uri.replace("%23", "#").replace("%3D", "=") for passage in passages))
            for depth in found:
                found[depth] += not pages.isdisjoint(shown[:depth])
    shares = {f"recall@{depth}": hits / len(asked) for depth, hits in found.items()}
    return shares | {"questions": len(asked), "chunks": report.chunks, "ingest_seconds": seconds}


def main() -> None:
    """Measure both and print them beside each other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    beside = Path(os.environ.get("THREADWISE_EVAL_DATA", "."))
    pdfs, corpus = given.folders or (beside / "hr", beside / "beir" / "contoso_hr")
    if not pdfs.is_dir() or not corpus.is_dir():
        print("There are no PDFs with questions: give two folders, or set THREADWISE_EVAL_DATA.")
        return
    asked = questions(corpus)
    results = {"pdf": measure(pdfs, asked), "text": measure(corpus, asked)}
    if given.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(name, "  ".join(f"{key} {value:.3g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
