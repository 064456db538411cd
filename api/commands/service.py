"""`threadwise up`: the whole service on this machine, until it is stopped."""

import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from api import options
from api.output import print_json, print_text, tell

if TYPE_CHECKING:
    from api.serving import Place
    from api.supervisor import ChildEvent
    from core.settings import Settings


def up(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port, 0 = any [default: 8765].")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what its processes log.")] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Start the whole service: REST, worker, clock and doorbell. Ctrl-C stops it.

    Example: threadwise up --port 8765
    """
    from api.serving import free_place, service  # noqa: PLC0415
    from core.settings import load_settings  # noqa: PLC0415

    started = time.perf_counter()
    settings = load_settings(data_dir)
    place = free_place(
        settings.api.host if host is None else options.present(host, "the host"),
        settings.api.port if port is None else port,
    )
    report = partial(_tell_event, wordy=verbose or sys.stderr.isatty())
    with service(settings, place, report=report, echo=sys.stderr if verbose else None) as (supervisor, publish):

        def on_up() -> None:
            publish()
            _announce(settings, place, time.perf_counter() - started, as_json=as_json)

        with supervisor.stopping_on_signals():
            supervisor.run(on_up)
    if not as_json:
        print_text("Stopped.")


def _announce(settings: "Settings", place: "Place", seconds: float, *, as_json: bool) -> None:
    from api.endpoint import FILE  # noqa: PLC0415

    key_file = settings.data_dir.resolve() / FILE
    if as_json:
        shape = {"url": place.url, "key_file": str(key_file), "pid": os.getpid(), "ready_seconds": round(seconds, 3)}
        print_json(shape)
        return
    lines = [
        f"ready in {seconds:.1f} s",
        f"  address  {place.url}",
        f"  key      in {key_file}, for you alone; commands on this data folder find it themselves",
        '  ask      threadwise ask "How many days of leave can I carry over?"',
        f"  stop     Ctrl-C, or: kill {os.getpid()}",
    ]
    if settings.llm.kind == "bundled" and not _has_model(settings):
        lines.append("  model    none: answers are quotes until `threadwise models pull` and a new start")
    print_text("\n".join(lines))


def _has_model(settings: "Settings") -> bool:
    if settings.llm.kind != "bundled":
        return settings.llm.kind != "none"
    from generation.bundled import listed  # noqa: PLC0415
    from threadwise.language import models_folder  # noqa: PLC0415

    return any(row.installed for row in listed(models_folder(settings.embedding.cache_dir)))


def _tell_event(event: "ChildEvent", *, wordy: bool) -> None:
    """What happens to the processes: to somebody who watches everything, else only what went wrong."""
    if event.state == "died":
        tell(f"{event.name} (process {event.pid}) ended with {event.status}; again in {event.again_in or 0:.1f} s.")
    elif event.state == "killed":
        tell(f"{event.name} (process {event.pid}) did not stop and was killed.")
    elif wordy:
        tell(f"{event.name} (process {event.pid}) {event.state}.")
