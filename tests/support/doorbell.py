"""A broker, workers and a clock as processes of their own, to ring, kill and start again."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redis

from core.settings import QueueSettings
from tests.support.databases import current_mode, variables_of
from tests.support.processes import ROOT
from workers.app import celery_app
from workers.bell import Bell
from workers.doorbell import server_binary, server_options


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail when it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


class Doorbell:
    """A Valkey of the test's own: behind a socket, or in the server mode on a port and with a password."""

    def __init__(self) -> None:
        # The names of a test's own folders are too long for a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="threadwise-"))
        if current_mode() == "server":
            self._command, self.url, self.client = _on_a_port(self.folder)
        else:
            self._command, self.url, self.client = _behind_a_socket(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._revival: threading.Timer | None = None
        self._bells: list[Bell] = []

    @property
    def pid(self) -> int:
        """Its process, which may have ended."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.DEVNULL)
        eventually(self.answers)

    def answers(self) -> bool:
        """Whether it takes commands."""
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """SIGKILL; everything it held is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def start_after(self, seconds: float) -> None:
        """Start it again in a while, as whatever looks after the servers of a machine would."""
        self._revival = threading.Timer(seconds, self.start)
        self._revival.start()

    def pop(self, queue: str) -> bytes:
        """Take the oldest message."""
        message: object = self.client.rpop(queue)
        assert isinstance(message, bytes)
        return message

    def bell(self) -> Bell:
        """A new bell at this broker, closed with it."""
        bell = Bell(celery_app(QueueSettings(url=self.url)))
        self._bells.append(bell)
        return bell

    def close(self) -> None:
        """End it and remove its folder."""
        for bell in self._bells:
            bell.close()
        if self._revival is not None:
            self._revival.join()
        self.client.close()
        self.kill()
        shutil.rmtree(self.folder)


def _behind_a_socket(folder: Path) -> tuple[list[str], str, redis.Redis]:
    place = folder / "bell.sock"
    command = [sys.executable, "-m", "workers.doorbell", str(place)]
    return command, f"redis+socket://{place}", redis.Redis(unix_socket_path=str(place))


def _on_a_port(folder: Path) -> tuple[list[str], str, redis.Redis]:
    """The same server as a company runs it for several machines. Its password is in a file, not among its arguments."""
    port, password = _free_port(), secrets.token_hex(16)
    words = server_options(folder / "unused")
    options = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
    options |= {"port": str(port), "bind": "127.0.0.1", "requirepass": password}
    lines = [f'{name} "{value}"' for name, value in options.items() if not name.startswith("unixsocket")]
    (folder / "valkey.conf").touch(mode=0o600)
    (folder / "valkey.conf").write_text("\n".join(lines))
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    return [str(server_binary()), str(folder / "valkey.conf")], url, redis.Redis.from_url(url)


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@contextmanager
def broker() -> Iterator[Doorbell | None]:
    """The broker that runs before a service of the server mode starts; otherwise a service brings its own."""
    if current_mode() == "embedded":
        yield None
        return
    with closing(Doorbell()) as doorbell:
        doorbell.start()
        yield doorbell


def queue_variables(doorbell: Doorbell | None) -> dict[str, str]:
    """What a service has to be told of its broker."""
    return {} if doorbell is None else {"THREADWISE_QUEUE__URL": doorbell.url}


class Service:
    """`python -m workers.NAME` on a data folder, in a process group of its own; its stderr is kept."""

    def __init__(self, name: str, data_dir: Path, url: str, **variables: object) -> None:
        self.log = data_dir.parent / f"{name}-{time.monotonic_ns()}.log"
        given = variables_of(data_dir) | {"THREADWISE_QUEUE__URL": url}
        given |= {f"THREADWISE_{key}": str(value) for key, value in variables.items()}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"workers.{name}"],
                cwd=ROOT,
                env=os.environ | given,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text()

    def ready(self) -> "Service":
        """Return when the worker says that it is ready."""
        eventually(lambda: "worker_ready" in self.text)
        return self

    def children(self) -> list[int]:
        """The processes it has forked."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def terminate(self, seconds: float = 30.0) -> float:
        """SIGTERM; the seconds it took to end well."""
        started = time.monotonic()
        self.process.terminate()
        assert self.process.wait(timeout=seconds) == 0, self.text
        return time.monotonic() - started

    def close(self) -> None:
        """SIGKILL to the whole group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
