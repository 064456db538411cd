"""What the bot relies on in the answers of Slack's Web API, and the values it makes of them.

Whatever is missing or of another kind makes the whole answer unusable; what is not named here is not looked at.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.slack.wire import strange_answer

Kind = Literal["public", "private", "direct", "group"]
Standing = Literal["member", "guest", "outsider", "gone", "machine"]
SlackId = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,40}$")]
LONGEST_NAME = 80
SLACKBOT = "USLACKBOT"  # the one machine that Slack does not call a bot


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A place in Slack: a channel, a group message or a direct one. `team` is empty where Slack names none."""

    id: str
    kind: Kind
    name: str
    is_shared_outside: bool  # with another company or another workspace, or about to be
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody, in the team that they belong to, which need not be ours: `standing` is what they are there."""

    id: str
    team: str
    standing: Standing
    name: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Ids of conversations, direct ones left out."""

    private: frozenset[str]
    public: frozenset[str]


class Shape(BaseModel):
    """What an object of Slack must have, of exactly these kinds."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", hide_input_in_errors=True)


class IdentityShape(Shape):
    """The answer of auth.test."""

    team_id: SlackId
    user_id: SlackId
    bot_id: SlackId
    url: str


class Further(Shape):
    """Where a list goes on; an empty cursor ends it."""

    next_cursor: str = ""


class Page(Shape):
    """What every list has beside its entries."""

    response_metadata: Further = Further()


class MembersPage(Page):
    """One page of conversations.members."""

    members: list[SlackId]


class PeoplePage(Page):
    """One page of users.list; an entry is a shape of its own."""

    members: list[dict[str, Any]]


class Place(Shape):
    """An entry of users.conversations."""

    id: SlackId
    is_private: bool


class PlacesPage(Page):
    """One page of users.conversations."""

    channels: list[Place]


class MessagesPage(Page):
    """One page of conversations.replies or conversations.history."""

    messages: list[dict[str, Any]]


class Posted(Shape):
    """The answer of chat.postMessage."""

    ts: str = Field(min_length=1)


class _PersonShape(Shape):
    id: SlackId
    team_id: SlackId
    name: str = ""
    real_name: str | None = None
    is_stranger: bool = False
    deleted: bool | None = None
    is_bot: bool | None = None
    is_restricted: bool | None = None
    is_ultra_restricted: bool | None = None


class _ConversationShape(Shape):
    id: SlackId
    name: str = ""
    is_im: bool
    is_mpim: bool = False
    is_private: bool | None = None
    is_shared: bool = False
    is_org_shared: bool = False
    is_ext_shared: bool | None = None
    is_pending_ext_shared: bool = False
    context_team_id: SlackId | Literal[""] = ""


S = TypeVar("S", bound=Shape)


def read(shape: type[S], data: object) -> S:
    """The object in this shape. Raises `SlackUnreachableError` if it does not have it."""
    try:
        return shape.model_validate(data)
    except ValidationError:
        raise strange_answer() from None  # the cause would show what the object says


def person_of(row: object) -> Person:
    """A user object of Slack. Raises `SlackUnreachableError` if it does not say what they are."""
    shape = read(_PersonShape, row)
    name = (shape.real_name or shape.name)[:LONGEST_NAME]
    return Person(id=shape.id, team=shape.team_id, standing=_standing(shape), name=name)


def conversation_of(row: object) -> Conversation:
    """A conversation object of Slack. Raises `SlackUnreachableError` if it does not say who can see it."""
    shape = read(_ConversationShape, row)
    return Conversation(
        id=shape.id,
        kind=_kind(shape),
        name=shape.name,
        is_shared_outside=_is_shared(shape),
        team=shape.context_team_id,
    )


def _standing(shape: _PersonShape) -> Standing:
    # In this order, because Slack leaves the later ones out where an earlier one is true.
    if shape.is_stranger:
        return "outsider"
    if _said(shape.deleted):
        return "gone"
    if _said(shape.is_bot) or shape.id == SLACKBOT:
        return "machine"
    return "guest" if _said(shape.is_restricted) | _said(shape.is_ultra_restricted) else "member"


def _kind(shape: _ConversationShape) -> Kind:
    if shape.is_im:
        return "direct"
    if shape.is_mpim:
        return "group"
    return "private" if _said(shape.is_private) else "public"


def _is_shared(shape: _ConversationShape) -> bool:
    somehow = shape.is_shared or shape.is_org_shared or shape.is_pending_ext_shared
    return somehow or (_said(shape.is_ext_shared) if not shape.is_im else shape.is_ext_shared is True)


def _said(flag: bool | None) -> bool:  # noqa: FBT001 - a flag as Slack gives it
    """A flag on which rights depend: that Slack does not name it is no answer."""
    if flag is None:
        raise strange_answer()
    return flag
