"""What happens in a company that uses Slack, drawn at random: who comes and goes, and what its sources say."""

from pathlib import Path
from random import Random

from core.words import EVERYONE
from tests.support.installation import write_pages
from tests.support.slack_company import Bot
from tests.support.slack_export import ExportBuilder
from tests.support.slack_rights import ELSEWHERE, NOBODY, TEAM, Audience, Rights, is_guest
from tests.support.slack_server import SlackServer
from tests.support.slack_workspace import Conversation, Kind, Traits

ADA, BEN, CAT, DAN, NEW = "U0ADA", "U0BEN", "U0CAT", "U0DAN", "U0NEW"
GUS, GIA, OLD, OTTO = "U0GUS", "U0GIA", "U0OLD", "U0OTTO"
IN_CHANNELS: dict[str, tuple[str, Kind, list[str]]] = {
    "ostrich": ("C0GENERAL", "public", [ADA, BEN, CAT, DAN, OLD]),
    "velvet": ("C0LOBBY", "public", [ADA, BEN]),
    "lagoon": ("C0PEOPLE", "private", [ADA, BEN, GUS]),
    "marble": ("G0BOARD", "private", [ADA, CAT]),
    "walnut": ("C0DEAL", "private", [BEN, DAN, OLD]),
    "comet": ("G0TRIO", "mpim", [ADA, BEN, DAN]),
}
IN_FILES: dict[str, Audience] = {
    "saffron": frozenset({EVERYONE}),
    "tundra": frozenset({TEAM}),
    "harpoon": frozenset({f"{TEAM}/C0PEOPLE"}),
    "quartz": frozenset({f"{TEAM}/{ADA}"}),
}
AUDIENCES = (
    *IN_FILES.values(),
    frozenset({f"{TEAM}/G0TRIO"}),
    frozenset({f"{TEAM}/{BEN}", f"{TEAM}/G0BOARD"}),
    NOBODY,
)
LOST_SECONDS = 301.0
"""After so long nothing is remembered that an event, had it arrived, would have made forgotten."""
DEMOTIONS: tuple[Traits, ...] = ({"is_restricted": True}, {"is_ultra_restricted": True}, {"deleted": True})


class Clock:
    """What the directory takes for the time: it moves when an event gets lost. Knows who asks in this step."""

    now = 0.0
    asker = ""

    def __call__(self) -> float:
        return self.now


class Life:
    """A company, its bot, and what happens around it. Everything is drawn from `dice`."""

    def __init__(self, bot: Bot, rights: Rights, clock: Clock, dice: Random, folder: Path) -> None:
        self.bot, self.rights, self.clock, self.dice, self.folder = bot, rights, clock, dice, folder
        self.slack = bot.slack
        self.told: list[str] = []  # what happened, to repeat it by hand

    def change(self) -> None:
        """Somebody comes, goes, or becomes somebody else; the event arrives or does not."""
        changes = {
            self._join: 8,
            self._leave: 6,
            self._change_standing: 5,
            self._come_back: 7,
            self.invite_strangers: 1,
            self._part_from_strangers: 4,
            self._move_bot: 3,
        }
        (change,) = self.dice.choices(list(changes), list(changes.values()))
        change()

    def reissue(self) -> None:
        """A source has a new text and another audience, or is empty."""
        topic = self.dice.choice(list(IN_FILES))
        self.publish(topic, self.dice.choice(AUDIENCES))

    def publish(self, topic: str, audience: Audience) -> None:
        """Bring a text of one page into the catalogue."""
        token = self.rights.say(topic, audience)
        self.tell("publishes", topic, token, *sorted(audience))
        pages = {f"{topic}-{token}.md": f"# The {topic} file {token}\n\n{fact(topic, token)}\n"} if audience else {}
        folder = write_pages(self.folder / topic, pages)
        self.bot.threadwise.ingest(folder, name=topic, audience=tuple(sorted(audience)) or None, allow_empty=True)

    def export(self) -> None:
        """The whole workspace as it is now, conversations without the bot included."""
        builder = ExportBuilder(team=TEAM)
        for user in self.rights.people():
            if user.team_id == TEAM:
                builder.user(user.id, user.name, is_restricted=user.is_restricted, deleted=user.deleted)
        for number, (topic, (channel, kind, _)) in enumerate(IN_CHANNELS.items()):
            able = {user.id for user in self.rights.people() if not user.deleted}
            members = sorted(able & set(self.slack.conversations[channel].members))
            token = self.rights.tokens[topic]
            name = f"{topic}-{token}"
            {"public": builder.channel, "private": builder.private, "mpim": builder.group_message}[kind](
                channel, name, members
            )
            builder.say(name, f"17000{number:05d}.000100", fact(topic, token), user=ADA)
            self.rights.exported[channel] = frozenset(members)
        self.tell("exports")
        self.bot.threadwise.ingest(builder.zipped(self.folder / "export.zip"), name="slack")

    def _join(self) -> None:
        channel = self.dice.choice(self.channels())
        users = [user for user in sorted(self.rights.insiders()) if user not in channel.members]
        if users:
            self.enter(channel, self.dice.choice(users))

    def _leave(self) -> None:
        channel = self.dice.choice(self.channels())
        if user := self.one_of(channel):
            self.exit(channel, user)

    def _change_standing(self) -> None:
        self.demote(self.dice.choice(sorted(self.rights.members()) or [ADA]))

    def demote(self, user: str) -> None:
        """A member becomes a guest, or leaves the company."""
        traits = self.dice.choice(DEMOTIONS)
        self.slack.change_user(user, **traits)
        self._spread(user, *traits)

    def _come_back(self) -> None:
        """Somebody is a full member, again or for the first time."""
        users = [user.id for user in self.rights.people() if user.team_id == TEAM and (user.deleted or is_guest(user))]
        if users:
            user = self.dice.choice(users)
            self.slack.change_user(user, deleted=False, is_restricted=False, is_ultra_restricted=False)
            self._spread(user, "member")

    def _spread(self, user: str, *what: str) -> None:
        is_told = self.dice.random() < 0.5
        self.tell("becomes", user, *what, "told" if is_told else "lost")
        if is_told:
            self.bot.tell(self.slack.events.user_change(user))
        else:
            self.clock.now += LOST_SECONDS

    def invite_strangers(self, channel: Conversation | None = None) -> None:
        channel = channel or self.dice.choice(self.channels())
        self.slack.share(channel.id, ELSEWHERE)
        self.tell("shares", channel.id)
        if self.dice.random() < 0.7:
            self.enter(channel, OTTO)

    def _part_from_strangers(self) -> None:
        channel = self.dice.choice(self.channels())
        if OTTO in channel.members:
            self.exit(channel, OTTO)
        if self.dice.random() < 0.8:
            self.tell("shares no longer", channel.id)
            self.slack.share(channel.id)

    def _move_bot(self) -> None:
        channel = self.dice.choice([place for place in self.channels() if place.kind == "private"])
        if self.slack.bot_user not in channel.members:
            self.enter(channel, self.slack.bot_user)
        elif self.dice.random() < 0.5:
            self.exit(channel, self.slack.bot_user)

    def enter(self, channel: Conversation, user: str) -> None:
        is_told = self.dice.random() < 0.5 and self.slack.bot_user in (*channel.members, user)
        self.tell("joins", user, channel.id, "told" if is_told else "lost")
        if is_told:
            self.bot.tell(self.slack.events.member_joined_channel(channel.id, user))
            return
        self.slack.join(channel.id, user)
        if user == self.slack.bot_user:
            self.clock.now += LOST_SECONDS

    def exit(self, channel: Conversation, user: str) -> None:
        is_told = self.dice.random() < 0.5 and self.slack.bot_user in channel.members
        self.tell("leaves", user, channel.id, "told" if is_told else "lost")
        if is_told:
            self.bot.tell(self.slack.events.member_left_channel(channel.id, user))
        else:
            self.slack.leave(channel.id, user)

    def channels(self) -> list[Conversation]:
        return [self.slack.conversations[channel] for channel, _, _ in IN_CHANNELS.values()]

    def hearing(self) -> Conversation:
        """One where the bot hears what is said."""
        return self.dice.choice([place for place in self.channels() if self.slack.bot_user in place.members])

    def one_of(self, channel: Conversation) -> str:
        """Somebody who can write there, empty if there is nobody."""
        able = {user.id for user in self.rights.people() if not user.deleted}
        return self.dice.choice([user for user in channel.members if user in able] or [""])

    def anybody(self) -> str:
        return self.dice.choice(self.rights.people()).id

    def tell(self, *words: str) -> None:
        self.told.append(" ".join(words))


def audience_of(channel: str, kind: Kind) -> Audience:
    """Of what is said there: group messages are not brought in."""
    if kind == "mpim":
        return NOBODY
    return frozenset({TEAM if kind == "public" else f"{TEAM}/{channel}"})


def question(topic: str) -> str:
    """One with so many words that it leans on none before it."""
    return f"How much is the {topic} budget of the marketing department?"


def fact(topic: str, token: str) -> str:
    return f"The {topic} budget of the marketing department is {token} euros."


def populate(slack: SlackServer) -> None:
    """Everybody who is in the first export, and where they are."""
    for user in (ADA, BEN, CAT, DAN, OLD):
        slack.add_user(user, user[2:].lower())
    slack.add_user(GUS, "gus", is_restricted=True)
    slack.add_user(GIA, "gia", is_ultra_restricted=True)
    for topic, (channel, kind, members) in IN_CHANNELS.items():
        slack.add_channel(channel, topic, kind=kind, members=members, bot=topic != "walnut")


def go_on(slack: SlackServer) -> None:
    """What nobody has exported: somebody has left since, somebody is new, and there are other companies."""
    slack.change_user(OLD, deleted=True)
    slack.add_user(NEW, "new")
    slack.add_user(OTTO, "otto", team_id=ELSEWHERE)
