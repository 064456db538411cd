"""A broker, workers and a clock as processes of their own, to ring, kill and start again."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis

from core.settings import QueueSettings
from tests.support.processes import ROOT
from workers.app import celery_app
from workers.bell import Bell


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail when it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


class Doorbell:
    """A Valkey of the test's own behind a socket."""

    def __init__(self) -> None:
        # The names of a test's own folders are too long for a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="threadwise-"))
        self.socket = self.folder / "bell.sock"
        self.url = f"redis+socket://{self.socket}"
        self.client = redis.Redis(unix_socket_path=str(self.socket))
        self._process: subprocess.Popen[bytes] | None = None
        self._bells: list[Bell] = []

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "workers.doorbell", str(self.socket)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
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
        self.client.close()
        self.kill()
        shutil.rmtree(self.folder)


class Service:
    """`python -m workers.NAME` on a data folder, in a process group of its own; its stderr is kept."""

    def __init__(self, name: str, data_dir: Path, url: str, **variables: object) -> None:
        self.log = data_dir.parent / f"{name}-{time.monotonic_ns()}.log"
        given = {"THREADWISE_DATA_DIR": str(data_dir), "THREADWISE_QUEUE__URL": url}
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
