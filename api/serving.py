"""What `threadwise up` runs: the door, the processes behind it, and the key with which commands open it."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from api.background import NO_BROKER, background_children, doorbell_socket, doorbell_url
from api.errors import AddressInUseError, ServiceRefusedError
from api.occupancy import Address, occupied, publish
from api.supervisor import ChildEvent, ChildSpec, Supervisor
from api.tether import tethered
from core.settings import Settings

KEY_SECONDS = 60.0
READY_SECONDS = 2.0
_OK = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where the door listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """For clients of this machine, of which every address of it is one."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def free_place(host: str, port: int) -> Place:
    """The place if nobody listens there, for port 0 one that the system chooses. Raises `AddressInUseError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended do not count
            tried.bind((host, port))
            return Place(host, int(tried.getsockname()[1]))
    except OSError as error:
        raise AddressInUseError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}.", hint="Choose another: --port 0 is any."
        ) from error


@contextmanager
def service(
    settings: Settings, place: Place, *, report: Callable[[ChildEvent], None], echo: TextIO | None
) -> Iterator[tuple[Supervisor, Callable[[], None]]]:
    """The supervisor of everything, and what makes it known to other commands once it is ready.

    Raises `AlreadyRunningError` where the data folder has a service, and what making the local key raises.
    """
    folder = settings.data_dir
    with ExitStack() as stack:
        stack.enter_context(occupied(folder))
        own = None if settings.queue.url else stack.enter_context(doorbell_socket(folder))
        address = Address(
            url=place.url,
            key=_local_key(folder),
            pid=os.getpid(),
            doorbell=doorbell_url(own) if own else settings.queue.url,
        )
        children = (_door(folder, place), *background_children(folder, own, has_broker=settings.queue.url != NO_BROKER))
        supervisor = Supervisor(children, logs=folder / "logs", report=report, echo=echo)
        yield supervisor, partial(publish, folder, address)


def is_ready(place: Place) -> bool:
    """Whether the door answers questions yet."""
    host = place.url.removeprefix("http://").rsplit(":", 1)[0].strip("[]")
    connection = http.client.HTTPConnection(host, place.port, timeout=READY_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _door(folder: Path, place: Place) -> ChildSpec:
    return ChildSpec(
        name="api",
        command=(sys.executable, "-m", "api.server"),
        env={
            "THREADWISE_DATA_DIR": str(folder.resolve()),
            "THREADWISE_API__HOST": place.host,
            "THREADWISE_API__PORT": str(place.port),
        },
        ready=partial(is_ready, place),
    )


def _local_key(folder: Path) -> str:
    """The secret of a new local key. Raises what went wrong in the process that makes it."""
    variables = (("THREADWISE_DATA_DIR", str(folder.resolve())),)
    command = tethered((sys.executable, "-m", "api.local_key"), variables, os.getpid())
    done = subprocess.run(  # noqa: S603 - a command of our own
        command, stdout=subprocess.PIPE, text=True, timeout=KEY_SECONDS, check=False
    )
    if done.returncode == 0 and done.stdout:
        return done.stdout
    try:
        problem = json.loads(done.stdout)["error"]
    except ValueError:
        problem = {"message": "The local key could not be made.", "hint": "Standard error says why."}
    raise ServiceRefusedError.of(problem | {"detail": problem["message"]}, 0)
