"""Where Slack calls: events, commands and clicks, each signed. Slack waits three seconds for the answer."""

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from anyio import CancelScope, CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from api.rest.errors import SlackOffError
from api.rest.service import service_of
from api.slack.signature import signature_in, verify

if TYPE_CHECKING:
    from api.slack.door import Door, Reply

PATH: Final = "/slack/events"
SECONDS: Final = 2.5  # Slack waits three
THREADS: Final = 8  # each writes one row; whoever comes to a full house waits inside those seconds
TAKEN: Final = 200
LATER: Final = 503

router = APIRouter()
log = structlog.get_logger(__name__)


@router.post(PATH, include_in_schema=False)
async def events(request: Request) -> Response:
    """Take what Slack sends; answered once it is kept. Raises `SlackOffError` and `SignatureError`.

    503 makes Slack send it again. It may be kept nevertheless: then the second one is known to be the same.
    """
    bot = service_of(request).slack
    if bot is None:
        raise SlackOffError("There is no Slack bot here.", hint="Set THREADWISE_SLACK__BOT_TOKEN.")
    body = await request.body()
    verify(body, request.headers, bot.secrets, time.time())
    signature = signature_in(request.headers)
    bot.replays.remember(signature)
    status, headers, content = await _answered(request.app, bot.door, body, dict(request.headers))
    if status != TAKEN:
        bot.replays.forget(signature)
    return Response(content, status, headers)


async def _answered(app: FastAPI, door: "Door", body: bytes, headers: dict[str, str]) -> "Reply":
    """The door's answer, or 503 after `SECONDS`."""
    scope = CancelScope()
    task = asyncio.create_task(_in_thread(partial(door.dispatch, body, headers), _limiter(app), scope))
    done, _ = await asyncio.wait({task}, timeout=SECONDS)
    reply = task.result() if done else None
    if reply is None:
        scope.cancel()  # what waits for a thread is dropped; what has one keeps it to its end
        log.warning("slack_answer_late")
        return LATER, {}, b""
    return reply


async def _in_thread(call: "partial[Reply]", limiter: CapacityLimiter, scope: CancelScope) -> "Reply | None":
    with scope:
        return await to_thread.run_sync(call, limiter=limiter)
    return None


def _limiter(app: FastAPI) -> CapacityLimiter:
    """The application's own threads for Slack: slow questions of others never hold up an acknowledgement."""
    if not hasattr(app.state, "slack_threads"):
        app.state.slack_threads = CapacityLimiter(THREADS)
    limiter: CapacityLimiter = app.state.slack_threads
    return limiter
