"""`threadwise models`: the language models that can word an answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import options
from api.output import print_json, print_text, tell

if TYPE_CHECKING:
    from generation.bundled import Listed

app = typer.Typer(
    help="Language models that word the answers. Without one, answers are quotes.",
    epilog="Example: threadwise models pull",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(name="list")
def list_models(*, as_json: options.AsJson = False) -> None:
    """Show the known models: size, context window, licence, and whether they are here.

    Example: threadwise models list
    """
    from api.listing import models_text  # noqa: PLC0415
    from generation.bundled import listed  # noqa: PLC0415

    rows = [_row(row) for row in listed(_folder())]
    if as_json:
        print_json({"models": rows})
    else:
        print_text(models_text(rows))


@app.command()
def pull(
    name: Annotated[str | None, typer.Argument(help="The model [default: the bundled one].")] = None,
    *,
    as_json: options.AsJson = False,
) -> None:
    """Fetch a model's weights and check them; what is here already is only checked.

    Example: threadwise models pull
    """
    from generation import bundled  # noqa: PLC0415

    entry = bundled.SMOLLM2 if name is None else bundled.entry_of(options.present(name, "the name"))
    tell(f"Fetching or checking {entry.id}, {entry.bytes / 1e6:.0f} MB, {entry.licence}.")
    path = bundled.pull(entry, _folder())
    if as_json:
        print_json({"id": entry.id, "path": str(path), "bytes": entry.bytes, "sha256": entry.sha256})
    else:
        print_text(f"{entry.id} is whole at {path}")


def _folder() -> Path:
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.language import models_folder  # noqa: PLC0415

    return models_folder(load_settings().embedding.cache_dir)


def _row(row: "Listed") -> dict[str, Any]:
    entry = row.entry
    names = ("id", "bytes", "quant", "window", "licence")
    return {name: getattr(entry, name) for name in names} | {"installed": row.installed}
