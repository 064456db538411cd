"""Delete documents and erase people, for good, and see what was; see which documents are nearly the same."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator
from starlette.responses import Response

from api.rest.gate import caller_of
from api.rest.problems import JsonResponse
from api.rest.schemas import Name, Shape, Text
from api.rest.service import service_of
from core.catalog.tombstones import person_key

router = APIRouter(prefix="/v1")

LONGEST_REASON = 1000  # characters


def _storable(value: str) -> str:
    """Without the sign that no database keeps."""
    return value.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


Reason = Annotated[str, Query(max_length=LONGEST_REASON, description="why; kept for good"), AfterValidator(_storable)]


Limit = Annotated[int, Query(ge=1, le=500)]


class EraseBody(Shape):
    """Whom to erase, and why."""

    principal: Name
    reason: Text = ""


@router.delete("/documents/{document_id}")
def delete(request: Request, document_id: str, reason: Reason = "") -> Response:
    """Delete a document for good: hidden at once, then taken out of every store. The response is its tombstone."""
    service, caller = service_of(request), caller_of(request)
    with service.act(caller, "delete_document", document_id):
        deletions = service.threadwise.deletions
        (tombstone,) = deletions.delete([document_id], reason=reason, requested_by=caller.key.id)
    return JsonResponse(tombstone.as_json())


@router.get("/documents/twins")
def twins(request: Request, source: str | None = None, limit: Limit = 100) -> Response:
    """Pairs of documents that are nearly the same, the most alike first; each is read by its own audience alone."""
    threadwise = service_of(request).threadwise
    total, pairs = threadwise.twins(source=source, limit=limit)
    waiting = threadwise.uncompared()
    return JsonResponse({"total": total, "waiting": waiting, "twins": [pair.as_json() for pair in pairs]})


@router.get("/deletions")
def deletions(request: Request) -> Response:
    """Every tombstone with its receipts, the newest first."""
    found = service_of(request).threadwise.deletions.listing()
    return JsonResponse({"deletions": [tombstone.as_json() for tombstone in found]})


@router.post("/people/erase")
def erase(request: Request, body: EraseBody) -> Response:
    """Take away what a person said and what is kept about them. The response lists every row that went, by store."""
    service, caller = service_of(request), caller_of(request)
    # The record of the act names the person no more than the tombstone does.
    with service.act(caller, "erase_person", person_key(body.principal)):
        deletions = service.threadwise.deletions
        tombstone = deletions.erase(body.principal, reason=body.reason, requested_by=caller.key.id)
    return JsonResponse(tombstone.as_json())
