"""Runs of ingestion: submit by name, by path or by upload, watch, cancel; and how often sources are read again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from api.rest.bodies import is_upload
from api.rest.errors import MalformedBodyError
from api.rest.gate import Caller, caller_of
from api.rest.problems import JsonResponse, invalid
from api.rest.schemas import RunBody, RunOptions, SourceBody, UploadQuery
from api.rest.service import Service, service_of
from api.rest.sse import EventStream
from core.errors import ThreadwiseError, UnknownSourceError
from threadwise.run_queue import SubmitRequest

router = APIRouter(prefix="/v1")
Read = TypeVar("Read", bound=RunOptions)
_UPLOAD = {"schema": {"type": "string", "format": "binary"}}
_BODIES = {
    "application/json": {"schema": RunBody.model_json_schema()},
    "application/zip": _UPLOAD,
    "text/plain": _UPLOAD,
}


@router.post("/runs", status_code=202, openapi_extra={"requestBody": {"required": True, "content": _BODIES}})
async def submit(request: Request) -> Response:
    """Queue a run: JSON that names a known source or (local scope) a path, or the file itself as the body.

    An upload takes `source`, `filename`, `kind`, `audience`, `workspace_url` and `allow_empty` from the query. Once
    the id is told, the run is in the catalogue and survives everything.
    """
    service, caller = service_of(request), caller_of(request)
    if not is_upload(request.scope):
        body = _read(RunBody, _parsed(await request.body()))
        return await to_thread.run_sync(_submitted, service, caller, body)
    query = _read(UploadQuery, _fields(request))
    async with service.uploads.received(request, query.filename) as path:
        response = await to_thread.run_sync(_uploaded, service, caller, query, path)
        service.metrics.uploaded.inc(path.stat().st_size)
        return response


@router.get("/runs")
def latest(request: Request, source: str | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 20) -> Response:
    """The newest runs first."""
    rows = service_of(request).threadwise.runs.latest(source=source, limit=limit)
    return JsonResponse({"runs": [row.as_json() for row in rows]})


@router.get("/runs/{run_id}")
def standing(request: Request, run_id: str) -> Response:
    """One run and where it stands."""
    return JsonResponse(service_of(request).threadwise.runs.standing(run_id).as_json())


@router.get("/runs/{run_id}/events")
async def events(request: Request, run_id: str) -> Response:
    """Where a run stands, whenever that changes, as `progress` events; `done` with the whole run is the last."""
    service, caller = service_of(request), caller_of(request)
    return EventStream(await service.listeners.follow(run_id, caller.secret), request.state.request_id)


@router.post("/runs/{run_id}/cancel", status_code=202)
def cancel(request: Request, run_id: str) -> Response:
    """Ask for the end of a run; what it has committed stays."""
    service = service_of(request)
    with service.act(caller_of(request), "cancel_run", run_id):
        service.threadwise.runs.cancel(run_id)
    return JsonResponse(service.threadwise.runs.standing(run_id).as_json(), status_code=202)


@router.get("/runs/{run_id}/quarantine")
def quarantine(request: Request, run_id: str) -> Response:
    """What a run could not take, and why."""
    runs = service_of(request).threadwise.runs
    runs.standing(run_id)
    rows = [{"place": place, "code": code, "reason": reason} for place, code, reason in runs.quarantined(run_id)]
    return JsonResponse({"quarantined": rows})


@router.get("/sources")
def sources(request: Request) -> Response:
    """Every source with its newest run."""
    return JsonResponse({"sources": [row.as_json() for row in service_of(request).threadwise.runs.sources()]})


@router.patch("/sources/{name:path}")
def schedule(request: Request, name: str, body: SourceBody) -> Response:
    """Read a source again every so many minutes, 0 = only when asked."""
    service = service_of(request)
    with service.act(caller_of(request), "schedule_source", name):
        service.threadwise.runs.schedule(name, body.every_minutes)
    found = next((row for row in service.threadwise.runs.sources() if row.name == name), None)
    if found is None:
        raise UnknownSourceError(f"No source {name!r} is known.", hint="GET /v1/sources lists them.")
    return JsonResponse(found.as_json())


def _submitted(service: Service, caller: Caller, body: RunBody) -> Response:
    if body.every_source:
        return _all_submitted(service, caller)
    if body.path is not None:
        caller.demand("local")
    name = body.source or service.threadwise.free_name(Path(body.path or ""))
    return _queued(service, caller, body, SubmitRequest(source=name, path=body.path, document=body.document))


def _all_submitted(service: Service, caller: Caller) -> Response:
    with service.act(caller, "submit_run", "*"):
        queued, refused = service.threadwise.runs.submit_all(caller.key.id)
    told = [{"source": name, "code": error.code, "message": error.message} for name, error in refused.items()]
    return JsonResponse({"run_ids": queued, "refused": told, "state": "queued"}, status_code=202)


def _uploaded(service: Service, caller: Caller, query: UploadQuery, path: Path) -> Response:
    try:
        return _queued(service, caller, query, SubmitRequest(source=query.source, path=str(path)))
    except ThreadwiseError as error:
        # Where uploads lie on this machine is nobody's business.
        error.message = error.message.replace(str(path), path.name)
        raise


def _queued(service: Service, caller: Caller, options: RunOptions, wanted: SubmitRequest) -> Response:
    whole = SubmitRequest(
        source=wanted.source,
        path=wanted.path,
        document=wanted.document,
        kind=options.kind,
        audience=None if options.audience is None else tuple(options.audience),
        workspace_url=options.workspace_url,
        allow_empty=options.allow_empty,
        requested_by=caller.key.id,
    )
    with service.act(caller, "submit_run", wanted.source):
        run_id = service.threadwise.runs.submit(whole)
    shape = {"run_id": run_id, "source": wanted.source, "state": "queued"}
    return JsonResponse(shape, status_code=202, headers={"Location": f"/v1/runs/{run_id}"})


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - whatever was sent
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedBodyError("The body is no JSON that can be read.", hint="Send JSON in UTF-8.") from None


def _fields(request: Request) -> Mapping[str, Any]:
    query = request.query_params
    audience = query.getlist("audience")
    return dict(query) | ({"audience": audience} if audience else {})


def _read(shape: type[Read], fields: Any) -> Read:  # noqa: ANN401 - whatever was sent
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_context=False, include_input=False)) from None
