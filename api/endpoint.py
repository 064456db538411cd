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

    @property
    def is_alive(self) -> bool:
        """Whether that process still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def find(data_dir: Path) -> Endpoint | None:
    """The endpoint of the service that runs on this folder, None where none does.

    A file that somebody else could have read or written is not used: its key may be known, its address a trap.
    """
    path = data_dir / FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, encoding="utf-8") as file:
        state = os.fstat(file.fileno())
        if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o077:
            tell(f"{path} is open to others and therefore not used. Stop the service, delete the file, start again.")
            return None
        endpoint = _parsed(file.read())
    return endpoint if endpoint and endpoint.is_alive else None


def _parsed(text: str) -> Endpoint | None:
    with suppress(ValueError, KeyError, TypeError):
        fields = json.loads(text)
        url, key, pid = str(fields["url"]), str(fields["key"]), int(fields["pid"])
        if url.startswith(("http://", "https://")) and key.isascii() and key.strip() and pid > 0:
            return Endpoint(url, key, pid)
    return None
