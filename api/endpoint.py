"""Where a running service of this data folder listens, and the key that opens it."""

import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from api.output import tell

FILE = "up.json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a service, its local key, and the process that keeps it running."""

    url: str
    key: str
    pid: int
    started: int = 0  # when that process did, as `started_at` tells it; 0 = unknown

    @property
    def is_alive(self) -> bool:
        """Whether that process still runs."""
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, PermissionError, OverflowError):
            return False
        # A number is given again to another process.
        return self.started in (0, started_at(self.pid))


def started_at(pid: int) -> int:
    """When a process was started, in the kernel's ticks since the machine was; 0 for one that has ended."""
    try:
        # Behind the name of the program, which may hold anything, stand the state and then numbers.
        state, *rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return 0
    return 0 if state == b"Z" else int(rest[18])


def find(data_dir: Path) -> Endpoint | None:
    """The endpoint of the service that runs on this folder, None where none does.

    A file that somebody else could have read or written is not used: its key may be known, its address a trap.
    """
    path = data_dir / FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o077:
            tell(f"{path} is open to others and therefore not used. Stop the service, delete the file, start again.")
            return None
        endpoint = _parsed(file.read())
    return endpoint if endpoint and endpoint.is_alive else None


def _parsed(text: str) -> Endpoint | None:
    with suppress(ValueError, KeyError, TypeError, RecursionError, OverflowError):
        fields = json.loads(text)
        url, key, pid = str(fields["url"]), str(fields["key"]), int(fields["pid"])
        if url.startswith(("http://", "https://")) and key.isascii() and key.strip() and pid > 0:
            return Endpoint(url, key, pid, int(fields.get("started", 0)))
    return None
