"""One service a data folder: who has it, and where that service can be found."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from api.endpoint import FILE, find, started_at
from core.errors import ThreadwiseError

LOCK = "up.lock"
_OPEN_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class AlreadyRunningError(ThreadwiseError):
    """A service runs on this data folder."""

    code = "already_running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What other processes of this user need to know of a running service."""

    url: str
    key: str
    pid: int
    doorbell: str


@contextmanager
def occupied(data_dir: Path) -> Iterator[None]:
    """Have the folder for this process alone; raises `AlreadyRunningError` at once when another has it.

    The kernel frees it when the process dies, however it dies. What `publish` wrote is removed at the end.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(data_dir / LOCK, _OPEN_LOCK, 0o600), "r+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _already_running(data_dir, lock.read().strip()) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            (data_dir / FILE).unlink(missing_ok=True)


def publish(data_dir: Path, address: Address) -> None:
    """Let this user's other processes find the service: whole or not at all, readable by nobody else."""
    path = data_dir / FILE
    draft = path.with_suffix(f".{os.getpid()}")
    with suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, _OPEN_DRAFT, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(address) | {"started": started_at(address.pid)}, file)
    draft.replace(path)


def _already_running(data_dir: Path, pid: str) -> AlreadyRunningError:
    endpoint = find(data_dir)
    place = f" at {endpoint.url}" if endpoint else ""
    return AlreadyRunningError(
        f"Threadwise runs on {data_dir} already: process {pid or 'unknown'}{place}.",
        hint="Stop it first, or set THREADWISE_DATA_DIR to another folder.",
    )
