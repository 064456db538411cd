"""Workspaces to pull from the mock of Slack, what Slack would export of them, and what readers make of that."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from api.slack.pull import Order, Pull
from api.slack.pull_web import PatientSlack
from core.settings import IngestSettings, SlackSettings
from core.words import Document
from ingest.items import Found
from ingest.sources import open_source
from tests.support.slack_export import ExportBuilder
from tests.support.slack_server import SlackServer
from tests.support.slack_workspace import Kind

DAY = 86_400.0
START = 1_700_000_000.0
ADA, BEN = "U0ADA", "U0BEN"
LISTINGS: dict[Kind, str] = {
    "public": "channels.json",
    "private": "groups.json",
    "mpim": "mpims.json",
    "im": "dms.json",
}


class Clock:
    """What the workspace takes for the time, in seconds."""

    now = START

    def __call__(self) -> float:
        return self.now


class Impatient(PatientSlack):
    """Waits for nothing and notes how long it should have."""

    def __init__(self, slack: SlackServer, *, page_size: int = 200) -> None:
        self.waited: list[float] = []
        settings = SlackSettings.model_validate({"bot_token": slack.bot_token, "api_url": slack.api_url})
        super().__init__(settings, wait=self.waited.append, page_size=page_size)


def pull(slack: SlackServer, folder: Path, *, web: PatientSlack | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of Order
    order = replace(Order(folder=folder), **more)
    return Pull(web or Impatient(slack), order, lambda _: None).run()


def populate(slack: SlackServer, clock: Clock) -> None:
    """Two people, a public and a private channel, three days of talk with a thread in each channel."""
    slack.add_user(ADA, "ada", real_name="Ada Sol")
    slack.add_user(BEN, "ben", real_name="Ben Day")
    slack.add_channel("C0GENERAL", "general", members=[ADA, BEN])
    slack.add_channel("G0BOARD", "board", kind="private", members=[ADA])
    for number in range(3):
        clock.now = START + number * DAY
        for channel in ("C0GENERAL", "G0BOARD"):
            parent = slack.say(channel, ADA, f"How do we book trip {number} of {channel}?")
            slack.say(channel, BEN, f"By form {number}.", parent)
            slack.say(channel, ADA, f"Lunch {number} is at one.")


def export_of(slack: SlackServer, place: Path) -> Path:
    """What Slack would export of the workspace now, direct messages included."""
    builder = ExportBuilder(team=slack.team)
    builder.users = [user.wire() for user in slack.users.values() if user.listed]
    for one in slack.conversations.values():
        row = one.wire(team=slack.team, bot=slack.bot_user) | {"members": list(one.members)}
        builder.listed(LISTINGS[one.kind], row)
        for message in one.lasting():
            folder = one.id if one.kind == "im" else one.name
            fields = one.of_thread(message) | message.wire()
            builder.say(folder, message.ts, **{name: value for name, value in fields.items() if name != "ts"})
    return builder.unpacked(place)


def documents_in(place: Path) -> list[Document]:
    """The documents that an ingestion would find there, and so who said what when."""
    source = open_source(place, name="acme", settings=IngestSettings())
    found = [item.document for item in source.read() if isinstance(item, Found)]
    return sorted(found, key=lambda document: document.external_id)


def rights_in(place: Path) -> set[tuple[str, str]]:
    return set(open_source(place, name="acme", settings=IngestSettings()).memberships())


def messages_in(place: Path) -> dict[str, list[dict[str, Any]]]:
    """Every message by the folder of its conversation, in the order of the day files."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(place.glob("*/*.json")):
        if not path.name.startswith("."):
            found.setdefault(path.parent.name, []).extend(json.loads(path.read_bytes()))
    return found


def texts_in(place: Path, folder: str) -> list[str]:
    return [row["text"] for row in messages_in(place).get(folder, [])]


def files_in(place: Path) -> dict[str, bytes]:
    """Every file but the one that says when and how often somebody was asked."""
    paths = (path for path in sorted(place.rglob("*")) if path.is_file() and path != place / ".pull.json")
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in paths}


def calls(slack: SlackServer) -> dict[str, int]:
    """How often each method was called since the last time, and forget it."""
    with slack.lock:
        methods = [call.method for call in slack.calls]
        slack.calls.clear()
    return {method: methods.count(method) for method in sorted(set(methods))}
