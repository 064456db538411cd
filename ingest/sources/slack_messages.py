"""One message object of a Slack export: what to do with it, and how it reads.

The format: https://docs.slack.dev/reference/events/message and its subtypes, old and new.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from core.words import OPEN_TO, Bucket, Instant
from ingest.conversations import Message
from ingest.markup import clean, one_line, plain
from ingest.sources.slack_directory import Directory, Record, display_name

TITLE_CHARACTERS = 200
NAME_CHARACTERS = 80
NESTING = 12  # blocks in blocks, far more than Slack's editor makes
PLACEHOLDERS = ("", "This content can't be displayed.")
RESOLVED = frozenset({"white_check_mark", "heavy_check_mark", "ballot_box_with_check"})
DELETED = frozenset({"tombstone", "message_deleted"})
NOISE = frozenset(
    {
        *("bot_add", "bot_remove", "bot_enable", "bot_disable", "pinned_item", "unpinned_item", "message_changed"),
        *("reminder_add", "reminder_delete", "joiner_notification", "joiner_notification_for_inviter"),
        *("app_conversation_join", "app_conversation_leave", "ekm_access_denied", "file_mention", "huddle_thread"),
        *("sh_room_created", "sh_room_shared", "tabbed_canvas_updated", "document_mention", "list_record_comment"),
    }
)
NOISE_PREFIXES = ("channel_", "group_", "mpim_", "im_", "conversation_")
TIME = re.compile(r"(\d{1,10})(?:\.(\d{1,6}))?", re.ASCII)

Render = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that reaches no document. `deletes` is the time of the message that this one takes back."""

    ts: str
    bucket: Bucket
    reason: str
    deletes: str = ""


def read_message(raw: object, directory: Directory) -> Message | Dropped:
    """The message of one object of a day file. Never raises: what is malformed is dropped as failed."""
    try:
        return _read(raw, directory)
    except Exception:  # noqa: BLE001 - a shape nobody thought of costs its own message and is counted, never the run
        return Dropped("", "failed", "malformed_message")


def _read(raw: object, directory: Directory) -> Message | Dropped:
    if not isinstance(raw, dict) or (time := exact_time(raw.get("ts"))) is None:
        return Dropped("", "failed", "malformed_message")
    ts, at = time
    subtype = one_line(_string(raw, "subtype"), NAME_CHARACTERS)
    if subtype in DELETED:
        gone = exact_time(raw.get("deleted_ts"))
        return Dropped(ts, "tombstoned", subtype, deletes=gone[0] if gone else ts)
    if subtype in NOISE or subtype.startswith(NOISE_PREFIXES):
        return Dropped(ts, "filtered", subtype)
    text = _rendered(raw, directory)
    return _message(raw, directory, ts=ts, at=at, text=text) if text else Dropped(ts, "filtered", "empty")


def exact_time(value: object) -> tuple[str, Instant] | None:
    """A Slack timestamp as its text with six decimals and as microseconds, by digits and never through a float."""
    match = TIME.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if match is None:
        return None
    fraction = (match[2] or "").ljust(6, "0")
    at = int(match[1]) * 1_000_000 + int(fraction)
    return (f"{match[1]}.{fraction}", Instant(at)) if at < OPEN_TO else None


def _message(raw: Record, directory: Directory, *, ts: str, at: Instant, text: str) -> Message:
    user = _user(raw)
    author, speaker = _speaker(raw, user, directory.users)
    reactions = _records(raw, "reactions")
    thread = exact_time(raw.get("thread_ts"))
    return Message(
        ts=ts,
        at=at,
        speaker=speaker,
        text=text,
        thread_ts=thread[0] if thread else "",
        author=author,
        by=f"{directory.workspace}/{one_line(user, NAME_CHARACTERS)}" if user else "",
        edited=bool(raw.get("edited")),
        broadcast=raw.get("subtype") in ("thread_broadcast", "reply_broadcast"),
        reactions=sum(map(_reaction_count, reactions)),
        resolved=any(_string(reaction, "name") in RESOLVED for reaction in reactions),
    )


def _user(raw: Record) -> str:
    """The id of who said it, empty for what has no user."""
    comment = raw.get("comment")
    return _string(raw, "user") or (_string(comment, "user") if isinstance(comment, dict) else "")


def _speaker(raw: Record, user: str, users: Mapping[str, str]) -> tuple[str, str]:
    """Who said it, as an id and as a name: a person, else the name a bot goes by."""
    bot, profile = raw.get("bot_profile"), raw.get("user_profile")
    name = (
        (_string(raw, "username") if raw.get("subtype") == "bot_message" else "")
        or users.get(user, "")
        or (display_name(profile) if isinstance(profile, dict) else "")
        or _string(raw, "username")
        or (_string(bot, "name") if isinstance(bot, dict) else "")
    )
    author = user or _string(raw, "bot_id") or name
    return author, one_line(name or author, NAME_CHARACTERS) or "unknown"


def _reaction_count(reaction: Record) -> int:
    count, users = reaction.get("count"), reaction.get("users")
    if isinstance(count, int):
        return min(max(count, 0), 1_000_000)
    return len(users) if isinstance(users, list) else 0


def _rendered(raw: Record, directory: Directory) -> str:
    def render(text: str) -> str:
        return plain(text, users=directory.users, channels=directory.channels)

    comment = raw.get("comment")
    text = render(_string(comment, "comment") if isinstance(comment, dict) else _string(raw, "text"))
    if text in PLACEHOLDERS:
        text = "\n".join(_block_lines(raw.get("blocks"), render)) or "\n".join(_attachment_lines(raw, render))
    lines = [text] if text else []
    lines += (f"[file: {title}]" for title in _file_titles(raw) if title not in text)
    return "\n".join(lines)


def _file_titles(raw: Record) -> Iterator[str]:
    single = raw.get("file")
    for file in (*_records(raw, "files"), *([single] if isinstance(single, dict) else ())):
        if title := one_line(_string(file, "title") or _string(file, "name"), TITLE_CHARACTERS):
            yield title


def _attachment_lines(raw: Record, render: Render) -> Iterator[str]:
    for attachment in _records(raw, "attachments"):
        found = [render(_string(attachment, key)) for key in ("pretext", "title", "text")]
        fields = _records(attachment, "fields")
        found += (render(f"{_string(field, 'title')}: {_string(field, 'value')}".strip(": ")) for field in fields)
        lines = [line for line in found if line] or [*_block_lines(attachment.get("blocks"), render)]
        yield from lines or filter(None, [render(_string(attachment, "fallback"))])


def _block_lines(blocks: object, render: Render, depth: int = 0) -> Iterator[str]:
    """The text of layout blocks, one line for each paragraph, list item or field."""
    if not isinstance(blocks, list) or depth > NESTING:
        return
    inline: list[str] = []
    for block in blocks:
        if not isinstance(block, dict):
            continue
        if isinstance(block.get("elements"), list) or isinstance(block.get("fields"), list):
            yield from _flushed(inline)
            yield from _own_text(block, render)
            yield from _block_lines(block.get("elements"), render, depth + 1)
            yield from _block_lines(block.get("fields"), render, depth + 1)
        else:
            inline.append("".join(_own_text(block, render)) or _element(block, render))
    yield from _flushed(inline)


def _flushed(inline: list[str]) -> Iterator[str]:
    line = clean("".join(inline)).strip()
    inline.clear()
    if line:
        yield line


def _own_text(block: Record, render: Render) -> Iterator[str]:
    """The text object of a section or header, whose `text` is an object; an element's is a string."""
    text = block.get("text")
    if isinstance(text, dict) and (found := render(_string(text, "text"))):
        yield found


def _element(element: Record, render: Render) -> str:
    """One element of rich text: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block."""
    kind = _string(element, "type")
    if kind == "link":
        return render(f"<{_string(element, 'url')}|{_string(element, 'text')}>")
    if kind == "emoji":
        return f":{_string(element, 'name')}:"
    if kind == "mrkdwn":
        return render(_string(element, "text"))
    for name, sign in (("user_id", "@"), ("channel_id", "#"), ("usergroup_id", "!subteam^"), ("range", "!")):
        if target := _string(element, name):
            return render(f"<{sign}{target}>")
    return _string(element, "text") or _string(element, "fallback") or _string(element, "alt_text")


def _records(raw: Record, key: str) -> list[dict[str, object]]:
    value = raw.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _string(raw: Record, key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""
