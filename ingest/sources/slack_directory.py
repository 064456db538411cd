"""Who and what a Slack export knows: its users, its conversations, and who may read which.

Deny by default: a conversation that no listing names has no audience, a folder that two of them claim has none
either, and nobody holds the workspace but its own active people.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.words import digest_of
from ingest.conversations import Conversation
from ingest.markup import PRIVATE, one_line

LISTINGS = ("users.json", "channels.json", "groups.json", "dms.json", "mpims.json")
NAME_CHARACTERS = 80
SLACKBOT = "USLACKBOT"
TEAM_ID = re.compile(r"[A-Z][A-Z0-9]{1,30}")  # nothing else may become a principal: `everyone` is a word of ours
OWNERS = ("is_primary_owner", "is_owner", "is_admin")
DAY = re.compile(r"[^/]+/\d{4}-\d{2}-\d{2}\.json")
STRICTNESS = ("channel", "group", "mpim", "dm")

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
    workspace = _workspace(listings.get("channels.json", ()), users.values()) or f"W{digest_of(name)[:8]}"
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


def export_roots(names: Iterable[str]) -> list[str]:
    """Where among these names exports stand: `""` at the top, else every folder right below that is one, with a `/`.

    Two listings make an export, or one beside the messages of a day: a single `users.json` may be anything.
    """
    evidence: dict[str, set[str]] = {}
    for name in names:
        root, _, rest = name.partition("/")
        for prefix, inner in (("", name), (f"{root}/", rest)):
            if inner in LISTINGS:
                evidence.setdefault(prefix, set()).add(inner)
            elif DAY.fullmatch(inner):
                evidence.setdefault(prefix, set()).add("day")
    roots = sorted(prefix for prefix, found in evidence.items() if len(found) > 1)
    return roots[:1] if "" in roots else roots


def display_name(user: Record) -> str:
    """The name that Slack shows: display name, then full name, then handle; empty if there is none."""
    profile = user.get("profile")
    known: Record = profile if isinstance(profile, dict) else {}
    for record, key in ((known, "display_name"), (known, "real_name"), (user, "real_name"), (user, "name")):
        if found := _text(record, key).replace("<", "").replace(">", ""):
            return found
    return ""


def _workspace(channels: Iterable[Record], users: Iterable[Record]) -> str:
    """The team that the channels say they are in, else its owners', else most people's; empty if none says."""
    people = [user for user in users if not user.get("is_stranger")]
    owners = [user for user in people if any(user.get(flag) for flag in OWNERS)]
    for records, key in ((channels, "context_team_id"), (owners, "team_id"), (people, "team_id")):
        if teams := Counter(team for record in records if TEAM_ID.fullmatch(team := _text(record, key))):
            # Of equally frequent ones the first in the alphabet: the order of a listing must not decide.
            return min(teams, key=lambda team: (-teams[team], team))
    return ""


def _conversations(listings: Mapping[str, Sequence[Record]]) -> list[tuple[str, Record, str]]:
    """Every conversation with its id, the stricter ones last so that they win over what is listed twice."""
    found = [
        (record_id, record, _stricter(record, kind))
        for file, kind in (("channels", "channel"), ("groups", "group"), ("mpims", "mpim"), ("dms", "dm"))
        for record in listings.get(f"{file}.json", ())
        if (record_id := _text(record, "id"))
    ]
    return sorted(found, key=lambda one: STRICTNESS.index(one[2]))


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
    """Conversations by folder and by id; one that shares either with another is known by neither."""
    found = list(conversations)
    claims = Counter(key for conversation in found for key in {conversation.folder, conversation.id})
    return {
        key: conversation if claims[conversation.folder] == claims[conversation.id] == 1 else None
        for conversation in found
        for key in (conversation.folder, conversation.id)
    }


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
