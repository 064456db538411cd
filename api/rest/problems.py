"""How an error leaves by HTTP: one document (RFC 9457) for every status from 400 on, without a trace of the inside."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.errors import http_status, http_title
from api.rest.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    LaterError,
    MalformedBodyError,
    MethodNotAllowedError,
    NotFoundError,
    UnauthorizedError,
)
from core.errors import ThreadwiseError

SHOWN: Final = 10  # faults of one request that are listed
TOO_MUCH: Final = 429
LATER_SECONDS: Final = 30  # when a queue that was full may have room again
_OF_STATUS: Final[Mapping[int, ThreadwiseError]] = {
    404: NotFoundError("There is nothing here.", hint="GET /openapi.json lists every route."),
    405: MethodNotAllowedError("This address does not know that method.", hint="GET /openapi.json lists every route."),
    413: BodyTooLargeError("The body is too large."),
}


class JsonResponse(Response):
    """JSON in UTF-8. Half a character, which a document may hold, leaves as its escape."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """One line; not-a-number is refused before it gets here."""
        return json_bytes(content)


class ProblemResponse(JsonResponse):
    """A problem document."""

    media_type = "application/problem+json"


def json_bytes(content: object) -> bytes:
    """One line of JSON in UTF-8. A lone surrogate leaves as its escape, which is the same in JSON as in Python."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def shape_of(error: ThreadwiseError, request_id: str) -> dict[str, Any]:
    """The members of a problem document."""
    shape: dict[str, Any] = {
        "type": f"urn:threadwise:{error.code}",
        "title": http_title(error),
        "status": http_status(error),
        "code": error.code,
        "detail": error.message,
        "hint": error.hint,
        "retryable": error.retryable,
        "request_id": request_id,
    }
    if isinstance(error, InvalidRequestError):
        shape["errors"] = [{"at": place, "message": fault} for place, fault in error.fields]
    return shape


def problem(error: ThreadwiseError, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response for an error."""
    more = dict(headers or {})
    if http_status(error) == TOO_MUCH:
        more["Retry-After"] = str(error.seconds if isinstance(error, LaterError) else LATER_SECONDS)
    if isinstance(error, UnauthorizedError):
        more["WWW-Authenticate"] = 'Bearer realm="threadwise"'
    return ProblemResponse(shape_of(error, request_id), status_code=http_status(error), headers=more)


async def show_error(request: Request, error: Exception) -> Response:
    """For errors of ours."""
    if not isinstance(error, ThreadwiseError):
        raise error
    request.app.state.service.metrics.refusals.labels(error.code).inc()
    return problem(error, request.state.request_id)


async def show_refusal(request: Request, error: Exception) -> Response:
    """For what the framework refuses: an unknown address, a wrong method, a body that is no JSON."""
    if not isinstance(error, HTTPException):
        raise error
    ours = _OF_STATUS.get(error.status_code) or MalformedBodyError(
        f"The request cannot be read: {HTTPStatus(error.status_code).phrase}.", hint="Send JSON in UTF-8."
    )
    return problem(ours, request.state.request_id, error.headers)


async def show_fault(request: Request, error: Exception) -> Response:
    """For a body or a parameter of the wrong shape. Nothing of what was sent is repeated."""
    if not isinstance(error, RequestValidationError):
        raise error
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        broken = MalformedBodyError("The body is no JSON that can be read.", hint="Send JSON in UTF-8.")
        return problem(broken, request.state.request_id)
    return problem(invalid(faults), request.state.request_id)


def invalid(faults: Sequence[Any]) -> InvalidRequestError:
    """The error for what pydantic found."""
    fields = [(_place(fault["loc"]), str(fault["msg"])) for fault in faults[:SHOWN]]
    what = "; ".join(f"{place}: {message}" for place, message in fields)
    return InvalidRequestError(f"The request has the wrong shape: {what}.", hint="See /openapi.json.", fields=fields)


def _place(parts: Sequence[object]) -> str:
    # A field nobody knows was named by the client: its name is shown, but not without end.
    return ".".join(str(part)[:60] for part in parts)
