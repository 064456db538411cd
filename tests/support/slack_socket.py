"""Slack's end of Socket Mode: a websocket server that sends envelopes and keeps what is acknowledged."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.support.slack_events import Envelope

Json = dict[str, Any]
PATIENCE = 10.0
NO_TICKET = 1008  # policy violation


@dataclass(frozen=True, slots=True)
class Ack:
    """What the bot said to an envelope: the payload is empty for a bare acknowledgement."""

    envelope_id: str
    payload: Json
    at: float


@dataclass(slots=True)
class Sending:
    envelope_id: str
    envelope: Envelope
    attempts: int = 0


class SocketServer:
    """Starts with the first URL that is asked for. An envelope goes to one open connection, or waits for the next.

    What is not acknowledged is sent again on the next connection, and by `resend`, with `retry_attempt` counted up.
    """

    def __init__(self, *, app: str, ping_interval: float = 5.0) -> None:
        self.acks: dict[str, Ack] = {}
        self.received: list[Json] = []  # everything that clients sent, in order
        self._app = app
        self._ping_interval = ping_interval
        self._changed = Condition()
        self._tickets: set[str] = set()
        self._sendings: dict[str, Sending] = {}
        self._connections: list[ServerConnection] = []
        self._ending: list[ServerConnection] = []
        self._server: Server | None = None
        self._thread: Thread | None = None

    def new_url(self) -> str:
        """A ws:// URL that may be used once."""
        with self._changed:
            server = self._server or self._start()
            ticket = uuid4().hex
            self._tickets.add(ticket)
        return f"ws://127.0.0.1:{server.socket.getsockname()[1]}/link/?ticket={ticket}&app_id={self._app}"

    def _start(self) -> Server:
        self._server = serve(
            self._serve, "127.0.0.1", 0, compression=None, ping_interval=self._ping_interval, close_timeout=0.5
        )
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self._server

    def close(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self.cut()

    @property
    def connections(self) -> int:
        with self._changed:
            return len(self._connections)

    def wait_for_connections(self, number: int = 1, timeout: float = PATIENCE) -> None:
        self._wait(lambda: len(self._connections) >= number, timeout, f"{number} connections")

    def send(self, envelope: Envelope) -> str:
        """Send an envelope now, or as soon as somebody connects. Returns its envelope_id."""
        with self._changed:
            sending = Sending(str(uuid4()), envelope)
            self._sendings[sending.envelope_id] = sending
            if self._connections:
                self._transmit(self._connections[-1], sending)
        return sending.envelope_id

    def resend(self) -> int:
        """Send everything again that is not acknowledged, as Slack does after a while. Returns how many."""
        with self._changed:
            waiting = list(self._sendings.values())
            for sending in waiting if self._connections else []:
                self._transmit(self._connections[-1], sending)
            return len(waiting)

    def wait_for_ack(self, envelope_id: str, timeout: float = PATIENCE) -> Ack:
        self._wait(lambda: envelope_id in self.acks, timeout, f"the acknowledgement of {envelope_id}")
        return self.acks[envelope_id]

    @property
    def unacked(self) -> list[str]:
        with self._changed:
            return list(self._sendings)

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tell every client that its connection ends, as Slack does every few hours, when it has a new one."""
        with self._changed:
            self._ending = list(self._connections)
            for connection in self._ending:
                self._write(connection, {"type": "disconnect", "reason": reason, "debug_info": {"host": "mock"}})

    def ping(self) -> None:
        with self._changed:
            for connection in self._connections:
                connection.ping()

    def cut(self) -> None:
        """End every connection with a close frame."""
        with self._changed:
            connections = list(self._connections)
        for connection in connections:
            connection.close()

    def _serve(self, connection: ServerConnection) -> None:
        if not self._admitted(connection):
            connection.close(NO_TICKET, "no such ticket")
            return
        self._welcome(connection)
        try:
            with suppress(ConnectionClosed):  # slack_sdk hangs up without a goodbye
                for text in connection:
                    self._take(json.loads(text))
        finally:
            with self._changed:
                self._connections.remove(connection)
                self._changed.notify_all()

    def _admitted(self, connection: ServerConnection) -> bool:
        path = connection.request.path if connection.request else ""
        ticket = parse_qs(urlsplit(path).query).get("ticket", [""])[0]
        with self._changed:
            known = ticket in self._tickets
            self._tickets.discard(ticket)
        return known

    def _welcome(self, connection: ServerConnection) -> None:
        with self._changed:
            self._connections.append(connection)
            for old in self._ending:
                Thread(target=old.close, daemon=True).start()  # it waits for the client's goodbye
            self._ending.clear()
            self._write(connection, self._hello())
            for sending in list(self._sendings.values()):
                self._transmit(connection, sending)
            self._changed.notify_all()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._connections),
            "debug_info": {"host": "mock", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": self._app},
        }

    def _transmit(self, connection: ServerConnection, sending: Sending) -> None:
        shape = {
            "envelope_id": sending.envelope_id,
            "type": sending.envelope.kind,
            "payload": sending.envelope.payload,
            "accepts_response_payload": sending.envelope.kind != "events_api",
        }
        if sending.envelope.kind == "events_api":
            shape |= {"retry_attempt": sending.attempts, "retry_reason": "timeout" if sending.attempts else ""}
        sending.attempts += 1
        self._write(connection, shape)

    def _write(self, connection: ServerConnection, shape: Json) -> None:
        with suppress(ConnectionClosed):  # it is sent again on the next connection
            connection.send(json.dumps(shape))

    def _take(self, message: Json) -> None:
        with self._changed:
            self.received.append(message)
            envelope_id = str(message.get("envelope_id", ""))
            if self._sendings.pop(envelope_id, None) is not None:
                self.acks[envelope_id] = Ack(envelope_id, message.get("payload") or {}, time.time())
            self._changed.notify_all()

    def _wait(self, true: Callable[[], bool], timeout: float, what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(true, timeout), f"{what} did not come within {timeout} s"
