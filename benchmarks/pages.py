"""Whether a citation leads to the right page of a PDF, and what reading PDFs costs against reading their text.

    .venv/bin/python benchmarks/pages.py [FOLDER_OF_PDFS BEIR_FOLDER] [--json]

The documents of the BEIR folder are pages, `NAME.pdf#page=N`, and its questions name the pages that answer them. The
PDFs go through the parser in its sandbox, the corpus in as text; both are asked the same questions. recall@10 counts
questions of which a right page is among the first ten addresses; where the answers are known, so does answer@10, but
of the page on which most of the answer's words stand: a page may be named for the text that only begins there.
cited_right is the share of the quotes whose first words stand on the page to which their address leads, as the corpus
has that page. Without arguments the sets beside $THREADWISE_EVAL_DATA are used: hr/ and beir/contoso_hr.
"""

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from core.catalog.passages import Reader
from core.settings import LlmSettings, Settings
from core.words import EVERYONE
from generation.answers import AskRequest, DoneEvent
from generation.asking import terms
from retrieval.query import Query
from threadwise.runtime import Threadwise

DEPTH = 10
BEGINNING = 60  # letters of a quote that have to stand on its page: the last of its words may be on the next one
NOT_A_LETTER = re.compile(r"[\W_]+")
READER = Reader(principals=(EVERYONE,))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the pages that are named for it, and that on which its answer stands where the answer is known."""

    text: str
    pages: frozenset[str]
    answered_on: frozenset[str]


def questions(folder: Path, corpus: dict[str, str]) -> list[Asked]:
    """Each question with the pages that answer it; those without one are left out."""
    gold: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, page, grade = line.split("\t")
        if int(grade) > 0:
            gold.setdefault(query, set()).add(page)
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    return [_asked(one, frozenset(gold[one["_id"]]), corpus) for one in asked if one["_id"] in gold]


def pages_of(folder: Path) -> dict[str, str]:
    """The text of each page by its address."""
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return {one["_id"]: one["text"] for one in map(json.loads, lines)}


def measure(source: Path, asked: Sequence[Asked], corpus: dict[str, str]) -> dict[str, float]:
    """How often the right page is found and cited, and what the source came to."""
    with tempfile.TemporaryDirectory() as folder, Threadwise(_settings(folder)) as threadwise:
        started = time.perf_counter()
        report = threadwise.ingest(source, name="pages")
        seconds = time.perf_counter() - started
        found = [_found(threadwise, one.text) for one in asked]
        counts = {"questions": len(asked), "chunks": report.chunks, "ingest_seconds": seconds}
        return _recall(found, asked) | _cited(threadwise, asked, corpus) | counts


def _settings(folder: str) -> Settings:
    return Settings(data_dir=Path(folder), llm=LlmSettings(kind="none"))


def _asked(query: dict[str, object], pages: frozenset[str], corpus: dict[str, str]) -> Asked:
    text, told = str(query["text"]), query.get("metadata")
    answers = told.get("answers") if isinstance(told, dict) else None
    words = terms(" ".join(answers or ())) - terms(text)
    # What begins on a page may go on over its end.
    near = [page for named in sorted(pages) for page in (named, _next(named)) if page in corpus]
    stands = [max(near, key=lambda page: len(words & terms(corpus[page])))] if words and near else ()
    return Asked(text, pages, frozenset(stands))


def _next(page: str) -> str:
    name, _, number = page.rpartition("=")
    return f"{name}={int(number) + 1}"


def _found(threadwise: Threadwise, question: str) -> list[str]:
    # Two passages may be of one page: only addresses count.
    passages = threadwise.search(Query(text=question, reader=READER, top_k=2 * DEPTH)).passages
    return list(dict.fromkeys(unquote(passage.uri) for passage in passages))


def _recall(found: Sequence[list[str]], asked: Sequence[Asked]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for depth in (1, DEPTH):
        for name, right in (
            ("recall", [one.pages for one in asked]),
            ("answer", [one.answered_on for one in asked]),
        ):
            hits = [not pages.isdisjoint(shown[:depth]) for shown, pages in zip(found, right, strict=True) if pages]
            shares[f"{name}@{depth}"] = sum(hits) / max(len(hits), 1)
    return shares


def _cited(threadwise: Threadwise, asked: Sequence[Asked], corpus: dict[str, str]) -> dict[str, float]:
    letters = {page: _letters(text) for page, text in corpus.items()}
    right = quoted = 0
    for one in asked:
        *_, done = threadwise.ask(AskRequest(question=one.text, reader=READER))
        for citation in done.answer.citations if isinstance(done, DoneEvent) else ():
            beginning = _letters(citation.quote)[:BEGINNING]
            quoted += 1
            right += beginning in letters.get(unquote(citation.uri), "")
    return {"cited_right": right / max(quoted, 1), "quotes": quoted}


def _letters(text: str) -> str:
    return NOT_A_LETTER.sub("", text.casefold())


def main() -> None:
    """Measure both and print them beside each other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    beside = Path(os.environ.get("THREADWISE_EVAL_DATA", "."))
    pdfs, folder = given.folders or (beside / "hr", beside / "beir" / "contoso_hr")
    if not pdfs.is_dir() or not folder.is_dir():
        print("There are no PDFs with questions: give two folders, or set THREADWISE_EVAL_DATA.")
        return
    corpus = pages_of(folder)
    asked = questions(folder, corpus)
    results = {"pdf": measure(pdfs, asked, corpus), "text": measure(folder, asked, corpus)}
    if given.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(name, "  ".join(f"{key} {value:.3g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
