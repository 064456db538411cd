"""What Slack's payloads say, in the bot's words. Pure: nothing is believed that does not fit its pattern.

The shapes are those of Slack's Events API, slash commands and interactivity. In a channel that two companies share,
Slack names the asker's company in several places; it is ours only if every one of them says so.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from api.slack.words import Delivery, Matter, Question, Rating, Share, Where
from core.errors import ThreadwiseError
from core.words import digest_of

Payload = Mapping[str, Any]

LONGEST_TEXT: Final = 8000  # characters; a question that is answered is far shorter
MOST_FIELDS: Final = 200  # of a form
READ: Final = frozenset({None, "file_share", "thread_broadcast"})
"""Subtypes of messages that somebody wrote; every other one reports what happened to a message or a channel."""

OUR_ACTIONS: Final = frozenset({"helpful", "unhelpful", "share"})

_ID = re.compile(r"[A-Z0-9]{1,40}")
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,6}")
_EVENT_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_TRIGGER_ID = re.compile(r"[A-Za-z0-9.]{1,128}")
_ANSWER_ID = re.compile(r"[0-9a-f]{32}")
_URL = re.compile(r"https?://[!-~]{1,1000}")
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")  # no database takes them


class UnreadableError(ThreadwiseError):
    """A payload that does not have the shape Slack documents; `field` is the part of it. It never leaves the door."""

    code = "slack_unreadable"

    def __init__(self, field: str) -> None:
        super().__init__(f"The payload cannot be read: {field}.", hint="It is acknowledged and dropped.")
        self.field = field


def payload_of(body: bytes) -> dict[str, Any]:
    """What was sent over HTTP: an object of JSON, a form, or a form whose field `payload` is JSON.

    Raises `UnreadableError`.
    """
    try:
        text = body.decode()
        if text.startswith("{"):
            return _object(json.loads(text), "body")
        form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
        return _object(json.loads(form["payload"]), "payload") if "payload" in form else form
    except (ValueError, RecursionError):  # a UnicodeDecodeError and a JSONDecodeError are ValueErrors
        raise UnreadableError("body") from None


def check(payload: object) -> dict[str, Any]:
    """The parts by which a payload is recognised have the types that Slack gives them. Raises `UnreadableError`."""
    whole = _object(payload, "body")
    _check_strings(whole, "type", "command")
    if "event" in whole:
        event = _object(whole["event"], "event")
        if not isinstance(event.get("type"), str) or not isinstance(event.get("subtype"), str | None):
            raise UnreadableError("event.type")
    if "actions" in whole:
        first = _object(_first(whole["actions"]), "actions")
        _check_strings(first, "action_id", "block_id", "type")
        if whole.get("type") == "block_actions" and "action_id" not in first:
            raise UnreadableError("action_id")
    return whole


def mention_in(body: Payload, own_team: str) -> Delivery | None:
    """The question of `app_mention`; None for what no person wrote, or what comes as a direct message as well."""
    event = body["event"]
    in_direct = str(event.get("channel", "")).startswith("D")
    return _question_in(body, "channel", own_team) if _is_written(event) and not in_direct else None


def message_in(body: Payload, own_team: str) -> Delivery | None:
    """The question of a `message` in a direct conversation; None for every other message."""
    event = body["event"]
    is_direct = event.get("channel_type") == "im"
    return _question_in(body, "direct", own_team) if _is_written(event) and is_direct else None


def deleted_in(body: Payload) -> str | None:
    """Which message is gone, as `Delivery.message` names it; None unless the event says that one is."""
    event = body["event"]
    if event.get("subtype") != "message_deleted":
        return None
    return f"{_fit(_ID, event, 'channel')}/{_fit(_TS, event, 'deleted_ts')}"


def command_in(body: Payload, own_team: str) -> Delivery:
    """The question of a slash command, which may be empty."""
    claims = (_fit(_ID, body, "team_id"), body.get("user_team_id"), body.get("user_team"))
    matter = Question(
        team=_home(claims, own_team),
        user=_fit(_ID, body, "user_id"),
        channel=_fit(_ID, body, "channel_id"),
        where="command",
        text=_text(body),
        response_url=_fit(_URL, body, "response_url"),
    )
    return Delivery(id="command:" + _fit(_TRIGGER_ID, body, "trigger_id"), matter=matter)


def action_in(body: Payload, own_team: str) -> Delivery | None:
    """What a click on one of our buttons means; None for a button whose value is no answer's id."""
    action = body["actions"][0]
    if action.get("action_id") not in OUR_ACTIONS or not _ANSWER_ID.fullmatch(str(action.get("value", ""))):
        return None
    user, container = _part(body, "user"), _part(body, "container")
    by = _fit(_ID, user, "id")
    message = _part(body, "message").get("ts") or container.get("message_ts")
    said = (by, _fit(_TS, {"message": message}, "message"), action["action_id"], _fit(_TS, action, "action_ts"))
    claims = (_fit(_ID, user, "team_id"), _part(body, "team").get("id"))
    channel = _fit(_ID, {"channel": _part(body, "channel").get("id") or container.get("channel_id")}, "channel")
    return Delivery(
        id="action:" + digest_of(*said)[:32],
        matter=_matter_of(action, team=_home(claims, own_team), user=by, channel=channel, url=_url_in(body)),
    )


def _matter_of(action: Payload, *, team: str, user: str, channel: str, url: str) -> Matter:
    answer = str(action["value"])
    if action["action_id"] == "share":
        return Share(team=team, user=user, channel=channel, answer_id=answer, response_url=url)
    value: Literal[-1, 1] = 1 if action["action_id"] == "helpful" else -1
    return Rating(team=team, user=user, channel=channel, answer_id=answer, value=value, response_url=url)


def _question_in(body: Payload, where: Where, own_team: str) -> Delivery:
    event = body["event"]
    channel, ts = _fit(_ID, event, "channel"), _fit(_TS, event, "ts")
    matter = Question(
        team=_team_of(body, own_team),
        user=_fit(_ID, event, "user"),
        channel=channel,
        where=where,
        text=_text(event),
        ts=ts,
        thread=_fit(_TS, event, "thread_ts") if event.get("thread_ts") else "",
    )
    return Delivery(id=_fit(_EVENT_ID, body, "event_id"), matter=matter, message=f"{channel}/{ts}")


def _is_written(event: Payload) -> bool:
    """Whether a person wrote it just now: no bot, no report about a message, nobody without a name."""
    unseen = event.get("bot_id") or event.get("bot_profile") or event.get("hidden")
    return not unseen and event.get("subtype") in READ and bool(event.get("user"))


def _team_of(body: Payload, own_team: str) -> str:
    event = body["event"]
    named = [event.get("user_team"), event.get("source_team"), _part(event, "user_profile").get("team")]
    named.append(event.get("team"))
    if body.get("is_ext_shared_channel") and not any(named):
        raise UnreadableError("team")  # somebody of ours or not: nothing says it
    return _home([*named, _fit(_ID, body, "team_id")], own_team or _installed_team(body))


def _home(claims: Iterable[object], own_team: str) -> str:
    """The asker's team: the first that is not ours, if anything names another."""
    named = [_fit(_ID, {"team": claim}, "team") for claim in claims if claim]
    own = own_team or named[-1]
    return next((team for team in named if team != own), own)


def _installed_team(body: Payload) -> str:
    """The team in which the app was installed, while nobody has asked Slack who we are; empty if it is not said."""
    listed = body.get("authorizations")
    first = listed[0] if isinstance(listed, list) and listed else None
    team = first.get("team_id") if isinstance(first, dict) else None
    return team if isinstance(team, str) else ""


def _url_in(body: Payload) -> str:
    return _fit(_URL, body, "response_url") if body.get("response_url") else ""


def _text(row: Payload) -> str:
    text = row.get("text") or ""
    if not isinstance(text, str):
        raise UnreadableError("text")
    return _UNSTORABLE.sub("\ufffd", text[:LONGEST_TEXT])


def _fit(pattern: re.Pattern[str], row: Payload, name: str) -> str:
    value = row.get(name)
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise UnreadableError(name)


def _part(row: Payload, name: str) -> Payload:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError(name)
    return value


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None


def _check_strings(row: Payload, *names: str) -> None:
    for name in names:
        if not isinstance(row.get(name, ""), str):
            raise UnreadableError(name)
