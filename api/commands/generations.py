"""`threadwise generations`: build the whole catalogue anew beside what readers see, let them see it, go back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import options
from api.output import print_json, print_text
from api.progress import counted, ingest_progress

if TYPE_CHECKING:
    from api.progress import Counts
    from threadwise.generations import Generations

app = typer.Typer(
    help="The catalogue under one way of cutting and one embedding model; readers see exactly one.",
    epilog="Example: THREADWISE_INGEST__CHUNK_TOKENS=128 threadwise generations build",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Number = Annotated[int | None, typer.Argument(help="Its number, as `threadwise generations list` shows it.")]


@app.command(name="list")
def list_generations(*, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Show every generation: its state, how many documents it has, owes and goes without.

    Example: threadwise generations list
    """
    from api.listing import generations_text  # noqa: PLC0415

    with _generations(data_dir) as generations:
        rows = [row.as_json() for row in generations.listed()]
    if as_json:
        print_json({"generations": rows})
    else:
        print_text(generations_text(rows))


@app.command()
def build(
    *,
    anew: Annotated[bool, typer.Option("--anew", help="Do not go on with what was begun before.")] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Make every document anew by the present settings, beside what readers see; they go on seeing that.

    Killed or stopped, it goes on where it was when you say it again. Whatever is ingested, removed or withdrawn
    meanwhile reaches the new generation too. Set, for example, THREADWISE_EMBEDDING__MODEL before.

    Example: threadwise generations build
    """
    with _generations(data_dir) as generations, _shown(quiet=as_json) as report:
        row = generations.build(stop=_never, report=report, anew=anew).as_json()
    _show(row, as_json=as_json, text=f"Generation {row['id']} is ready. Show it to readers with: {_ACTIVATE}")


@app.command()
def activate(number: Number = None, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Let readers see the generation that is ready, once it passes its checks. Needs no restart.

    Set the settings that it was built with for good: they are what the next generation is built with.

    Example: threadwise generations activate
    """
    with _generations(data_dir) as generations, _shown(quiet=as_json) as report:
        row = generations.activate(number, stop=_never, report=report).as_json()
    _show(row, as_json=as_json, text=f"Readers see generation {row['id']}.")


@app.command()
def rollback(*, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Let readers see the generation again that they saw before; what changed since is made up for first.

    Example: threadwise generations rollback
    """
    with _generations(data_dir) as generations, _shown(quiet=as_json) as report:
        row = generations.rollback(stop=_never, report=report).as_json()
    _show(row, as_json=as_json, text=f"Readers see generation {row['id']} again.")


@app.command()
def gate(number: Number = None, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Say what stands in the way of a generation, by default of the one that waits; changes nothing.

    Example: threadwise generations gate
    """
    with _generations(data_dir) as generations:
        reasons = generations.reasons(number)
    if as_json:
        print_json({"passes": not reasons, "reasons": reasons})
    else:
        print_text("\n".join(reasons) or "Nothing stands in its way.")


@app.command()
def retry(number: Number = None, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Try the documents again that a generation goes without.

    Example: threadwise generations retry 2
    """
    with _generations(data_dir) as generations, _shown(quiet=as_json) as report:
        row = generations.retry(number, stop=_never, report=report).as_json()
    _show(row, as_json=as_json, text=f"Generation {row['id']} goes without {row['quarantined']} documents now.")


@app.command()
def cancel(number: Number = None, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Give up a generation that no reader has seen.

    Example: threadwise generations cancel
    """
    with _generations(data_dir) as generations:
        row = generations.cancel(number).as_json()
    _show(row, as_json=as_json, text=f"Generation {row['id']} is given up.")


@app.command()
def collect(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also the one that a rollback would go back to.")] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Delete generations that nobody can need any more, with the vectors and engine files only they used.

    Example: threadwise generations collect
    """
    with _generations(data_dir) as generations:
        numbers = generations.collect(everything=everything)
    if as_json:
        print_json({"collected": numbers})
    else:
        print_text(f"Deleted: {', '.join(map(str, numbers))}." if numbers else "There is nothing to delete.")


_ACTIVATE = "threadwise generations activate"


@contextmanager
def _generations(data_dir: str | None) -> Iterator["Generations"]:
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.runtime import Threadwise  # noqa: PLC0415

    with Threadwise(load_settings(data_dir)) as threadwise:
        yield threadwise.generations


@contextmanager
def _shown(*, quiet: bool) -> Iterator["Counts"]:
    with ingest_progress(quiet=quiet) as progress:
        yield counted(progress)


def _never() -> bool:
    """An interrupted command gives back what it has in hand, and one that is killed is taken over."""
    return False


def _show(row: dict[str, Any], *, as_json: bool, text: str) -> None:
    if as_json:
        print_json(row)
    else:
        print_text(text)
