"""Who reads a reply, and with which rights it is written: deny by default.

What cannot be asked raises; nothing falls back to wider rights. Who is in a conversation is asked for every question,
because a right that was taken away must hold at once.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Final, Generic, Literal, TypeVar

from api.slack.errors import OutsiderError, SlackRefusedError, SlackUnreachableError
from api.slack.shapes import Conversation, Person, Places, person_of
from api.slack.web import SlackWeb
from api.slack.words import Identity, principal_of
from core.catalog.passages import Reader

PEOPLE_SECONDS: Final = 300.0
CONVERSATIONS_SECONDS: Final = 60.0
_UNKNOWN: Final = frozenset({"user_not_found", "user_not_visible"})

Scope = Literal["workspace", "conversation", "everyone"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReaders:
    """Whoever may read a reply in a conversation holds each principal of `reader`; `scope` is the widest of them."""

    reader: Reader
    scope: Scope
    is_private: bool


class Directory:
    """Asks Slack who somebody is and who is where. Thread-safe. `clock` gives seconds that only grow."""

    def __init__(
        self, web: SlackWeb, identity: Callable[[], Identity], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._web = web
        self._identity = identity
        self._people = _Remembered(web.people, PEOPLE_SECONDS, clock)
        self._seen = _Remembered(lambda: web.conversations_of(None), CONVERSATIONS_SECONDS, clock)

    def asker(self, team: str, user: str) -> Reader:
        """The rights that somebody has now.

        Raises `OutsiderError` for people of other teams, people who have left, and machines.
        """
        own = self._identity().team
        if team != own:
            raise _outside()
        person = self._person(user)
        if person.team != own or person.standing not in ("member", "guest"):
            raise _outside()
        return asker_reader(person, seen=self._seen.get(), inside=self._web.conversations_of(user))

    def channel(self, channel_id: str) -> ChannelReaders:
        """The rights that everybody has who can read a reply there.

        Raises `OutsiderError` if one of them does not belong to the team, and `SlackRefusedError` for a direct
        conversation, where `asker` says what is right.
        """
        conversation = self._web.conversation(channel_id)
        seen = self._seen.get().private
        return channel_readers(conversation, self._identity().team, self._present(channel_id), seen=seen)

    def said_in(self, channel: str, thread: str) -> dict[str, str]:
        """What stands in a thread now: text by timestamp. What was deleted is not repeated."""
        return self._web.said_in(channel, thread)

    def name_of(self, user: str) -> str:
        """How Slack calls somebody; empty where nobody of that id is listed."""
        person = self._people.get().get(user)
        return person.name if person else ""

    def forget_people(self) -> None:
        """Somebody has come, gone, or become somebody else."""
        self._people.forget()

    def learn(self, row: object) -> None:
        """Slack says what somebody is now. Who only changed a picture costs no new list of everybody."""
        try:
            person = person_of(row)
        except SlackUnreachableError:
            self.forget_people()
            return
        if (self._people.last() or {}).get(person.id) != person:
            self.forget_people()

    def forget_conversations(self) -> None:
        """The bot may be in other conversations than before."""
        self._seen.forget()

    def _present(self, channel_id: str) -> Iterator[Person]:
        users = self._web.members(channel_id)
        listed = self._people.get()
        yield from (listed.get(user) or self._person(user) for user in sorted(users))

    def _person(self, user: str) -> Person:
        try:
            return self._web.person(user)
        except SlackRefusedError as error:
            if error.reason in _UNKNOWN:
                raise _outside() from error
            raise


def asker_reader(person: Person, *, seen: Places, inside: Places) -> Reader:
    """The rights of a member or guest, of whose conversations Slack names those `inside`.

    Of what the bot has `seen`, Slack knows better than any earlier listing who is in it: the rest is taken away. A
    member need not be in a public channel to read it.
    """
    team = person.team
    is_member = person.standing == "member"
    known = seen.private if is_member else seen.private | seen.public
    lost = {principal_of(team, conversation) for conversation in known - inside.private - inside.public}
    held = {principal_of(team, conversation) for conversation in inside.private} | {principal_of(team, person.id)}
    (held if is_member else lost).add(team)
    return Reader(principals=tuple(sorted(held)), without=tuple(sorted(lost)))


def channel_readers(
    conversation: Conversation, team: str, present: Iterable[Person], *, seen: Collection[str] = ()
) -> ChannelReaders:
    """What everybody present holds, and whoever is let in later: never another conversation's right, nor a person's.

    What is said in the private conversations that the bot has `seen` is left out even where an earlier listing had
    them as public. Raises `OutsiderError` and `SlackRefusedError` as `Directory.channel` does.
    """
    if conversation.kind == "direct":
        raise SlackRefusedError(
            "This is a direct conversation.", hint="Its answers are for its asker.", reason="direct_conversation"
        )
    if conversation.is_shared_outside or conversation.team not in ("", team):
        raise _outside()
    standings = {person.standing for person in present if _reads(person, team)}
    is_private = conversation.kind != "public"
    held = {principal_of(team, conversation.id)} if is_private else set()
    # Nobody present proves nothing: the next one to come may be a guest.
    held |= {team} if standings == {"member"} else set()
    others = {principal_of(team, other) for other in seen if other != conversation.id}
    reader = Reader(principals=tuple(sorted(held)), without=tuple(sorted(others)))
    return ChannelReaders(reader=reader, scope=_scope(held, team), is_private=is_private)


def _scope(held: Collection[str], team: str) -> Scope:
    if team in held:
        return "workspace"
    return "conversation" if held else "everyone"


def _reads(person: Person, team: str) -> bool:
    """Whether somebody present is a reader of the team. Raises `OutsiderError` for whoever is not of the team."""
    if person.team != team or person.standing == "outsider":
        raise _outside()
    return person.standing in ("member", "guest")


def _outside() -> OutsiderError:
    return OutsiderError("Not everybody here belongs to the company.", hint="Only its members and guests are answered.")


class _Remembered(Generic[T]):
    """The last value of a question that is dear to ask, for a while. Whoever forgets it waits for nobody."""

    def __init__(self, ask: Callable[[], T], seconds: float, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._asking = Lock()
        self._epoch = object()
        self._held: tuple[T, float, object] | None = None

    def get(self) -> T:
        """The value, asked for by one thread where several need it."""
        with self._asking:
            # Of before the question is asked: what is to be forgotten while it is asked is not kept.
            at, epoch = self._clock(), self._epoch
            if self._held is not None and self._held[2] is epoch and at - self._held[1] < self._seconds:
                return self._held[0]
            value = self._ask()
            self._held = (value, at, epoch)
            return value

    def last(self) -> T | None:
        """What was said last, unless it is to be forgotten."""
        held = self._held
        return held[0] if held is not None and held[2] is self._epoch else None

    def forget(self) -> None:
        """Ask again next time."""
        self._epoch = object()
