"""Questions, answers and what is heard of an answer while it is made. The JSON shapes are those that tools rely on."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from core.catalog.passages import Reader
from generation.errors import InvalidSamplingError

MOST_CANDIDATES = 4
Status = Literal["answered", "quoted", "declined"]
Stage = Literal["waiting", "retrieving", "reading", "wording"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRequest:
    """One question. What is None follows the settings; `key_id` says which key asks, for the record.

    Raises `InvalidSamplingError` that names the field out of range.
    """

    question: str
    reader: Reader
    key_id: str = ""
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    top_k: int | None = None
    use_rag: bool = True
    candidates: int = 1
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int = 0
    deadline_seconds: float | None = None
    trace: bool = False
    cancelled: Callable[[], bool] = lambda: False  # asked while the model writes: whoever asked may be gone

    def __post_init__(self) -> None:
        deadline = self.deadline_seconds
        rules = (
            (1 <= self.candidates <= MOST_CANDIDATES, "candidates", f"1 to {MOST_CANDIDATES}"),
            (self.max_tokens is None or self.max_tokens >= 1, "max_tokens", "1 or more"),
            (self.top_k is None or self.top_k >= 1, "top_k", "1 or more"),
            (deadline is None or (deadline > 0 and math.isfinite(deadline)), "deadline_seconds", "above 0"),
        )
        for holds, name, allowed in rules:
            if not holds:
                raise InvalidSamplingError(f"{name} is {getattr(self, name)!r}.", hint=f"It has to be {allowed}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Where a sentence of an answer stands, word for word. `number` is its mark in the text: [1]."""

    number: int
    chunk_id: str
    document_id: str
    external_id: str
    source: str
    title: str
    uri: str
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """A document near a question that it does not answer."""

    document_id: str
    source: str
    title: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of the language model, all zero when none was asked. `finish` says why it stopped."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    finish: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Text, status and citations, and what making it took. Times are milliseconds since the question came in.

    `grounded` is false only for what the model says without sources (`use_rag` false): nothing of that is verified.
    """

    answer_id: str
    status: Status
    text: str
    citations: tuple[Citation, ...]
    nearest: tuple[Nearest, ...]
    confidence: float
    grounded: bool
    model: str
    template: str
    usage: Usage
    took_ms: float
    first_text_ms: float | None
    first_token_ms: float | None
    note: str = ""  # why the quotes stand unworded, where a model was to word them
    trace: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The shape that tools rely on; the trace only where it was asked for."""
        whole = asdict(self)
        for name in ("took_ms", "first_text_ms", "first_token_ms", "confidence"):
            whole[name] = None if whole[name] is None else round(whole[name], 3)
        if self.trace is None:
            del whole["trace"]
        return whole


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """What is being done now."""

    name: ClassVar[str] = "status"
    stage: Stage

    def as_json(self) -> dict[str, Any]:
        """For a stream of typed events."""
        return {"stage": self.stage}


@dataclass(frozen=True, slots=True)
class QuoteEvent:
    """A quote that answers, before any model has worded anything."""

    name: ClassVar[str] = "quote"
    citation: Citation

    def as_json(self) -> dict[str, Any]:
        """For a stream of typed events."""
        return asdict(self.citation)


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """A verified sentence of the answer, rendered; what follows the texts before it."""

    name: ClassVar[str] = "token"
    text: str

    def as_json(self) -> dict[str, Any]:
        """For a stream of typed events."""
        return {"text": self.text}


@dataclass(frozen=True, slots=True)
class CitationEvent:
    """The text so far leans on this quote."""

    name: ClassVar[str] = "citation"
    number: int
    document_id: str
    uri: str

    def as_json(self) -> dict[str, Any]:
        """For a stream of typed events."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """The whole answer; the last event of every stream that did not fail."""

    name: ClassVar[str] = "done"
    answer: Answer = field()

    def as_json(self) -> dict[str, Any]:
        """For a stream of typed events."""
        return self.answer.as_json()


Event = StatusEvent | QuoteEvent | TokenEvent | CitationEvent | DoneEvent
