"""How far a pull is, on standard error: a bar on a terminal, a plain line now and then otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from api.slack.pull import Progress, Seen

LINE_EVERY_SECONDS: Final = 5.0
MINUTE: Final = 60


@contextmanager
def pull_progress() -> Iterator[Progress]:
    """Give the display that fits standard error."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield plain_lines(sys.stderr)


def plain_lines(out: TextIO, clock: Callable[[], float] = time.monotonic) -> Progress:
    """A line when the last one is old enough; `clock` gives seconds."""
    started = shown = clock()

    def show(seen: Seen) -> None:
        nonlocal shown
        now = clock()
        if now - shown >= LINE_EVERY_SECONDS:
            shown = now
            print(line_of(seen, now - started), file=out, flush=True)

    return show


def line_of(seen: Seen, seconds: float) -> str:
    """How far it is after so many seconds, and when it will be done if that can be told."""
    line = f"reading: {seen.done}/{seen.total} conversations, {seen.messages} messages"
    if not 0 < seen.done < seen.total:
        return line
    left = seconds / seen.done * (seen.total - seen.done)
    return f"{line}, about {left / MINUTE:.0f} min left" if left >= MINUTE else f"{line}, about {left:.0f} s left"


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that --help does not need
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (
        TextColumn("reading"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("conversations, {task.fields[messages]} messages"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=None, messages=0)

        def show(seen: Seen) -> None:
            bar.update(task, completed=seen.done, total=seen.total or None, messages=seen.messages)

        yield show
