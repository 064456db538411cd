"""A company with a bot: what it wrote, its Slack (the mock), and ways to ask and to look at what was replied."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.settings import AskSettings, LlmSettings, Settings, SlackSettings
from tests.support.doorbell import eventually
from tests.support.installation import write_pages
from tests.support.rest import door
from tests.support.slack_events import Delivered, Envelope, deliver, signed
from tests.support.slack_export import ExportBuilder
from tests.support.slack_server import SlackServer
from tests.support.slack_workspace import Message
from threadwise.runtime import Threadwise

TEAM = SlackServer.team
ADA, BEN, GUEST, OUTSIDER = "U0ADA", "U0BEN", "U0GUEST", "U0OUTSIDER"
GENERAL, PEOPLE, BOARD = "C0GENERAL", "G0PEOPLE", "G0BOARD"
MENTION = f"<@{SlackServer.bot_user}>"

HANDBOOK = {
    "leave.md": "# Leave\n\nEverybody has 25 days of paid leave each year.\n\n"
    "Up to five days of leave can be carried over into the new year. They have to be taken by the end of March.\n",
    "bikes.md": "# Bikes\n\nA company bike is leased for three years.\n",
}
FERRY = "The ferry budget for the summer trip is 480 euros a person."
SEVERANCE = "The severance package for the Leeds team is nine weeks of pay."
MERGER = "The merger with Harbour Foods closes on the second of November."


def export() -> ExportBuilder:
    """A public channel, a private one that Ada and Ben are in, and one that only Ada is in."""
    builder = ExportBuilder(team=TEAM)
    builder.user(ADA, "Ada").user(BEN, "Ben").user(GUEST, "Gus", is_restricted=True)
    builder.channel(GENERAL, "general", [ADA, BEN], is_general=True)
    builder.private(PEOPLE, "people", [ADA, BEN]).private(BOARD, "board", [ADA])
    builder.say("general", "1700000000.000100", FERRY, user=ADA)
    builder.say("people", "1700000100.000100", SEVERANCE, user=ADA)
    builder.say("board", "1700000200.000100", MERGER, user=ADA)
    return builder


def populate(slack: SlackServer) -> None:
    """The same people and conversations as in the export, today."""
    slack.add_user(ADA, "ada")
    slack.add_user(BEN, "ben")
    slack.add_user(GUEST, "gus", is_restricted=True)
    slack.add_user(OUTSIDER, "otto", team_id="T0ELSEWHERE")
    slack.add_channel(GENERAL, "general", members=[ADA, BEN])
    slack.add_channel(PEOPLE, "people", kind="private", members=[ADA, BEN])
    slack.add_channel(BOARD, "board", kind="private", members=[ADA])


def settings_for(slack: SlackServer, folder: Path, **more: Any) -> Settings:  # noqa: ANN401 - fields of SlackSettings
    """Quotes without a model; a short lease, so that what died is taken over soon."""
    bot = {"bot_token": slack.bot_token, "signing_secret": slack.signing_secret, "api_url": slack.api_url}
    return Settings(
        data_dir=folder,
        llm=LlmSettings(kind="none"),
        ask=AskSettings(contact="#people-help"),
        slack=SlackSettings.model_validate(bot | {"lease_seconds": 3, "timeout_seconds": 1} | more),
    )


def fill(threadwise: Threadwise, folder: Path) -> None:
    """Ingest the handbook and the export."""
    threadwise.ingest(write_pages(folder / "handbook", HANDBOOK), name="handbook")
    threadwise.ingest(export().zipped(folder / "export.zip"), name="slack")


@dataclass(frozen=True, slots=True)
class Bot:
    """A running bot and its Slack."""

    slack: SlackServer
    threadwise: Threadwise
    send: Callable[[Envelope], int]

    def mention(self, channel: str, user: str, text: str, **more: str) -> Envelope:
        """Somebody mentions the bot; delivered once."""
        return self.tell(self.slack.events.app_mention(channel, user, f"{MENTION} {text}", **more))

    def direct(self, user: str, text: str, **more: str) -> Envelope:
        """Somebody writes to the bot alone."""
        return self.tell(self.slack.events.direct(user, text, **more))

    def tell(self, envelope: Envelope) -> Envelope:
        """Deliver it once, and see it acknowledged."""
        assert self.send(envelope) == 200
        return envelope

    def command(self, channel: str, user: str, text: str) -> str:
        """`/ask`; the response URL."""
        url = self.slack.response_url(channel, user)
        self.tell(self.slack.events.command(channel, user, text, response_url=url))
        return url

    def click(self, channel: str, user: str, message: Message, action: str) -> str:
        """A click on a button of a message; the response URL."""
        url = self.slack.response_url(channel, user, message_ts=message.ts)
        value = next(button["value"] for button in buttons(message) if button["action_id"] == action)
        events = self.slack.events
        self.tell(events.block_actions(channel, user, message.ts, action_id=action, value=value, response_url=url))
        return url

    def reply(self, channel: str, number: int = 1, timeout: float = 20.0) -> Message:
        """The newest of so many visible replies."""
        return self.slack.wait_for_posts(channel, number, timeout)[-1]

    def shown(self, channel: str, user: str, number: int = 1) -> Message:
        """The newest of so many messages that only this user sees."""
        self.slack.wait_until(lambda: len(self.slack.shown_to(channel, user)) >= number, f"{number} ephemeral", 20)
        return self.slack.shown_to(channel, user)[-1]

    def settled(self) -> None:
        """Wait until nothing is open in the inbox."""
        eventually(lambda: self.threadwise.inbox.standing()[0] == 0, 60)


@contextmanager
def running_bot(threadwise: Threadwise, slack: SlackServer) -> Iterator[Bot]:
    """The service in this process, its bot answering."""
    with door(threadwise) as opened:

        def send(envelope: Envelope) -> int:
            headers = {"Content-Type": envelope.content_type} | signed(envelope.body, slack.signing_secret)
            return opened.client.post("/slack/events", content=envelope.body, headers=headers).status_code

        yield Bot(slack, threadwise, send)


def send_to(url: str, slack: SlackServer) -> Callable[[Envelope], Delivered]:
    """A way to deliver to a service that runs as a process of its own."""
    return lambda envelope: deliver(f"{url}/slack/events", envelope, secret=slack.signing_secret)


def text_of(message: Message) -> str:
    """Everything a reader of the message sees, and what its notification says."""
    return message.text + "\n" + "\n".join(texts(message.blocks))


def texts(value: object) -> Iterator[str]:
    """Every string that stands under `text` or `url` anywhere in a payload."""
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in ("text", "url") and isinstance(item, str):
                yield item
            else:
                yield from texts(item)


def buttons(message: Message) -> list[dict[str, Any]]:
    """The buttons of a message."""
    return [element for block in message.blocks if block["type"] == "actions" for element in block["elements"]]


def says(message: Message, *words: str) -> bool:
    """Whether everything stands in the message, however it is broken into pieces."""
    whole = " ".join(json.dumps(text_of(message), ensure_ascii=False).replace("\\n", " ").split())
    return all(word in whole for word in words)
