"""Who may read what in Slack, as plain sets: the model that the bot's messages are judged by.

It asks neither the bot nor the catalogue. Who is where comes from the mock's own tables at the moment of the question,
what the export says from the moment it was read. Every text of the company names a token that stands nowhere else.
"""

import json
import re
from dataclasses import dataclass, field

from core.words import EVERYONE
from tests.support.slack_server import SlackServer
from tests.support.slack_workspace import Conversation, Message, User

TEAM = SlackServer.team
ELSEWHERE = "T0ELSEWHERE"
STRANGERS = "whoever the other company lets in"
_TOKEN = re.compile(r"q\d{4}q", re.IGNORECASE)

Audience = frozenset[str]
NOBODY: Audience = frozenset()


@dataclass(frozen=True, slots=True)
class Leak:
    """A message that says what some who see it may not read."""

    channel: str
    token: str
    topic: str
    to: tuple[str, ...]


@dataclass(slots=True)
class Rights:
    """The truth about one company. `exported`: who was in which conversation when the export was read."""

    slack: SlackServer
    exported: dict[str, frozenset[str]] = field(default_factory=dict)
    audiences: dict[str, Audience] = field(default_factory=dict)  # of the topics
    topics: dict[str, str] = field(default_factory=dict)  # of the tokens, of those that are gone as well
    tokens: dict[str, str] = field(default_factory=dict)  # of the topics, the one of today

    def say(self, topic: str, audience: Audience) -> str:
        """A topic has a new text, for this audience; what it said before, nobody may read. Returns its token."""
        token = f"q{len(self.topics):04d}q"
        self.topics[token], self.tokens[topic], self.audiences[topic] = topic, token, audience
        return token

    def people(self) -> list[User]:
        """Everybody of the company and of others, no machines."""
        return [user for user in self.slack.users.values() if not user.is_bot and user.id != "USLACKBOT"]

    def members(self) -> set[str]:
        """The full members of the workspace now."""
        return {user.id for user in self._inside() if not is_guest(user)}

    def insiders(self) -> set[str]:
        """Members and guests now."""
        return {user.id for user in self._inside()}

    def watching(self, channel: Conversation) -> set[str]:
        """Whoever is in the conversation and can still log in."""
        able = {user.id for user in self.people() if not user.deleted}
        strangers = {STRANGERS} if channel.shared_with else set()
        return (able & set(channel.members)) | strangers

    def viewers(self, channel: Conversation, message: Message) -> set[str]:
        """Whoever sees a message that is posted now. One who was shown something may have it on the screen still."""
        if message.ephemeral_to:
            return {message.ephemeral_to}
        if channel.kind == "im":
            return set(channel.members) - {self.slack.bot_user}
        return self.watching(channel) | (self.members() if channel.kind == "public" else set())

    def holders(self, principal: str) -> set[str]:
        """Everybody who holds it now, as docs/decisions/0020 says."""
        if principal in (EVERYONE, TEAM):
            return self.insiders() if principal == EVERYONE else self.members()
        name = principal.removeprefix(f"{TEAM}/")
        channel = self.slack.conversations.get(name)
        if channel is None:
            return {name} & self.insiders()
        if self.slack.bot_user in channel.members:
            return set(channel.members) & self.insiders()
        return set(self.exported.get(name, ())) & self.insiders()

    def readers(self, token: str) -> set[str]:
        """Whoever may read this token now: nobody, if its text is no longer there."""
        topic = self.topics[token]
        audience = self.audiences[topic] if self.tokens[topic] == token else NOBODY
        return set().union(*(self.holders(principal) for principal in audience))

    def leaks(self, channel: Conversation, message: Message) -> list[Leak]:
        """What is said to people who may not read it."""
        seen = self.viewers(channel, message)
        found = [(token, seen - self.readers(token)) for token in sorted(said(message))]
        return [Leak(channel.id, token, self.topics[token], tuple(sorted(to))) for token, to in found if to]

    def is_due(self, topic: str, channel: Conversation, user: str, *, alone: bool) -> bool:
        """Whether a question about the topic has to be answered there: to its asker alone, or to all who see it."""
        if alone:
            return user in self.readers(self.tokens[topic])
        present = self.watching(channel)
        if channel.shared_with or not present <= self.insiders():
            return False
        held = {EVERYONE} | ({TEAM} if present and present <= self.members() else set())
        held |= {f"{TEAM}/{channel.id}"} if channel.kind != "public" else set()
        return bool(held & self.audiences[topic])

    def _inside(self) -> list[User]:
        return [user for user in self.people() if user.team_id == TEAM and not user.deleted]


def is_guest(user: User) -> bool:
    """Whether Slack calls them a guest."""
    return user.is_restricted or user.is_ultra_restricted


def said(message: Message) -> set[str]:
    """Every token in anything of a message: texts, titles, links, buttons, metadata."""
    whole = json.dumps([message.text, message.blocks, message.metadata])
    return {token.lower() for token in _TOKEN.findall(whole)}
