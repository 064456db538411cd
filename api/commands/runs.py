"""`threadwise runs` and `threadwise sources`: what was ingested, what is being ingested, what will be."""

from typing import Annotated

import typer

from api import options
from api.commands.ingesting import show_plan, show_report, shown_progress
from api.commands.letters import Numbers, OfSource, retry_letters
from api.installation import Installation, Json, ended_well, opened, report_of
from api.output import print_json, print_text

app = typer.Typer(
    help="Runs: each brings one source up to date. Without a command: the newest runs.",
    epilog="Example: threadwise runs watch RUN",
    rich_markup_mode=None,
)

OneSource = Annotated[str | None, typer.Option("--source", help="Only runs of this source.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many at most.")]
Source = Annotated[str, typer.Argument(help="The source, as `threadwise sources` lists it.")]


@app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    *,
    source: OneSource = None,
    limit: Limit = 20,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the newest runs, or do something with one of them.

    Example: threadwise runs --source acme-slack
    """
    if context.invoked_subcommand is None:
        _print_runs(source, limit, data_dir, as_json=as_json)


@app.command(name="list")
def list_runs(
    *, source: OneSource = None, limit: Limit = 20, data_dir: options.DataDir = None, as_json: options.AsJson = False
) -> None:
    """Show the newest runs.

    Example: threadwise runs list --limit 5
    """
    _print_runs(source, limit, data_dir, as_json=as_json)


@app.command()
def show(run_id: options.RunId, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Show one run: what it did or how far it is, what it could not take, why it failed, what it is going to do.

    Example: threadwise runs show 0123456789abcdef0123456789abcdef
    """
    from api.listing import run_text  # noqa: PLC0415

    with opened(data_dir) as installation:
        run = installation.run(options.text(run_id))
        if as_json:
            print_json(run)
            return
        print_text(run_text(run, report_of(run)))
        _show_problems(installation, run)
        if run["state"] == "planned":
            show_plan(installation.plan_of(run["run_id"]), as_json=False)


def _show_problems(installation: Installation, run: Json) -> None:
    from api.listing import problems_text  # noqa: PLC0415
    from api.rendering import quarantine_text  # noqa: PLC0415

    if run["problems"]:
        print_text(problems_text(run))
    elif run["documents"]["quarantined"]:
        print_text(quarantine_text(installation.quarantined(run["run_id"])))


@app.command()
def ledger(
    run_id: options.RunId,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the lines as CSV, for files one each.")] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Show where everything went that a run read: each message or file is in exactly one line.

    Below it stand the files that were refused, and what was noticed in the documents: secrets that were masked,
    personal data, languages. Never text. With --csv or --json a folder of files has a line for each file.

    Example: threadwise runs ledger 0123456789abcdef0123456789abcdef --csv > ledger.csv
    """
    from api.ledger import ledger_csv  # noqa: PLC0415
    from api.listing import ledger_text  # noqa: PLC0415

    with opened(data_dir) as installation:
        found = installation.ledger(options.text(run_id))
    if as_json:
        print_json(found)
    else:
        print_text(ledger_csv(found).rstrip() if as_csv else ledger_text(found))


@app.command()
def watch(run_id: options.RunId, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Follow a run until it has ended, and print what it did. Ctrl-C leaves the run alone.

    Example: threadwise runs watch 0123456789abcdef0123456789abcdef
    """
    with opened(data_dir) as installation, shown_progress() as progress:
        report = ended_well(installation.follow(options.text(run_id), progress))
        show_report(installation, report, as_json=as_json)


@app.command()
def cancel(run_id: options.RunId, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Ask for the end of a run; what it has committed stays.

    Example: threadwise runs cancel 0123456789abcdef0123456789abcdef
    """
    with opened(data_dir) as installation:
        run = installation.cancel(options.text(run_id))
    if as_json:
        print_json(run)
    elif run["finished_at"] is not None:
        print_text(f"Run {run['run_id']} has ended: {run['state']}.")
    else:
        print_text(f"Run {run['run_id']} is asked to end; it does so with the document it works on.")


@app.command()
def start(
    source: Annotated[str | None, typer.Argument(help="The source, as `threadwise sources` lists it.")] = None,
    *,
    every_source: Annotated[bool, typer.Option("--all", help="Every source, one after the other.")] = False,
    document: Annotated[str | None, typer.Option(help="Only the document of this external id.")] = None,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Read a source again from where it was read last, and follow the run.

    Example: threadwise runs start acme-slack
    """
    if every_source == (source is not None) or (every_source and document is not None):
        raise typer.BadParameter("name one source, or say --all")
    one = None if document is None else options.present(document, "the document")
    with opened(data_dir) as installation:
        given = [] if source is None else [options.present(source, "the source")]
        for name in given or [row["name"] for row in installation.sources()]:
            with shown_progress() as progress:
                report = installation.again(name, one, progress)
            show_report(installation, report, as_json=as_json)


@app.command()
def apply(
    plan_hash: Annotated[str, typer.Argument(help="What `threadwise ingest --plan` printed.")],
    *,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Do exactly what a plan says, once, and follow the run.

    A plan that does not fit the catalogue any more is refused: plan again. One that was applied is not applied twice.

    Example: threadwise runs apply 0123456789abcdef
    """
    wanted = options.present(plan_hash, "the hash")
    with opened(data_dir) as installation, shown_progress() as progress:
        show_report(installation, installation.apply(wanted, progress), as_json=as_json)


@app.command()
def pause(source: Source, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Take no run of a source any more; one that is at work stops after the documents it has in hand.

    Example: threadwise runs pause acme-slack
    """
    name = options.present(source, "the source")
    with opened(data_dir) as installation:
        row = installation.pause(name)
    if as_json:
        print_json(row)
    else:
        print_text(f"{row['name']} is paused. What waits is kept: threadwise runs resume {row['name']}")


@app.command()
def resume(source: Source, *, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Take the runs of a paused source again, from where they stopped.

    Example: threadwise runs resume acme-slack
    """
    name = options.present(source, "the source")
    with opened(data_dir) as installation:
        row = installation.resume(name)
    if as_json:
        print_json(row)
    else:
        print_text(f"{row['name']} is not paused.")


@app.command()
def retry(
    letters: Numbers = None,
    *,
    source: OfSource = None,
    every_letter: Annotated[bool, typer.Option("--all", help="Everything that no run could take.")] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Try again what runs could not take, and nothing else of their sources; the same as `dead-letters retry`.

    Example: threadwise runs retry --source acme-slack
    """
    retry_letters(letters, source=source, every_letter=every_letter, data_dir=data_dir, as_json=as_json)


@app.command()
def every(
    source: Source,
    minutes: Annotated[int, typer.Argument(min=0, max=525_600, help="Minutes between two runs, 0 for no more.")],
    *,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Read a source again every so many minutes, for as long as `threadwise up` runs.

    Example: threadwise runs every acme-slack 60
    """
    with opened(data_dir) as installation:
        row = installation.schedule(options.present(source, "the source"), minutes)
    if as_json:
        print_json(row)
    elif minutes:
        print_text(f"{row['name']} is read every {minutes} minutes while `threadwise up` runs.")
    else:
        print_text(f"{row['name']} is read only when somebody asks for it.")


def list_sources(*, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Show every source: its kind, its size, its schedule and its last run.

    Example: threadwise sources
    """
    from api.listing import sources_text  # noqa: PLC0415

    with opened(data_dir) as installation:
        rows = installation.sources()
    if as_json:
        print_json({"sources": rows})
    else:
        print_text(sources_text(rows))


def _print_runs(source: str | None, limit: int, data_dir: str | None, *, as_json: bool) -> None:
    from api.listing import runs_text  # noqa: PLC0415

    with opened(data_dir) as installation:
        rows = installation.runs(source and options.text(source), limit)
    if as_json:
        print_json({"runs": rows})
    else:
        print_text(runs_text(rows))
