"""Ask, search, look an answer up, and say what one thinks of it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from api.rest.asks import OpenAsk
from api.rest.errors import OverLimitError
from api.rest.gate import Caller, caller_of
from api.rest.problems import JsonResponse
from api.rest.schemas import AskBody, Asked, FeedbackBody, SearchBody
from api.rest.service import Service, service_of
from api.rest.sse import EventStream, Typed
from api.rest.watch import while_connected
from core.catalog import passages
from core.catalog.answers import StoredAnswer
from core.errors import AnswerNotFoundError
from generation.answers import AskRequest
from generation.budget import QuestionTooLongError
from retrieval.errors import EmptyQuestionError, InvalidTopKError
from retrieval.query import Query

router = APIRouter(prefix="/v1")
EVENTS = "text/event-stream"


@router.post("/ask")
async def ask(request: Request, body: AskBody) -> Response:
    """Answer a question from what the key may read: JSON, or typed events as they come.

    Events: `status`, `quote`, `token` (verified text), `citation`, `done` (the whole answer), `error`.
    """
    service, caller = service_of(request), caller_of(request)
    _check(body, service)
    if body.mode == "search":
        return JsonResponse(await to_thread.run_sync(_found, service, caller, body, None))
    if body.trace:
        caller.demand("admin")
    wanted = await to_thread.run_sync(_wanted, service, caller, body)
    answer = await while_connected(request.receive, service.asks.begin(wanted))
    if body.stream or EVENTS in request.headers.get("accept", ""):
        return EventStream(_typed(answer), request.state.request_id)
    return JsonResponse((await while_connected(request.receive, answer.answer())).as_json())


@router.post("/search")
def search(request: Request, body: SearchBody) -> Response:
    """Ranked passages that the key may read; no language model is asked."""
    service = service_of(request)
    _check(body, service)
    return JsonResponse(_found(service, caller_of(request), body, body.mmr_lambda))


@router.get("/answers/{answer_id}")
def answer(request: Request, answer_id: str) -> Response:
    """An answer that was given, for the key that asked and for admins; only what may be read today is shown."""
    service, caller = service_of(request), caller_of(request)
    found = _own_answer(service, caller, answer_id)
    if found.key_id == caller.key.id:
        return JsonResponse(_shown(found, _readable(service, caller, found)))
    with service.act(caller, "read_answer", answer_id):
        return JsonResponse(_shown(found, set(_leaned_on(found))) | {"trace": found.trace})


@router.post("/feedback")
def feedback(request: Request, body: FeedbackBody) -> Response:
    """Keep what the asker thinks of an answer; a second opinion replaces the first."""
    service, caller = service_of(request), caller_of(request)
    if _own_answer(service, caller, body.answer_id).key_id != caller.key.id:
        raise AnswerNotFoundError("Only who asked can say what it thinks of an answer.", hint="Ask, then rate.")
    service.threadwise.rate(body.answer_id, key_id=caller.key.id, value=body.value, comment=body.comment)
    return JsonResponse({"answer_id": body.answer_id, "value": body.value})


@router.get("/models")
def models(request: Request) -> Response:
    """What words the answers."""
    llm = service_of(request).settings.llm
    names = {"gguf": Path(llm.path).name, "http": llm.name}
    name = names.get(llm.kind) or llm.kind
    listed = [] if llm.kind == "none" else [{"id": name, "object": "model", "owned_by": "threadwise", "kind": llm.kind}]
    return JsonResponse({"object": "list", "data": listed})


async def _typed(answer: OpenAsk) -> AsyncGenerator[Typed | None, None]:
    async with aclosing(answer.events()) as events:
        async for event in events:
            yield (event.name, event.as_json()) if event else None


def _check(body: Asked, service: Service) -> None:
    """Refuse what costs more than one request may, before anything is asked."""
    asking, most = service.settings.ask, service.settings.api.max_top_k
    if not body.question.strip():
        raise EmptyQuestionError("The question is empty.", hint="Say what you want to know.")
    if len(body.question) > asking.max_question_chars:
        raise QuestionTooLongError(
            f"The question has {len(body.question)} characters, {asking.max_question_chars} are allowed.",
            hint="Ask it in fewer words.",
        )
    if body.top_k is not None and body.top_k > most:
        raise InvalidTopKError(f"top_k is {body.top_k}.", hint=f"Choose 1 to {most}.")
    for name in ("max_tokens", "deadline_seconds"):
        given, limit = getattr(body, name, None), getattr(asking, name)
        if given is not None and given > limit:
            raise OverLimitError(f"{name} is {given}.", hint=f"At most {limit} here.")


def _wanted(service: Service, caller: Caller, body: AskBody) -> AskRequest:
    return AskRequest(
        question=body.question,
        reader=service.reader(caller, body.as_principal),
        key_id=caller.key.id,
        sources=tuple(body.sources),
        kinds=tuple(body.kinds),
        authors=tuple(body.authors),
        top_k=body.top_k,
        use_rag=body.use_rag,
        candidates=body.n,
        max_tokens=body.max_tokens,
        temperature=body.temperature,
        seed=body.seed,
        deadline_seconds=body.deadline_seconds,
        trace=body.trace,
    )


def _found(service: Service, caller: Caller, body: Asked, mmr_lambda: float | None) -> dict[str, object]:
    query = Query(
        text=body.question,
        reader=service.reader(caller, body.as_principal),
        top_k=body.top_k,
        mmr_lambda=mmr_lambda,
        sources=tuple(body.sources),
        kinds=tuple(body.kinds),
        authors=tuple(body.authors),
    )
    return service.threadwise.search(query).as_json()


def _own_answer(service: Service, caller: Caller, answer_id: str) -> StoredAnswer:
    """The answer, if the key asked for it or is an admin's. Somebody else's does not differ from none."""
    found = service.threadwise.answer(answer_id)
    if found.key_id != caller.key.id and "admin" not in caller.key.scopes:
        raise AnswerNotFoundError(f"There is no answer {answer_id}.", hint="The answer itself says its id.")
    return found


def _leaned_on(answer: StoredAnswer) -> list[str]:
    """The chunks whose words are in the answer: what it cites, or where it looked when it found nothing."""
    return [row["chunk_id"] for row in answer.citations or answer.trace.get("passages", ())]


def _readable(service: Service, caller: Caller, answer: StoredAnswer) -> set[str]:
    """Of the chunks that the answer leans on, those that its key may read now: the read barrier, once more."""
    if answer.generation_id is None:
        return set()
    reader, now = service.reader(caller, None), service.threadwise.clock()
    with service.threadwise.database.read() as session:
        return set(passages.readable_places(session, answer.generation_id, reader, now, _leaned_on(answer)))


def _shown(answer: StoredAnswer, readable: set[str]) -> dict[str, Any]:
    whole = asdict(answer)
    for name in ("trace", "key_id", "principals"):
        del whole[name]
    withheld = not readable.issuperset(_leaned_on(answer))
    citations = [citation for citation in answer.citations if citation["chunk_id"] in readable]
    return whole | {
        "answer_id": whole.pop("id"),
        "text": "" if withheld else answer.text,
        "citations": citations,
        "withheld": withheld,
    }
