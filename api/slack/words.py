"""What Slack tells the bot, in the bot's own words. Values of a delivery are stored as JSON until they are worked."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

Where = Literal["channel", "direct", "command"]
"""A mention among others, a direct message, or the slash command, whose answer only its asker sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the bot is: its team, its user and bot ids, and the workspace's address (https://acme.slack.com/)."""

    team: str
    user: str
    bot: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Somebody asks. `text` is Slack's mrkdwn as it came; `ts` is empty for a command, which has no message."""

    kind: ClassVar[str] = "question"
    team: str  # of the asker, whoever's workspace the channel is in
    user: str
    channel: str
    where: Where
    text: str
    ts: str = ""
    thread: str = ""  # the thread's first message; empty for a message outside of threads
    response_url: str = ""  # where the answer to a command goes


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The asker wants an answer that only they saw to stand in the channel."""

    kind: ClassVar[str] = "share"
    team: str
    user: str
    channel: str
    answer_id: str
    response_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Somebody says whether an answer helped."""

    kind: ClassVar[str] = "rating"
    team: str
    user: str
    channel: str
    answer_id: str
    value: Literal[-1, 1]
    response_url: str


Matter = Question | Share | Rating
_KINDS: dict[str, type[Question] | type[Share] | type[Rating]] = {kind.kind: kind for kind in (Question, Share, Rating)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One thing Slack told the bot. The same `id` is the same event, however often Slack sends it.

    `message` names the message in Slack that it is about, where two events may be about one; else it is empty.
    """

    id: str
    matter: Matter
    message: str = ""


def as_payload(matter: Matter) -> dict[str, Any]:
    """The JSON that is stored."""
    return asdict(matter)


def from_payload(kind: str, payload: dict[str, Any]) -> Matter:
    """The inverse of `as_payload`."""
    return _KINDS[kind](**payload)


def principal_of(team: str, member: str) -> str:
    """The principal of a user or of a conversation."""
    return f"{team}/{member}"
