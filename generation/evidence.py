"""From passages to quotes, and how sure one can be that they answer the question.

A sentence is scored by what it shares with the question in meaning (cosine) and in words, together with the lines it
is read under. What is embedded is bounded: the words choose which sentences are worth it. The confidence is a logistic
regression over a few named figures, fitted on public question sets by

    THREADWISE_EVAL_DATA=FOLDER .venv/bin/python benchmarks/refusal.py --fit

see docs/decisions/0016-when-to-decline.md. The score of a sentence has the same form. Nothing here knows a language but
the stop words, the endings and the question words of English; where they do not apply, the cosine decides.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.words import Passage
from features.errors import TextTooLongError
from generation.asking import Asked, terms
from generation.candidates import Candidate, candidates

Vectors = NDArray[np.float32]

ANSWER_THRESHOLD = 0.4
"""Below this confidence the right reply is to decline: it keeps about 90 % of the answerable questions.

It belongs to the weights below and changes with them.
"""

EMBEDDED = 16  # sentences of one question that are embedded, at most; 24 find next to nothing more
EMBEDDED_CHARACTERS = 400  # of a sentence with the lines above it
NEAR_DUPLICATE = 0.92  # cosine from which a second quote says what the first one says

# Chosen, not fitted: public sets are pages, where a regression learns to trust the first passage alone (weight 10) and
# can learn nothing of talk, in which questions are repeated and later replies correct earlier ones.
QUOTE_WEIGHTS = {
    "cosine": 5.0,  # with the question
    "overlap": 4.0,  # share of the question's content words
    "passage": 5.0,  # the passage's own score
    "type_missing": -0.5,  # a number, a time, a person or a place is asked for, and there is none
    "asks": -8.0,  # it is a question itself, or leads to one
    "short": -1.0,  # it says little by itself
    "vacuous": -2.0,  # it tells that there is something to say and not what
    "later": 1.0,  # how far down in a conversation
}
QUOTE_BIAS = -9.0
CONFIDENCE_WEIGHTS = {
    "passage_cosine": 4.46,  # of the nearest passage
    "sentence_cosine": 1.76,  # of the nearest sentence
    "sentence_margin": 2.16,  # how far it stands out among those that were embedded
    "passage_coverage": 0.74,  # content words of the question that the first passage has
    "sentence_coverage": 0.49,  # the most of them that one sentence has
    "nearest_coverage": 1.21,  # how many the nearest sentence has
    "agreement": 0.37,  # meaning and words put the same passage first
    "type_missing": -0.38,  # a number, a time, a person or a place is asked for, and the best sentence has none
    "name_missing": -1.5,  # a name of the question stands nowhere in the passages
}
CHOSEN = frozenset({"name_missing"})  # of these weights, not fitted: too few questions of the public sets have it
CONFIDENCE_BIAS = -5.21


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A stretch of a passage, word for word: `text` is `passages[passage].text[start:end]`. `score` is in [0, 1]."""

    passage: int
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Quotes, best first, and the confidence in [0, 1] that the passages answer the question, with its features."""

    quotes: tuple[Quote, ...]
    confidence: float
    features: dict[str, float]


class EvidenceFinder:
    """Finds quotes. Keeps no state of a question; thread-safe where `embed` is."""

    def __init__(
        self,
        embed: Callable[[Sequence[str]], Vectors],
        *,
        embedded: int = EMBEDDED,
        near_duplicate: float = NEAR_DUPLICATE,
    ) -> None:
        self.embed = embed
        self.embedded = embedded
        self.near_duplicate = near_duplicate

    def find(self, question: str, vector: Vectors, passages: Sequence[Passage], limit: int = 3) -> Evidence:
        """The best quotes for a question whose unit vector is `vector`, shape (dimension,).

        No passages, or none with a sentence, gives no quotes and confidence 0.
        """
        asked = Asked.of(question)
        chosen = self._chosen(candidates(asked, passages))
        if not chosen:
            return Evidence(quotes=(), confidence=0.0, features={})
        vectors = self._vectors(chosen)
        cosines = vectors @ vector
        scores = np.array(
            [
                _logistic(QUOTE_WEIGHTS, QUOTE_BIAS, quote_features(candidate, float(cosine), passages))
                for candidate, cosine in zip(chosen, cosines, strict=True)
            ]
        )
        order = [int(row) for row in np.argsort(-scores, kind="stable")]
        kept = self._distinct(chosen, order, vectors, limit)
        features = confidence_features(asked, passages, [chosen[row] for row in order], cosines[order])
        return Evidence(
            quotes=tuple(_quote(chosen[row], float(scores[row]), passages) for row in kept),
            confidence=_logistic(CONFIDENCE_WEIGHTS, CONFIDENCE_BIAS, features),
            features=features,
        )

    def _chosen(self, found: Sequence[Candidate]) -> list[Candidate]:
        """The sentences worth embedding: by words, and where words say nothing by the rank of their passage."""
        ranked = sorted(found, key=lambda one: (one.asks, -one.overlap, one.passage, one.sentence.start))
        return ranked[: self.embedded]

    def _vectors(self, chosen: Sequence[Candidate]) -> Vectors:
        return np.vstack([self._embed_one(embedded_text(candidate)) for candidate in chosen])

    def _embed_one(self, text: str) -> Vectors:
        while True:
            try:
                return self.embed([text])
            except TextTooLongError:
                if len(text) < 2:  # noqa: PLR2004 - nothing is left to cut
                    raise
                text = text[: len(text) // 2]

    def _distinct(self, chosen: Sequence[Candidate], order: Sequence[int], vectors: Vectors, limit: int) -> list[int]:
        """The first `limit` rows that say something else than those before them."""
        kept: list[int] = []
        for row in order:
            if len(kept) == limit:
                break
            said = kept and float(np.max(vectors[kept] @ vectors[row])) >= self.near_duplicate
            if not said and not any(_overlap(chosen[row], chosen[other]) for other in kept):
                kept.append(row)
        return kept


def embedded_text(candidate: Candidate) -> str:
    """What is embedded of a sentence: the lines it is read under, and its text, cut to a bounded length."""
    room = max(EMBEDDED_CHARACTERS - len(candidate.text), EMBEDDED_CHARACTERS // 4)
    return f"{candidate.above[-room:]}\n{candidate.text}"[:EMBEDDED_CHARACTERS]


def quote_features(candidate: Candidate, cosine: float, passages: Sequence[Passage]) -> dict[str, float]:
    """What speaks for and against a sentence, by the names of `QUOTE_WEIGHTS`."""
    return {
        "cosine": cosine,
        "overlap": candidate.overlap,
        "passage": passages[candidate.passage].score,
        "type_missing": float(candidate.type_missing),
        "asks": candidate.asks,
        "short": float(candidate.short),
        "vacuous": float(candidate.vacuous),
        "later": candidate.later,
    }


def confidence_features(
    asked: Asked, passages: Sequence[Passage], ranked: Sequence[Candidate], cosines: Vectors
) -> dict[str, float]:
    """What speaks for and against an answer, by the names of `CONFIDENCE_WEIGHTS`; `ranked` has the best first."""
    dense = np.array([passage.signals.get("dense", 0.0) for passage in passages])
    lexical = np.array([passage.signals.get("lexical", 0.0) for passage in passages])
    said = [row for row, candidate in enumerate(ranked) if not candidate.asks] or list(range(len(ranked)))
    nearest = max(said, key=lambda row: float(cosines[row]))
    return {
        "passage_cosine": float(dense.max()),
        "sentence_cosine": float(cosines[nearest]),
        "sentence_margin": float(cosines[nearest] - np.median(cosines)),
        "passage_coverage": asked.share(terms(f"{passages[0].title}\n{passages[0].text}")),
        "sentence_coverage": max(ranked[row].overlap for row in said),
        "nearest_coverage": ranked[nearest].overlap,
        "agreement": float(dense.argmax() == lexical.argmax()),
        "type_missing": float(ranked[0].type_missing),
        "name_missing": float(asked.misses_name(f"{one.title} {one.source} {one.uri} {one.text}" for one in passages)),
    }


def _logistic(weights: Mapping[str, float], bias: float, features: Mapping[str, float]) -> float:
    return 1 / (1 + math.exp(-(bias + sum(weight * features[name] for name, weight in weights.items()))))


def _quote(candidate: Candidate, score: float, passages: Sequence[Passage]) -> Quote:
    text = passages[candidate.passage].text
    start, end = candidate.extent
    return Quote(passage=candidate.passage, start=start, end=end, text=text[start:end], score=score)


def _overlap(one: Candidate, other: Candidate) -> bool:
    return one.passage == other.passage and one.extent[0] < other.extent[1] and other.extent[0] < one.extent[1]
