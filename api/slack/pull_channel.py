"""One conversation of a workspace, read into a folder: what is new since the last pull, its threads and their replies.

What a window of time covers is asked for anew, and is then as Slack tells it: edits are in, what was deleted is gone.
A thread in it is asked for where replies came or went or one of them may have been edited; older days stay as they are.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.slack.errors import SlackRefusedError
from api.slack.pull_folder import LOG, PullFolder, Standing, days_in, finish, rows_of, standing_in, take, write_json
from api.slack.pull_log import Log
from api.slack.pull_messages import (
    Window,
    day_of,
    has_replies,
    is_as_known,
    is_kept,
    is_message,
    micros_of,
    standing_of,
    window_of,
)
from api.slack.pull_web import PatientSlack, earliest_of

Told = Callable[[int], None]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the last pull has left of a conversation: its folder, and what its threads said of themselves."""

    path: Path
    standing: Standing
    threads: Mapping[str, tuple[object, object]]


def read_conversation(
    web: PatientSlack, conversation: str, folder: PullFolder, *, since: str, overlap_days: int, told: Told
) -> Standing:
    """Read a conversation into its folder and say what is in it; `told` is given how many messages came.

    What was read before a kill is not read again. Raises the errors of Slack; then it is not whole.
    """
    work = folder.work(conversation)
    before, window = _before(folder.known(conversation), since=since, overlap_days=overlap_days)
    about = {"conversation": conversation, "start": window.start, "newest": window.newest}
    with Log(work / LOG, about=about) as log:
        if not log.is_whole:
            threads = before.threads if before else {}
            _Reading(
                web=web,
                conversation=conversation,
                log=log,
                start=window.start,
                newest=folder.newest,
                threads=threads,
                told=told,
            ).run()
        standing = replace(_written(log, work, window, before), id=conversation)
    finish(work, standing)
    return standing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The calls that fill the log."""

    web: PatientSlack
    conversation: str
    log: Log
    start: str
    newest: str
    threads: Mapping[str, tuple[object, object]]
    told: Told

    def run(self) -> None:
        for page in self.web.history(self.conversation, oldest=self.start, latest=self.log.latest):
            rows, malformed = self._taken(page)
            unchanged = []
            for row in filter(has_replies, rows):
                if is_as_known(row, self.threads.get(row["ts"]), self.newest):
                    unchanged.append(row["ts"])
                else:
                    malformed += self._replies(row["ts"])
            self.log.reached(earliest_of(page, self.log.latest), unchanged=unchanged, malformed=malformed)
        self.log.reached(self.log.latest, is_whole=True)

    def _replies(self, thread: str) -> int:
        malformed = 0
        try:
            for page in self.web.replies(self.conversation, thread):
                malformed += self._taken(page)[1]
        except SlackRefusedError as error:
            if error.reason != "thread_not_found":  # deleted since the page before was read
                raise
        return malformed

    def _taken(self, page: list[object]) -> tuple[list[Row], int]:
        """The messages of a page, and how many entries are none."""
        rows = [row for row in page if isinstance(row, dict) and is_message(row)]
        self.log.add(rows)
        self.told(len(rows))
        return rows, len(page) - len(rows)


def _before(known: Path | None, *, since: str, overlap_days: int) -> tuple[Known | None, Window]:
    """What is known and what to ask for now: everything, where what is known is damaged or begins too late."""
    standing = standing_in(known) if known else None
    if known is None or standing is None:
        return None, Window(start=since)
    window = window_of(newest=standing.newest, seen_since=standing.since, since=since, overlap_days=overlap_days)
    try:
        threads = _threads(known, window) if window.newest else None
    except (OSError, ValueError):
        return None, Window(start=since)
    if threads is None:
        return None, window
    return Known(path=known, standing=standing, threads=threads), window


def _threads(known: Path, window: Window) -> dict[str, tuple[object, object]]:
    rows = (row for name in days_in(known) if name >= _first_day(window) for row in _messages_in(known / name))
    return {row["ts"]: standing_of(row) for row in rows if has_replies(row)}


def _first_day(window: Window) -> str:
    """The name of the first day file that may change."""
    return f"{day_of(window.start)}.json" if window.start else ""


def _written(log: Log, work: Path, window: Window, before: Known | None) -> Standing:
    """Write the day files and say what is in them; days before the window are those of the last pull."""
    for name in days_in(work):
        (work / name).unlink()
    names = set(days_in(before.path)) if before else set()
    messages, newest = (before.standing.messages, before.standing.newest) if before else (0, "")
    for name in sorted(names | {f"{day}.json" for day in log.days}):
        if before and name < _first_day(window):
            take(before.path / name, work / name)
            continue
        old = list(_messages_in(before.path / name)) if before and name in names else []
        rows = _merged(old, log, name.removesuffix(".json"), window)
        messages += len(rows) - len(old)
        if rows:
            write_json(work / name, rows)
            newest = max(newest, rows[-1]["ts"], key=micros_of)
    since = before.standing.since if before else window.start
    return Standing(id="", since=since, newest=newest, messages=messages, malformed=log.malformed)


def _merged(old: list[Row], log: Log, day: str, window: Window) -> list[Row]:
    """The messages of a day, oldest first: what is kept of the last pull, and over it what was read now."""
    rows = {row["ts"]: row for row in old if is_kept(row, window, log.unchanged)}
    rows |= {row["ts"]: row for row in log.messages(day)}
    return sorted(rows.values(), key=lambda row: micros_of(row["ts"]))


def _messages_in(path: Path) -> Iterator[Row]:
    return (row for row in rows_of(path) if isinstance(row, dict) and is_message(row))
