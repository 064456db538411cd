"""`threadwise ingest`: bring a source in, or up to date."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import typer

from api import options
from api.installation import Ingest, Installation, opened
from api.output import print_json, print_text
from api.progress import Progress

Audience = Annotated[
    list[str] | None,
    typer.Option(help="Who may read it, instead of what the source says; kept until `as-in-source`. Repeatable."),
]
Include = Annotated[
    list[str] | None,
    typer.Option(help="Only channels (name or id) or files (path) that match, such as hr-* or policies/*. Repeatable."),
]
Exclude = Annotated[list[str] | None, typer.Option(help="No channels or files that match. Repeatable.")]
PersonalData = Annotated[
    Literal["keep", "mask", "quarantine"] | None,
    typer.Option(help="What becomes of e-mail addresses, phone numbers, accounts and ids of people [default: keep]."),
]
Languages = Annotated[
    list[str] | None, typer.Option(help="Quarantine documents in any other language (ISO 639-1). Repeatable.")
]
Bots = Annotated[bool | None, typer.Option(help="Read what bots and apps say [default: yes].")]
DirectMessages = Annotated[
    bool | None, typer.Option(help="Read direct and group messages, for those who had them [default: no].")
]
Period = Annotated[str | None, typer.Option(help="FIRST..LAST: the days that an export of a part of the time covers.")]


def ingest(  # noqa: PLR0913 - each is an option
    path: Annotated[str, typer.Argument(help="A Slack export (zip or folder), a folder or zip of documents, or one.")],
    *,
    source: Annotated[str | None, typer.Option(help="Name of the source [default: the file's name].")] = None,
    kind: Annotated[str | None, typer.Option(help="slack-export, files or beir [default: found out].")] = None,
    audience: Audience = None,
    include: Include = None,
    exclude: Exclude = None,
    bots: Bots = None,
    direct_messages: DirectMessages = None,
    personal_data: PersonalData = None,
    language: Languages = None,
    period: Period = None,
    workspace_url: Annotated[
        str | None, typer.Option(help="https://NAME.slack.com, for links to the messages.")
    ] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Take everything away when the source has nothing any more.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be done, and by which hash it can be applied.")
    ] = False,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Ingest a source, or bring it up to date: what did not change is not read twice.

    With --plan nothing is done yet: it lists the documents that would be added, changed, removed or shown to others,
    and `threadwise runs apply HASH` does exactly that, or says that the world has changed meanwhile.

    What is said about a source is kept for its next runs; --include "" and the like forget it.

    Example: threadwise ingest acme-export.zip --source acme-slack
    """
    if not path.strip():
        raise typer.BadParameter("the path is empty")
    order = Ingest(
        path=path,
        source=(source and options.text(source)) or None,
        kind=kind,
        audience=tuple(filter(None, map(options.text, audience))) if audience else None,
        reading=_said(
            include=_listed(include),
            exclude=_listed(exclude),
            bots=bots,
            direct_messages=direct_messages,
            personal_data=personal_data,
            languages=_listed(language),
            period=period and options.text(period),
            workspace_url=workspace_url and options.text(workspace_url),
        ),
        allow_empty=allow_empty,
    )
    with opened(data_dir) as installation, shown_progress() as progress:
        if plan:
            show_plan(installation.plan(order, progress), as_json=as_json)
        else:
            show_report(installation, installation.ingest(order, progress), as_json=as_json)


def _said(**given: object) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}


def _listed(values: list[str] | None) -> list[str] | None:
    return None if values is None else [*filter(None, map(options.text, values))]


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """The progress display that fits standard error."""
    from api.progress import ingest_progress  # noqa: PLC0415

    with ingest_progress(quiet=False) as show:
        yield show


def show_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a plan would do."""
    from api.rendering import plan_text  # noqa: PLC0415

    if as_json:
        print_json(plan)
    else:
        print_text(plan_text(plan))


def show_report(installation: Installation, report: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a run did, and on standard error what it could not take."""
    from api.installation import REPORT  # noqa: PLC0415
    from api.rendering import ingest_text, quarantine_text  # noqa: PLC0415

    if as_json:
        print_json({name: report[name] for name in REPORT})
    else:
        print_text(ingest_text(report, report["source"]))
    if report["documents"]["quarantined"]:
        typer.echo(quarantine_text(installation.quarantined(report["run_id"])), err=True)
