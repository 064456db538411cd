"""The processes that work beside the door: doorbell, worker and clock. They are started by name, never imported."""

import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from os import getpid
from pathlib import Path

from api.supervisor import ChildSpec

LONGEST_SOCKET_PATH = 107  # bytes that a Unix socket's address has room for
PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
PING_SECONDS = 1.0
BEHIND = ("worker", "clock")
WITHOUT_BROKER = ("poller",)
NO_BROKER = "none"
"""The URL of a queue that nobody rings for: whoever works looks into the catalogue."""


@contextmanager
def doorbell_socket(data_dir: Path) -> Iterator[Path]:
    """Where a doorbell of this process's own may listen: in its data folder, or in a private one of the system's.

    The second where the folder's name is too long for a socket or has characters that a URL would change. The name is
    this process's own, because a doorbell that ends late removes the socket it had.
    """
    for stale in data_dir.glob("doorbell-*.sock"):
        stale.unlink(missing_ok=True)
    path = data_dir.resolve() / f"doorbell-{getpid()}.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH and PLAIN.fullmatch(str(path)):
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)
        return
    with tempfile.TemporaryDirectory(prefix="threadwise-") as folder:
        yield Path(folder) / "doorbell.sock"


def doorbell_url(path: Path) -> str:
    """The URL under which Celery finds the doorbell behind this socket."""
    return f"redis+socket://{path}"


def background_children(data_dir: Path, own_doorbell: Path | None, *, has_broker: bool = True) -> tuple[ChildSpec, ...]:
    """What runs beside the door. Without a doorbell of our own, worker and clock have their broker's URL inherited."""
    env = {"THREADWISE_DATA_DIR": str(data_dir.resolve())}
    doorbells: tuple[ChildSpec, ...] = ()
    if own_doorbell is not None:
        env["THREADWISE_QUEUE__URL"] = doorbell_url(own_doorbell)
        command = (sys.executable, "-m", "workers.doorbell", str(own_doorbell))
        doorbells = (ChildSpec(name="doorbell", command=command, ready=partial(answers, own_doorbell)),)
    names = BEHIND if has_broker else WITHOUT_BROKER
    rest = [ChildSpec(name=name, command=(sys.executable, "-m", f"workers.{name}"), env=env) for name in names]
    return (*doorbells, *rest)


def answers(path: Path) -> bool:
    """Whether a doorbell behind this socket answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PING_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            return False
