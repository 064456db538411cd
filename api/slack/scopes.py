"""What the app asks a workspace for, and why: scopes of the bot token and events. One table for manifest and checks."""

from collections.abc import Mapping
from typing import Final

SCOPES: Final[Mapping[str, str]] = {
    "app_mentions:read": "hear questions that mention it in a channel",
    "chat:write": "reply",
    "commands": "offer /ask",
    "im:history": "hear questions in direct messages, and find its own reply there after a crash",
    "channels:history": "find its own reply in a public channel after a crash, and the question before a follow-up",
    "groups:history": "find its own reply in a private channel after a crash, and the question before a follow-up",
    "mpim:history": "find its own reply in a group message after a crash, and the question before a follow-up",
    "channels:read": "see who reads a public channel",
    "groups:read": "see who reads a private channel, and which ones somebody is in",
    "im:read": "recognise direct messages",
    "mpim:read": "see who reads a group message, and which ones somebody is in",
    "users:read": "tell members from guests and from people of other companies",
}

EVENTS: Final[Mapping[str, str]] = {
    "app_mention": "somebody asks in a channel",
    "message.im": "somebody asks in a direct message, or deletes a question there",
    "member_joined_channel": "more people read a channel",
    "member_left_channel": "somebody does not read a channel any more",
    "user_change": "somebody became a guest, a member, or left",
    "team_join": "somebody is new",
    "tokens_revoked": "the bot's token has ended",
    "app_uninstalled": "the app was removed",
}
