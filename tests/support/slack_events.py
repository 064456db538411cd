"""What Slack tells an app: events, slash commands and clicks, signed and posted as Slack does.

Shapes by https://docs.slack.dev/reference/events and /interactivity. Only `say` of the workspace changes it: a builder
that is given no `ts` writes the message first, so that the bot finds it where it looks.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count
from typing import Literal, NamedTuple
from urllib.parse import urlencode, urlsplit

from tests.support.slack_workspace import CHANNEL_TYPES, Json, Workspace

ACK_SECONDS = 3.0
RETRY_MINUTES = (0.0, 1.0, 5.0)  # at once, after a minute, after five
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


class Delivered(NamedTuple):
    """What the receiver made of it; names of headers are in small letters."""

    status: int
    seconds: float
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """One thing that Slack sends, over HTTP as `body` or over Socket Mode as `payload`."""

    kind: Literal["events_api", "slash_commands", "interactive"]
    payload: Json

    @property
    def body(self) -> bytes:
        if self.kind == "events_api":
            return json.dumps(self.payload).encode()
        form = self.payload if self.kind == "slash_commands" else {"payload": json.dumps(self.payload)}
        return urlencode(form).encode()

    @property
    def content_type(self) -> str:
        return JSON if self.kind == "events_api" else FORM

    @property
    def event(self) -> Json:
        event: Json = self.payload.get("event", {})
        return event


class Events:
    """Builders of everything that the workspace can tell."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._numbers = count(1)

    def wrap(self, event: Json, *, channel: str = "") -> Envelope:
        """Any event in its outer envelope; `event_id` is new each time."""
        home = self._workspace
        number = next(self._numbers)
        conversation = home.conversations.get(channel)
        authorization = {"team_id": home.team, "user_id": home.bot_user, "is_bot": True}
        payload = {
            "token": "unused-verification-token",
            "team_id": home.team,
            "context_team_id": home.team,
            "api_app_id": home.app,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{number:09d}",
            "event_time": int(home.clock()),
            "authorizations": [
                authorization | {"enterprise_id": None, "is_enterprise_install": False},
            ],
            "is_ext_shared_channel": conversation is not None and conversation.is_ext_shared,
            "event_context": f"4-context-{number}",
        }
        return Envelope("events_api", payload)

    def _message(self, channel: str, user: str, text: str, *, ts: str, thread_ts: str) -> Json:
        home = self._workspace
        team = home.users[user].team_id if user in home.users else home.team
        ts = ts or home.say(channel, user, text, thread_ts or None)
        shape = {
            "user": user,
            "ts": ts,
            "client_msg_id": f"msg-{ts}",
            "text": text,
            "team": team,
            "user_team": team,
            "source_team": team,
            "blocks": _typed(text),
            "channel": channel,
            "event_ts": ts,
        }
        if team == home.team:  # Slack tells these two of people from other teams
            del shape["user_team"], shape["source_team"]
        return shape | ({"thread_ts": thread_ts} if thread_ts else {})

    def app_mention(self, channel: str, user: str, text: str, *, ts: str = "", thread_ts: str = "") -> Envelope:
        """Somebody mentions the bot; `text` is as Slack stores it (`<@U0THREADBOT> …`)."""
        event = self._message(channel, user, text, ts=ts, thread_ts=thread_ts)
        return self.wrap({"type": "app_mention", **event}, channel=channel)

    def message(self, channel: str, user: str, text: str, *, ts: str = "", thread_ts: str = "") -> Envelope:
        """message.im, .channels, .groups or .mpim, by the kind of the conversation."""
        event = self._message(channel, user, text, ts=ts, thread_ts=thread_ts)
        return self.wrap(self._in(channel, {"type": "message", **event}), channel=channel)

    def direct(self, user: str, text: str, *, ts: str = "", thread_ts: str = "") -> Envelope:
        """message.im: somebody writes to the bot alone."""
        return self.message(self._workspace.direct(user), user, text, ts=ts, thread_ts=thread_ts)

    def bot_message(self, channel: str, text: str, *, bot_id: str = "", subtype: str = "") -> Envelope:
        """What a bot wrote, ours unless told otherwise."""
        home = self._workspace
        event: Json = {"type": "message", "text": text, "ts": home.next_ts(), "bot_id": bot_id or home.bot}
        event |= {"user": home.bot_user} if not bot_id else {}
        event |= {"subtype": subtype} if subtype else {}
        return self.wrap(self._in(channel, event | {"channel": channel, "event_ts": event["ts"]}), channel=channel)

    def message_deleted(self, channel: str, ts: str) -> Envelope:
        """Somebody deletes a message; it is taken out of the workspace."""
        gone = self._workspace.delete_message(channel, ts)
        event = {"type": "message", "subtype": "message_deleted", "hidden": True, "deleted_ts": ts}
        return self._about(channel, event | {"previous_message": gone.wire()})

    def message_changed(self, channel: str, ts: str, text: str) -> Envelope:
        """Somebody edits a message."""
        home = self._workspace
        with home.lock:
            message = home.conversations[channel].find(ts)
            assert message is not None, f"no message {ts} in {channel}"
            before = message.wire()
            message.text, message.edited_ts = text, home.next_ts()
            after = message.wire()
        event = {"type": "message", "subtype": "message_changed", "hidden": True}
        return self._about(channel, event | {"message": after, "previous_message": before})

    def member_joined_channel(self, channel: str, user: str) -> Envelope:
        self._workspace.join(channel, user)
        return self._membership("member_joined_channel", channel, user)

    def member_left_channel(self, channel: str, user: str) -> Envelope:
        self._workspace.leave(channel, user)
        return self._membership("member_left_channel", channel, user)

    def _membership(self, kind: str, channel: str, user: str) -> Envelope:
        home = self._workspace
        letter = "C" if home.conversations[channel].kind == "public" else "G"
        event = {"type": kind, "user": user, "channel": channel, "channel_type": letter, "team": home.team}
        return self.wrap(event | {"event_ts": home.next_ts()}, channel=channel)

    def user_change(self, user: str) -> Envelope:
        """The user as the workspace has it now: change it first."""
        event = {"type": "user_change", "user": self._workspace.users[user].wire(), "cache_ts": 1_700_000_000}
        return self.wrap(event | {"event_ts": self._workspace.next_ts()})

    def team_join(self, user: str) -> Envelope:
        event = {"type": "team_join", "user": self._workspace.users[user].wire()}
        return self.wrap(event | {"event_ts": self._workspace.next_ts()})

    def app_home_opened(self, user: str) -> Envelope:
        home = self._workspace
        event = {"type": "app_home_opened", "user": user, "channel": home.direct(user), "tab": "messages"}
        return self.wrap(event | {"event_ts": home.next_ts()})

    def app_uninstalled(self) -> Envelope:
        return self.wrap({"type": "app_uninstalled", "event_ts": self._workspace.next_ts()})

    def tokens_revoked(self) -> Envelope:
        tokens = {"oauth": [], "bot": [self._workspace.bot_user]}
        return self.wrap({"type": "tokens_revoked", "tokens": tokens, "event_ts": self._workspace.next_ts()})

    def url_verification(self, challenge: str) -> Envelope:
        token = "unused-verification-token"  # noqa: S105
        return Envelope("events_api", {"token": token, "challenge": challenge, "type": "url_verification"})

    def app_rate_limited(self) -> Envelope:
        home = self._workspace
        shape = {"type": "app_rate_limited", "team_id": home.team, "api_app_id": home.app}
        return Envelope("events_api", shape | {"minute_rate_limited": int(home.clock())})

    def command(self, channel: str, user: str, text: str, *, response_url: str, command: str = "/ask") -> Envelope:
        """A slash command; `response_url` comes from the server."""
        home = self._workspace
        conversation = home.conversations[channel]
        return Envelope(
            "slash_commands",
            {
                "token": "unused-verification-token",
                "team_id": home.team,
                "team_domain": "acme",
                "channel_id": channel,
                "channel_name": "directmessage" if conversation.kind == "im" else conversation.name,
                "user_id": user,
                "user_name": home.users[user].name,
                "command": command,
                "text": text,
                "api_app_id": home.app,
                "is_enterprise_install": "false",
                "response_url": response_url,
                "trigger_id": self._trigger(),
            },
        )

    def block_actions(
        self, channel: str, user: str, message_ts: str, *, action_id: str, value: str, response_url: str
    ) -> Envelope:
        """A click on a button of the bot's message."""
        home = self._workspace
        message = home.conversations[channel].find(message_ts)
        assert message is not None, f"no message {message_ts} in {channel}"
        ephemeral = bool(message.ephemeral_to)
        return Envelope(
            "interactive",
            {
                "type": "block_actions",
                "user": {"id": user, "username": home.users[user].name, "team_id": home.users[user].team_id},
                "api_app_id": home.app,
                "token": "unused-verification-token",
                "container": {
                    "type": "message",
                    "message_ts": message_ts,
                    "channel_id": channel,
                    "is_ephemeral": ephemeral,
                },
                "trigger_id": self._trigger(),
                "team": {"id": home.team, "domain": "acme"},
                "enterprise": None,
                "is_enterprise_install": False,
                "channel": {"id": channel, "name": home.conversations[channel].name},
                **({} if ephemeral else {"message": message.wire()}),
                "state": {"values": {}},
                "response_url": response_url,
                "actions": [
                    {
                        "action_id": action_id,
                        "block_id": "actions",
                        "text": {"type": "plain_text", "text": action_id, "emoji": True},
                        "value": value,
                        "type": "button",
                        "action_ts": home.next_ts(),
                    }
                ],
            },
        )

    def _trigger(self) -> str:
        return f"{int(self._workspace.clock() * 1000)}.{next(self._numbers)}.{'0' * 32}"

    def _in(self, channel: str, event: Json) -> Json:
        return event | {"channel_type": CHANNEL_TYPES[self._workspace.conversations[channel].kind]}

    def _about(self, channel: str, event: Json) -> Envelope:
        ts = self._workspace.next_ts()
        return self.wrap(self._in(channel, event | {"channel": channel, "ts": ts, "event_ts": ts}), channel=channel)


def _typed(text: str) -> list[Json]:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return [{"type": "rich_text", "block_id": "typed", "elements": [section]}]


def signed(body: bytes, secret: str, at: float | None = None) -> dict[str, str]:
    """Slack's two headers, by https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def deliver(
    url: str,
    envelope: Envelope,
    *,
    secret: str,
    retry: tuple[int, str] | None = None,
    timeout: float = ACK_SECONDS,
) -> Delivered:
    """One signed POST; status 0 when no answer came, 408 when none came in time. `retry` is its number and reason."""
    headers = {"Content-Type": envelope.content_type, "User-Agent": "Slackbot 1.0", **signed(envelope.body, secret)}
    if retry is not None:
        headers |= {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
    return post(url, envelope.body, headers, timeout=timeout)


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float = ACK_SECONDS) -> Delivered:
    """The bytes as they are, with these headers."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=timeout)
    start = time.perf_counter()
    try:
        connection.request("POST", place.path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
        return Delivered(answer.status, time.perf_counter() - start, _lowered(answer.getheaders()), content)
    except TimeoutError:
        return Delivered(408, time.perf_counter() - start, {}, b"")
    except (OSError, HTTPException):
        return Delivered(0, time.perf_counter() - start, {}, b"")
    finally:
        connection.close()


def _lowered(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def deliver_until_acked(
    url: str, envelope: Envelope, *, secret: str, minute: float = 60.0, timeout: float = ACK_SECONDS
) -> list[Delivered]:
    """Slack's rule: a 2xx in time, or again at once, after a minute and after five (of `minute` seconds each).

    An answer with X-Slack-No-Retry: 1 ends it. Returns every try.
    """
    tries = [deliver(url, envelope, secret=secret, timeout=timeout)]
    for number, minutes in enumerate(RETRY_MINUTES, 1):
        last = tries[-1]
        if 200 <= last.status < 300 or last.headers.get("x-slack-no-retry") == "1":
            break
        reason = {0: "connection_failed", 408: "http_timeout"}.get(last.status, "http_error")
        time.sleep(minutes * minute)
        tries.append(deliver(url, envelope, secret=secret, retry=(number, reason), timeout=timeout))
    return tries
