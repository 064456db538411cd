"""The Web API methods of the mock Slack server that tell who is where, and the table of all methods.

A method takes the workspace and the call's arguments, gives what stands beside `ok: true`, and raises `RefusedError`.
Forms bring strings, JSON bodies bring values: both are taken.
"""

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.support import slack_chat as chat
from tests.support.slack_workspace import Conversation, Json, Kind, Message, RefusedError, Workspace

Method = Callable[[Workspace, Json], Json]
Item = TypeVar("Item")

READ_SCOPES: dict[Kind, str] = {
    "public": "channels:read",
    "private": "groups:read",
    "im": "im:read",
    "mpim": "mpim:read",
}
HISTORY_SCOPES = {kind: scope.replace(":read", ":history") for kind, scope in READ_SCOPES.items()}
TYPES: dict[str, Kind] = {"public_channel": "public", "private_channel": "private", "im": "im", "mpim": "mpim"}


def flag(arguments: Json, name: str) -> bool:
    return str(arguments.get(name, "")).lower() in {"1", "true"}


def needed(arguments: Json, name: str) -> str:
    if not (value := arguments.get(name)):
        raise RefusedError("invalid_arguments", detail=f"missing required field: {name}")
    return str(value)


def page(workspace: Workspace, items: Sequence[Item], arguments: Json, usual: int) -> tuple[Sequence[Item], Json]:
    """One page and its response_metadata: an opaque cursor, empty at the end."""
    try:
        limit = int(arguments.get("limit") or usual)
        start = int(base64.b64decode(str(arguments.get("cursor") or ""), validate=True).removeprefix(b"at:") or 0)
    except ValueError as error:
        raise RefusedError("invalid_cursor" if arguments.get("cursor") else "invalid_limit") from error
    if not 1 <= limit <= 1000:
        raise RefusedError("invalid_limit")
    end = start + min(limit, workspace.page_limit)
    cursor = base64.b64encode(f"at:{end}".encode()).decode() if end < len(items) else ""
    return items[start:end], {"next_cursor": cursor}


def auth_test(workspace: Workspace, _: Json) -> Json:
    return {
        "url": workspace.url,
        "team": workspace.team_name,
        "user": workspace.users[workspace.bot_user].name,
        "team_id": workspace.team,
        "user_id": workspace.bot_user,
        "bot_id": workspace.bot,
        "is_enterprise_install": False,
    }


def _readable(workspace: Workspace, arguments: Json) -> Conversation:
    conversation = workspace.visible(needed(arguments, "channel"))
    workspace.need(READ_SCOPES[conversation.kind])
    return conversation


def conversations_info(workspace: Workspace, arguments: Json) -> Json:
    conversation = _readable(workspace, arguments)
    shape = conversation.wire(team=workspace.team, bot=workspace.bot_user)
    if flag(arguments, "include_num_members"):
        shape["num_members"] = len(conversation.members)
    return {"channel": shape}


def conversations_members(workspace: Workspace, arguments: Json) -> Json:
    members, more = page(workspace, _readable(workspace, arguments).members, arguments, 100)
    return {"members": list(members), "response_metadata": more}


def _told(workspace: Workspace, arguments: Json) -> Conversation:
    conversation = workspace.visible(needed(arguments, "channel"))
    workspace.need(HISTORY_SCOPES[conversation.kind])
    if workspace.bot_user not in conversation.members:
        raise RefusedError("not_in_channel")
    return conversation


def _within(messages: list[Message], arguments: Json) -> list[Message]:
    oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or "inf")
    ends = {arguments.get("oldest"), arguments.get("latest")} if flag(arguments, "inclusive") else set()
    return [message for message in messages if oldest < float(message.ts) < latest or message.ts in ends]


def _shown(workspace: Workspace, conversation: Conversation, messages: list[Message], arguments: Json) -> Json:
    shown, more = page(workspace, messages, arguments, 100)
    with_metadata = flag(arguments, "include_all_metadata")
    return {
        "messages": [conversation.of_thread(message) | message.wire(with_metadata=with_metadata) for message in shown],
        "has_more": bool(more["next_cursor"]),
        "response_metadata": more,
    }


def conversations_history(workspace: Workspace, arguments: Json) -> Json:
    """Newest first; of the replies in threads only those that were sent to the channel too."""
    conversation = _told(workspace, arguments)
    standing = [
        message
        for message in conversation.lasting()
        if message.thread_ts in ("", message.ts) or message.subtype == "thread_broadcast"
    ]
    return _shown(workspace, conversation, _within(standing, arguments)[::-1], arguments)


def conversations_replies(workspace: Workspace, arguments: Json) -> Json:
    """A thread, oldest first, its parent before everything; a message without replies is a thread of one."""
    conversation = _told(workspace, arguments)
    ts = needed(arguments, "ts")
    thread = [message for message in conversation.lasting() if ts in (message.ts, message.thread_ts)]
    if not thread:
        raise RefusedError("thread_not_found")
    return _shown(workspace, conversation, thread[:1] + _within(thread[1:], arguments), arguments)


def conversations_open(workspace: Workspace, arguments: Json) -> Json:
    users = needed(arguments, "users").split(",")
    workspace.need("im:write" if len(users) == 1 else "mpim:write")
    if not set(users) <= set(workspace.users):
        raise RefusedError("user_not_found")
    if len(users) == 1:
        return {"channel": {"id": workspace.direct(users[0])}}
    return {"channel": {"id": workspace.add_channel(kind="mpim", members=users)}}


def users_info(workspace: Workspace, arguments: Json) -> Json:
    workspace.need("users:read")
    user = workspace.users.get(needed(arguments, "user"))
    if user is None:
        raise RefusedError("user_not_found")
    return {"user": user.wire()}


def users_list(workspace: Workspace, arguments: Json) -> Json:
    workspace.need("users:read")
    members, more = page(workspace, [user for user in workspace.users.values() if user.listed], arguments, 1000)
    return {"members": [user.wire() for user in members], "cache_ts": 1_700_000_000, "response_metadata": more}


def _listed(workspace: Workspace, arguments: Json) -> list[Conversation]:
    """The conversations of the types asked for that a bot token is told of."""
    types = [word.strip() for word in str(arguments.get("types") or "public_channel").split(",")]
    if not set(types) <= set(TYPES):
        raise RefusedError("invalid_types")
    kinds = [TYPES[word] for word in types]
    for kind in kinds:
        workspace.need(READ_SCOPES[kind])
    return [
        one
        for one in workspace.conversations.values()
        if one.kind in kinds and (one.kind == "public" or workspace.bot_user in one.members)
        if not (one.is_archived and flag(arguments, "exclude_archived"))
    ]


def _conversations_page(workspace: Workspace, conversations: list[Conversation], arguments: Json) -> Json:
    shown, more = page(workspace, conversations, arguments, 100)
    wires = [one.wire(team=workspace.team, bot=workspace.bot_user) for one in shown]
    return {"channels": wires, "response_metadata": more}


def conversations_list(workspace: Workspace, arguments: Json) -> Json:
    """Every public conversation, and the others that the bot is in."""
    return _conversations_page(workspace, _listed(workspace, arguments), arguments)


def users_conversations(workspace: Workspace, arguments: Json) -> Json:
    """Where a user is; conversations that are not public only where the bot is a member too."""
    listed = _listed(workspace, arguments)
    user = str(arguments.get("user") or workspace.bot_user)
    if user not in workspace.users:
        raise RefusedError("user_not_found")
    return _conversations_page(workspace, [one for one in listed if user in one.members], arguments)


def reactions_add(workspace: Workspace, arguments: Json) -> Json:
    workspace.need("reactions:write")
    if workspace.visible(needed(arguments, "channel")).find(needed(arguments, "timestamp")) is None:
        raise RefusedError("message_not_found")
    return {}


METHODS: dict[str, Method] = {
    "auth.test": auth_test,
    "chat.delete": chat.delete,
    "chat.postEphemeral": chat.post_ephemeral,
    "chat.postMessage": chat.post_message,
    "chat.update": chat.update,
    "conversations.history": conversations_history,
    "conversations.info": conversations_info,
    "conversations.list": conversations_list,
    "conversations.members": conversations_members,
    "conversations.open": conversations_open,
    "conversations.replies": conversations_replies,
    "reactions.add": reactions_add,
    "users.conversations": users_conversations,
    "users.info": users_info,
    "users.list": users_list,
}
TAKES_JSON = frozenset(
    name for name in METHODS if name.startswith(("auth.", "chat.", "reactions.")) or name == "conversations.open"
)
"""The methods that read take forms only: a JSON body of theirs is as good as none."""
