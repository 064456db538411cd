"""Where a pull keeps what it reads: FOLDER in the form of a Slack export, FOLDER.partial beside it until it is whole.

In FOLDER.partial each conversation has a hidden folder by its id; one that is read whole says so in a `.pull.json` of
its own. In the end they get their names, and the two folders change places. A day file is never written twice: what did
not change is the same file in both. Folders are 0700, files 0600.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from api.slack.pull_messages import is_ts, micros_of
from core.errors import ThreadwiseError

STATE: Final = ".pull.json"
LOG: Final = ".log"
VERSION: Final = 1
PEOPLE: Final = "users.json"
LISTINGS: Final = {"public": "channels.json", "private": "groups.json", "group": "mpims.json", "direct": "dms.json"}

_OLD: Final = ".old"
_NEW: Final = ".json.new"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d\.json", re.ASCII)
_WORK: Final = re.compile(r"\.[A-Z0-9]{1,40}", re.ASCII)
_OURS: Final = frozenset({STATE, PEOPLE, *LISTINGS.values(), _OLD, ".DS_Store"})


class PullFolderError(ThreadwiseError):
    """What was pulled cannot go into this folder: it holds something else."""

    code = "pull_folder"


class PullBusyError(ThreadwiseError):
    """Another process pulls into this folder."""

    code = "pull_busy"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a conversation: read from `since` to `newest`, timestamps of Slack's, empty without an end."""

    id: str
    since: str
    newest: str
    messages: int
    malformed: int  # in what was read the last time
    kept: bool = False  # as an earlier pull left it, because this one may not read it


class PullFolder:
    """The two folders of one pull; made by `opened`. `newest` is the last thing that was said before the last pull."""

    def __init__(self, place: Path, partial: Path) -> None:
        self._place = place
        self._partial = partial
        self._known = _conversations(place)
        newest = (standing.newest for path in self._known.values() if (standing := standing_in(path)) is not None)
        self.newest = max(newest, key=micros_of, default="")

    def known(self, conversation: str) -> Path | None:
        """Where the last pull has left it, None if it was not read then."""
        return self._known.get(conversation)

    def work(self, conversation: str) -> Path:
        """Where it is read into; it is not whole until `finish` says so."""
        path = self._partial / f".{conversation}"
        path.mkdir(mode=0o700, exist_ok=True)
        (path / STATE).unlink(missing_ok=True)
        return path

    def done(self, conversation: str) -> Standing | None:
        """What is known of it if it is whole."""
        return standing_in(self._partial / f".{conversation}")

    def keep(self, conversation: str) -> bool:
        """Take it as the last pull has left it; False if there is nothing."""
        known = self.known(conversation)
        if known is None or (standing := standing_in(known)) is None:
            return False
        shutil.rmtree(self._partial / f".{conversation}", ignore_errors=True)
        work = self.work(conversation)
        for day in days_in(known):
            take(known / day, work / day)
        finish(work, replace(standing, kept=True))
        return True

    def publish(self, names: Mapping[str, str], listings: Mapping[str, list[Any]], about: Mapping[str, Any]) -> None:
        """Make FOLDER of the conversations in `names` (folders by ids, each of them done) and the listings."""
        for path in self._partial.iterdir():
            if _WORK.fullmatch(path.name) and path.name[1:] not in names:
                shutil.rmtree(path)
        for name, rows in listings.items():
            write_json(self._partial / name, rows)
        write_json(self._partial / STATE, {"version": VERSION} | dict(about))
        for conversation, name in names.items():
            work = self._partial / f".{conversation}"
            (work / LOG).unlink(missing_ok=True)
            work.rename(self._partial / name)
        _sync(self._partial)
        if self._place.exists():
            self._place.rename(self._partial / _OLD)
        self._partial.rename(self._place)
        _sync(self._place.parent)
        shutil.rmtree(self._place / _OLD, ignore_errors=True)


@contextmanager
def opened(folder: Path, *, team: str) -> Iterator[PullFolder]:
    """The folder, for this process alone. Raises `PullFolderError` or `PullBusyError`."""
    place = folder.resolve()
    partial = place.with_name(f"{place.name}.partial") if place.name else place
    if not place.name or partial.is_symlink():
        raise PullFolderError(f"{partial} cannot be written to.", hint="Give another folder.")
    partial.mkdir(mode=0o700, exist_ok=True)
    with _locked(partial):
        try:
            _recover(place, partial)
            for one in (place, partial):
                _check(one, team)
            write_json(partial / STATE, {"version": VERSION, "team": team})
        finally:
            with suppress(OSError):  # only one in which nothing lies yet can be removed
                partial.rmdir()
        yield PullFolder(place, partial)


def standing_in(path: Path) -> Standing | None:
    """What the folder of a conversation says of itself, None if it is not whole."""
    try:
        found = Standing(**_state_of(path))
    except TypeError:
        return None
    # Its id becomes the name of a folder.
    is_sound = _WORK.fullmatch(f".{found.id}") and all(ts == "" or is_ts(ts) for ts in (found.since, found.newest))
    return found if is_sound else None


def finish(path: Path, standing: Standing) -> None:
    """Say that the folder of a conversation is whole."""
    _sync(path)
    write_json(path / STATE, asdict(standing))


def days_in(path: Path) -> list[str]:
    """The names of its day files, sorted."""
    with os.scandir(path) as entries:
        return sorted(one.name for one in entries if _DAY.fullmatch(one.name) and one.is_file(follow_symlinks=False))


def take(path: Path, to: Path) -> None:
    """Have the same file in another place too; a copy, where the file system knows no links."""
    try:
        os.link(path, to, follow_symlinks=False)
    except OSError:
        shutil.copyfile(path, to)
        to.chmod(0o600)


def rows_of(path: Path) -> list[Any]:
    """The rows of a day file. Raises `ValueError` for one that is damaged."""
    rows = json.loads(path.read_bytes())
    if not isinstance(rows, list):
        raise ValueError  # noqa: TRY004 - what the file says, not what somebody passed
    return rows


def write_json(path: Path, value: object) -> None:
    """A whole file or none; one that is linked to from elsewhere stays there as it is."""
    beside = path.with_name(f".{path.name.removesuffix('.json')}{_NEW}")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder, under whatever name it goes; the kernel lets go of it when the process ends."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.path.samestat(os.fstat(handle), path.stat())
        except (BlockingIOError, FileNotFoundError):
            is_there = False
        if not is_there:
            raise PullBusyError(f"Another process pulls into {path.stem}.", hint="Wait for it, then try again.")
        yield
    finally:
        os.close(handle)


def _recover(place: Path, partial: Path) -> None:
    """After a kill among the last steps: before the folders have changed places nothing has happened."""
    if (partial / _OLD).exists() and not place.exists():
        (partial / _OLD).rename(place)
    for path in (place / _OLD, partial / _OLD):
        shutil.rmtree(path, ignore_errors=True)
    for conversation, path in _conversations(partial).items():
        if not _WORK.fullmatch(path.name):
            path.rename(partial / f".{conversation}")


def _check(place: Path, team: str) -> None:
    """That a folder holds nothing but what a pull of this workspace wrote."""
    if not place.exists():
        return
    if not place.is_dir():
        raise PullFolderError(f"{place} is no folder.", hint="Give a folder, or the name of one to be made.")
    entries = sorted(path for path in place.iterdir() if not path.name.endswith(_NEW))
    foreign = next((path.name for path in entries if not _is_ours(path)), None)
    if foreign is None and entries and "team" not in (state := _state_of(place)):
        foreign = entries[0].name
    if foreign is not None:
        raise PullFolderError(
            f"{place} holds {foreign!r}, which no pull wrote.", hint="Give an empty folder, or the name of a new one."
        )
    if entries and state["team"] != team:
        raise PullFolderError(
            f"{place} was pulled from another workspace.", hint="Give a folder to each workspace of its own."
        )


def _is_ours(path: Path) -> bool:
    is_folder = path.is_dir() and not path.is_symlink()
    return path.name in _OURS or (is_folder and (_WORK.fullmatch(path.name) is not None or (path / STATE).is_file()))


def _conversations(place: Path) -> dict[str, Path]:
    """The folders of whole conversations by their ids."""
    if not place.is_dir():
        return {}
    folders = (path for path in sorted(place.iterdir()) if path.is_dir() and not path.is_symlink())
    return {standing.id: path for path in folders if (standing := standing_in(path)) is not None}


def _state_of(path: Path) -> dict[str, Any]:
    try:
        state = json.loads((path / STATE).read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
