"""A door for Slack without a network: a workspace in memory talks to it, and what it lets in is kept in a list."""

from api.slack.door import Door
from api.slack.words import Delivery, Identity, Matter, Question
from tests.support.slack_events import Envelope, Events
from tests.support.slack_workspace import Workspace

OURS = "T05LQ8R2PNK"
THEIRS = "T0ELSEWHERE"
ANSWER = "0123456789abcdef0123456789abcdef"
URL = "https://hooks.slack.com/commands/T05LQ8R2PNK/1/abc"
LOOKING = {"response_type": "ephemeral", "text": "Looking…", "blocks": [{"type": "divider"}]}
IDENTITY = Identity(team=OURS, user=Workspace.bot_user, bot=Workspace.bot, url=Workspace.url)


class House:
    """A door, what went through it, and a workspace that talks to it."""

    def __init__(self) -> None:
        self.workspace = Workspace()
        self.says = Events(self.workspace)
        self.ada = self.workspace.add_user("U0ADA")
        self.channel = self.workspace.add_channel("C0GENERAL", members=[self.ada])
        self.kept: list[Delivery] = []
        self.withdrawn: list[str] = []
        self.changed: list[str] = []
        self.identity: Identity | None = IDENTITY
        self.failure: Exception | None = None
        self.door = Door(
            self.accept,
            withdraw=self.withdrawn.append,
            changed=lambda what, _subject: self.changed.append(what),
            identity=lambda: self.identity,
            command_reply=lambda: LOOKING,
        )

    def accept(self, delivery: Delivery) -> bool:
        if self.failure:
            raise self.failure
        self.kept.append(delivery)
        return True

    def post(self, envelope: Envelope, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return self.door.dispatch(envelope.body, {"content-type": envelope.content_type} | headers)

    def hears(self, envelope: Envelope) -> Matter | None:
        """What one delivery was about; None if nothing was kept. Slack is told that it arrived either way."""
        before = len(self.kept)
        assert self.post(envelope)[0] == 200
        assert len(self.kept) <= before + 1
        return self.kept[before].matter if len(self.kept) > before else None

    def hears_question(self, envelope: Envelope) -> Question:
        matter = self.hears(envelope)
        assert isinstance(matter, Question)
        return matter

    def mention(self, **changes: object) -> Envelope:
        envelope = self.says.app_mention(self.channel, self.ada, "<@U0THREADBOT> how long is leave?")
        envelope.event.update(changes)
        return envelope

    def direct(self, **changes: object) -> Envelope:
        envelope = self.says.direct(self.ada, "how long is leave?")
        envelope.event.update(changes)
        return envelope

    def command(self, text: str = "how long is leave?", **changes: str) -> Envelope:
        envelope = self.says.command(self.channel, self.ada, text, response_url=URL)
        return Envelope("slash_commands", envelope.payload | changes)

    def click(self, action: str = "helpful", value: str = ANSWER, **changes: object) -> Envelope:
        message = self.workspace.say(self.channel, self.workspace.bot_user, "an answer")
        envelope = self.says.block_actions(
            self.channel, self.ada, message, action_id=action, value=value, response_url=URL
        )
        return Envelope("interactive", envelope.payload | changes)
