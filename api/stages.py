"""Progress of work in stages: a bar with an ETA on a terminal, a plain line now and then otherwise. On stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from api.progress import LINE_EVERY_SECONDS, duration


class Stages(Protocol):
    """Takes (stage, done, total)."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Show where the work stands."""


@dataclass(slots=True)
class StageLines:
    """One line at most every few seconds, for logs and pipes."""

    out: TextIO
    shown: float = field(default_factory=time.monotonic)
    started: dict[str, float] = field(default_factory=dict)

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Print when the last line is old enough."""
        now = time.monotonic()
        began = now if not done else self.started.get(stage, now)
        self.started[stage] = began
        if now - self.shown < LINE_EVERY_SECONDS:
            return
        self.shown = now
        left = f", ETA {duration((total - done) * (now - began) / done)}" if done and now > began else ""
        print(f"{stage}: {done}/{total}{left}", file=self.out, flush=True)


@contextmanager
def stage_progress(*, quiet: bool) -> Iterator[Stages]:
    """Give the progress display that fits stderr."""
    if quiet:
        yield lambda _stage, _done, _total: None
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield StageLines(sys.stderr)


@contextmanager
def _bars() -> Iterator[Stages]:
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that --help does not need
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int, /) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield show
