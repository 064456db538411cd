"""Who and what a Slack export knows: its users, its conversations, and who may read which.

Deny by default: a conversation that no listing names has no audience, a folder that two of them claim has none
either, and nobody holds the workspace but its own active people.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.words import digest_of
from ingest.conversations import Conversation
from ingest.markup import one_line

LISTINGS = ("users.json", "channels.json", "groups.json", "dms.json", "mpims.json")
NAME_CHARACTERS = 80
PRIVATE = "private-channel"  # what a mention of a private channel shows to readers of another one
SLACKBOT = "USLACKBOT"

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The listings of an export, resolved. A folder that is claimed twice maps to None."""

    workspace: str
    users: Mapping[str, str]
    channels: Mapping[str, str]
    folders: Mapping[str, Conversation | None]
    holdings: tuple[tuple[str, str], ...]


def directory_of(listings: Mapping[str, Sequence[Record]], *, name: str) -> Directory:
    """The directory of parsed listings by file name; `name` of the source stands in for a missing workspace id."""
    users = {_text(user, "id"): user for user in listings.get("users.json", ()) if _text(user, "id")}
    workspace = _workspace(users.values(), name)
    records = {record_id: (record, kind) for record_id, record, kind in _conversations(listings)}
    conversations = [_conversation(record, kind, workspace) for record, kind in records.values()]
    private = {record_id for record_id, (_, kind) in records.items() if kind != "channel"}
    return Directory(
        workspace=workspace,
        users={user_id: display_name(user) or user_id for user_id, user in users.items()},
        channels={
            record_id: PRIVATE if record_id in private else _text(record, "name") or record_id
            for record_id, (record, _) in records.items()
        },
        folders=_folders(conversations),
        holdings=tuple(sorted({*_workspace_holders(users, workspace), *_members(records, private, users, workspace)})),
    )


def display_name(user: Record) -> str:
    """The name that Slack shows: display name, then full name, then handle; empty if there is none."""
    profile = user.get("profile")
    known: Record = profile if isinstance(profile, dict) else {}
    for record, key in ((known, "display_name"), (known, "real_name"), (user, "real_name"), (user, "name")):
        if found := _text(record, key).replace("<", "").replace(">", ""):
            return found
    return ""


def _workspace(users: Iterable[Record], name: str) -> str:
    teams = Counter(team for user in users if (team := _text(user, "team_id")))
    # The most frequent, and of equals the first in the alphabet: the order of users.json must not decide.
    return min(teams, key=lambda team: (-teams[team], team)) if teams else f"W{digest_of(name)[:8]}"


def _conversations(listings: Mapping[str, Sequence[Record]]) -> Iterator[tuple[str, Record, str]]:
    """Conversations by id, the stricter listing last so that it wins over a public one."""
    for file, kind in (("channels", "channel"), ("groups", "group"), ("mpims", "mpim"), ("dms", "dm")):
        for record in listings.get(f"{file}.json", ()):
            if record_id := _text(record, "id"):
                yield record_id, record, _stricter(record, kind)


def _stricter(record: Record, kind: str) -> str:
    if kind == "channel":
        for flag, private in (("is_im", "dm"), ("is_mpim", "mpim"), ("is_private", "group"), ("is_group", "group")):
            if record.get(flag):
                return private
    return kind


def _conversation(record: Record, kind: str, workspace: str) -> Conversation:
    record_id, name = _text(record, "id"), _text(record, "name")
    label = {"dm": "direct message", "mpim": "group message"}.get(kind, f"#{name or record_id}")
    return Conversation(
        id=record_id,
        folder=unicodedata.normalize("NFC", name or record_id),
        label=label,
        audience=(workspace,) if kind == "channel" else (f"{workspace}/{record_id}",),
        direct=kind in ("dm", "mpim"),
        official=bool(record.get("is_general")),
    )


def _folders(conversations: Iterable[Conversation]) -> dict[str, Conversation | None]:
    folders: dict[str, Conversation | None] = {}
    for conversation in conversations:
        for key in {conversation.folder, conversation.id}:
            folders[key] = None if key in folders else conversation
    return folders


def _workspace_holders(users: Mapping[str, Record], workspace: str) -> Iterator[tuple[str, str]]:
    for user_id, user in users.items():
        guest = any(user.get(flag) for flag in ("is_restricted", "is_ultra_restricted", "is_stranger"))
        own = (_text(user, "team_id") or workspace) == workspace
        if not _gone(user_id, user):
            # A guest holds no more than itself, but is somebody who can be asked for.
            person = f"{workspace}/{user_id}"
            yield person, workspace if own and not guest else person


def _members(
    records: Mapping[str, tuple[Record, str]], private: Iterable[str], users: Mapping[str, Record], workspace: str
) -> Iterator[tuple[str, str]]:
    for record_id in private:
        members = records[record_id][0].get("members")
        for member in members if isinstance(members, list) else ():
            if isinstance(member, str) and not _gone(member, users.get(member, {})):
                yield f"{workspace}/{member}", f"{workspace}/{record_id}"


def _gone(user_id: str, user: Record) -> bool:
    return bool(user.get("deleted") or user.get("is_bot")) or user_id == SLACKBOT


def _text(record: Record, key: str) -> str:
    value = record.get(key)
    return one_line(value, NAME_CHARACTERS) if isinstance(value, str) else ""
