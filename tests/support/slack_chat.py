"""The chat.* methods and response URLs of the mock Slack server, over a `Workspace`."""

import json
from dataclasses import dataclass
from typing import Any

from tests.support.slack_block_rules import problems
from tests.support.slack_workspace import Conversation, Json, Message, RefusedError, Workspace

LONGEST_TEXT = 40_000
LONGEST_UPDATE = 4_000
MOST_RESPONSES = 5
RESPONSE_SECONDS = 30 * 60


def structure(value: object, word: str) -> Any:  # noqa: ANN401 -- whatever JSON holds
    """Slack takes blocks and metadata as JSON, or as a string of JSON in a form."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise RefusedError(word) from error


def content_of(arguments: Json, longest: int = LONGEST_TEXT) -> Json:
    """The checked text, blocks and metadata of a message. Raises `RefusedError` as Slack documents it."""
    text = arguments.get("text") or ""
    blocks = structure(arguments.get("blocks") or [], "invalid_blocks_format")
    metadata = structure(arguments.get("metadata") or {}, "invalid_metadata_format")
    if found := problems(blocks):
        raise RefusedError("invalid_blocks", detail="; ".join(found))
    if not text and not blocks:
        raise RefusedError("no_text")
    if len(text) > longest:
        raise RefusedError("msg_too_long")
    if metadata and not (isinstance(metadata, dict) and set(metadata) == {"event_type", "event_payload"}):
        raise RefusedError("invalid_metadata_format")
    return {"text": text, "blocks": blocks, "metadata": metadata}


def _place(workspace: Workspace, arguments: Json) -> Conversation:
    """Where the bot may write: a conversation it is in, by id or #name, or a user's direct conversation."""
    workspace.need("chat:write")
    asked = str(arguments.get("channel") or "")
    if asked in workspace.users:
        asked = workspace.direct(asked)
    named = [one.id for one in workspace.conversations.values() if asked and asked.removeprefix("#") == one.name]
    conversation = workspace.visible(named[0] if named else asked)
    if workspace.bot_user not in conversation.members:
        raise RefusedError("not_in_channel")
    if conversation.is_archived:
        raise RefusedError("is_archived")
    return conversation


def _own(workspace: Workspace, arguments: Json, word: str) -> tuple[Conversation, Message]:
    conversation = _place(workspace, arguments)
    found = conversation.find(str(arguments.get("ts") or ""))
    if found is None or found.ephemeral_to:
        raise RefusedError("message_not_found")
    if found.bot_id != workspace.bot:
        raise RefusedError(word)
    return conversation, found


def post_message(workspace: Workspace, arguments: Json) -> Json:
    conversation = _place(workspace, arguments)
    message = Message(
        ts=workspace.next_ts(),
        user=workspace.bot_user,
        bot_id=workspace.bot,
        thread_ts=str(arguments.get("thread_ts") or ""),
        **content_of(arguments),
    )
    workspace.add_message(conversation.id, message)
    shown = message.wire(with_metadata=True) | {"team": workspace.team, "app_id": workspace.app}
    return {"channel": conversation.id, "ts": message.ts, "message": shown}


def post_ephemeral(workspace: Workspace, arguments: Json) -> Json:
    conversation = _place(workspace, arguments)
    content = content_of(arguments)
    user = str(arguments.get("user") or "")
    if user not in conversation.members:
        raise RefusedError("user_not_in_channel")
    message = Message(
        ts=workspace.next_ts(),
        user=workspace.bot_user,
        bot_id=workspace.bot,
        thread_ts=str(arguments.get("thread_ts") or ""),
        ephemeral_to=user,
        **content,
    )
    workspace.add_message(conversation.id, message)
    return {"message_ts": message.ts}


def update(workspace: Workspace, arguments: Json) -> Json:
    conversation, message = _own(workspace, arguments, "cant_update_message")
    rewrite(workspace, message, content_of(arguments, LONGEST_UPDATE))
    return {"channel": conversation.id, "ts": message.ts, "text": message.text, "message": message.wire()}


def rewrite(workspace: Workspace, message: Message, content: Json) -> None:
    message.text, message.blocks = content["text"], content["blocks"]
    message.metadata = content["metadata"] or message.metadata
    message.edited_ts = workspace.next_ts()


def delete(workspace: Workspace, arguments: Json) -> Json:
    conversation, message = _own(workspace, arguments, "cant_delete_message")
    workspace.delete_message(conversation.id, message.ts)
    return {"channel": conversation.id, "ts": message.ts}


@dataclass(slots=True, kw_only=True)
class ResponseUrl:
    """Where the answers to one command or click go: five posts within thirty minutes."""

    channel: str
    user: str
    made: float
    message_ts: str = ""  # the message that a further post replaces or deletes
    posts: int = 0


def respond(workspace: Workspace, url: ResponseUrl | None, payload: Json) -> None:
    """Do what one post to a response URL asks for. Raises `RefusedError`."""
    if url is None or workspace.clock() - url.made > RESPONSE_SECONDS:
        raise RefusedError("expired_url")
    if url.posts >= MOST_RESPONSES:
        raise RefusedError("used_url")
    earlier = workspace.conversations[url.channel].find(url.message_ts)
    if payload.get("delete_original"):
        url.posts += 1
        if earlier is not None:
            workspace.delete_message(url.channel, earlier.ts)
        return
    content = content_of(payload)
    url.posts += 1
    if payload.get("replace_original") and earlier is not None:
        rewrite(workspace, earlier, content)
        return
    message = Message(
        ts=workspace.next_ts(),
        user=workspace.bot_user,
        bot_id=workspace.bot,
        thread_ts=str(payload.get("thread_ts") or ""),
        ephemeral_to="" if payload.get("response_type") == "in_channel" else url.user,
        **content,
    )
    url.message_ts = workspace.add_message(url.channel, message).ts
