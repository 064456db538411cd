"""The command line. Heavy parts are imported by the command that needs them, so that --help answers at once."""

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from api import errors
from api.commands import (
    asking,
    deleting,
    generations,
    ingesting,
    keys,
    letters,
    maintenance,
    measuring,
    models,
    runs,
    service,
    slack,
)
from api.output import fitting, let_go_of_output, print_text, wants_json
from core.errors import ThreadwiseError

app = typer.Typer(
    name="threadwise",
    help="Answers a company's own questions from what the company already wrote.",
    epilog="Start with: threadwise ingest EXPORT.zip --source acme, then: threadwise ask 'How long is parental leave?'",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command()(service.up)
app.command()(ingesting.ingest)
app.command()(asking.ask)
app.command()(asking.search)
app.command(name="sources")(runs.list_sources)
app.add_typer(runs.app, name="runs")
app.add_typer(letters.app, name="dead-letters")
app.add_typer(deleting.app, name="documents")
app.add_typer(generations.app, name="generations")
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(slack.app, name="slack")
app.command(name="eval")(measuring.evaluate)
app.command()(maintenance.fsck)
app.command()(maintenance.rebuild)
app.command()(maintenance.backup)
app.command()(maintenance.restore)
app.add_typer(measuring.features, name="features")


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        from api.version import installed_version  # noqa: PLC0415

        print_text(f"threadwise {installed_version()}")
        raise typer.Exit


@app.callback()
def threadwise_command(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Answers a company's own questions from what the company already wrote."""


def main() -> None:
    """Run the command line; an expected error ends in one line and its exit code, never in a traceback."""
    os.umask(0o077)  # what is written is for its owner alone
    _take_standard_streams()
    from core.telemetry import configure  # noqa: PLC0415

    configure()
    try:
        _run()
    except BrokenPipeError:
        let_go_of_output()
        sys.exit(errors.FAILED)
    except KeyboardInterrupt:
        _fail(errors.InterruptionError.now())
    except OSError as error:
        _fail(errors.FileSystemError.of(error))


def _take_standard_streams() -> None:
    """Fit the streams to any terminal; one that is closed gets no file of ours by its number."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        pass
    os.close(opened)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without a letter's alphabet shows its number


def _run() -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "it is closed", "standard output")
    try:
        status = app(standalone_mode=False)
    except TyperException as error:
        if not error.message.startswith("Usage:"):
            _fail(bad_use(error))
        typer.echo(error.message, err=True)  # no command at all: it is the help
        status = errors.BAD_USE
    except ThreadwiseError as error:
        _fail(error)
    if status == errors.INTERRUPTED:
        _fail(errors.InterruptionError.now())
    sys.exit(status)


def bad_use(error: TyperException) -> errors.BadUseError:
    """What is wrong with the words of a command line, and where the right ones are listed."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "threadwise"
    told = error.format_message().replace("Value error, ", "")
    return errors.BadUseError(told if told.endswith((".", "?")) else f"{told}.", hint=f"See: {command} --help")


def _fail(error: ThreadwiseError) -> NoReturn:
    if sys.stdout is not None:
        try:
            if wants_json():
                print_text(fitting(errors.as_json(error)))
            sys.stdout.flush()
        except OSError:
            let_go_of_output()
    with suppress(OSError):
        typer.echo(errors.as_text(error), err=True)
    sys.exit(errors.exit_code(error))


if __name__ == "__main__":
    main()
