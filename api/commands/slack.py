"""`threadwise slack`: set the bot up, see whether it can work, and read its workspace."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api import options
from api.errors import FAILED
from api.output import print_json, print_text, tell

if TYPE_CHECKING:
    from api.slack.words import Identity
    from core.settings import SlackSettings

app = typer.Typer(
    help="The bot in Slack: its manifest, whether it can work, and what its workspace says.",
    epilog="Example: threadwise slack check",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def manifest(
    *,
    url: Annotated[
        str | None, typer.Option(help="Where Slack reaches this service, for example https://threadwise.acme.com.")
    ] = None,
    socket_mode: Annotated[
        bool, typer.Option("--socket-mode", help="This service connects to Slack; no address is needed.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Print the manifest from which Slack makes the app.

    Example: threadwise slack manifest --url https://threadwise.acme.com
    """
    from api.slack.manifest import is_address, over_http, over_socket  # noqa: PLC0415

    if url is not None and socket_mode:
        raise typer.BadParameter("--url and --socket-mode exclude each other")
    if url is not None and not is_address(url := options.present(url, "the address")):
        raise typer.BadParameter("the address is no https://HOST, which is all that Slack calls")
    text = over_socket() if socket_mode else over_http(url) if url else over_http()
    if not url and not socket_mode:
        tell("The addresses in it are an example: give yours with --url, or use --socket-mode.")
    if as_json:
        print_json({"manifest": text})
    else:
        print_text(text.rstrip("\n"))


@app.command()
def check(*, data_dir: options.DataDir = None, as_json: options.AsJson = False) -> None:
    """Ask Slack whether the bot's token works, and say what is missing.

    Example: threadwise slack check
    """
    from api.slack.web import SlackWeb  # noqa: PLC0415
    from core.settings import load_settings  # noqa: PLC0415

    settings = load_settings(data_dir).slack
    _check_token(settings)
    web = SlackWeb(settings)
    found = _found(settings, web.identity(), web.scopes())
    if as_json:
        print_json(found)
    else:
        print_text(_as_text(found))
    if not found["ok"]:
        raise typer.Exit(FAILED)


@app.command()
def pull(
    folder: Annotated[str, typer.Argument(help="Where to write it: a new folder, or one that was pulled before.")],
    *,
    include: Annotated[
        list[str] | None, typer.Option(help="Only channels of this name or id, for example hr-*. Repeatable.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No channels of this name or id. Repeatable.")] = None,
    direct_messages: Annotated[
        bool, typer.Option("--direct-messages", help="Also direct and group messages that the bot is in.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only what was begun on this day or later, for example 2026-01-31."),
    ] = None,
    overlap_days: Annotated[
        int, typer.Option(min=0, max=36_500, help="How many days before its last message a channel is read again.")
    ] = 30,
    data_dir: options.DataDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Read the workspace into a folder in the form of a Slack export, which `threadwise ingest` takes.

    It reads the channels that the bot is a member of. A later pull into the same folder reads what is new, what was
    edited or deleted in the last days, and the replies to threads begun then. One that was stopped goes on where it
    was.

    Example: threadwise slack pull acme-slack --exclude random
    """
    from api.slack.pull import Order, Pull  # noqa: PLC0415
    from api.slack.pull_progress import pull_progress  # noqa: PLC0415
    from api.slack.pull_web import PatientSlack  # noqa: PLC0415
    from core.settings import load_settings  # noqa: PLC0415
    from ingest.options import SourceOptions  # noqa: PLC0415

    chosen = SourceOptions(
        include=options.texts(include), exclude=options.texts(exclude), direct_messages=direct_messages
    )
    place = Path(options.present(folder, "the folder"))
    order = Order(folder=place, chosen=chosen, since=_first_moment(since), overlap_days=overlap_days)
    settings = load_settings(data_dir).slack
    _check_token(settings)
    with pull_progress() as progress:
        report = Pull(PatientSlack(settings), order, progress).run()
    if as_json:
        print_json(report)
    else:
        print_text(_pulled_text(report))


def _first_moment(day: str | None) -> str:
    from api.slack.pull_messages import ts_of_day  # noqa: PLC0415

    if day is None:
        return ""
    try:
        return ts_of_day(date.fromisoformat(options.text(day)))
    except ValueError as error:
        raise typer.BadParameter("--since is no day such as 2026-01-31") from error


def _pulled_text(report: dict[str, Any]) -> str:
    from api.rendering import one_line  # noqa: PLC0415

    counts, malformed = report["conversations"], report["malformed"]
    known = f", {counts['already_read']} read before it was stopped" if counts["already_read"] else ""
    lines = [
        f"{one_line(report['folder'])} holds {report['messages']} messages of {one_line(report['workspace_url'])}",
        f"  conversations  {counts['read']} read now{known}",
        f"  requests       {report['requests']} in {report['seconds']} s",
    ]
    if any(malformed.values()):
        kinds = ", ".join(f"{number} {kind}" for kind, number in malformed.items() if number)
        lines.append(f"  malformed      {kinds}: counted and kept out")
    lines += [f"  left out       {_left_out_text(one)}" for one in report["left_out"]]
    lines.append(
        f"Next: threadwise ingest {one_line(report['folder'])} --workspace-url {one_line(report['workspace_url'])}"
    )
    return "\n".join(lines)


def _left_out_text(one: dict[str, Any]) -> str:
    from api.rendering import one_line  # noqa: PLC0415

    what = f"{one_line(one['name'])} ({one['id']})" if one["id"] else f"every {one['name']} conversation"
    needed = f", the token needs {one['needed']}" if one["needed"] else ""
    return f"{what}: {one['reason']}{needed}{'; what was read before is kept' if one['kept'] else ''}"


def _check_token(settings: "SlackSettings") -> None:
    from core.errors import InvalidSettingError  # noqa: PLC0415

    if not settings.bot_token.get_secret_value().strip():
        raise InvalidSettingError(
            "THREADWISE_SLACK__BOT_TOKEN is not set, so there is no Slack bot.",
            hint="It is the token of the app's page that begins with xoxb-.",
        )


def _found(settings: "SlackSettings", identity: "Identity", scopes: frozenset[str]) -> dict[str, Any]:
    from api.slack.scopes import SCOPES  # noqa: PLC0415

    names = ("signing_secret", "previous_signing_secret", "app_token")
    are_set = {name: bool(getattr(settings, name).get_secret_value().strip()) for name in names}
    missing = [{"scope": scope, "why": why} for scope, why in SCOPES.items() if scope not in scopes]
    return {
        "ok": not missing and (are_set["signing_secret"] or are_set["app_token"]),
        "workspace": identity.url,
        "team": identity.team,
        "user": identity.user,
        "bot": identity.bot,
        "listens": "socket" if are_set["app_token"] else "http" if are_set["signing_secret"] else "not",
        **are_set,
        "missing_scopes": missing,
    }


_LISTENS = {
    "socket": "by Socket Mode: this service connects to Slack",
    "http": "at /slack/events: Slack has to reach this service",
    "not": "nowhere: set THREADWISE_SLACK__SIGNING_SECRET, or THREADWISE_SLACK__APP_TOKEN for Socket Mode",
}


def _as_text(found: dict[str, Any]) -> str:
    from api.rendering import one_line  # noqa: PLC0415

    changing = ", the previous one is accepted too" if found["previous_signing_secret"] else ""
    lines = [
        f"The token works in {one_line(found['workspace'])} (workspace {one_line(found['team'])})",
        f"  bot      user {one_line(found['user'])}, bot {one_line(found['bot'])}",
        f"  listens  {_LISTENS[found['listens']]}",
        f"  secret   signing secret {'set' if found['signing_secret'] else 'not set'}{changing}",
        "  scopes   all that are needed" if not found["missing_scopes"] else "  scopes   missing:",
    ]
    lines += [f"    {row['scope']:<18} to {row['why']}" for row in found["missing_scopes"]]
    if found["missing_scopes"]:
        lines.append("  Add them on the app's page under OAuth & Permissions and install the app again.")
    return "\n".join(lines)
