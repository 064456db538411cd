"""The command line's half of the REST service: one connection to the `threadwise up` of this machine."""

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Self
from urllib.parse import quote

import httpx

from api import event_stream
from api.endpoint import Endpoint
from api.errors import DEPENDENCY_DOWN, InterruptionError, ServiceRefusedError, ServiceUnavailableError, exit_code
from api.installation import Ask, Ingest, Json, NewKey, Order, Search, absolute, ended_well
from api.progress import Progress
from core.errors import ThreadwiseError

TIMEOUT = httpx.Timeout(60.0, connect=2.0)  # a service of this machine connects at once; an answer takes its time
PATIENCE = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each new try to follow a run: a door that died is back within them."""
KNOCKS = (0.5, 1.0, 2.0)
"""Seconds before each new try to connect at all."""
_OK = 200
_REDIRECT = 300


class Client:
    """An installation through its running service. Close it, or use it as a context manager."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.sleep = sleep
        self.http = httpx.Client(
            base_url=endpoint.url,
            headers={"Authorization": f"Bearer {endpoint.key}"},
            timeout=TIMEOUT,
            trust_env=False,  # a proxy would see the key
            follow_redirects=False,
            transport=transport,
        )

    def search(self, order: Search) -> Json:
        """Ranked passages."""
        return self._object("POST", "/v1/search", _body(order))

    def ask(self, order: Ask) -> Generator[tuple[str, Json], None, None]:
        """Typed events as they come; the last is `done`."""
        body = _body(order) | {"stream": True}
        for name, data in self._events("POST", "/v1/ask", body):
            yield name, data
            if name == "done":
                return
        raise self._broke_off()

    def ingest(self, order: Ingest, progress: Progress) -> Json:
        """Submit a path and follow its run to the end."""
        fields = _body(order) | {"path": absolute(order.path)}
        return ended_well(self.follow(self._submit(fields), progress))

    def again(self, source: str, document: str | None, progress: Progress) -> Json:
        """Submit a known source, or one of its documents, and follow the run to the end."""
        fields = {"source": source} | ({} if document is None else {"document": document})
        return ended_well(self.follow(self._submit(fields), progress))

    def sources(self) -> list[Json]:
        """Every source."""
        return self._list("/v1/sources", "sources")

    def schedule(self, source: str, minutes: int) -> Json:
        """Read a source every so many minutes."""
        return self._object("PATCH", f"/v1/sources/{_part(source)}", {"every_minutes": minutes})

    def runs(self, source: str | None, limit: int) -> list[Json]:
        """The newest runs."""
        wanted = {"limit": str(limit)} | ({} if source is None else {"source": source})
        return self._list("/v1/runs", "runs", wanted)

    def run(self, run_id: str) -> Json:
        """One run and where it stands."""
        return self._object("GET", f"/v1/runs/{_part(run_id)}")

    def follow(self, run_id: str, progress: Progress) -> Json:
        """Show the run's progress until it has ended; a service that was restarted meanwhile is asked again."""
        waits = list(PATIENCE)
        while True:
            try:
                self._watch(run_id, progress)
                return self.run(run_id)
            except KeyboardInterrupt as stopped:
                raise InterruptionError(
                    f"Run {run_id} goes on.",
                    hint=f"threadwise runs watch {run_id} follows it, threadwise runs cancel {run_id} ends it.",
                ) from stopped
            except ThreadwiseError as error:
                if exit_code(error) != DEPENDENCY_DOWN or not waits or not self.endpoint.is_alive:
                    raise
                self.sleep(waits.pop(0))

    def cancel(self, run_id: str) -> Json:
        """Ask for the end of a run."""
        self._object("POST", f"/v1/runs/{_part(run_id)}/cancel")
        return self.run(run_id)

    def quarantined(self, run_id: str) -> list[tuple[str, str, str]]:
        """(place, code, reason) of what a run could not take."""
        rows = self._list(f"/v1/runs/{_part(run_id)}/quarantine", "quarantined")
        return [(str(row["place"]), str(row["code"]), str(row["reason"])) for row in rows]

    def create_key(self, order: NewKey) -> Json:
        """The new key with its secret."""
        return self._object("POST", "/v1/keys", order.as_json())

    def keys(self) -> list[Json]:
        """Every key."""
        return self._list("/v1/keys", "keys")

    def revoke_key(self, key_id: str) -> Json:
        """End a key."""
        return self._object("DELETE", f"/v1/keys/{_part(key_id)}")

    def close(self) -> None:
        """Close the connection."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submit(self, fields: Json) -> str:
        return str(self._object("POST", "/v1/runs", fields)["run_id"])

    def _watch(self, run_id: str, progress: Progress) -> None:
        for name, data in self._events("GET", f"/v1/runs/{_part(run_id)}/events"):
            if name == "done":
                return
            if name == "progress":
                progress(int(data["settled"]), int(data["total"]), int(data["chunks"]))
        raise self._broke_off()

    def _list(self, path: str, field: str, wanted: dict[str, str] | None = None) -> list[Json]:
        return _rows(self._object("GET", path, wanted=wanted).get(field))

    def _object(self, method: str, path: str, body: Json | None = None, wanted: dict[str, str] | None = None) -> Json:
        with self._sent(method, path, body, wanted) as response:
            return _parsed(response.content) if response.content else {}

    def _events(self, method: str, path: str, body: Json | None = None) -> Iterator[tuple[str, Json]]:
        with self._sent(method, path, body, accept="text/event-stream") as response:
            for name, data in event_stream.events(response.iter_bytes()):
                shape = _parsed(data.encode())
                if name == "error":
                    raise ServiceRefusedError.of(shape, response.status_code)
                yield name, shape

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        wanted: dict[str, str] | None = None,
        *,
        accept: str = "application/json",
    ) -> Iterator[httpx.Response]:
        # In ASCII: an argument may hold half a character, which UTF-8 cannot carry.
        content = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept} | ({} if content is None else {"Content-Type": "application/json"})
        try:
            request = self.http.build_request(method, path, content=content, headers=headers, params=wanted)
            with self._connected(request) as response:
                if not _OK <= response.status_code < _REDIRECT:
                    raise ServiceRefusedError.of(_problem(response), response.status_code)
                if accept == "application/json":
                    response.read()
                yield response
        except httpx.ConnectError as error:
            raise self._unreachable("cannot be reached") from error
        except httpx.TimeoutException as error:
            raise self._unreachable("does not answer") from error
        except httpx.HTTPError as error:
            raise self._broke_off() from error

    @contextmanager
    def _connected(self, request: httpx.Request) -> Iterator[httpx.Response]:
        """The response. While nobody listens although the service runs, its door is being started again."""
        for pause in KNOCKS:
            try:
                response = self.http.send(request, stream=True)
                break
            except httpx.ConnectError:
                if not self.endpoint.is_alive:
                    raise
                self.sleep(pause)
        else:
            response = self.http.send(request, stream=True)
        with closing(response):
            yield response

    def _broke_off(self) -> ServiceUnavailableError:
        return self._unreachable("broke off")

    def _unreachable(self, what: str) -> ServiceUnavailableError:
        hint = (
            "Look into the logs folder of the data folder, and try again."
            if self.endpoint.is_alive
            else "It was stopped: `threadwise up` starts it, without it this command works by itself."
        )
        return ServiceUnavailableError(f"The service at {self.endpoint.url} {what}.", hint=hint)


def _body(order: Order) -> dict[str, Any]:
    """An order as the service reads it: `as` is a word that Python keeps for itself."""
    fields = order.as_json()
    if "as_principal" in fields:
        fields["as"] = fields.pop("as_principal")
    return fields


def _parsed(content: bytes) -> Json:
    try:
        shape = json.loads(content)
    except ValueError:
        shape = None
    if not isinstance(shape, dict):
        raise ServiceRefusedError("The service sent what is no JSON object.", hint="Is it of this version?")
    return shape


def _problem(response: httpx.Response) -> Json:
    try:
        return _parsed(response.read())
    except ServiceRefusedError:
        return {}


def _rows(rows: object) -> list[Json]:
    if not isinstance(rows, Sequence) or not all(isinstance(row, dict) for row in rows):
        raise ServiceRefusedError("The service sent no list.", hint="Is it of this version?")
    return list(rows)


def _part(text: str) -> str:
    """One part of a path, whatever it holds; half a character becomes a question mark and finds nothing."""
    return quote(text.encode(errors="replace"), safe="")
