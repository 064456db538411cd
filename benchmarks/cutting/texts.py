"""Texts to be cut with the documents that judgements name in them: sets of `THREADWISE_EVAL_DATA`."""

import json
import random
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from core.settings import IngestSettings
from core.words import Block, Document
from features.tokenizer import Tokenizer
from ingest.chunking import body_of
from ingest.conversations import said_at, title_of
from ingest.items import Found
from ingest.markup import without_struck
from ingest.sources import open_source

WORD = re.compile(r"\w{4,}")

Named = tuple[Document, list[str]]
"""A document and for each block the name, later the key, of what it belongs to."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the names of the documents that answer it, and the words of its answer where they are known."""

    text: str
    wanted: frozenset[str]
    answer: frozenset[str]


@dataclass(frozen=True, slots=True)
class Text:
    """A document to be cut. `keys` names each block as `NAME|NUMBER`, NAME being what judgements know."""

    document: Document
    keys: tuple[str, ...]
    body: str
    places: tuple[tuple[int, int], ...]
    tokens: tuple[int, ...]  # where each token of the body begins

    def shown(self, start: int, end: int) -> Iterator[tuple[str, int, int]]:
        """The blocks that a part of the body shows, and from and to which of their characters."""
        first = max(bisect_right(self.places, (start, len(self.body))) - 1, 0)
        for row in range(first, len(self.places)):
            low, high = self.places[row]
            if low >= end:
                return
            if high > start:
                yield self.keys[row], max(start, low) - low, min(end, high) - low


@dataclass(frozen=True, slots=True)
class Corpus:
    """One text: as the product groups it, and flat. `pairs` are questions in it, each with what answers it."""

    grouped: list[Text]
    flat: list[Text]
    questions: list[Question]
    pairs: list[tuple[str, str]]

    def blocks(self) -> dict[str, str]:
        """The text of each block by its key."""
        return {
            key: text.body[low:high]
            for text in self.grouped
            for key, (low, high) in zip(text.keys, text.places, strict=True)
        }


def name_of(key: str) -> str:
    """What the block belongs to."""
    return key.rpartition("|")[0]


def read_corpus(name: str, data: Path, tokenizer: Tokenizer, *, asked: bool, others: float) -> Corpus:
    """The set `name` below `data`. `asked` puts its questions back into the text.

    Of the handbook's pages that answer nothing only the share `others`, in [0, 1], is kept, by chance.
    """
    read = {"slack_tenacademy": _slack, "handbook_faq": _handbook}.get(name, _pdfs)
    questions = _judged(data / "beir" / name)
    documents = _keyed(read(data, questions if asked else []))
    if read is _handbook:
        documents = _fewer(documents, frozenset().union(*(question.wanted for question in questions)), others)
    grouped = [_text_of(document, keys, tokenizer) for document, keys in documents]
    streams = [_text_of(*one, tokenizer) for one in _channels(documents)] if read is _slack else grouped
    corpus = Corpus(grouped, streams, questions, [])
    return replace(corpus, pairs=list(_pairs(corpus))) if asked and read is not _pdfs else corpus


def _fewer(documents: Sequence[Named], wanted: frozenset[str], share: float) -> list[Named]:
    chance = random.Random(7)
    return [one for one in documents if chance.random() < share or not wanted.isdisjoint(map(name_of, one[1]))]


def _pairs(corpus: Corpus) -> Iterator[tuple[str, str]]:
    """A heading and its section, or the message that opened a thread and the first reply."""
    blocks = corpus.blocks()
    for question in corpus.questions:
        for name in question.wanted:
            first, second = blocks[f"{name}|0"], blocks.get(f"{name}|1")
            yield (question.text, first) if second is None else (first, second)


def _judged(folder: Path) -> list[Question]:
    """The questions; those that nothing answers are left out."""
    gold: defaultdict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, name, grade = line.split("\t")
        gold[query] |= {name} if int(grade) > 0 else set()
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_bytes().splitlines()]
    return [_question(row, frozenset(gold[row["_id"]])) for row in rows if gold[row["_id"]]]


def _question(row: Mapping[str, object], wanted: frozenset[str]) -> Question:
    metadata, text = row.get("metadata"), str(row["text"])
    answers = metadata.get("answers", []) if isinstance(metadata, dict) else []
    said = set(WORD.findall(" ".join(answers).lower()))
    return Question(text, wanted, frozenset(said - set(WORD.findall(text.lower()))))


def _keyed(documents: Iterator[Named]) -> list[Named]:
    number: Counter[str] = Counter()
    keyed = []
    for document, names in documents:
        keys = []
        for name in names:
            keys.append(f"{name}|{number[name]}")
            number[name] += 1
        keyed.append((document, keys))
    return keyed


def _text_of(document: Document, keys: Sequence[str], tokenizer: Tokenizer) -> Text:
    said = without_struck([block.text for block in document.blocks])
    blocks = tuple(replace(block, text=text) for block, text in zip(document.blocks, said, strict=True))
    document = replace(document, blocks=blocks)
    body, places, at = body_of(document), [], 0
    for block in blocks:
        start = body.index(block.text, at)
        at = start + len(block.text)
        places.append((start, at))
    return Text(document, tuple(keys), body, tuple(places), tuple(start for start, _ in tokenizer.spans(body)))


def _channels(documents: Sequence[Named]) -> Iterator[Named]:
    """One document for each channel, with all of its messages in the order in which they were said."""
    said: defaultdict[str, list[tuple[int, str, Block]]] = defaultdict(list)
    for document, keys in documents:
        for key, block in zip(keys, document.blocks, strict=True):
            said[document.context].append((said_at(block) or 0, key, block))
    for label, messages in said.items():
        messages.sort(key=lambda one: one[:2])
        blocks = tuple(block for _, _, block in messages)
        stream = replace(documents[0][0], external_id=label, title=label, context="", blocks=blocks)
        yield stream, [key for _, key, _ in messages]


def _slack(data: Path, asked: Sequence[Question]) -> Iterator[Named]:
    """The export; the messages that opened threads are in it only where questions are."""
    found = open_source(data / "slack" / "tenacademy.zip", name="s", settings=IngestSettings()).read()
    for item in found:
        if not isinstance(item, Found) or item.document.kind not in ("thread", "sitting"):
            continue
        document, channel = item.document, item.entries[0].channel
        root = document.external_id.rpartition(":")[2]
        thread = document.kind == "thread"
        if thread and not asked:
            document = replace(document, blocks=tuple(block for block in document.blocks if block.anchor != root))
        if document.blocks:
            names = [f"{channel}/{root if thread else block.anchor}" for block in document.blocks]
            yield replace(document, title=title_of(document)), names


def _handbook(data: Path, asked: Sequence[Question]) -> Iterator[Named]:
    """Sections put back into the pages they are from; the headings that became questions only where asked."""
    headings = {name: (question.text,) for question in asked for name in question.wanted}
    lines = (data / "beir" / "handbook_faq" / "corpus.jsonl").read_bytes().splitlines()
    for path, sections in groupby(map(json.loads, lines), key=lambda row: str(row["metadata"]["path"])):
        names, blocks, title = [], [], ""
        for row in sections:
            above = row["title"].split(" > ")
            title = title or above[0]
            heading = (*above[above[0] == title :], *headings.get(row["_id"], ()))
            names.append(row["_id"])
            blocks.append(Block(text=row["text"], heading=heading))
        yield (
            Document(external_id=path, kind="page", title=title, uri=path, audience=("all",), blocks=tuple(blocks)),
            names,
        )


def _pdfs(data: Path, asked: Sequence[Question]) -> Iterator[Named]:  # noqa: ARG001 - not in the text
    """PDFs as the product reads them; judgements name their pages."""
    for item in open_source(data / "hr", name="s", settings=IngestSettings()).read():
        if isinstance(item, Found):
            document = item.document
            yield document, [f"{document.external_id}#{block.anchor}" for block in document.blocks]
