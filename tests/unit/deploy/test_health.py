"""The health checks of the containers see what is wrong, and nothing else."""

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core.settings import QueueSettings, Settings
from deploy import health


@contextmanager
def listener() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        yield int(bound.getsockname()[1])


def unused_port() -> int:
    with listener() as port:
        return port


@contextmanager
def door(status: int) -> Iterator[int]:
    """A door that answers every request with this status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield server.server_port
        thread.join()


def settings_at(database: int, broker: int) -> Settings:
    url = f"postgresql+psycopg://somebody:secret@127.0.0.1:{database}/threadwise"
    return Settings(database_url=url, queue=QueueSettings(url=f"redis://:secret@127.0.0.1:{broker}/0"))


@pytest.fixture
def children(tmp_path: Path) -> Path:
    """What the kernel lists as children of a worker with one process in its pool."""
    path = tmp_path / "children"
    path.write_text("17 ")
    return path


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_the_door_is_well_when_it_answers_questions(status: int, *, well: bool) -> None:
    with door(status) as port:
        assert health.is_ready(port) is well


def test_a_door_that_nobody_opens_is_not_well() -> None:
    assert not health.is_ready(unused_port())


@pytest.mark.parametrize("part", ["worker", "clock"])
def test_what_works_behind_the_door_is_well_while_it_reaches_database_and_broker(part: str, children: Path) -> None:
    with listener() as database, listener() as broker:
        assert health.is_well(part, settings_at(database, broker), children)
        assert not health.is_well(part, settings_at(unused_port(), broker), children)
        assert not health.is_well(part, settings_at(database, unused_port()), children)


def test_a_worker_without_a_process_in_its_pool_is_not_well(children: Path) -> None:
    children.write_text("")
    with listener() as database, listener() as broker:
        assert not health.is_well("worker", settings_at(database, broker), children)
        assert health.is_well("clock", settings_at(database, broker), children)


def test_a_url_without_a_port_means_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], _timeout: float) -> closing[socket.socket]:
        asked.append(address)
        return closing(socket.socket())

    monkeypatch.setattr(socket, "create_connection", connect)
    assert health.is_reachable("postgresql+psycopg://u:p@postgres/threadwise")
    assert health.is_reachable("redis://:p@valkey/0")
    assert asked == [("postgres", 5432), ("valkey", 6379)]


@pytest.mark.parametrize("url", ["sqlite:////data/threadwise.sqlite3", "redis+socket:///data/doorbell.sock"])
def test_a_file_or_a_socket_is_not_asked_for_a_connection(url: str) -> None:
    assert health.is_reachable(url)
