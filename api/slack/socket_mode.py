"""Socket Mode: Slack speaks over a connection that we open, so that nobody outside has to reach this machine.

The same door as over HTTP, by Slack's own client, which pings, notices a dead connection and opens another. What the
door does not take is not acknowledged, so that Slack sends it again.
"""

import json
import threading
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Final

import structlog
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient

from api.slack.door import OK, Door
from core.settings import SlackSettings

PING_SECONDS: Final = 5.0  # a dead connection is noticed after four of them
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0

log = structlog.get_logger(__name__)


class SocketMode:
    """Keeps a connection to Slack open from `start` to `stop`; neither waits for Slack."""

    def __init__(self, door: Door, settings: SlackSettings, *, ping_seconds: float = PING_SECONDS) -> None:
        self._door = door
        self._settings = settings
        self._ping_seconds = ping_seconds
        self._stopping = threading.Event()
        self._handler: _Handler | None = None
        self._thread = threading.Thread(target=self._connect, name="slack-socket", daemon=True)
        self._closing = threading.Thread(target=self._close, name="slack-socket-closing", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether a connection is open now."""
        handler = self._handler
        return handler is not None and handler.client.is_connected()

    def start(self) -> None:
        """Connect, and try again until it works."""
        self._thread.start()

    def stop(self, *, wait: float = 0.0) -> None:
        """Leave. What comes in from now on is not acknowledged. Waits at most `wait` seconds for the threads to end."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._closing.start()
        self._closing.join(wait)

    def _connect(self) -> None:
        handler = self._handler = _Handler(self._door, self._settings, self._stopping, self._ping_seconds)
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                handler.connect()  # type: ignore[no-untyped-call]
            except (SlackClientError, OSError, HTTPException, ValueError) as error:
                # The client looks after a connection once it has had one, not after the first.
                log.warning("slack_socket_not_open", error=type(error).__name__)
                self._stopping.wait(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
            else:
                return

    def _close(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()
        if self._handler:
            # The client forgets a socket that Slack has closed, now and then between its look and its call; then the
            # rest of it is still open.
            with suppress(AttributeError):
                self._handler.close()  # type: ignore[no-untyped-call]
                return
            self._handler.close()  # type: ignore[no-untyped-call]


class _Handler(SocketModeHandler):
    """Bolt's handler, over our door instead of Bolt alone."""

    client: SocketModeClient

    def __init__(self, door: Door, settings: SlackSettings, stopping: threading.Event, ping_seconds: float) -> None:
        super().__init__(
            door.app,
            settings.app_token.get_secret_value(),
            logger=door.app.logger,
            web_client=WebClient(
                base_url=settings.api_url, timeout=max(1, round(settings.timeout_seconds)), logger=door.app.logger
            ),
            ping_interval=ping_seconds,
        )
        self._door = door
        self._stopping = stopping

    def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        """Acknowledge what was taken, with what the asker shall see."""
        if self._stopping.is_set():
            return
        response = self._door.hear(req.payload)
        if response.status == OK:
            shown: dict[str, Any] | None = json.loads(response.body) if response.body.startswith("{") else None
            client.send_socket_mode_response(SocketModeResponse(envelope_id=req.envelope_id, payload=shown))
