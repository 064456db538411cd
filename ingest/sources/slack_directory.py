"""Who and what a Slack export knows: its users, its conversations, and who may read which.

Deny by default: a conversation that no listing names has no audience, a folder that two of them claim has none
either. The export of an organisation (Enterprise Grid) has what its workspaces share at the top, and below `teams/`
a folder like an export for each workspace; everything in it is for that workspace alone.
"""

import re
import unicodedata
from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from core.words import digest_of
from ingest.conversations import Conversation
from ingest.markup import PRIVATE, one_line
from ingest.sources.slack_people import People, most_common, people_of, workspace_of
from ingest.sources.slack_records import Record, exact_time, record, records, short, string, strings

USERS = ("users.json", "org_users.json")
KINDS = {
    "channels.json": "channel",
    "groups.json": "group",
    "file_conversations.json": "file",
    "mpims.json": "mpim",
    "dms.json": "dm",
}
GROUPS = ("usergroups.json", "subteams.json")
LISTINGS = (*USERS, "channels.json", "groups.json", "dms.json", "mpims.json")
READ_WHERE_PRESENT = (*LISTINGS, "file_conversations.json", *GROUPS)
DAY = re.compile(r"[^/]+/\d{4}-\d{2}-\d{2}\.json")
TEAM = re.compile(r"(teams/[^/]+/)([^/]+)")
FOLDER_CHARACTERS = 250  # the comments on a canvas lie in a folder with its title
STRICTNESS = ("channel", "group", "file", "mpim", "dm")
FLAGS = (("is_im", "dm"), ("is_mpim", "mpim"), ("is_private", "group"), ("is_group", "group"))
SHARED_WITH = ("shared_team_ids", "internal_team_ids", "connected_team_ids")

Listings = Mapping[str, Sequence[Record]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The listings of an export, resolved. A folder that is claimed twice maps to None."""

    workspace: str
    workspaces: tuple[str, ...]
    users: Mapping[str, str]
    channels: Mapping[str, str]
    folders: Mapping[str, Conversation | None]
    holdings: tuple[tuple[str, str], ...]
    groups: Mapping[str, str] = field(default_factory=dict)
    bots: frozenset[str] = frozenset()

    def seen_from(self, conversation: Conversation, strangers: dict[str, str]) -> "Directory":
        """What those who read a conversation may be told: of other workspaces' channels not even the names.

        `strangers` are named where no listing has them, also those who join it later.
        """
        users = ChainMap(strangers, dict(self.users))
        if len(self.workspaces) == 1:
            return replace(self, users=users)
        homes = {reader.partition("/")[0] for reader in conversation.audience}
        channels = {
            channel: known if (other := self.folders.get(channel)) and homes <= set(other.audience) else PRIVATE
            for channel, known in self.channels.items()
        }
        return replace(self, users=users, channels=channels)


@dataclass(slots=True)
class _Place:
    """One conversation, as its strictest record has it, and everywhere it is listed."""

    id: str
    kind: str
    record: Record
    homes: set[str] = field(default_factory=set)
    prefixes: dict[str, None] = field(default_factory=dict)


def directory_of(listings: Listings, *, name: str, teams: Mapping[str, Listings] = MappingProxyType({})) -> Directory:
    """The directory of parsed listings by file name; `name` of the source stands in for a missing workspace id.

    `teams` are the listings of an organisation's workspaces, by their folders: `teams/acme/`.
    """
    homes = _homes(listings, teams, name)
    speaks_for = {home for prefix, home in homes.items() if prefix or not teams}
    every = {"": listings, **teams}
    people = people_of(
        [(homes[prefix], [user for file in USERS for user in found.get(file, ())]) for prefix, found in every.items()],
        workspace=homes[""],
        teams=speaks_for,
    )
    places = _places(every, homes)
    conversations = {place.id: _conversation(place, homes[""], speaks_for) for place in places.values()}
    is_private = {place.id for place in places.values() if "/" in conversations[place.id].audience[0]}
    holdings = {*people.holdings(), *_members(places, conversations, is_private, people)}
    return Directory(
        workspace=homes[""],
        workspaces=tuple(sorted({homes[""], *speaks_for})),
        users=people.names,
        channels={key: PRIVATE if key in is_private else found.name or key for key, found in conversations.items()},
        folders=_folders(places, conversations),
        holdings=tuple(sorted(holdings)),
        groups=_groups(every.values()),
        bots=people.bots,
    )


def export_roots(names: Iterable[str]) -> list[str]:
    """Where among these names exports stand: `""` at the top, else every folder right below that is one, with a `/`.

    Two listings make an export, or one beside the messages of a day: a single `users.json` may be anything. The
    listings of two workspaces below `teams/` make one too.
    """
    evidence: dict[str, set[str]] = {}
    for entry in names:
        root, _, rest = entry.partition("/")
        for prefix, inner in (("", entry), (f"{root}/", rest)):
            team = TEAM.fullmatch(inner)
            if inner in LISTINGS or (team and team[2] in LISTINGS):
                evidence.setdefault(prefix, set()).add(inner)
            elif DAY.fullmatch(inner):
                evidence.setdefault(prefix, set()).add("day")
    roots = sorted(prefix for prefix, found in evidence.items() if len(found) > 1)
    return roots[:1] if "" in roots else roots


def team_folders(names: Iterable[str]) -> tuple[str, ...]:
    """The folders of an organisation's workspaces, `teams/acme/`, sorted; empty for any other export."""
    found = (TEAM.fullmatch(entry) for entry in names)
    return tuple(sorted({team[1] for team in found if team and team[2] in LISTINGS}))


def _homes(listings: Listings, teams: Mapping[str, Listings], source: str) -> dict[str, str]:
    """The workspace of every root; of the top of an organisation, the organisation's own id."""
    users = [user for file in USERS for user in listings.get(file, ())]
    enterprise = most_common(short(record(user, "enterprise_user"), "enterprise_id") for user in users) if teams else ""
    homes = {"": enterprise or workspace_of(listings.get("channels.json", ()), users) or _made_up(source)}
    found = {
        prefix: workspace_of(team.get("channels.json", ()), [user for file in USERS for user in team.get(file, ())])
        for prefix, team in teams.items()
    }
    for prefix, team in found.items():
        # One that two folders claim would be read by the people of both.
        is_sure = team and list(found.values()).count(team) == 1
        homes[prefix] = team if is_sure else _made_up(f"{source}/{prefix}")
    return homes


def _made_up(source: str) -> str:
    return f"W{digest_of(source)[:8]}"


def _places(every: Mapping[str, Listings], homes: Mapping[str, str]) -> dict[str, _Place]:
    """Every conversation by its id. Of one that is listed twice the stricter record counts."""
    places: dict[str, _Place] = {}
    for prefix, listings in every.items():
        for file, listed_as in KINDS.items():
            for found in listings.get(file, ()):
                if conversation_id := short(found, "id"):
                    kind = _stricter(found, listed_as)
                    place = places.setdefault(conversation_id, _Place(conversation_id, kind, found))
                    if STRICTNESS.index(kind) >= STRICTNESS.index(place.kind):
                        place.kind, place.record = kind, found
                    place.homes.add(homes[prefix])
                    place.prefixes[prefix] = None
    return places


def _stricter(found: Record, kind: str) -> str:
    if kind == "channel":
        for flag, private in FLAGS:
            if found.get(flag):
                return private
    return kind


def _conversation(place: _Place, workspace: str, speaks_for: Collection[str]) -> Conversation:
    found, known = place.record, short(place.record, "name")
    own = (f"{_home(place, workspace, speaks_for)}/{place.id}",)
    times = (exact_time(string(pin, "id")) for pin in records(found, "pins"))
    return Conversation(
        id=place.id,
        folder=min(place.prefixes) + _folder(found),
        name=known,
        label=_label(place.kind, known or place.id),
        audience=(_readers(place, workspace, speaks_for) if place.kind == "channel" else ()) or own,
        direct=place.kind in ("dm", "mpim"),
        official=bool(found.get("is_general")),
        pins=frozenset(time[0] for time in times if time),
    )


def _home(place: _Place, workspace: str, speaks_for: Collection[str]) -> str:
    """The workspace that a conversation's own principal belongs to."""
    if len(place.homes) == 1 and workspace not in place.homes:
        return next(iter(place.homes))
    told = short(place.record, "context_team_id")
    return told if told in speaks_for and workspace not in speaks_for else workspace


def _readers(place: _Place, workspace: str, speaks_for: Collection[str]) -> tuple[str, ...]:
    """The workspaces that a public channel is open to. What an organisation shares with nobody is for its members."""
    if workspace in speaks_for:
        return (workspace,)
    if place.record.get("is_global_shared"):
        return tuple(sorted(speaks_for))
    told = {team for key in SHARED_WITH for team in strings(place.record, key)} | {
        short(place.record, "context_team_id")
    }
    return tuple(sorted((told | place.homes) & set(speaks_for)))


def _label(kind: str, known: str) -> str:
    if kind == "file":
        return f"comments on {known.split(':', 2)[-1]}"
    return {"dm": "direct message", "mpim": "group message"}.get(kind, f"#{known}")


def _folder(found: Record) -> str:
    known = one_line(string(found, "name"), FOLDER_CHARACTERS) or short(found, "id")
    return unicodedata.normalize("NFC", known)


def _folders(places: Mapping[str, _Place], conversations: Mapping[str, Conversation]) -> dict[str, Conversation | None]:
    """Conversations by folder and by id; one that shares either with another is known by neither."""
    keys = {
        place.id: {place.id, *(prefix + key for prefix in place.prefixes for key in (_folder(place.record), place.id))}
        for place in places.values()
    }
    claims: dict[str, int] = {}
    for key in (key for mine in keys.values() for key in mine):
        claims[key] = claims.get(key, 0) + 1
    return {
        key: conversations[found] if all(claims[each] == 1 for each in mine) else None
        for found, mine in keys.items()
        for key in mine
    }


def _members(
    places: Mapping[str, _Place],
    conversations: Mapping[str, Conversation],
    private: Iterable[str],
    people: People,
) -> Iterator[tuple[str, str]]:
    for conversation_id in private:
        (principal,) = conversations[conversation_id].audience
        home = principal.partition("/")[0]
        for member in strings(places[conversation_id].record, "members"):
            yield from ((person, principal) for person in people.principals(member, home))


def _groups(every: Iterable[Listings]) -> dict[str, str]:
    found = (group for listings in every for file in GROUPS for group in listings.get(file, ()))
    return {short(group, "id"): short(group, "handle") or short(group, "name") for group in found}
