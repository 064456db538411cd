"""Sources: what is known of each, how often it is read again, and whether its runs are taken."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.rest.gate import caller_of
from api.rest.problems import JsonResponse
from api.rest.schemas import SourceBody
from api.rest.service import Service, service_of
from core.errors import UnknownSourceError

router = APIRouter(prefix="/v1/sources")


@router.get("")
def sources(request: Request) -> Response:
    """Every source with its newest run, how old its state is, and why it is paused."""
    return JsonResponse({"sources": [row.as_json() for row in service_of(request).threadwise.runs.sources()]})


@router.patch("/{name:path}")
def schedule(request: Request, name: str, body: SourceBody) -> Response:
    """Read a source again every so many minutes, 0 = only when asked."""
    service = service_of(request)
    with service.act(caller_of(request), "schedule_source", name):
        service.threadwise.runs.schedule(name, body.every_minutes)
    return _shown(service, name)


@router.post("/{name:path}/pause")
def pause(request: Request, name: str) -> Response:
    """Take none of its runs; one that is at work stops after the documents it has in hand."""
    service = service_of(request)
    with service.act(caller_of(request), "pause_source", name):
        service.threadwise.runs.pause(name)
    return _shown(service, name)


@router.post("/{name:path}/resume")
def resume(request: Request, name: str) -> Response:
    """Take its runs again, from where they stopped."""
    service = service_of(request)
    with service.act(caller_of(request), "resume_source", name):
        service.threadwise.runs.resume(name)
    return _shown(service, name)


def _shown(service: Service, name: str) -> Response:
    found = next((row for row in service.threadwise.runs.sources() if row.name == name), None)
    if found is None:
        raise UnknownSourceError(f"No source {name!r} is known.", hint="GET /v1/sources lists them.")
    return JsonResponse(found.as_json())
