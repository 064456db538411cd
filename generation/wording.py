"""Lets a language model word what quotes say, and keeps of it only what a quote says too.

Text leaves sentence by sentence: a sentence is read whole, compared with the quotes, rendered, and only then shown.
"""

import re
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from generation.alignment import best_source
from generation.answers import Usage
from generation.model import Delta, End, LanguageModel, Message, Sampling
from generation.rendering import render_text
from generation.sentences import sentence_spans

_MARKS = re.compile(r"^\s*(?:[-*•]\s+)?(?:\[\d+\]\s*)*|(?:\s*\[\d+\])+\s*$")
"""Marks of a list or of a citation: the model may have them wrong, the answer sets its own."""


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence of a quote, and the index of the quote."""

    quote: int
    text: str


@dataclass(frozen=True, slots=True)
class Worded:
    """A verified sentence, rendered, and the index of the quoted sentence that says the same."""

    text: str
    source: int


@dataclass(slots=True)
class Wording:
    """What became of one generation. `first_token` is a moment of `time.perf_counter`."""

    raw: str = ""
    first_token: float | None = None
    usage: Usage = field(default_factory=Usage)
    stopped: str = ""  # deadline or cancelled, where the model did not end by itself
    verdicts: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When wording has to end: a moment of `time.perf_counter`, or as soon as nobody listens."""

    deadline: float
    cancelled: Callable[[], bool]

    def reason(self) -> str:
        """Why to stop now, or an empty text."""
        if self.cancelled():
            return "cancelled"
        return "deadline" if time.perf_counter() > self.deadline else ""


def whole_sentences(
    model: LanguageModel, messages: Sequence[Message], sampling: Sampling, limits: Limits, wording: Wording
) -> Iterator[str]:
    """Each sentence of the model once it is complete; `wording` collects what it cost. Closing it frees the slot."""
    pending = ""
    with closing(_pieces(model, messages, sampling, limits)) as pieces:
        for piece in pieces:
            if isinstance(piece, End):
                wording.usage = Usage(
                    prompt_tokens=piece.prompt_tokens,
                    cached_tokens=piece.cached_tokens,
                    output_tokens=piece.output_tokens,
                    finish=piece.reason,
                )
                continue
            wording.first_token = wording.first_token or time.perf_counter()
            wording.raw += piece.text
            complete, pending = _complete(pending + piece.text)
            yield from complete
    wording.stopped = "" if wording.usage.finish else limits.reason() or "broken_off"
    # A sentence that was cut off says something else than the whole one.
    if wording.usage.finish == "stop":
        yield from _sentences(pending)


def quoted_sentences(quotes: Sequence[str]) -> list[Said]:
    """The sentences of the quotes: what a sentence of the model is compared with is one of them, never two at once."""
    return [Said(index, sentence) for index, quote in enumerate(quotes) for sentence in _sentences(quote)]


def verified(sentences: Iterator[str], sources: Sequence[Said], question: str, wording: Wording) -> Iterator[Worded]:
    """Of the model's sentences, those that say what one quoted sentence says; each of those is worded once at most.

    Sentences of one quote are taken in its order: a later one may lean on the one before it. When all are worded, the
    model is not asked to go on.
    """
    used: set[int] = set()
    texts = [source.text for source in sources]
    for spoken in sentences:
        sentence = _MARKS.sub("", spoken)
        found = best_source(sentence, texts, question)
        index, reason = (found[0], found[1].reason) if found else (-1, "no_source")
        kept = found is not None and found[1].kept and index == _next_of_quote(sources, index, used)
        number = sources[index].quote + 1 if found else 0
        wording.verdicts.append({"quote": number, "reason": reason, "kept": kept})
        if kept:
            used.add(index)
            yield Worded(sentence, index)
        if len(used) == len(sources):
            return


def _next_of_quote(sources: Sequence[Said], index: int, used: Collection[int]) -> int | None:
    """The first sentence of the same quote that is not worded yet."""
    same = (place for place, source in enumerate(sources) if source.quote == sources[index].quote)
    return next((place for place in same if place not in used), None)


def rendered(sentences: Iterator[str], allowed: Collection[str]) -> Iterator[str]:
    """Sentences as they may be shown."""
    for sentence in sentences:
        if text := render_text(sentence, allowed).strip():
            yield text


def _pieces(
    model: LanguageModel, messages: Sequence[Message], sampling: Sampling, limits: Limits
) -> Generator[Delta | End]:
    pieces = model.generate(messages, sampling, stop=lambda: bool(limits.reason()))
    try:
        yield from pieces
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


def _complete(text: str) -> tuple[list[str], str]:
    """Sentences that are certainly whole, and the rest. The last one may go on as long as the model does."""
    spans = sentence_spans(text)
    if len(spans) <= 1:
        return [], text
    return [text[start:end] for start, end in spans[:-1]], text[spans[-1][0] :]


def _sentences(text: str) -> Iterator[str]:
    for start, end in sentence_spans(text):
        yield text[start:end]
