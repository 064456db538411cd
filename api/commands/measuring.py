"""`threadwise eval` and `threadwise features`: how good retrieval is, and what it may lean on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api import options
from api.output import print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.listing import Registered

features = typer.Typer(
    help="What is known about chunks and documents, as the feature store has it.",
    epilog="Example: threadwise features list",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def evaluate(
    directory: Annotated[
        Path, typer.Argument(help="A folder in BEIR form: corpus.jsonl, queries.jsonl, qrels/test.tsv.")
    ],
    *,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the catalogue here, and use it again [default: a temporary folder].")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Ingest an evaluation set into a catalogue of its own and measure retrieval on it, reading as admin.

    Example: threadwise eval benchmarks/questions --keep ~/kept
    """
    from api.progress import counted, ingest_progress  # noqa: PLC0415
    from api.rendering import table_text  # noqa: PLC0415
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.evaluation import evaluate_set  # noqa: PLC0415

    with ingest_progress(quiet=False) as show:
        figures = evaluate_set(directory, load_settings(), keep=keep, report=counted(show))
    if as_json:
        print_json(figures)
    else:
        print_text(table_text(str(directory), figures))


@features.command(name="list")
def list_features(*, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Show every registered view and service: owner, meaning, features, lifetime.

    Example: threadwise features list
    """
    from api.rendering import features_text  # noqa: PLC0415

    rows = _registered(data_dir)
    if as_json:
        print_json({"registered": [row.as_json() for row in rows]})
    else:
        print_text(features_text(rows))


@features.command(name="apply")
def apply_features(*, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Register the definitions of this version; done by itself whenever a search starts.

    Example: threadwise features apply
    """
    names = [row.name for row in _registered(data_dir)]
    if as_json:
        print_json({"registered": names})
    else:
        print_text(f"Registered: {', '.join(names)}")


def _registered(data_dir: str | None) -> "Sequence[Registered]":
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.runtime import Threadwise  # noqa: PLC0415

    with Threadwise(load_settings(data_dir)) as threadwise:
        return threadwise.store.registered()
