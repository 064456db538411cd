"""A Slack workspace in memory: people, conversations and messages, with the shapes that Slack's Web API documents.

Everything here is guarded by one re-entrant lock (`Workspace.lock`); times are seconds, timestamps are Slack's
strings (seconds with six decimals), strictly increasing over the whole workspace.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from threading import RLock
from typing import Any, Literal, TypedDict, Unpack

Json = dict[str, Any]
Kind = Literal["public", "private", "im", "mpim"]
CHANNEL_TYPES: dict[Kind, str] = {"public": "channel", "private": "group", "im": "im", "mpim": "mpim"}
SLACKBOT = "USLACKBOT"
SCOPES = (
    "app_mentions:read,chat:write,commands,im:history,channels:history,groups:history,mpim:history,"
    "channels:read,groups:read,im:read,mpim:read,users:read"
)


class RefusedError(Exception):
    """Slack answers `ok: false` with this word, and with whatever else the method documents."""

    def __init__(self, word: str, **more: str) -> None:
        super().__init__(word)
        self.word = word
        self.more = more


class Traits(TypedDict, total=False):
    real_name: str
    team_id: str
    deleted: bool
    is_restricted: bool  # a guest of several channels
    is_ultra_restricted: bool  # a guest of one channel
    is_stranger: bool
    is_bot: bool
    listed: bool  # in users.list; people of other teams are only known to users.info unless this is set


@dataclass(slots=True, kw_only=True)
class User:
    id: str
    name: str
    real_name: str
    team_id: str
    deleted: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_bot: bool = False
    listed: bool = True

    def wire(self) -> Json:
        """Slack leaves the roles of a deactivated user out; `is_bot` of its own Slackbot is false."""
        shape: Json = {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "deleted": self.deleted,
            "profile": {"real_name": self.real_name, "display_name": self.name, "team": self.team_id},
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }
        if not self.deleted:
            names = ("real_name", "is_restricted", "is_ultra_restricted")
            shape |= {name: getattr(self, name) for name in names}
            shape |= dict.fromkeys(("is_admin", "is_owner", "is_primary_owner"), False)
        return shape | ({"is_stranger": True} if self.is_stranger else {})


@dataclass(slots=True, kw_only=True)
class Message:
    ts: str
    text: str
    user: str = ""
    bot_id: str = ""
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str = ""
    metadata: Json = field(default_factory=dict)
    subtype: str = ""
    ephemeral_to: str = ""
    edited_ts: str = ""
    more: Json = field(default_factory=dict)  # whatever else Slack says of it, reactions and files for example

    def wire(self, *, with_metadata: bool = False) -> Json:
        shape: Json = {"type": "message", "user": self.user, "text": self.text, "ts": self.ts}
        for name in ("bot_id", "blocks", "thread_ts", "subtype"):
            if value := getattr(self, name):
                shape[name] = value
        if self.edited_ts:
            shape["edited"] = {"user": self.user, "ts": self.edited_ts}
        return shape | self.more | ({"metadata": self.metadata} if with_metadata and self.metadata else {})


@dataclass(slots=True, kw_only=True)
class Conversation:
    id: str
    name: str
    kind: Kind
    members: list[str] = field(default_factory=list)
    is_archived: bool = False
    shared_with: tuple[str, ...] = ()  # other teams, by Slack Connect
    messages: list[Message] = field(default_factory=list)  # oldest first, ephemeral ones included

    @property
    def is_ext_shared(self) -> bool:
        return bool(self.shared_with)

    def find(self, ts: str) -> Message | None:
        return next((message for message in self.messages if message.ts == ts), None)

    def lasting(self) -> list[Message]:
        """What conversations.history and .replies can show: Slack does not keep ephemeral messages."""
        return [message for message in self.messages if not message.ephemeral_to]

    def of_thread(self, message: Message) -> Json:
        """What Slack says of the replies beside the first message of a thread, nothing beside any other."""
        replies = [one for one in self.lasting() if one.thread_ts == message.ts != one.ts]
        if not replies:
            return {}
        people = list(dict.fromkeys(one.user for one in replies))
        counts = {"reply_count": len(replies), "reply_users_count": len(people)}
        return counts | {"reply_users": people[:5], "latest_reply": replies[-1].ts}

    def wire(self, *, team: str, bot: str) -> Json:
        """The conversation object; `is_group` is only set for the older private channels, whose ids begin with G."""
        if self.kind == "im":
            other = next((user for user in self.members if user != bot), bot)
            return {"id": self.id, "created": 1_700_000_000, "is_im": True, "is_org_shared": False, "user": other}
        older = self.id.startswith("G")
        return {
            "id": self.id,
            "name": self.name,
            "name_normalized": self.name,
            "created": 1_700_000_000,
            "creator": self.members[0] if self.members else bot,
            "is_channel": self.kind != "mpim" and not older,
            "is_group": older,
            "is_im": False,
            "is_mpim": self.kind == "mpim",
            "is_private": self.kind != "public",
            "is_archived": self.is_archived,
            "is_general": False,
            "is_member": bot in self.members,
            "is_shared": self.is_ext_shared,
            "is_ext_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_pending_ext_shared": False,
            "pending_shared": [],
            "context_team_id": team,
            "shared_team_ids": [team, *self.shared_with],
        }


class Workspace:
    """The team, its people and its conversations; `clock` gives seconds since 1970."""

    team = "T05LQ8R2PNK"
    team_name = "Acme"
    url = "https://acme.slack.com/"
    app = "A0THREADWSE"
    bot_user = "U0THREADBOT"
    bot = "B0THREADBOT"

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.lock = RLock()
        self.clock = clock
        self.scopes = frozenset(SCOPES.split(","))
        self.page_limit = 1000  # Slack may give fewer than were asked for; set it low to have many pages
        self.users: dict[str, User] = {}
        self.conversations: dict[str, Conversation] = {}
        self.removed: list[tuple[str, Message]] = []  # channel and message, in the order of their deletion
        self._last_ts = 0
        self._numbers = count(1)
        self.add_user(SLACKBOT, "slackbot", real_name="Slackbot")
        self.add_user(self.bot_user, "threadwise", real_name="Threadwise", is_bot=True)

    def next_ts(self) -> str:
        """Slack's name for a moment and for a message; never twice the same, never earlier than the last one."""
        with self.lock:
            self._last_ts = max(self._last_ts + 1, int(self.clock() * 1_000_000))
            return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def new_id(self, letter: str) -> str:
        with self.lock:
            return f"{letter}{next(self._numbers):010d}"

    def add_user(self, user: str = "", name: str = "", **traits: Unpack[Traits]) -> str:
        """Somebody of the team, or with `team_id` of another one. Returns the id."""
        with self.lock:
            user = user or self.new_id("U")
            name = name or user.lower()
            given: Traits = {"team_id": self.team, "real_name": name.title(), **traits}
            given.setdefault("listed", given["team_id"] == self.team)
            self.users[user] = User(id=user, name=name, **given)
            return user

    def change_user(self, user: str, **traits: Unpack[Traits]) -> None:
        with self.lock:
            for name, value in traits.items():
                setattr(self.users[user], name, value)

    def add_channel(
        self,
        channel: str = "",
        name: str = "",
        *,
        kind: Kind = "public",
        members: Iterable[str] = (),
        bot: bool = True,
        shared_with: Iterable[str] = (),
    ) -> str:
        """A conversation with its members, the bot among them unless told otherwise. Returns the id."""
        with self.lock:
            channel = channel or self.new_id("D" if kind == "im" else "C")
            people = list(dict.fromkeys([*members, *([self.bot_user] if bot else [])]))
            self.conversations[channel] = Conversation(
                id=channel, name=name or channel.lower(), kind=kind, members=people, shared_with=tuple(shared_with)
            )
            return channel

    def direct(self, user: str) -> str:
        """The one direct conversation of the bot with this user, made if there is none."""
        with self.lock:
            wanted = {user, self.bot_user}
            for channel in self.conversations.values():
                if channel.kind == "im" and set(channel.members) == wanted:
                    return channel.id
            return self.add_channel(kind="im", members=[user])

    def archive(self, channel: str) -> None:
        with self.lock:
            self.conversations[channel].is_archived = True

    def share(self, channel: str, *teams: str) -> None:
        """The channel is shared with other companies from now on (with none: no longer)."""
        with self.lock:
            self.conversations[channel].shared_with = teams

    def join(self, channel: str, user: str) -> None:
        with self.lock:
            if user not in self.conversations[channel].members:
                self.conversations[channel].members.append(user)

    def leave(self, channel: str, user: str) -> None:
        with self.lock:
            self.conversations[channel].members.remove(user)

    def say(self, channel: str, user: str, text: str, thread_ts: str | None = None) -> str:
        """Somebody writes a message. Returns its ts."""
        with self.lock:
            message = Message(ts=self.next_ts(), text=text, user=user, thread_ts=thread_ts or "")
            return self.add_message(channel, message).ts

    def add_message(self, channel: str, message: Message) -> Message:
        """A first reply turns its parent into a thread, whose `thread_ts` is its own ts."""
        with self.lock:
            conversation = self.conversations[channel]
            parent = conversation.find(message.thread_ts)
            if parent is not None and not message.ephemeral_to:
                parent.thread_ts = message.thread_ts = parent.thread_ts or parent.ts
            conversation.messages.append(message)
            return message

    def delete_message(self, channel: str, ts: str) -> Message:
        """Take a message away. Raises `KeyError` if there is none."""
        with self.lock:
            found = self.conversations[channel].find(ts)
            if found is None:
                raise KeyError(ts)
            self.conversations[channel].messages.remove(found)
            self.removed.append((channel, found))
            return found

    def posted(self, channel: str) -> list[Message]:
        """What everybody in the conversation can see, oldest first."""
        with self.lock:
            return self.conversations[channel].lasting()

    def posted_by_bot(self, channel: str) -> list[Message]:
        return [message for message in self.posted(channel) if message.bot_id == self.bot]

    def shown_to(self, channel: str, user: str) -> list[Message]:
        """The ephemeral messages that this user sees there now, oldest first."""
        with self.lock:
            return [message for message in self.conversations[channel].messages if message.ephemeral_to == user]

    def visible(self, channel: str) -> Conversation:
        """The conversation as a bot token sees it: public ones, and others only with the bot inside."""
        found = self.conversations.get(channel)
        if found is None or (found.kind != "public" and self.bot_user not in found.members):
            raise RefusedError("channel_not_found")
        return found

    def need(self, scope: str) -> None:
        """Slack names the scope that a call lacks."""
        if scope not in self.scopes:
            raise RefusedError("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))
