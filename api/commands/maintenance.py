"""`threadwise fsck`, `rebuild`, `backup` and `restore`: what keeps an installation in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from api import options
from api.output import print_json, print_text, tell
from api.stages import stage_progress

if TYPE_CHECKING:
    from threadwise.maintenance import Maintenance, Verdict

MICROS = 1_000_000
MINUTE = 60 * MICROS
SHOWN = 20  # findings of one kind that a person is shown

Folder = Annotated[str, typer.Argument(help="The folder of the backup.")]
What = Annotated[
    Literal["words", "vectors", "features", "all"], typer.Argument(help="Which derived store, or all of them.")
]


def fsck(
    *,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    since: Annotated[
        str | None, typer.Option(help="Only what was recorded in so many minutes, or since a date, 2025-01-31.")
    ] = None,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare the catalogue with itself, its blobs, engines and features. Ends with 0 clean, 1 repaired, 2 broken.

    It changes nothing unless you say --repair, and may run beside a service.

    Example: threadwise fsck --since 15
    """
    with _maintenance(data_dir) as maintenance, stage_progress(quiet=as_json) as report:
        after = 0 if since is None else _since(since, maintenance.clock())
        verdict = maintenance.fsck(repair=repair, since=after, report=report)
    if as_json:
        print_json(verdict.as_json())
    else:
        print_text(_verdict_text(verdict, repair=repair))
    raise typer.Exit(verdict.status)


def rebuild(part: What = "all", *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Make what is derived from the catalogue anew; questions are answered from the old state meanwhile.

    Example: threadwise rebuild words
    """
    from threadwise.rebuilding import PARTS  # noqa: PLC0415 - the engines

    with _maintenance(data_dir) as maintenance, stage_progress(quiet=as_json) as report:
        done = maintenance.rebuild(PARTS if part == "all" else (part,), report=report)
    rows = [one.as_json() for one in done]
    if as_json:
        print_json({"rebuilt": rows})
    else:
        of = {row["part"]: "" if row["generation"] is None else f" of generation {row['generation']}" for row in rows}
        print_text(
            "\n".join(f"{row['part']}{of[row['part']]}: {row['count']} in {row['seconds']:.1f} s" for row in rows)
            or "There is nothing to rebuild yet."
        )


def backup(folder: Folder, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Write one consistent state into a new folder, while the service goes on.

    Example: threadwise backup /backups/2025-01-31
    """
    with _maintenance(data_dir) as maintenance, stage_progress(quiet=as_json) as report:
        manifest = maintenance.backup(Path(options.present(folder, "the folder")), report=report)
    if as_json:
        print_json(manifest.as_json() | {"path": folder})
        return
    print_text(
        f"{folder}: {manifest.rows['document']} documents, {manifest.rows['chunk']} chunks, {manifest.blobs} blobs."
    )
    if manifest.damaged:
        tell(f"{manifest.damaged} blobs are damaged and not in it. Run: threadwise fsck")


def restore(
    folder: Folder,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there; it is kept aside.")] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Put a backup in place of the catalogue, in SQLite or PostgreSQL; what was deleted since is deleted again.

    Refused while a service runs. Ends as fsck does.

    Example: threadwise restore /backups/2025-01-31
    """
    from api.occupancy import occupied  # noqa: PLC0415
    from core.settings import load_settings  # noqa: PLC0415

    place = Path(options.present(folder, "the folder"))
    settings = load_settings(data_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (
        occupied(settings.data_dir),
        _maintenance(data_dir, damaged=True) as maintenance,
        stage_progress(quiet=as_json) as report,
    ):
        done = maintenance.restore(place, force=force, report=report)
    shape = done.as_json()
    if as_json:
        print_json(shape)
    else:
        print_text(_restored_text(shape))
        print_text(_verdict_text(done.verdict, repair=False))
    raise typer.Exit(done.verdict.status)


@contextmanager
def _maintenance(data_dir: str | None, *, damaged: bool = False) -> Iterator["Maintenance"]:
    """The maintenance of the data folder; a `damaged` database may be one that cannot be opened."""
    from core.database import Database  # noqa: PLC0415 - SQLAlchemy
    from core.errors import DatabaseUnavailableError  # noqa: PLC0415
    from core.settings import load_settings  # noqa: PLC0415
    from threadwise.runtime import Threadwise  # noqa: PLC0415 - everything

    settings = load_settings(data_dir)
    with Threadwise(settings) as threadwise:
        try:
            maintenance = threadwise.maintenance
        except DatabaseUnavailableError:
            if not damaged or settings.database_url:
                raise
            threadwise.database = Database(settings.resolved_database_url)
            maintenance = threadwise.maintenance
        yield maintenance


def _since(said: str, now: int) -> int:
    """Microseconds: so many minutes before now, or a date or time, in UTC where it does not say."""
    if said.isdecimal():
        return max(0, now - int(said) * MINUTE)
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as error:
        raise typer.BadParameter("say minutes, as 15, or a date, as 2025-01-31") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * MICROS)


def _verdict_text(verdict: "Verdict", *, repair: bool) -> str:
    lines = [*_finding_lines(verdict.as_json()["findings"]), *_repaired_lines(verdict.as_json()["repaired"])]
    if verdict.awaiting:
        lines.append(f"{len(verdict.awaiting)} documents are brought again by the next run of their source.")
    if verdict.left and not repair:
        lines.append("Run: threadwise fsck --repair")
    return "\n".join([*lines, f"{verdict.as_json()['status']}, {verdict.seconds:.1f} s"])


def _finding_lines(findings: Any) -> Iterator[str]:  # noqa: ANN401 - rows of JSON
    for kind in dict.fromkeys(row["kind"] for row in findings):
        rows = [row for row in findings if row["kind"] == kind]
        yield f"{rows[0]['severity']}: {rows[0]['meaning']} ({kind}, {len(rows)}). Repair: {rows[0]['repair']}."
        yield from (f"  {row['place']}" for row in rows[:SHOWN])
        if len(rows) > SHOWN:
            yield f"  and {len(rows) - SHOWN} more; --json lists all"


def _repaired_lines(findings: Any) -> Iterator[str]:  # noqa: ANN401 - rows of JSON
    for kind in dict.fromkeys(row["kind"] for row in findings):
        rows = [row for row in findings if row["kind"] == kind]
        yield f"repaired: {rows[0]['meaning']} ({kind}, {len(rows)}); {rows[0]['repair']}."


def _restored_text(shape: dict[str, Any]) -> str:
    rows = shape["manifest"]["rows"]
    lines = [f"Restored {rows['document']} documents, {rows['chunk']} chunks, {shape['manifest']['blobs']} blobs."]
    if shape["replaced"]:
        lines.append(f"What was there before is kept at {shape['replaced']}.")
    if shape["deleted_again"]:
        lines.append(f"{shape['deleted_again']} deletions that the backup did not know of were done again.")
    return "\n".join(lines)
