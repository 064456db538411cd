"""A question becomes an answer: passages, quotes, the decision to decline, words of a model where they verify.

`Answerer.ask` is a plain generator of events. Closing it stops the model. Text that was heard of is text that stands:
nothing that was shown is taken back.
"""

import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import structlog

from core.catalog import answers as stored
from core.catalog.answers import StoredAnswer
from core.clock import Clock
from core.database import Database
from core.errors import ThreadwiseError
from core.settings import AskSettings
from core.words import Passage
from generation.answers import (
    Answer,
    AskRequest,
    Citation,
    CitationEvent,
    DoneEvent,
    Event,
    Nearest,
    QuoteEvent,
    Status,
    StatusEvent,
    TokenEvent,
    Usage,
)
from generation.budget import Budget, QuestionTooLongError
from generation.errors import ModelMissingError
from generation.evidence import Evidence, EvidenceFinder, Quote
from generation.model import LanguageModel, Sampling
from generation.prompts import STOPS, Context, Prompt, Template, assemble
from generation.rendering import plain_text, render_text
from generation.wording import (
    Limits,
    Worded,
    Wording,
    rendered,
    verified,
    whole_sentences,
)
from retrieval.errors import EmptyQuestionError
from retrieval.query import Query
from retrieval.retriever import Ranking, Retriever

log = structlog.get_logger(__name__)

NEAREST = 3  # sources named by an answer that is declined
WORTH_QUOTING = 0.6  # of the best quote's score; what is worse is not said beside it


@dataclass(slots=True)
class _Course:
    """One question on its way. Moments are of `time.perf_counter`."""

    request: AskRequest
    started: float
    deadline: float
    first_text: float | None = None
    pieces: list[str] = field(default_factory=list)
    ranking: Ranking | None = None
    evidence: Evidence | None = None
    prompt: Prompt | None = None
    wordings: list[Wording] = field(default_factory=list)
    worded: set[int] = field(default_factory=set)  # indexes of quotes
    note: str = ""

    def say(self, text: str) -> TokenEvent:
        """A piece of the answer, after those before it."""
        spaced = f" {text}" if self.pieces else text
        self.first_text = self.first_text or time.perf_counter()
        self.pieces.append(spaced)
        return TokenEvent(spaced)

    def cite(self, text: str, citation: Citation) -> Iterator[Event]:
        """A piece of the answer that leans on a quote."""
        yield self.say(f"{text} [{citation.number}]")
        yield CitationEvent(citation.number, citation.document_id, citation.uri)

    def since(self, moment: float | None) -> float | None:
        """Milliseconds from the question to a moment."""
        return None if moment is None else 1000 * (moment - self.started)


class Answerer:
    """Answers questions of one installation. Thread-safe: it keeps nothing of a question.

    `finder` gives the one that compares in a space, so that sentences meet the question in that of its passages.
    """

    def __init__(
        self,
        database: Database,
        retriever: Retriever,
        finder: Callable[[str], EvidenceFinder],
        *,
        model: Callable[[], LanguageModel | None],
        templates: tuple[Template, Template],
        settings: AskSettings,
        clock: Clock,
    ) -> None:
        self.database = database
        self.retriever = retriever
        self.finder = finder
        self.model = model
        self.grounded, self.free = templates
        self.settings = settings
        self.clock = clock

    def ask(self, request: AskRequest) -> Iterator[Event]:
        """Events of one answer, the last a `DoneEvent`.

        Raises `QuestionTooLongError`, `ModelMissingError` (only without sources), and what searching raises.
        """
        course = self._begin(request)
        if not request.use_rag:
            yield from self._freely(course)
            return
        yield StatusEvent("retrieving")
        course.ranking = self.retriever.search(self._query(request))
        yield StatusEvent("reading")
        passages = course.ranking.passages
        finder = self.finder(course.ranking.space_id)
        course.evidence = finder.find(request.question, course.ranking.vector, passages, limit=self.settings.quotes)
        if not course.evidence.quotes or course.evidence.confidence < self.settings.threshold:
            yield from self._decline(course, passages)
            return
        citations = _citations(course.evidence, passages)
        for citation in citations:
            course.first_text = course.first_text or time.perf_counter()
            yield QuoteEvent(citation)
        yield from self._word(course, citations)
        for index, citation in enumerate(citations):
            if index not in course.worded:
                yield from course.cite(citation.quote, citation)
        status: Status = "answered" if course.worded else "quoted"
        yield DoneEvent(self._finish(course, status, citations))

    def _begin(self, request: AskRequest) -> _Course:
        # Half a character and NUL are no text that every database keeps.
        text = request.question.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        request = replace(request, question=text)
        if not plain_text(text).strip():
            raise EmptyQuestionError("The question is empty.", hint="Ask something.")
        limit = self.settings.max_question_chars
        if len(request.question) > limit:
            raise QuestionTooLongError(
                f"The question has {len(request.question)} characters, {limit} are allowed.", hint="Ask it shorter."
            )
        started = time.perf_counter()
        given = request.deadline_seconds
        return _Course(request, started, started + (self.settings.deadline_seconds if given is None else given))

    def _query(self, request: AskRequest) -> Query:
        return Query(
            text=request.question,
            reader=request.reader,
            top_k=request.top_k or self.settings.passages,
            sources=request.sources,
            kinds=request.kinds,
            authors=request.authors,
        )

    def _decline(self, course: _Course, passages: Sequence[Passage]) -> Iterator[Event]:
        nearest = _nearest(passages)
        text = "I found no answer to this in what you may read."
        if nearest:
            names = (source.title or render_text(source.uri, {source.uri}) for source in nearest)
            text += f" Nearest to it: {'; '.join(names)}."
        if self.settings.contact:
            text += f" Please ask {self.settings.contact}."
        yield course.say(text)
        yield DoneEvent(self._finish(course, "declined", (), nearest))

    def _word(self, course: _Course, citations: Sequence[Citation]) -> Iterator[Event]:
        """Let the model word the quotes; whatever goes wrong there, the quotes stand and the note says why."""
        model = self.model() if self.settings.rephrase else None
        if model is None:
            course.note = "no_model" if self.settings.rephrase else ""
            return
        yield StatusEvent("wording")
        contexts = [Context(citation.number, citation.quote) for citation in citations]
        try:
            course.prompt = self._prompt(model, self.grounded, course.request, contexts)
            with closing(self._worded(course, model, citations)) as sentences:
                for worded in sentences:
                    course.worded.add(worded.quote)
                    yield from course.cite(worded.text, citations[worded.quote])
        except Exception as error:  # noqa: BLE001 - noted: whatever a model's engine does, the quotes stand
            course.note = error.code if isinstance(error, ThreadwiseError) else "language_model_failed"
            log.warning("wording_failed", code=course.note, error=type(error).__name__)
        course.note = course.note or next((wording.stopped for wording in course.wordings if wording.stopped), "")

    def _prompt(
        self, model: LanguageModel, template: Template, request: AskRequest, contexts: Sequence[Context]
    ) -> Prompt:
        reserve = self._answer_tokens(model, request)
        budget = Budget.of(model, reserve=reserve, context_tokens=self.settings.context_tokens)
        return assemble(template, request.question, contexts, budget=budget)

    def _answer_tokens(self, model: LanguageModel, request: AskRequest) -> int:
        """What the answer may have; never so much that less than half of the window is left for the prompt."""
        return min(request.max_tokens or self.settings.max_tokens, model.context_tokens // 2)

    def _worded(self, course: _Course, model: LanguageModel, citations: Sequence[Citation]) -> Generator[Worded]:
        """Verified sentences: as they come for one candidate, those of the candidate with most of them for several."""
        if course.request.candidates == 1:
            yield from self._candidate(course, model, citations, 0)
            return
        tries: list[list[Worded]] = [
            list(self._candidate(course, model, citations, place)) for place in range(course.request.candidates)
        ]
        yield from max(tries, key=len)

    def _candidate(
        self, course: _Course, model: LanguageModel, citations: Sequence[Citation], place: int
    ) -> Iterator[Worded]:
        wording = Wording()
        course.wordings.append(wording)
        sentences = rendered(self._sentences(course, model, place, wording), {citation.uri for citation in citations})
        return verified(sentences, [citation.quote for citation in citations], course.request.question, wording)

    def _sentences(self, course: _Course, model: LanguageModel, place: int, wording: Wording) -> Iterator[str]:
        if course.prompt is None:
            raise LookupError("no prompt")
        request, limits = course.request, Limits(deadline=course.deadline, cancelled=course.request.cancelled)
        sampling = Sampling(
            max_tokens=self._answer_tokens(model, request),
            temperature=self.settings.temperature if request.temperature is None else request.temperature,
            seed=request.seed + place,
            stop=STOPS,
        )
        return whole_sentences(model, course.prompt.messages, sampling, limits, wording)

    def _freely(self, course: _Course) -> Iterator[Event]:
        """What the model says by itself: for comparison, marked as grounded in nothing."""
        model = self.model()
        if model is None:
            raise ModelMissingError("There is no language model to ask.", hint="Run: threadwise models pull")
        yield StatusEvent("wording")
        course.prompt = self._prompt(model, self.free, course.request, ())
        wording = Wording()
        course.wordings.append(wording)
        for text in rendered(self._sentences(course, model, 0, wording), ()):
            yield course.say(text)
        course.note = wording.stopped or "not_from_sources"
        if not course.pieces:
            yield course.say("The language model gave no whole sentence.")
            course.note = wording.stopped or wording.usage.finish
        yield DoneEvent(self._finish(course, "answered" if wording.raw else "declined", (), grounded=False))

    def _finish(
        self,
        course: _Course,
        status: Status,
        citations: Sequence[Citation],
        nearest: tuple[Nearest, ...] = (),
        *,
        grounded: bool = True,
    ) -> Answer:
        asked = course.wordings[0] if course.wordings else Wording()
        model = self.model() if course.wordings else None
        if model and course.prompt and not asked.usage.finish:
            # It was not heard to the end, where the engine would have said what it cost.
            written = model.count(asked.raw) if asked.raw else 0
            finish = asked.stopped or "enough"
            asked.usage = Usage(prompt_tokens=course.prompt.prompt_tokens, output_tokens=written, finish=finish)
        trace = _trace(course)
        answer = Answer(
            answer_id=uuid.uuid4().hex,
            status=status,
            text="".join(course.pieces),
            citations=tuple(citations),
            nearest=nearest,
            confidence=course.evidence.confidence if course.evidence else 0.0,
            grounded=grounded,
            model=model.id if model else "",
            template=f"{course.prompt.template_id}@{course.prompt.template_version}" if course.prompt else "",
            usage=asked.usage,
            took_ms=1000 * (time.perf_counter() - course.started),
            first_text_ms=course.since(course.first_text),
            first_token_ms=course.since(asked.first_token),
            note=course.note,
            trace=trace | _prompt_trace(course.prompt) if course.request.trace else None,
        )
        self._keep(course, answer, trace)
        return answer

    def _keep(self, course: _Course, answer: Answer, trace: dict[str, Any]) -> None:
        row = StoredAnswer(
            id=answer.answer_id,
            asked_at=self.clock(),
            key_id=course.request.key_id,
            principals=course.request.reader.principals,
            question=course.request.question,
            status=answer.status,
            text=answer.text,
            citations=[asdict(citation) for citation in answer.citations],
            generation_id=course.ranking.generation_id if course.ranking else None,
            model=answer.model,
            template=answer.template,
            trace=trace,
        )
        with self.database.write() as session:
            stored.keep(session, row)


def _citations(evidence: Evidence, passages: Sequence[Passage]) -> list[Citation]:
    worth = WORTH_QUOTING * evidence.quotes[0].score
    kept = [quote for quote in evidence.quotes if quote.score >= worth]
    return [_citation(number, quote, passages[quote.passage]) for number, quote in enumerate(kept, 1)]


def _citation(number: int, quote: Quote, passage: Passage) -> Citation:
    uri = passage.uri_at(quote.start)
    return Citation(
        number=number,
        chunk_id=passage.chunk_id,
        document_id=passage.document_id,
        external_id=passage.external_id,
        source=passage.source,
        title=render_text(passage.title, {uri}),
        uri=uri,
        quote=render_text(quote.text, {uri}),
    )


def _nearest(passages: Sequence[Passage]) -> tuple[Nearest, ...]:
    first: dict[str, Nearest] = {}
    for passage in passages:
        title = render_text(passage.title, {passage.uri})
        found = Nearest(document_id=passage.document_id, source=passage.source, title=title, uri=passage.uri)
        # Several documents may have one title: to name it twice would tell nobody more.
        first.setdefault(title, found)
    return tuple(first.values())[:NEAREST]


def _trace(course: _Course) -> dict[str, Any]:
    """What explains an answer, without the text of documents that are no part of it."""
    passages = course.ranking.passages if course.ranking else []
    request = course.request
    return {
        "passages": [
            {"chunk_id": passage.chunk_id, "score": passage.score, "signals": passage.signals} for passage in passages
        ],
        "search_ms": course.ranking.took_ms if course.ranking else None,
        "features": course.evidence.features if course.evidence else {},
        "tokens": course.prompt.parts if course.prompt else {},
        "prompt_tokens": course.prompt.prompt_tokens if course.prompt else 0,
        "left_out": list(course.prompt.dropped) if course.prompt else [],
        "seed": request.seed,
        "candidates": [
            {"raw": wording.raw, "verdicts": wording.verdicts, "usage": asdict(wording.usage)}
            for wording in course.wordings
        ],
    }


def _prompt_trace(prompt: Prompt | None) -> dict[str, Any]:
    return {"prompt": [asdict(message) for message in prompt.messages] if prompt else []}
