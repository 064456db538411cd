"""Dead letters: what runs could not take, tried again or done without."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.rest.gate import caller_of
from api.rest.problems import JsonResponse
from api.rest.schemas import MOST_LETTERS, LettersBody
from api.rest.service import service_of
from threadwise.run_queue import RunQueue

router = APIRouter(prefix="/v1/dead-letters")
State = Literal["open", "retried", "ignored", "resolved"]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("")
def listed(request: Request, source: str | None = None, state: State = "open", limit: Limit = 100) -> Response:
    """What runs could not take, the newest first."""
    rows = service_of(request).threadwise.runs.letters(source=source, state=state, limit=limit)
    return JsonResponse({"dead_letters": [row.as_json() for row in rows]})


@router.get("/{letter_id}")
def shown(request: Request, letter_id: int) -> Response:
    """One dead letter."""
    return JsonResponse(service_of(request).threadwise.runs.letter(letter_id).as_json())


@router.post("/retry", status_code=202)
def retry(request: Request, body: LettersBody) -> Response:
    """Queue runs, one for each source, that try just these again."""
    service, caller = service_of(request), caller_of(request)
    with service.act(caller, "retry_letters", _named(body)):
        queued = service.threadwise.runs.retry_letters(body.ids, body.source, caller.key.id)
    return JsonResponse({"run_ids": queued}, status_code=202)


@router.post("/ignore")
def ignore(request: Request, body: LettersBody) -> Response:
    """Do without these: runs do not try them again as long as nothing about them changes."""
    service = service_of(request)
    with service.act(caller_of(request), "ignore_letters", _named(body)):
        ignored = service.threadwise.runs.ignore_letters(_numbers(service.threadwise.runs, body))
    return JsonResponse({"ignored": ignored})


def _named(body: LettersBody) -> str:
    """Which letters, as the audit tells it."""
    return body.source or ("*" if body.ids is None else ",".join(map(str, body.ids[:20])))


def _numbers(runs: RunQueue, body: LettersBody) -> list[int]:
    if body.ids is not None:
        return body.ids
    return [letter.id for letter in runs.letters(source=body.source, state="open", limit=MOST_LETTERS)]
