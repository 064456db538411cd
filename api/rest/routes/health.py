"""Is it alive, is it ready, how is it doing, what does it offer."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.rest.problems import JsonResponse
from api.rest.service import service_of

router = APIRouter()


@router.get("/healthz")
async def alive(_request: Request) -> Response:
    """Whether the process serves requests; asks nothing of anybody."""
    return JsonResponse({"status": "alive"})


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """Whether models and engines are loaded; else a problem that says what is missing."""
    service = service_of(request)
    service.readiness.check()
    return JsonResponse({"status": "ready", "init_seconds": round(service.readiness.seconds, 2)})


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Counters in Prometheus' text format."""
    return Response(service_of(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> Response:
    """The description of every route."""
    return JsonResponse(request.app.openapi())
