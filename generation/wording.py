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

LONGEST = 2000  # characters without the end of a sentence
MOST = 50_000  # characters that are listened to in all
MOST_TOKENS = 10**7  # what a server says it has counted beyond this is nonsense

_MARKS = re.compile(r"^\s*(?:[-*•]\s+)?(?:\[\d{1,2}\]\s*)*|(?:\s*\[\d{1,2}\])+(?=\s*[.!?]?\s*$)")
"""Marks of a list or of a citation: the model may have them wrong, the answer sets its own."""


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence of a quote, the index of the quote, and what stands between it and the sentence before it."""

    quote: int
    text: str
    between: str


@dataclass(frozen=True, slots=True)
class Worded:
    """Verified sentences, rendered, and the index of the quote that they say the whole of."""

    text: str
    quote: int


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
                wording.usage = _usage(piece)
                continue
            wording.first_token = wording.first_token or time.perf_counter()
            wording.raw += piece.text
            complete, pending = _complete(pending + piece.text)
            yield from complete
            if len(pending) > LONGEST or len(wording.raw) > MOST:
                wording.stopped = "rambling"
                return
    wording.stopped = "" if wording.usage.finish else limits.reason() or "broken_off"
    # A sentence that was cut off says something else than the whole one.
    if wording.usage.finish == "stop":
        yield from _sentences(pending)


def _usage(end: End) -> Usage:
    counts = (end.prompt_tokens, end.cached_tokens, end.output_tokens)
    prompt, cached, output = (min(max(count, 0), MOST_TOKENS) for count in counts)
    return Usage(prompt_tokens=prompt, cached_tokens=cached, output_tokens=output, finish=end.reason)


def quoted_sentences(quotes: Sequence[str]) -> list[Said]:
    """The sentences of the quotes: what a sentence of the model is compared with is one of them, never two at once."""
    said: list[Said] = []
    for index, quote in enumerate(quotes):
        reached = 0
        for start, end in sentence_spans(quote):
            said.append(Said(index, quote[start:end], quote[reached:start]))
            reached = end
    return said


def verified(sentences: Iterator[str], quotes: Sequence[str], question: str, wording: Wording) -> Iterator[Worded]:
    """Of the model's sentences, those that say what a quote says, once for each quote.

    A quote of several sentences is worded whole and in one piece or not at all: what it says second may lean on what
    it says first. When all are worded, the model is not asked to go on.
    """
    sources = quoted_sentences(quotes)
    texts = [source.text for source in sources]
    left = dict.fromkeys(range(len(quotes)))
    begun: list[Worded] = []
    for spoken in sentences:
        found = best_source(spoken, texts, question)
        reason = found[1].reason if found else "no_source"
        quote = sources[found[0]].quote if found else -1
        kept = found is not None and found[1].kept and quote in left
        wording.verdicts.append({"quote": quote + 1, "reason": reason, "kept": kept})
        if not found or not kept:
            begun = []
            continue
        begun = _continued(begun, Worded(spoken, quote), found[0], sources)
        if len(begun) == sum(source.quote == quote for source in sources):
            # With the marks and line ends of the quote: they keep apart what a space would run together.
            own = [source for source in sources if source.quote == quote]
            spoken_all = zip(own, begun, strict=True)
            yield Worded("".join(source.between + sentence.text for source, sentence in spoken_all), quote)
            begun = []
            del left[quote]
        if not left:
            return


def _continued(begun: list[Worded], sentence: Worded, index: int, sources: Sequence[Said]) -> list[Worded]:
    """What is worded of a quote from its first sentence on, with this one if it is the next."""
    before = [sentence for sentence in begun if sentence.quote == sources[index].quote]
    place = sum(source.quote == sentence.quote for source in sources[:index])
    if place == len(before):
        return [*before, sentence]
    return [sentence] if place == 0 else []


def rendered(sentences: Iterator[str], allowed: Collection[str]) -> Iterator[str]:
    """Sentences as they may be shown."""
    for sentence in sentences:
        if text := render_text(_MARKS.sub("", sentence), allowed).strip():
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
