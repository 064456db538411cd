"""One message object of a Slack export: what to do with it, and how it reads.

The format: https://docs.slack.dev/reference/events/message and its subtypes, old and new.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.words import Bucket, Instant
from ingest.conversations import Message
from ingest.formats.parsed import ParserUnavailableError
from ingest.markup import one_line, plain
from ingest.sources.slack_attachments import attachment_lines
from ingest.sources.slack_blocks import Render, block_lines, only_rich_text
from ingest.sources.slack_directory import Directory
from ingest.sources.slack_files import file_lines
from ingest.sources.slack_html import Html, unread
from ingest.sources.slack_people import display_name
from ingest.sources.slack_records import NAME_CHARACTERS, Record, Said, exact_time, record, records, short, string

PLACEHOLDERS = ("", "This content can't be displayed.")
RESOLVED = frozenset({"white_check_mark", "heavy_check_mark", "ballot_box_with_check"})
DELETED = frozenset({"tombstone", "message_deleted"})
WRAPPERS = frozenset({"message_changed", "message_replied"})
NOISE = frozenset(
    {
        *("bot_add", "bot_remove", "bot_enable", "bot_disable", "pinned_item", "unpinned_item"),
        *("reminder_add", "reminder_delete", "joiner_notification", "joiner_notification_for_inviter"),
        *("app_conversation_join", "app_conversation_leave", "ekm_access_denied", "huddle_thread"),
        *("sh_room_created", "sh_room_shared", "tabbed_canvas_updated", "document_mention"),
    }
)
NOISE_PREFIXES = ("channel_", "group_", "mpim_", "im_", "conversation_")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that reaches no document. `deletes` is the time of the message that this one takes back."""

    ts: str
    bucket: Bucket
    reason: str
    deletes: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """What reads the messages of one conversation."""

    directory: Directory
    bots: bool
    html: Html


def read_message(raw: object, directory: Directory, *, bots: bool = True, html: Html = unread) -> Message | Dropped:
    """The message of one object of a day file; what is malformed is dropped as failed.

    Raises ParserUnavailableError and nothing else: that says nothing about any message.
    """
    try:
        return _read(raw, _Place(directory, bots, html))
    except ParserUnavailableError:
        raise
    except Exception:  # noqa: BLE001 - a shape nobody thought of costs its own message and is counted, never the run
        return Dropped("", "failed", "malformed_message")


def stranger_in(raw: object, users: Mapping[str, str]) -> dict[str, str]:
    """Somebody of another workspace, who is in no listing but brings a profile along: the id and the name."""
    if not isinstance(raw, dict) or not (user := string(raw, "user")) or user in users:
        return {}
    known = display_name({"profile": record(raw, "user_profile")})
    return {user: known} if known else {}


def _read(raw: object, place: _Place) -> Message | Dropped:
    if not isinstance(raw, dict) or (time := exact_time(raw.get("ts"))) is None:
        return Dropped("", "failed", "malformed_message")
    ts, at = time
    subtype = short(raw, "subtype")
    if subtype in WRAPPERS:
        return _unwrapped(raw, place, ts)
    if subtype in DELETED:
        return Dropped(ts, "tombstoned", subtype, deletes=_deleted(raw) or ts)
    if reason := _reason_to_drop(raw, subtype, place):
        return Dropped(ts, "filtered", reason)
    text = _rendered(raw, place)
    return _message(raw, place.directory, ts=ts, at=at, text=text) if text else Dropped(ts, "filtered", "empty")


def _unwrapped(raw: Record, place: _Place, ts: str) -> Message | Dropped:
    """The present state of a message, as the record of its change brings it."""
    inner = record(raw, "message")
    if not inner or short(inner, "subtype") in WRAPPERS:
        return Dropped(ts, "filtered", short(raw, "subtype"))
    return _read(inner, place)


def _deleted(raw: Record) -> str:
    gone = exact_time(raw.get("deleted_ts")) or exact_time(record(raw, "previous_message").get("ts"))
    return gone[0] if gone else ""


def _reason_to_drop(raw: Record, subtype: str, place: _Place) -> str:
    if subtype in NOISE or subtype.startswith(NOISE_PREFIXES):
        return subtype
    if raw.get("hidden") is True:
        return "hidden"
    return "bot" if not place.bots and _by_bot(raw, subtype, place.directory) else ""


def _by_bot(raw: Record, subtype: str, directory: Directory) -> bool:
    return bool(raw.get("bot_id")) or subtype == "bot_message" or string(raw, "user") in directory.bots


def _message(raw: Record, directory: Directory, *, ts: str, at: Instant, text: str) -> Message:
    user = _user(raw)
    author, speaker = _speaker(raw, user, directory.users)
    reactions = records(raw, "reactions")
    thread = exact_time(raw.get("thread_ts"))
    changed = exact_time(record(raw, "edited").get("ts"))
    return Message(
        ts=ts,
        at=at,
        speaker=speaker,
        text=text,
        thread_ts=thread[0] if thread else "",
        author=author,
        by=f"{directory.workspace}/{one_line(user, NAME_CHARACTERS)}" if user else "",
        edited=bool(raw.get("edited")),
        changed_at=max(at, changed[1]) if changed else at,
        broadcast=raw.get("subtype") in ("thread_broadcast", "reply_broadcast"),
        reactions=sum(map(_reaction_count, reactions)),
        resolved=any(string(reaction, "name") in RESOLVED for reaction in reactions),
        pinned=bool(raw.get("pinned_to") or raw.get("pinned_info")),
    )


def _user(raw: Record) -> str:
    """The id of who said it, empty for what has no user."""
    return string(raw, "user") or string(record(raw, "comment"), "user")


def _speaker(raw: Record, user: str, users: Mapping[str, str]) -> tuple[str, str]:
    """Who said it, as an id and as a name: a person, else the name a bot goes by."""
    found = (
        (string(raw, "username") if raw.get("subtype") == "bot_message" else "")
        or users.get(user, "")
        or display_name({"profile": record(raw, "user_profile")})
        or string(raw, "username")
        or string(record(raw, "bot_profile"), "name")
    )
    author = user or string(raw, "bot_id") or found
    return author, one_line(found or author, NAME_CHARACTERS) or "unknown"


def _reaction_count(reaction: Record) -> int:
    count, users = reaction.get("count"), reaction.get("users")
    if isinstance(count, int):
        return min(max(count, 0), 1_000_000)
    return len(users) if isinstance(users, list) else 0


def _rendered(raw: Record, place: _Place) -> str:
    directory = place.directory

    def render(text: str) -> str:
        return plain(text, users=directory.users, channels=directory.channels, groups=directory.groups)

    comment = raw.get("comment")
    text = render(string(comment, "comment") if isinstance(comment, dict) else string(raw, "text"))
    return "\n".join(_lines(raw, "" if text in PLACEHOLDERS else text, render, place.html))


def _lines(raw: Record, text: str, render: Render, html: Html) -> Iterator[str]:
    """Text, then what the text leaves out: layout, what is attached, files. Nothing twice."""
    if text:
        yield text
    said = Said(text)
    # Slack shows the blocks; where they come from its editor the text says the same, else it may be a summary.
    if not text or not only_rich_text(raw.get("blocks")):
        for line in block_lines(raw.get("blocks"), render):
            if said.adds(line):
                yield line
    yield from attachment_lines(raw, said, render)
    yield from file_lines(raw, said, render, html)
