"""One connection to the service of this machine: requests, typed events, and every way in which they fail."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from api import event_stream
from api.endpoint import Endpoint
from api.errors import ServiceRefusedError, ServiceUnavailableError

TIMEOUT = httpx.Timeout(60.0, connect=2.0)  # a service of this machine connects at once; an answer takes its time
KNOCKS = (0.5, 1.0, 2.0)
"""Seconds before each new try to connect at all."""
_OK = 200
_REDIRECT = 300

Json = Mapping[str, Any]


class Connection:
    """Sends requests with the service's key. Raises `ServiceUnavailableError` and `ServiceRefusedError`."""

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

    def rows(self, path: str, field: str, wanted: Mapping[str, str] | None = None) -> list[Json]:
        """The objects in one field of what is at this address."""
        return _rows(self.object("GET", path, wanted=wanted).get(field))

    def object(self, method: str, path: str, body: Json | None = None, wanted: Mapping[str, str] | None = None) -> Json:
        """The JSON object that answers a request; empty where nothing came."""
        with self._sent(method, path, body, wanted) as response:
            return _parsed(response.content) if response.content else {}

    def events(self, method: str, path: str, body: Json | None = None) -> Iterator[tuple[str, Json]]:
        """(name, data) of each event as it comes; an `error` event is raised."""
        with self._sent(method, path, body, accept="text/event-stream") as response:
            for name, data in event_stream.events(response.iter_bytes()):
                shape = _parsed(data.encode())
                if name == "error":
                    raise ServiceRefusedError.of(shape, response.status_code)
                yield name, shape

    def broke_off(self) -> ServiceUnavailableError:
        """The error of an answer that did not come to its end."""
        return self._unreachable("broke off")

    def close(self) -> None:
        """Close the connection."""
        self.http.close()

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        wanted: Mapping[str, str] | None = None,
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
            raise self.broke_off() from error

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

    def _unreachable(self, what: str) -> ServiceUnavailableError:
        hint = (
            "Look into the logs folder of the data folder, and try again."
            if self.endpoint.is_alive
            else "It was stopped: `threadwise up` starts it, without it this command works by itself."
        )
        return ServiceUnavailableError(f"The service at {self.endpoint.url} {what}.", hint=hint)


def part(text: str) -> str:
    """One part of a path, whatever it holds; half a character becomes a question mark and finds nothing."""
    return quote(text.encode(errors="replace"), safe="")


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


def _rows(rows: Any) -> list[Json]:  # noqa: ANN401 - whatever was sent
    if not isinstance(rows, Sequence) or not all(isinstance(row, dict) for row in rows):
        raise ServiceRefusedError("The service sent no list.", hint="Is it of this version?")
    return list(rows)
