"""`threadwise dead-letters`: what runs could not take, and what is to become of it."""

from typing import Annotated

import typer

from api import options
from api.commands.ingesting import show_report, shown_progress
from api.installation import REPORT, Letters, opened
from api.output import print_json, print_text

app = typer.Typer(
    help="Files and documents that runs could not take. Without a command: the open ones.",
    epilog="Example: threadwise dead-letters retry --source acme-slack",
    rich_markup_mode=None,
)

STATES = ("open", "retried", "ignored", "resolved")
Number = Annotated[int, typer.Argument(min=1, help="The letter, as `threadwise dead-letters` lists it.")]
Numbers = Annotated[
    list[int] | None, typer.Argument(min=1, help="Letters, as `threadwise dead-letters` lists them.", metavar="[ID]...")
]
OfSource = Annotated[str | None, typer.Option("--source", help="Everything of this source that waits.")]
OneSource = Annotated[str | None, typer.Option("--source", help="Only letters of this source.")]
State = Annotated[str, typer.Option(help="open, retried, ignored or resolved.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many at most.")]


@app.callback(invoke_without_command=True)
def dead_letters(
    context: typer.Context,
    *,
    source: OneSource = None,
    state: State = "open",
    limit: Limit = 100,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what runs could not take, or decide what becomes of it.

    A letter is open until somebody retries or ignores it, or until a later run takes its document after all.

    Example: threadwise dead-letters --source acme-slack
    """
    if context.invoked_subcommand is None:
        _print_letters(source, state, limit, data_dir, as_json=as_json)


@app.command(name="list")
def list_letters(
    *,
    source: OneSource = None,
    state: State = "open",
    limit: Limit = 100,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what runs could not take, the newest first.

    Example: threadwise dead-letters list --state ignored
    """
    _print_letters(source, state, limit, data_dir, as_json=as_json)


@app.command()
def show(letter: Number, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Show one letter: where it failed, why, and how often it was tried.

    Example: threadwise dead-letters show 7
    """
    from api.listing import letter_text  # noqa: PLC0415

    with opened(data_dir) as installation:
        row = installation.letter(letter)
    if as_json:
        print_json(row)
    else:
        print_text(letter_text(row))


@app.command()
def retry(
    letters: Numbers = None,
    *,
    source: OfSource = None,
    every_letter: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Try again: a run for each source reads just what these letters name, and is followed to its end.

    Example: threadwise dead-letters retry 7 8
    """
    retry_letters(letters, source=source, every_letter=every_letter, data_dir=data_dir, as_json=as_json)


@app.command()
def ignore(
    letters: Annotated[
        list[int], typer.Argument(min=1, help="Letters, as `threadwise dead-letters` lists them.", metavar="ID...")
    ],
    *,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Do without these: runs do not try them again as long as nothing about them changes.

    Example: threadwise dead-letters ignore 7 8
    """
    with opened(data_dir) as installation:
        ignored = installation.ignore_letters(letters)
    if as_json:
        print_json({"ignored": ignored})
    else:
        print_text(f"{ignored} of {len(letters)} were open and are ignored now.")


def retry_letters(
    letters: list[int] | None, *, source: str | None, every_letter: bool, data_dir: str | None, as_json: bool
) -> None:
    """Queue and follow the runs that try letters again: those named, those of a source, or every open one."""
    if [bool(letters), source is not None, every_letter].count(True) != 1:
        raise typer.BadParameter("name letters, or a source, or say --all")
    named = None if source is None else options.present(source, "the source")
    with opened(data_dir) as installation:
        with shown_progress() as progress:
            reports = installation.retry_letters(letters or None, named, progress)
        if as_json:
            print_json({"runs": [{name: report[name] for name in REPORT} for report in reports]})
            return
        for report in reports:
            show_report(installation, report, as_json=False)
    if not reports:
        print_text("There is nothing to try again.")


def _print_letters(source: str | None, state: str, limit: int, data_dir: str | None, *, as_json: bool) -> None:
    from api.listing import letters_text  # noqa: PLC0415

    if state not in STATES:
        raise typer.BadParameter(f"{state!r} is no state, choose from {', '.join(STATES)}")
    order = Letters(source=source and options.text(source), state=state, limit=limit)
    with opened(data_dir) as installation:
        rows = installation.letters(order)
    if as_json:
        print_json({"dead_letters": rows})
    else:
        print_text(letters_text(rows))
