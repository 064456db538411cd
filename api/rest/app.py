"""The application: routes behind the gate, and nothing that anybody reaches by accident."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.rest.bodies import Bodies
from api.rest.edge import Edge
from api.rest.gate import Gate, Shares, allowed_hosts, demand_scopes
from api.rest.metrics import Metrics
from api.rest.problems import show_error, show_fault, show_refusal
from api.rest.routes import documents, health, keys, letters, questions, runs, slack, sources
from api.rest.service import Service
from api.version import installed_version
from core.errors import ThreadwiseError
from threadwise.runtime import Threadwise

THREADS: Final = 8
"""Of plain routes. Questions have threads of their own, so that slow ones hold up nothing else."""


def create_app(threadwise: Threadwise) -> FastAPI:
    """The REST service of one installation; models and engines are loaded while it starts."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        service = app.state.service = Service(threadwise, metrics)
        service.start()
        yield
        service.stop()
        await to_thread.run_sync(service.join)

    app = FastAPI(
        title="Threadwise",
        version=installed_version(),
        dependencies=[Depends(demand_scopes)],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    for routes in (questions, runs, sources, letters, documents, keys, health, slack):
        app.include_router(routes.router)
    app.add_exception_handler(ThreadwiseError, show_error)
    app.add_exception_handler(HTTPException, show_refusal)
    app.add_exception_handler(RequestValidationError, show_fault)
    _guard(app, threadwise, metrics)
    return app


def _guard(app: FastAPI, threadwise: Threadwise, metrics: Metrics) -> None:
    """What a request passes before its route, the last of these first."""
    limits = threadwise.settings.api
    shares = app.state.shares = Shares(per_minute=limits.requests_per_minute, burst=limits.burst, clock=time.monotonic)
    app.add_middleware(Bodies, limit=limits.max_body_bytes)
    app.add_middleware(
        Gate,
        keyring=lambda: threadwise.keyring,
        shares=shares,
        hosts=allowed_hosts(limits.host),
        has_bot=bool(threadwise.settings.slack.bot_token.get_secret_value()),
    )
    app.add_middleware(Edge, metrics=metrics)
