"""Progress of long work: a bar with an ETA on a terminal, a plain line now and then otherwise. Always on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

LINE_EVERY_SECONDS = 5.0


class Progress(Protocol):
    """Takes (settled documents, all documents, chunks written)."""

    def __call__(self, settled: int, total: int, chunks: int, /) -> None:
        """Show where the work stands."""


@dataclass(slots=True)
class PlainLines:
    """One line at most every few seconds, for logs and pipes."""

    out: TextIO
    started: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)

    def __call__(self, settled: int, total: int, chunks: int, /) -> None:
        """Print when the last line is old enough."""
        now = time.monotonic()
        if now - self.shown < LINE_EVERY_SECONDS or not settled:
            return
        self.shown = now
        rate = settled / (now - self.started)
        left = (total - settled) / rate
        line = f"{settled}/{total} documents, {chunks} chunks, {rate:.1f} documents/s, ETA {left:.0f} s"
        print(line, file=self.out, flush=True)


@contextmanager
def ingest_progress(*, quiet: bool) -> Iterator[Progress]:
    """Give the progress display that fits stderr."""
    if quiet:
        yield lambda _settled, _total, _chunks: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield PlainLines(sys.stderr)


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that --help does not need
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("documents, {task.fields[chunks]} chunks, ETA"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Reading", total=None, chunks=0)

        def show(settled: int, total: int, chunks: int, /) -> None:
            bar.update(task, description="Ingesting", completed=settled, total=total, chunks=chunks)

        yield show
