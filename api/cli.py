"""The command line. Heavy parts are imported by the command that needs them, so that --help answers at once."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from api import errors
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
    Path | None, typer.Option("--data-dir", help="Where the catalogue lives [env: THREADWISE_DATA_DIR, default: data].")
]


@app.command()
def ingest(
    path: Annotated[str, typer.Argument(help="A Slack export (zip or folder), a folder of Markdown, or one file.")],
    *,
    source: Annotated[str | None, typer.Option(help="Name of the source [default: the file's name].")] = None,
    kind: Annotated[str | None, typer.Option(help="slack-export, files or beir [default: found out].")] = None,
    audience: Annotated[
        list[str] | None, typer.Option(help="Who may read it, instead of what the source says. Repeatable.")
    ] = None,
    workspace_url: Annotated[
        str | None, typer.Option(help="https://NAME.slack.com, for links to the messages.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ingest a source, or bring it up to date: what did not change is not read twice."""
    from api.progress import ingest_progress  # noqa: PLC0415
    from api.rendering import ingest_text, json_text, quarantine_text  # noqa: PLC0415

    if not path.strip():
        raise typer.BadParameter("the path is empty")
    name = _text(source or "") or _text(Path(path).resolve().stem)
    with _open(data_dir) as threadwise:
        with ingest_progress(quiet=False) as report:
            result = threadwise.ingest(
                Path(path),
                name=name,
                kind=kind,
                audience=tuple(filter(None, map(_text, audience))) if audience else None,
                workspace_url=workspace_url and _text(workspace_url),
                report=report,
            )
        _print(json_text(result.as_json()) if as_json else ingest_text(result, name))
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
    from api.rendering import json_text, ranking_text  # noqa: PLC0415
    from retrieval.query import Query  # noqa: PLC0415

    with _open(data_dir) as threadwise:
        query = Query(
            text=question,
            reader=threadwise.reader(None if as_principal is None else _text(as_principal)),
            top_k=top_k,
            mmr_lambda=mmr_lambda,
            sources=tuple(source or ()),
            kinds=tuple(kind or ()),
            authors=tuple(author or ()),
        )
        ranking = threadwise.search(query)
        _print(json_text(ranking.as_json()) if as_json else ranking_text(ranking))


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
    from api.rendering import json_text, table_text  # noqa: PLC0415
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.evaluation import evaluate_set  # noqa: PLC0415

    with ingest_progress(quiet=False) as report:
        figures = evaluate_set(directory, load_settings(), keep=keep, report=report)
    _print(json_text(figures) if as_json else table_text(str(directory), figures))


@features.command(name="list")
def list_features(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every registered view and service: owner, meaning, features, lifetime."""
    from api.rendering import features_text, json_text  # noqa: PLC0415

    with _open(data_dir) as threadwise:
        rows = threadwise.store.registered()
    _print(json_text({"registered": [row.as_json() for row in rows]}) if as_json else features_text(rows))


@features.command(name="apply")
def apply_features(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Register the definitions of this version; done by itself whenever a search starts."""
    from api.rendering import json_text  # noqa: PLC0415

    with _open(data_dir) as threadwise:
        names = [row.name for row in threadwise.store.registered()]
    _print(json_text({"registered": names}) if as_json else f"Registered: {', '.join(names)}")


def _open(data_dir: Path | None) -> "Threadwise":
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.runtime import Threadwise  # noqa: PLC0415

    return Threadwise(load_settings(data_dir))


def _text(value: str) -> str:
    """An argument without its white space around and with a question mark for each byte that is no text."""
    return value.strip().encode(errors="replace").decode()


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()  # whoever reads it may be gone, and at exit it would be too late to say so


def main() -> None:
    """Run the command line; an expected error ends in one line and its exit code, never in a traceback."""
    from core.telemetry import configure  # noqa: PLC0415

    configure()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without a letter's alphabet shows a question mark
    try:
        _run()
    except BrokenPipeError:
        # What is still buffered would fail once more when the interpreter closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(errors.FAILED)


def _run() -> None:
    try:
        app()
    except SystemExit as left:
        if left.code == errors.BAD_USE and _wants_json():
            hint = "Standard error says which part; threadwise --help lists the commands."
            _print(errors.as_json(errors.BadUseError("The command line cannot be understood.", hint=hint)))
        raise
    except ThreadwiseError as error:
        _fail(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        _fail(errors.FileSystemError.of(error))


def _fail(error: ThreadwiseError) -> NoReturn:
    if _wants_json():
        _print(errors.as_json(error))
    typer.echo(errors.as_text(error), err=True)
    sys.exit(errors.exit_code(error))


def _wants_json() -> bool:
    return "--json" in sys.argv


if __name__ == "__main__":
    main()
