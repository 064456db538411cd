"""Whether chunks that follow headings and threads find more than fixed windows over the same text.

    FULL=1 THREADWISE_EVAL_DATA=FOLDER .venv/bin/python benchmarks/chunking.py [SET …] [--cache FOLDER]

Each set is one text with one gold, cut in several ways: by `ingest.chunking` into at most 128, 256 (the default) and
400 tokens, and into windows of fixed length with 20 tokens of overlap over the flat text. `slack_tenacademy` is read
from its export: the product cuts threads and sittings, the windows run over a channel message after message, as it was
said; the messages that opened threads are left out, because they are the questions. `handbook_faq` has its sections put
back into pages under their headings, `contoso_hr` is read from its PDFs. Embedder, pools, fusion, near-duplicates and
MMR are the product's, without recency and reactions. `seen 256` means that the embedder reads the first 256 tokens of
a window, as libraries do that cut in silence; the words of all of it are searched.

A passage shows a document (thread, section, page) if it holds half of it or is half made of it; nDCG@10, recall@10 and
MRR@10 are of the first passage that shows a wanted one. Long passages show more for the same rank: `text@500` and
`text@2000` say how much of the wanted document is read within so many tokens from the top, `answer@…` how many of the
answer's own words, where the set has answers; `merged` with the neighbours of each hit, as answers are shown. All are
x 100; behind the others' figures stand their differences from the default's, with the interval of 95 % of 10,000
paired bootstrap samples.

Cuts are counted in the same text with its questions put back, in percent: sentences, blocks (messages, paragraphs,
sections) and documents of at most 200 tokens that no chunk holds whole; questions that no chunk shows beside the
beginning of their answer; chunks that end with a heading or question whose sequel is in the next. Without FULL=1 only
`contoso_hr` is measured. Vectors are kept in the cache's folder, which the next run takes them from.
"""

import argparse
import json
import os
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cutting.arms import WAYS, Arm, Vector
from benchmarks.cutting.cuts import cuts_of
from benchmarks.cutting.texts import WORD, Corpus, Question, Text, name_of, read_corpus
from core.settings import Settings
from features.embedding import embed_question
from retrieval.passages import Hit, readable_texts
from threadwise.metrics import ndcg, recall, reciprocal_rank
from threadwise.runtime import Threadwise

SETS = ("slack_tenacademy", "handbook_faq", "contoso_hr")
READ = {(500, 0): "500", (2000, 0): "2000", (2000, 1): "2000 merged"}  # tokens, and neighbours on either side
SAMPLES = 10_000

Scores = dict[str, NDArray[np.float64]]
"""By measure, for each question."""

Figures = dict[str, dict[str, object]]
"""By the way of cutting."""

Part = tuple[int, int, int]
"""Which text, and from and to which character of its body."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many characters of each document a passage shows."""

    shown: Mapping[str, int]
    whole: Mapping[str, int]  # of the documents themselves

    def shows(self, name: str) -> bool:
        """Whether it holds half of the document or is half made of it."""
        part = self.shown.get(name, 0)
        return part > 0 and 2 * part >= min(self.whole[name], sum(self.shown.values()))


def lengths(corpus: Corpus) -> dict[str, int]:
    """Characters of each document."""
    found: defaultdict[str, int] = defaultdict(int)
    for key, text in corpus.blocks().items():
        found[name_of(key)] += len(text)
    return dict(found)


def coverage(arm: Arm, whole: Mapping[str, int]) -> list[Coverage]:
    """What each cut shows."""
    found = []
    for cut in arm.cuts:
        shown: defaultdict[str, int] = defaultdict(int)
        for key, low, high in arm.texts[cut.text].shown(cut.span.start, cut.span.end):
            shown[name_of(key)] += high - low
        found.append(Coverage(shown, whole))
    return found


def first_shown(order: Sequence[int], covered: Sequence[Coverage], wanted: frozenset[str]) -> list[str]:
    """A ranking for the metrics: the wanted names where they are shown first, and a stranger for any other passage."""
    ranking: list[str] = []
    for place, number in enumerate(order):
        new = [name for name in sorted(wanted) if covered[number].shows(name) and name not in ranking]
        ranking.extend(new or [f"passage {place}"])
    return ranking


def read_parts(arm: Arm, order: Sequence[int], budget: int, *, reach: int) -> Iterator[Part]:
    """What is read from the top, `reach` neighbours merged, until so many tokens are spent."""
    hits = [Hit(document_id=str(arm.cuts[number].text), span=arm.cuts[number].span) for number in order]
    for merged in readable_texts(hits, arm.spans if reach else {}, reach=reach):
        number = int(hits[merged.hit].document_id)
        spans = [arm.spans[str(number)][ordinal] for ordinal in merged.ordinals]
        for start, end in joined([(span.start, span.end) for span in spans]):
            tokens = arm.texts[number].tokens
            first = bisect_left(tokens, start)
            last = min(bisect_left(tokens, end), first + budget)
            yield number, start, min(end, tokens[last] if last < len(tokens) else end)
            budget -= last - first
            if budget <= 0:
                return


def joined(parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted stretches without their overlaps."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(parts):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def share_of_text(texts: Sequence[Text], parts: Sequence[Part], question: Question, whole: Mapping[str, int]) -> float:
    """How much of the wanted documents the parts show."""
    seen: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, start, end in parts:
        for key, low, high in texts[number].shown(start, end):
            if name_of(key) in question.wanted:
                seen[key].append((low, high))
    characters = sum(high - low for stretches in seen.values() for low, high in joined(stretches))
    return characters / max(sum(whole.get(name, 0) for name in question.wanted), 1)  # a page may hold a title alone


def share_of_answer(texts: Sequence[Text], parts: Sequence[Part], question: Question) -> float:
    """How many of the answer's words the parts have."""
    shown = " ".join(texts[number].body[start:end] for number, start, end in parts)
    return len(question.answer.intersection(WORD.findall(shown.lower()))) / len(question.answer)


def scores_of(arm: Arm, corpus: Corpus, vectors: Sequence[Vector]) -> Scores:
    """Every measure of every question, given the questions' vectors."""
    whole, settings = lengths(corpus), arm.threadwise.settings.retrieval
    covered = coverage(arm, whole)
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for question, vector in zip(corpus.questions, vectors, strict=True):
        order = arm.ranked(question.text, vector, settings)
        ranking = first_shown(order, covered, question.wanted)
        grades = dict.fromkeys(question.wanted, 1)
        for name, measure in (("nDCG@10", ndcg), ("recall@10", recall), ("MRR@10", reciprocal_rank)):
            scores[name].append(measure(ranking, grades, k=10))
        for (budget, reach), label in READ.items():
            parts = list(read_parts(arm, order, budget, reach=reach))
            scores[f"text@{label}"].append(share_of_text(arm.texts, parts, question, whole))
            if question.answer:
                scores[f"answer@{label}"].append(share_of_answer(arm.texts, parts, question))
    return {name: 100 * np.array(values) for name, values in scores.items()}


def difference(scores: NDArray[np.float64], default: NDArray[np.float64]) -> tuple[float, float, float]:
    """The mean difference and its interval of 95 %, by paired bootstrap over the questions."""
    apart = scores - default
    rows = np.random.default_rng(7).integers(0, len(apart), (SAMPLES, len(apart)), dtype=np.int32)
    low, high = np.percentile(apart[rows].mean(axis=1), [2.5, 97.5])
    return float(apart.mean()), float(low), float(high)


def measure(
    threadwise: Threadwise, name: str, corpora: tuple[Corpus, Corpus], ways: Sequence[str], cache: Path
) -> Figures:
    """Every figure of one set, without and with its questions in it, by the way of cutting it."""
    corpus, asked = corpora
    vectors = [embed_question(threadwise.embedder, question.text) for question in corpus.questions]
    found, default = Figures(), Scores()
    for way in ways:
        arm = Arm(threadwise, corpus, way, cache)
        scores = scores_of(arm, corpus, vectors)
        default = default or scores
        found[way] = {
            "chunks": len(arm.cuts),
            "tokens": arm.tokens,
            "unread": round(100 * arm.unread, 1),
            **{measure: round(float(values.mean()), 2) for measure, values in scores.items()},
            "difference": {name: [round(v, 2) for v in difference(scores[name], default[name])] for name in scores},
            "cut": cuts_of(asked, way, arm.tokenizer),
        }
        show(name, way, found[way], len(corpus.questions))
    return found


def show(name: str, way: str, figures: Mapping[str, object], questions: int) -> None:
    """The figures of one way."""
    print(f"\n{name} ({questions} questions)  {way}", flush=True)
    apart = figures["difference"]
    assert isinstance(apart, dict)
    for key, value in figures.items():
        if isinstance(value, dict):
            continue
        mean, low, high = apart.get(key, (0, 0, 0))
        print(f"  {key:<18} {value:>8}" + (f"   {mean:+.2f} [{low:+.2f}, {high:+.2f}]" if low or high else ""))
    print(f"  cut apart          {figures['cut']}", flush=True)


def main() -> None:
    """Measure the sets that were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], default=[])
    parser.add_argument("--cache", type=Path, help="where vectors are kept; otherwise they are made anew")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="the first is the default's")
    parser.add_argument("--others", type=float, default=1.0, help="share of the handbook's other pages that is kept")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    data = os.environ.get("THREADWISE_EVAL_DATA")
    if not data:
        print("THREADWISE_EVAL_DATA is not set: no sets at hand")
        return
    names = given.sets or (SETS if os.environ.get("FULL") == "1" else SETS[-1:])
    with tempfile.TemporaryDirectory() as place, Threadwise(Settings(data_dir=Path(place))) as threadwise:
        cache = given.cache or Path(place)
        cache.mkdir(parents=True, exist_ok=True)
        found = {}
        for name in names:
            read = partial(read_corpus, name, Path(data), threadwise.embedder.tokenizer, others=given.others)
            found[name] = measure(threadwise, name, (read(asked=False), read(asked=True)), given.ways, cache)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
