"""`python -m deploy.health PART`: whether this container's process does its work, for the health checks of compose.

Status 0 is well, 1 is not. The door is asked whether it answers questions. Worker and clock have no port: they are well
while their database and their broker can be reached from where they are, and a worker while its pool has a process.
"""

import argparse
import http.client
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from core.settings import Settings, load_settings

SECONDS: Final = 3.0
PORTS: Final = {"postgresql+psycopg": 5432, "redis": 6379}
CHILDREN: Final = Path("/proc/1/task/1/children")
"""The processes that the container's first process has started."""

_OK: Final = 200


def is_ready(port: int) -> bool:
    """Whether the door behind this port of the same machine answers questions."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_reachable(url: str) -> bool:
    """Whether somebody listens where this URL leads. One without a host leads to a file or a socket: nothing to ask."""
    parts = urlsplit(url)
    if not parts.hostname:
        return True
    try:
        with socket.create_connection((parts.hostname, parts.port or PORTS[parts.scheme]), SECONDS):
            return True
    except OSError:
        return False


def is_well(part: str, settings: Settings, children: Path = CHILDREN) -> bool:
    """Whether the part does its work: `api`, `worker` or `clock`."""
    if part == "api":
        return is_ready(settings.api.port)
    reached = is_reachable(settings.resolved_database_url) and is_reachable(settings.queue.url)
    return reached and (part != "worker" or bool(children.read_text(encoding="ascii").split()))


def main(arguments: Sequence[str]) -> int:
    """The exit status for one part."""
    parser = argparse.ArgumentParser(prog="python -m deploy.health", description="Whether a part does its work.")
    parser.add_argument("part", choices=("api", "worker", "clock"))
    return 0 if is_well(parser.parse_args(arguments).part, load_settings()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
