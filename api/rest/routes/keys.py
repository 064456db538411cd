"""Keys, and the record of what admins did."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.rest.errors import ForbiddenError
from api.rest.gate import caller_of
from api.rest.problems import JsonResponse
from api.rest.schemas import KeyBody
from api.rest.service import service_of

router = APIRouter(prefix="/v1")


@router.post("/keys", status_code=201)
def create(request: Request, body: KeyBody) -> Response:
    """Make a key. Its secret is in this response and nowhere else."""
    service = service_of(request)
    with service.act(caller_of(request), "create_key", body.name):
        if "local" in body.scopes:
            raise ForbiddenError("The scope 'local' is not given away here.", hint="Only `threadwise up` has it.")
        key, secret = service.threadwise.keyring.create(
            name=body.name, scopes=body.scopes, principals=body.principals, expires_days=body.expires_days
        )
    return JsonResponse(asdict(key) | {"secret": secret}, status_code=201)


@router.get("/keys")
def every(request: Request) -> Response:
    """All keys, dead ones too, without their secrets."""
    return JsonResponse({"keys": [asdict(key) for key in service_of(request).threadwise.keyring.every()]})


@router.delete("/keys/{key_id}")
def revoke(request: Request, key_id: str) -> Response:
    """End a key: from the response on it opens nothing."""
    service = service_of(request)
    with service.act(caller_of(request), "revoke_key", key_id):
        service.threadwise.keyring.revoke(key_id)
    revoked = next(key for key in service.threadwise.keyring.every() if key.id == key_id)
    return JsonResponse(asdict(revoked))


@router.get("/audit")
def audit(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """The newest acts of admins first."""
    acts = service_of(request).threadwise.keyring.acts(limit)
    return JsonResponse({"acts": [asdict(act) for act in acts]})
