"""What was read of one conversation so far, in one file that only grows: a kill costs the page that was being read.

Lines of JSON: what the file is about, then messages, then after every page how far the reading got. What stands behind
the last such line was half read and is cut off when the file is opened again.
"""

import json
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from api.slack.pull_messages import day_of


class Log:
    """The file of one conversation. `latest` is the earliest moment that was read, empty at first; a context manager.

    A log that is about something else is begun anew.
    """

    def __init__(self, path: Path, *, about: Mapping[str, object]) -> None:
        self.latest = ""
        self.is_whole = False
        self.malformed = 0
        self.unchanged: set[str] = set()
        self._days: dict[str, array[int]] = {}
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b")
        self._open(dict(about))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._file.close()

    @property
    def days(self) -> list[str]:
        """The days of which there are messages."""
        return sorted(self._days)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Messages, of which the later one counts where two have one time."""
        for row in rows:
            self._note(row["ts"], self._write(["m", row]))

    def reached(
        self, latest: str, *, unchanged: Iterable[str] = (), malformed: int = 0, is_whole: bool = False
    ) -> None:
        """Everything from `latest` on is here, on the disk; the threads in `unchanged` are as they were known."""
        self._write(["r", [latest, sorted(unchanged), malformed, is_whole]])
        self._file.flush()
        os.fsync(self._file.fileno())
        self._take([latest, sorted(unchanged), malformed, is_whole])

    def messages(self, day: str) -> Iterator[dict[str, Any]]:
        """The messages of a day in the order in which they came."""
        for place in self._days.get(day, ()):
            self._file.seek(place)
            yield json.loads(self._file.readline())[1]

    def _open(self, about: dict[str, object]) -> None:
        first = self._file.readline()
        if _parsed(first) != ["a", about]:
            self._file.seek(0)
            self._file.truncate()
            self._write(["a", about])
            return
        end = len(first)
        pending: list[tuple[str, int]] = []
        place = end
        for line in self._file:
            entry = _parsed(line)
            if entry is None:
                break
            if entry[0] == "m":
                pending.append((entry[1]["ts"], place))
            place += len(line)
            if entry[0] == "r":
                self._take(entry[1])
                for ts, where in pending:
                    self._note(ts, where)
                pending, end = [], place
        self._file.seek(end)
        self._file.truncate()

    def _take(self, reached: list[Any]) -> None:
        self.latest, self.is_whole = reached[0], reached[3]
        self.unchanged.update(reached[1])
        self.malformed += reached[2]

    def _note(self, ts: str, place: int) -> None:
        self._days.setdefault(day_of(ts), array("q")).append(place)

    def _write(self, entry: list[Any]) -> int:
        place = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        return place


def _parsed(line: bytes) -> list[Any] | None:
    """The entry of a whole line, None for one that was cut off."""
    try:
        entry = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return entry if isinstance(entry, list) else None
