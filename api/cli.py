"""The command line. Heavy parts are imported by the command that needs them, so that --help answers at once."""

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from api import errors
from api.rendering import ascii_json, json_text
from core.errors import ThreadwiseError

if TYPE_CHECKING:
    from threadwise.runtime import Threadwise

app = typer.Typer(
    name="threadwise",
    help="Answers a company's own questions from what the company already wrote.",
    epilog="Start with: threadwise ingest EXPORT.zip --source acme, then: threadwise search 'parental leave'",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

features = typer.Typer(help="What is known about chunks and documents, as the feature store has it.")
app.add_typer(features, name="features", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", help="Where the catalogue lives [env: THREADWISE_DATA_DIR, default: data].")
]


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        from api.version import installed_version  # noqa: PLC0415

        _print(f"threadwise {installed_version()}")
        raise typer.Exit


@app.callback()
def threadwise_command(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Answers a company's own questions from what the company already wrote."""


@app.command()
def ingest(
    path: Annotated[str, typer.Argument(help="A Slack export (zip or folder), a folder of Markdown, or one file.")],
    *,
    source: Annotated[str | None, typer.Option(help="Name of the source [default: the file's name].")] = None,
    kind: Annotated[str | None, typer.Option(help="slack-export, files or beir [default: found out].")] = None,
    audience: Annotated[
        list[str] | None,
        typer.Option(
            help="Who may read it, instead of what the source says; kept until `as-in-source` is given. Repeatable."
        ),
    ] = None,
    workspace_url: Annotated[
        str | None, typer.Option(help="https://NAME.slack.com, for links to the messages.")
    ] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Take everything away when the source has nothing any more.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ingest a source, or bring it up to date: what did not change is not read twice."""
    from api.progress import ingest_progress  # noqa: PLC0415
    from api.rendering import ingest_text, quarantine_text  # noqa: PLC0415

    if not path.strip():
        raise typer.BadParameter("the path is empty")
    with _open(data_dir) as threadwise:
        name = _text(source or "") or _text(threadwise.free_name(Path(path)))
        with ingest_progress(quiet=False) as report:
            result = threadwise.ingest(
                Path(path),
                name=name,
                kind=kind,
                audience=tuple(filter(None, map(_text, audience))) if audience else None,
                workspace_url=workspace_url and _text(workspace_url),
                allow_empty=allow_empty,
                report=report,
            )
        _print(_json(result.as_json()) if as_json else ingest_text(result, name))
        if result.quarantined:
            typer.echo(quarantine_text(threadwise.quarantined(result.run_id)), err=True)


@app.command()
def search(  # noqa: PLR0913 - each is an option
    question: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    *,
    as_principal: Annotated[
        str | None, typer.Option("--as", help="Read as WORKSPACE/USER instead of `everyone`.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, max=100, help="Passages to show.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source. Repeatable.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only thread, sitting or page. Repeatable.")] = None,
    author: Annotated[list[str] | None, typer.Option(help="Only what this person opened. Repeatable.")] = None,
    mmr_lambda: Annotated[float | None, typer.Option(help="1 = relevance order, 0 = most diverse.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find the passages that answer a question, among those its reader may read."""
    from api.rendering import ranking_text  # noqa: PLC0415
    from retrieval.query import Query  # noqa: PLC0415

    with _open(data_dir) as threadwise:
        query = Query(
            text=_decoded(question),
            reader=threadwise.reader(None if as_principal is None else _text(as_principal)),
            top_k=top_k,
            mmr_lambda=mmr_lambda,
            sources=tuple(map(_decoded, source or ())),
            kinds=tuple(map(_decoded, kind or ())),
            authors=tuple(map(_decoded, author or ())),
        )
        ranking = threadwise.search(query)
        _print(_json(ranking.as_json()) if as_json else ranking_text(ranking, question))


@app.command(name="eval")
def evaluate(
    directory: Annotated[
        Path, typer.Argument(help="A folder in BEIR form: corpus.jsonl, queries.jsonl, qrels/test.tsv.")
    ],
    *,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the catalogue here, and use it again [default: a temporary folder].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ingest an evaluation set into a catalogue of its own and measure retrieval on it, reading as admin."""
    from api.progress import ingest_progress  # noqa: PLC0415
    from api.rendering import table_text  # noqa: PLC0415
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.evaluation import evaluate_set  # noqa: PLC0415

    with ingest_progress(quiet=False) as report:
        figures = evaluate_set(directory, load_settings(), keep=keep, report=report)
    _print(_json(figures) if as_json else table_text(str(directory), figures))


@features.command(name="list")
def list_features(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every registered view and service: owner, meaning, features, lifetime."""
    from api.rendering import features_text  # noqa: PLC0415

    with _open(data_dir) as threadwise:
        rows = threadwise.store.registered()
    _print(_json({"registered": [row.as_json() for row in rows]}) if as_json else features_text(rows))


@features.command(name="apply")
def apply_features(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Register the definitions of this version; done by itself whenever a search starts."""
    with _open(data_dir) as threadwise:
        names = [row.name for row in threadwise.store.registered()]
    _print(_json({"registered": names}) if as_json else f"Registered: {', '.join(names)}")


def _open(data_dir: str | None) -> "Threadwise":
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.runtime import Threadwise  # noqa: PLC0415

    return Threadwise(load_settings(data_dir))


def _text(value: str) -> str:
    """An argument as text, without the white space around it."""
    return _decoded(value).strip()


def _decoded(value: str) -> str:
    """An argument as UTF-8, whatever the locale made of its bytes; a replacement for each byte that is no text."""
    return os.fsencode(value).decode(errors="replace")


def _print(text: str) -> None:
    """Write to standard output at once: whoever reads it may be gone, and at exit it is too late to say so."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _let_go_of_output()
        raise OSError(error.errno, error.strerror, "standard output") from error


def _json(value: object) -> str:
    """One line of JSON that standard output can be written with."""
    return _fitting(json_text(value))


def _fitting(text: str) -> str:
    return text if (sys.stdout.encoding or "").lower().startswith("utf") else ascii_json(text)


def _let_go_of_output() -> None:
    """What cannot be written now would fail once more when the interpreter closes standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line; an expected error ends in one line and its exit code, never in a traceback."""
    _take_standard_streams()
    from core.telemetry import configure  # noqa: PLC0415

    configure()
    try:
        _run()
    except BrokenPipeError:
        _let_go_of_output()
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
        app()
    except SystemExit as left:
        if left.code == errors.INTERRUPTED:
            _fail(errors.InterruptionError.now())
        if left.code == errors.BAD_USE and _wants_json():
            hint = "Standard error says which part; threadwise --help lists the commands."
            _print(_fitting(errors.as_json(errors.BadUseError("The command line cannot be understood.", hint=hint))))
        raise
    except ThreadwiseError as error:
        _fail(error)


def _fail(error: ThreadwiseError) -> NoReturn:
    if sys.stdout is not None:
        try:
            if _wants_json():
                _print(_fitting(errors.as_json(error)))
            sys.stdout.flush()
        except OSError:
            _let_go_of_output()
    with suppress(OSError):
        typer.echo(errors.as_text(error), err=True)
    sys.exit(errors.exit_code(error))


def _wants_json() -> bool:
    return "--json" in sys.argv


if __name__ == "__main__":
    main()
