"""Runs of ingestion: submit by name, by path or by upload, plan first, watch, cancel."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from api.ledger import ledger_csv
from api.rest.bodies import is_upload
from api.rest.errors import InvalidRequestError, MalformedBodyError
from api.rest.gate import Caller, caller_of
from api.rest.problems import JsonResponse, invalid
from api.rest.schemas import RunBody, RunOptions, UploadQuery
from api.rest.service import Service, service_of
from api.rest.sse import EventStream
from api.rest.uploads import Upload
from core.catalog import queue, sources
from core.errors import DatabaseUnavailableError, ThreadwiseError
from threadwise.opening import Idempotency, SubmitRequest

KEY_HEADER: Final = "Idempotency-Key"

router = APIRouter(prefix="/v1")
Read = TypeVar("Read", bound=RunOptions)
_KEY: Final = re.compile(r"[!-~]{1,200}", re.ASCII)
_LISTS: Final = ("audience", "include", "exclude", "languages")
_UPLOAD = {"schema": {"type": "string", "format": "binary"}}
_BODIES = {
    "application/json": {"schema": RunBody.model_json_schema()},
    "application/zip": _UPLOAD,
    "text/plain": _UPLOAD,
}


@router.post("/runs", status_code=202, openapi_extra={"requestBody": {"required": True, "content": _BODIES}})
async def submit(request: Request) -> Response:
    """Queue a run: JSON that names a known source or (local scope) a path, or the file itself as the body.

    An upload takes `source`, `filename`, `kind`, `audience`, `workspace_url`, `allow_empty`, `plan`
    and how the source is read from the query.
    Once the id is told, the run is in the catalogue and survives everything. With `Idempotency-Key` the same request,
    sent again with the same key, is told the same run.
    """
    service, caller = service_of(request), caller_of(request)
    key = _idempotency_key(request)
    if not is_upload(request.scope):
        body = _read(RunBody, _parsed(await request.body()))
        return await to_thread.run_sync(_submitted, service, caller, body, key)
    query = _read(UploadQuery, _fields(request))
    async with service.uploads.received(request, query.filename) as upload:
        response = await to_thread.run_sync(_uploaded, service, caller, query, upload, key)
        service.metrics.uploaded.inc(upload.size)
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


@router.get("/runs/{run_id}/plan")
def plan(request: Request, run_id: str) -> Response:
    """What a planned run would do: its documents by kind of change, its work, and the hash that applies it."""
    return JsonResponse(service_of(request).threadwise.runs.plan(run_id))


@router.post("/plans/{plan_hash}/apply", status_code=202)
def apply(request: Request, plan_hash: str) -> Response:
    """Do exactly what a plan says, once: whoever applies it again is told the same run."""
    service, caller = service_of(request), caller_of(request)
    with service.act(caller, "apply_plan", plan_hash):
        run_id = service.threadwise.runs.apply(plan_hash)
    run = service.threadwise.runs.standing(run_id).run
    return _accepted(run_id, run.source, run.state)


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


@router.get("/runs/{run_id}/ledger")
def ledger(
    request: Request, run_id: str, form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json"
) -> Response:
    """Where everything went that a run read, by channel, bucket and reason; `files` has what became of each file.

    `quality` has what was noticed in the documents.
    """
    found = service_of(request).threadwise.runs.ledger(run_id)
    if form == "json":
        return JsonResponse(found)
    headers = {"Content-Disposition": 'attachment; filename="ledger.csv"'}
    return Response(ledger_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


def _submitted(service: Service, caller: Caller, body: RunBody, key: str | None) -> Response:
    if body.every_source:
        return _all_submitted(service, caller, key)
    if body.path is not None:
        caller.demand("local")
    name = body.source or service.threadwise.free_name(Path(body.path or ""))
    once = _idempotency(caller, key, body.model_dump(mode="json"))
    wanted = SubmitRequest(source=name, path=body.path, document=body.document, idempotency=once)
    return _queued(service, caller, body, wanted)


def _all_submitted(service: Service, caller: Caller, key: str | None) -> Response:
    if key is not None:
        raise InvalidRequestError(
            f"{KEY_HEADER} stands for one run, and this would be many.", hint="Send a request for each source."
        )
    with service.act(caller, "submit_run", "*"):
        queued, refused = service.threadwise.runs.submit_all(caller.key.id)
    told = [{"source": name, "code": error.code, "message": error.message} for name, error in refused.items()]
    return JsonResponse({"run_ids": queued, "refused": told, "state": "queued"}, status_code=202)


def _uploaded(service: Service, caller: Caller, query: UploadQuery, upload: Upload, key: str | None) -> Response:
    once = _idempotency(caller, key, query.model_dump(mode="json") | {"sha": upload.sha})
    wanted = SubmitRequest(source=query.source, path=str(upload.path), idempotency=once)
    return _queued(service, caller, query, wanted, upload)


def _queued(
    service: Service,
    caller: Caller,
    options: RunOptions,
    wanted: SubmitRequest,
    upload: Upload | None = None,
) -> Response:
    whole = replace(
        wanted,
        kind=options.kind,
        audience=None if options.audience is None else tuple(options.audience),
        options=options.reading,
        allow_empty=options.allow_empty,
        plan_only=options.plan,
        requested_by=caller.key.id,
    )
    submit = service.threadwise.runs.submit if upload is None else partial(_kept, service, upload)
    with service.act(caller, "submit_run", wanted.source):
        run_id = submit(whole)
    # Only a request that was sent before can be of a run that has begun.
    state = "queued" if whole.idempotency is None else service.threadwise.runs.standing(run_id).run.state
    return _accepted(run_id, wanted.source, state)


def _kept(service: Service, upload: Upload, wanted: SubmitRequest) -> str:
    """Submit an upload, and keep its file unless it is certain that no run will read it."""
    try:
        run_id = service.threadwise.runs.submit(wanted)
    except ThreadwiseError as error:
        # A database that is gone may have taken the run nevertheless: the worker's cleaning finds out later.
        upload.kept = isinstance(error, DatabaseUnavailableError)
        # Where uploads lie on this machine is nobody's business.
        error.message = error.message.replace(str(upload.path), upload.path.name)
        raise
    upload.kept = True
    if wanted.idempotency is not None:
        # The same file was sent before, and a run has that one.
        upload.kept = _is_needed(service, upload.path)
    return run_id


def _is_needed(service: Service, path: Path) -> bool:
    with service.threadwise.database.read() as session:
        return str(path) in {*queue.open_paths(session), *sources.locations(session)}


def _accepted(run_id: str, source: str, state: str) -> Response:
    shape = {"run_id": run_id, "source": source, "state": state}
    return JsonResponse(shape, status_code=202, headers={"Location": f"/v1/runs/{run_id}"})


def _idempotency_key(request: Request) -> str | None:
    given = request.headers.get(KEY_HEADER)
    if given is not None and not _KEY.fullmatch(given):
        raise InvalidRequestError(f"{KEY_HEADER} is none.", hint="Send 1 to 200 letters, digits or signs of ASCII.")
    return given


def _idempotency(caller: Caller, key: str | None, asked: Mapping[str, Any]) -> Idempotency | None:
    """What makes a request the same: whose key sent it, its own key, and everything that it asks for."""
    if key is None:
        return None
    sha = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return Idempotency(key_id=caller.key.id, key=key, body_sha=sha)


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - whatever was sent
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedBodyError("The body is no JSON that can be read.", hint="Send JSON in UTF-8.") from None


def _fields(request: Request) -> Mapping[str, Any]:
    query = request.query_params
    # A list is its name repeated; `include=` is the empty one.
    lists = {name: [*filter(None, query.getlist(name))] for name in _LISTS if name in query}
    return dict(query) | lists


def _read(shape: type[Read], fields: Any) -> Read:  # noqa: ANN401 - whatever was sent
    try:
        return shape.model_validate(fields)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_context=False, include_input=False)) from None
