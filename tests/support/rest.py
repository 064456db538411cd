"""The REST service for tests: in this process over a real installation, or as a process of its own on a free port."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from api.rest.app import create_app
from api.rest.service import Service
from core.catalog.keys import Scope
from tests.support.databases import variables_of
from threadwise.runtime import Threadwise

ROOT = Path(__file__).parents[2]
BASE = "http://127.0.0.1:8765"
_LISTENING = re.compile(r'"port": (\d+)')

Headers = dict[str, str]


def bearer(secret: str) -> Headers:
    """The header that opens the door."""
    return {"Authorization": f"Bearer {secret}"}


def new_key(threadwise: Threadwise, *scopes: Scope, principals: Sequence[str] = ("everyone",)) -> Headers:
    """The header of a new key."""
    _, secret = threadwise.keyring.create(name="test", scopes=scopes, principals=principals)
    return bearer(secret)


@dataclass(frozen=True, slots=True)
class Door:
    """An application that is ready, and its installation."""

    client: TestClient
    threadwise: Threadwise
    ask: Headers
    admin: Headers
    local: Headers

    @property
    def service(self) -> Service:
        """What its routes share."""
        service: Service = self.client.app.state.service  # type: ignore[attr-defined]
        return service


@contextmanager
def door(threadwise: Threadwise) -> Iterator[Door]:
    """The application in this process, loaded."""
    keys = [new_key(threadwise, *scopes) for scopes in (("ask",), ("admin",), ("ask", "admin", "local"))]
    with TestClient(create_app(threadwise), base_url=BASE) as client:
        opened = Door(client, threadwise, *keys)
        opened.service.readiness._thread.join(60)
        yield opened


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The typed events of a stream."""
    found = re.findall(r"^event: (\w+)\ndata: (.*)$", text, re.MULTILINE)
    return [(name, json.loads(data)) for name, data in found]


@dataclass(slots=True)
class Process:
    """A service that runs as a process of its own."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    headers: Headers = field(default_factory=dict)

    def client(self, **options: Any) -> httpx.Client:  # noqa: ANN401 - httpx's own
        """A client of its own connections."""
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=30, trust_env=False, **options)

    def metric(self, name: str, admin: Headers) -> float:
        """The value of a counter without labels."""
        with self.client() as client:
            text = client.get("/metrics", headers=admin).text
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found is not None, name
        return float(found[1])


@contextmanager
def running(data_dir: Path, log: Path, variables: Mapping[str, str]) -> Iterator[Process]:
    """`api.server` on a data folder, with these settings."""
    environment = variables_of(data_dir) | {"THREADWISE_API__PORT": "0", "PYTHONPATH": str(ROOT)}
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.server"],
            cwd=ROOT,
            env=os.environ | environment | dict(variables),
            stderr=stream,
            text=True,
        )
    try:
        service = Process(process, f"http://127.0.0.1:{_port(process, log)}", log)
        _await_ready(service)
        yield service
    finally:
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[str], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if found := _LISTENING.search(log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text()[-2000:])


def _await_ready(service: Process) -> None:
    with service.client() as client:
        deadline = time.monotonic() + 60
        while client.get("/readyz").status_code != httpx.codes.OK:
            assert time.monotonic() < deadline, service.log.read_text()[-2000:]
            time.sleep(0.05)
