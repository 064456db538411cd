"""Progress of long work: a bar with an ETA on a terminal, a plain line now and then otherwise. Always on stderr.

What is shown is where a run stands, the same numbers whoever asks for them: `stage`, documents `done` of `total`,
`chunks`, `rate` in documents per second, `eta_seconds`; of a `paused` one also why. Rate and end are None while nobody
can tell.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

LINE_EVERY_SECONDS = 5.0
MINUTE = 60


class Progress(Protocol):
    """Takes where a run stands."""

    def __call__(self, standing: Mapping[str, Any], /) -> None:
        """Show it."""


class Counts(Protocol):
    """Takes (settled documents, all documents, chunks written)."""

    def __call__(self, settled: int, total: int, chunks: int, /) -> None:
        """Take them."""


def counted(progress: Progress, clock: Callable[[], float] = time.monotonic) -> Counts:
    """The same display for work that only counts: the pace is that since now; `clock` gives seconds."""
    started = clock()

    def show(settled: int, total: int, chunks: int, /) -> None:
        seconds = clock() - started
        rate = settled / seconds if settled and seconds > 0 else None
        left = None if rate is None else (total - settled) / rate
        counts = {"stage": "embedding", "done": settled, "total": total, "chunks": chunks}
        progress(counts | {"rate": rate, "eta_seconds": left})

    return show


def line_of(standing: Mapping[str, Any]) -> str:
    """Where a run stands, in one line."""
    if standing["stage"] == "paused":
        return f"paused: {standing['paused']}"
    if not standing["total"]:
        return str(standing["stage"])
    line = f"{standing['stage']}: {standing['done']}/{standing['total']} documents, {standing['chunks']} chunks"
    return line + pace_of(standing)


def pace_of(standing: Mapping[str, Any]) -> str:
    """Documents per second and when it will be done, as far as that is known; begins with a comma."""
    rate, left = standing["rate"], standing["eta_seconds"]
    pace = "" if rate is None else f", {rate:.1f} documents/s"
    return pace if left is None else f"{pace}, ETA {duration(left)}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 40 s, 2 min 5 s, 1 h 20 min."""
    minutes, rest = divmod(round(seconds), MINUTE)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, MINUTE)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@dataclass(slots=True)
class PlainLines:
    """One line at most every few seconds, for logs and pipes."""

    out: TextIO
    shown: float = field(default_factory=time.monotonic)

    def __call__(self, standing: Mapping[str, Any], /) -> None:
        """Print when the last line is old enough."""
        now = time.monotonic()
        if now - self.shown >= LINE_EVERY_SECONDS:
            self.shown = now
            print(line_of(standing), file=self.out, flush=True)


@contextmanager
def ingest_progress(*, quiet: bool) -> Iterator[Progress]:
    """Give the progress display that fits stderr."""
    if quiet:
        yield lambda _standing: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield PlainLines(sys.stderr)


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that --help does not need
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("documents, {task.fields[chunks]} chunks{task.fields[pace]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=None, chunks=0, pace="")

        def show(standing: Mapping[str, Any], /) -> None:
            counts = {"completed": standing["done"], "total": standing["total"] or None, "chunks": standing["chunks"]}
            bar.update(task, description=standing["stage"], pace=pace_of(standing), **counts)

        yield show
