"""Slack's Web API as far as the bot needs it: who it is, who is there, and what it posts.

Calls are made once (the inbox tries again), raise the errors of `api.slack.errors` and log nothing.
"""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit
from urllib.request import Request

from slack_sdk import WebClient

from api.slack.errors import SlackAccessError, SlackRefusedError, SlackUnreachableError
from api.slack.payloads import READ
from api.slack.shapes import (
    Conversation,
    IdentityShape,
    MembersPage,
    MessagesPage,
    Page,
    PeoplePage,
    Person,
    Places,
    PlacesPage,
    Posted,
    conversation_of,
    person_of,
    read,
)
from api.slack.wire import Wire, answer_of, check_response, strange_answer
from api.slack.words import Identity
from core.settings import SlackSettings

EVENT_TYPE: Final = "threadwise_reply"
PAGE_SIZE: Final = 999  # the most that every list of Slack gives at once
MOST_PAGES: Final = 1000
MOST_URL_CHARS: Final = 2000
_PORTS: Final = {"http": 80, "https": 443}
_HOOKS: Final = ("https", "hooks.slack.com", 443)

P = TypeVar("P", bound=Page)


class SlackWeb:
    """The Web API of one workspace, seen by the bot. Synchronous and thread-safe."""

    def __init__(self, settings: SlackSettings, *, page_size: int = PAGE_SIZE) -> None:
        token = settings.bot_token.get_secret_value().strip()
        self._is_writable = token.isascii() and token.isprintable()
        self._wire = Wire(settings.timeout_seconds)
        self._client = _Client(self._wire, token=token, base_url=settings.api_url, seconds=settings.timeout_seconds)
        self._origins = {_HOOKS, _origin(settings.api_url)} - {None}
        self._page_size = page_size

    def identity(self) -> Identity:
        """Who the token makes the bot."""
        shape = read(IdentityShape, self._call("auth.test"))
        return Identity(team=shape.team_id, user=shape.user_id, bot=shape.bot_id, url=shape.url)

    def scopes(self) -> frozenset[str]:
        """What the token may do, by Slack's names."""
        self._check_token()
        said = self._client.api_call("auth.test").headers.get("x-oauth-scopes")
        if not isinstance(said, str):
            raise strange_answer()
        return frozenset(scope for part in said.split(",") if (scope := part.strip()))

    def post(self, channel: str, text: str, blocks: Sequence[dict[str, Any]], *, thread: str, key: str) -> str:
        """Post a message and return its timestamp; an empty `thread` is the channel itself.

        `key` marks it for `find_posted`. Neither links nor names in it do anything to anybody.
        """
        message: dict[str, Any] = {
            "channel": channel,
            "text": text,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
            "unfurl_links": False,
            "unfurl_media": False,
            "parse": "none",
            "mrkdwn": False,
            "link_names": False,
        }
        message |= {"blocks": list(blocks)} if blocks else {}
        message |= {"thread_ts": thread} if thread else {}
        return read(Posted, self._call("chat.postMessage", message=message)).ts

    def find_posted(self, channel: str, thread: str, key: str, *, bot: str, since: float = 0.0) -> str | None:
        """The timestamp of the message that this bot posted with this key, None if there is none.

        It is looked for in the thread; without one, among what was posted in the channel after `since` (seconds).
        """
        try:
            for message in self._messages(channel, thread, since):
                if message.get("bot_id") == bot and _key_of(message) == key:
                    return read(Posted, message).ts
        except SlackRefusedError as error:
            if error.reason != "thread_not_found":
                raise
        return None

    def respond(self, response_url: str, payload: dict[str, Any]) -> None:
        """Send a message to a response URL.

        Only Slack's own host is written to, or where the Web API is. Raises `SlackRefusedError` for any other.
        """
        if not _is_plain(response_url) or _origin(response_url) not in self._origins:
            raise SlackRefusedError(
                "A response URL does not lead to Slack.", hint="Nothing was sent.", reason="foreign_response_url"
            )
        body = json.dumps(payload | {"unfurl_links": False, "unfurl_media": False}).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        request = Request(response_url, data=body, headers=headers, method="POST")  # noqa: S310 - its origin is known
        check_response(self._wire.exchange(request))

    def conversation(self, channel: str) -> Conversation:
        """What a conversation is and who can see it."""
        found = conversation_of(self._call("conversations.info", {"channel": channel}).get("channel"))
        if found.id != channel:
            raise strange_answer()
        return found

    def members(self, channel: str) -> frozenset[str]:
        """The ids of everybody who is in a conversation now, machines included."""
        pages = self._pages(MembersPage, "conversations.members", channel=channel)
        return frozenset(member for page in pages for member in page.members)

    def person(self, user: str) -> Person:
        """One person, of whatever team."""
        found = person_of(self._call("users.info", {"user": user}).get("user"))
        if found.id != user:
            raise strange_answer()
        return found

    def people(self) -> dict[str, Person]:
        """Everybody the workspace lists, by id.

        Who is listed without what they are is left out: `person` says so to whoever needs exactly them.
        """
        rows = (row for page in self._pages(PeoplePage, "users.list") for row in page.members)
        return {person.id: person for row in rows if (person := _person_or_none(row)) is not None}

    def conversations_of(self, user: str | None) -> Places:
        """The channels and group messages that somebody is in, private ones only with the bot; None = the bot's own."""
        asked = {} if user is None else {"user": user}
        pages = self._pages(PlacesPage, "users.conversations", types="public_channel,private_channel,mpim", **asked)
        places = [place for page in pages for place in page.channels]
        private = frozenset(place.id for place in places if place.is_private)
        return Places(private=private, public=frozenset(place.id for place in places) - private)

    def said_in(self, channel: str, thread: str) -> dict[str, str]:
        """What people have written in a thread and not deleted: text by timestamp."""
        try:
            found = list(self._messages(channel, thread, 0.0))
        except SlackRefusedError as error:
            if error.reason != "thread_not_found":
                raise
            return {}
        # A deleted message with replies leaves a stone with a text of Slack's own.
        return {str(one.get("ts")): str(one.get("text", "")) for one in found if one.get("subtype") in READ}

    def _messages(self, channel: str, thread: str, since: float) -> Iterator[dict[str, Any]]:
        if thread:
            method, where = "conversations.replies", {"ts": thread}
        else:
            method, where = "conversations.history", {"oldest": f"{since:.6f}"}
        for page in self._pages(MessagesPage, method, channel=channel, include_all_metadata="true", **where):
            yield from page.messages

    def _pages(self, shape: type[P], method: str, **asked: str) -> Iterator[P]:
        """Every page of a list. Raises `SlackUnreachableError` for one that does not end."""
        cursors = {""}
        while len(cursors) <= MOST_PAGES:
            page = read(shape, self._call(method, asked | {"limit": str(self._page_size)}))
            yield page
            cursor = page.response_metadata.next_cursor
            if not cursor:
                return
            if cursor in cursors:
                break
            cursors.add(cursor)
            asked["cursor"] = cursor
        raise strange_answer()

    def _call(
        self, method: str, asked: dict[str, str] | None = None, *, message: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        self._check_token()
        data = self._client.api_call(method, json=message, params=asked).data
        return data if isinstance(data, dict) else {}

    def _check_token(self) -> None:
        # Sent, it would be shown by the error of the HTTP library.
        if not self._is_writable:
            raise SlackAccessError(
                "The bot token has characters that no token has.", hint="Set it as the app's page in Slack shows it."
            )


class _Client(WebClient):
    """Slack's own client over our wire: its answers are objects that say `ok`, everything else is an error of ours."""

    def __init__(self, wire: Wire, *, token: str, base_url: str, seconds: float) -> None:
        # A logger without a level counts as one for debugging, and would be told everything that is sent.
        silent = logging.Logger("slack", level=logging.CRITICAL + 1)  # noqa: LOG001 - outside the tree, where nobody turns it up
        super().__init__(token, base_url, math.ceil(seconds), logger=silent, retry_handlers=[])
        self._wire = wire

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:  # noqa: ARG002 - theirs
        reply = self._wire.exchange(req)
        return {"status": reply.status, "headers": reply.headers, "body": json.dumps(answer_of(reply))}


def _key_of(message: dict[str, Any]) -> object:
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
        return None
    payload = metadata.get("event_payload")
    return payload.get("key") if isinstance(payload, dict) else None


def _person_or_none(row: dict[str, Any]) -> Person | None:
    try:
        return person_of(row)
    except SlackUnreachableError:
        return None


def _is_plain(url: str) -> bool:
    """Whether every reader of URLs reads it alike."""
    return len(url) <= MOST_URL_CHARS and url.isascii() and url.isprintable() and not set(url) & set(' "\\<>^`{|}')


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port, None for what has no clear one."""
    try:
        return _clear_origin(urlsplit(url))
    except ValueError:
        return None


def _clear_origin(parts: SplitResult) -> tuple[str, str, int] | None:
    port = parts.port or _PORTS.get(parts.scheme)
    if port is None or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port
