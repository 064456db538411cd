"""`threadwise documents`: delete documents and people for good, see what was deleted, allow it again; see twins."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import options
from api.output import print_json, print_text

if TYPE_CHECKING:
    from threadwise.runtime import Threadwise

app = typer.Typer(
    help="Delete documents and people for good, with a receipt of every store; see which are nearly the same.",
    epilog="Example: threadwise documents delete 0123456789abcdef0123456789abcdef --reason 'asked for by HR'",
    no_args_is_help=True,
    rich_markup_mode=None,
)

WHO = "command line"
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the tombstone.")]
Source = Annotated[
    str | None, typer.Option("--source", help="The arguments are external ids of this source (a path, CHANNEL:TIME).")
]


@app.command()
def delete(
    documents: Annotated[list[str], typer.Argument(help="Document ids, as search and answers show them.")],
    *,
    reason: Reason = "",
    source: Source = None,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Delete documents: hidden at once, taken out of every store, and never brought back by an old export.

    Example: threadwise documents delete handbook/salaries.md --source handbook --reason 'published by mistake'
    """
    with _opened(data_dir) as threadwise:
        found = threadwise.deletions.delete(_ids(documents, source), reason=options.text(reason), requested_by=WHO)
        _print([tombstone.as_json() for tombstone in found], as_json=as_json)


@app.command()
def erase(
    person: Annotated[str, typer.Argument(help="The person as WORKSPACE/USER, for example T0123/U0456.")],
    *,
    reason: Reason = "",
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Erase a person: what they said, what they asked, what is kept about them. There is no way back.

    Example: threadwise documents erase T0123/U0456 --reason 'left, asked to be forgotten'
    """
    with _opened(data_dir) as threadwise:
        principal = options.present(person, "the person")
        found = threadwise.deletions.erase(principal, reason=options.text(reason), requested_by=WHO)
        _print([found.as_json()], as_json=as_json)


@app.command(name="list")
def list_deletions(*, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Show what was deleted, with the receipts of every store.

    Example: threadwise documents list
    """
    with _opened(data_dir) as threadwise:
        _print([tombstone.as_json() for tombstone in threadwise.deletions.listing()], as_json=as_json)


@app.command()
def allow(
    documents: Annotated[list[str], typer.Argument(help="Document ids, as `threadwise documents list` shows them.")],
    *,
    source: Source = None,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Let deleted documents come back: the next ingestion of their source brings them.

    Example: threadwise documents allow handbook/salaries.md --source handbook
    """
    ids = _ids(documents, source)
    with _opened(data_dir) as threadwise:
        for document_id in ids:
            threadwise.deletions.allow(document_id, requested_by=WHO)
    if as_json:
        print_json({"allowed": ids})
    else:
        print_text(f"{len(ids)} may come back. Now ingest their source again.")


@app.command()
def twins(
    *,
    source: Annotated[str | None, typer.Option("--source", help="Only pairs with a document of this source.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 100,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Show pairs of documents that are nearly the same, and whether both are for the same readers.

    Each stays as it is and is read by its own audience alone.

    Example: threadwise documents twins --source handbook
    """
    named = None if source is None else options.present(source, "the source")
    with _opened(data_dir) as threadwise:
        total, pairs = threadwise.twins(source=named, limit=limit)
        waiting = threadwise.uncompared()
    rows = [pair.as_json() for pair in pairs]
    if as_json:
        print_json({"total": total, "waiting": waiting, "twins": rows})
        return
    from api.listing import twins_text  # noqa: PLC0415

    print_text(twins_text(rows, total, waiting))


def _opened(data_dir: str | None) -> "Threadwise":
    from core.settings import load_settings  # noqa: PLC0415 - with the next line half a second that --help does not need
    from threadwise.runtime import Threadwise  # noqa: PLC0415

    return Threadwise(load_settings(data_dir))


def _ids(documents: Sequence[str], source: str | None) -> list[str]:
    from core.words import document_id_of  # noqa: PLC0415

    names = [options.present(name, "a document") for name in documents]
    return names if source is None else [document_id_of(options.text(source), name) for name in names]


def _print(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"deletions": rows})
        return
    from api.listing import columns, moment  # noqa: PLC0415

    if not rows:
        print_text("Nothing was deleted.")
        return
    head = ("KIND", "KEY", "SOURCE", "DOCUMENT", "AT", "PURGED", "REMOVED", "LEFT", "REASON")
    print_text(columns(head, (_cells(row, moment(row["at"]), moment(row["purged_at"])) for row in rows)))


def _cells(row: Mapping[str, Any], at: str, purged: str) -> tuple[object, ...]:
    receipts = [receipt for receipt in row["receipts"] if receipt["removed"] or receipt["left"]]
    removed = ", ".join(f"{receipt['removed']} {receipt['store']}" for receipt in receipts if receipt["removed"])
    left = ", ".join(f"{receipt['left']} {receipt['store']}" for receipt in receipts if receipt["left"])
    return row["kind"], row["key"], row["source"], row["external_id"], at, purged, removed, left, row["reason"]
