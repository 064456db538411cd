"""The people of a Slack export: what they are called, and which workspaces and conversations they hold.

Deny by default: nobody holds a workspace but its own active people. Guests hold their conversations alone.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.sources.slack_records import Record, record, short, strings

SLACKBOT = "USLACKBOT"
TEAM_ID = re.compile(
    r"[A-Z][A-Z0-9]{1,30}", re.ASCII
)  # nothing else may become a principal: `everyone` is a word of ours
OWNERS = ("is_primary_owner", "is_owner", "is_admin")
GUEST = ("is_restricted", "is_ultra_restricted", "is_stranger")
# What is read of somebody: a listing of a hundred thousand has ten times as much.
KEPT = ("id", "team_id", "name", "real_name", "deleted", "is_bot", *OWNERS, *GUEST)
KEPT_OF = {"profile": ("display_name", "real_name"), "enterprise_user": ("enterprise_id", "teams")}


@dataclass(slots=True)
class Person:
    """Somebody in the listings, by workspaces: where listed as active, where a member, where certainly no member."""

    known_in: set[str] = field(default_factory=set)
    member_of: set[str] = field(default_factory=set)
    barred_from: set[str] = field(default_factory=set)
    is_active: bool = False
    has_left: bool = False


@dataclass(frozen=True, slots=True)
class People:
    """Everybody in the listings. `gone` are those whom no listing has as active; `bots` are no people."""

    names: Mapping[str, str]
    active: Mapping[str, Person]
    gone: frozenset[str]
    bots: frozenset[str]
    workspace: str

    def principals(self, user_id: str, home: str) -> Iterator[str]:
        """The principals of a user; of one whom no listing has, the name in the home of a conversation."""
        if user_id not in self.gone:
            person = self.active.get(user_id)
            yield from (f"{team}/{user_id}" for team in (sorted(person.known_in) if person else (home,)))

    def holdings(self) -> Iterator[tuple[str, str]]:
        """Full members hold their workspaces; everybody else holds no more than itself, but can be asked for."""
        for user_id, person in self.active.items():
            for principal in self.principals(user_id, self.workspace):
                yield from ((principal, team) for team in person.member_of or {principal})


def brief(user: Record) -> Record:
    """What a record of a listing says as far as anything here reads it."""
    inner = {name: _only(record(user, name), keys) for name, keys in KEPT_OF.items()}
    return _only(user, KEPT) | {name: found for name, found in inner.items() if found}


def _only(found: Record, keys: Iterable[str]) -> dict[str, object]:
    return {key: found[key] for key in keys if key in found}


def people_of(listings: Sequence[tuple[str, Sequence[Record]]], *, workspace: str, teams: Collection[str]) -> People:
    """The people of listings, each with the workspace that it is of; `workspace` stands for a whole organisation.

    `teams` are the workspaces that the export speaks for; membership in any other one is not believed.
    """
    names: dict[str, str] = {}
    people: dict[str, Person] = {}
    bots = {SLACKBOT}
    for home, users in listings:
        for user in users:
            if user_id := short(user, "id"):
                names[user_id] = names.get(user_id) or display_name(user)
                bots |= {user_id} if user.get("is_bot") else set()
                _learn(people.setdefault(user_id, Person()), user, home, workspace, teams)
    for person in people.values():
        person.member_of -= person.barred_from
        person.known_in |= person.member_of | {workspace}
    gone = {SLACKBOT, *(user_id for user_id, person in people.items() if person.has_left or not person.is_active)}
    return People(
        names={user_id: known or user_id for user_id, known in names.items()},
        active={user_id: person for user_id, person in people.items() if user_id not in gone},
        gone=frozenset(gone),
        bots=frozenset(bots),
        workspace=workspace,
    )


def _learn(person: Person, user: Record, home: str, workspace: str, teams: Collection[str]) -> None:
    """What one record says. What speaks against somebody counts more than what another listing says for them."""
    own = {home} if home in teams else set(teams)  # a listing of the organisation speaks of all of its workspaces
    if user.get("deleted") or user.get("is_bot"):
        person.has_left |= home == workspace
        person.barred_from |= own
        return
    person.is_active = True
    if home in teams:
        person.known_in.add(home)
    if any(user.get(flag) for flag in GUEST):
        person.barred_from |= own
    told = {short(user, "team_id") or home, *strings(record(user, "enterprise_user"), "teams")}
    person.member_of |= told & own


def workspace_of(channels: Iterable[Record], users: Iterable[Record]) -> str:
    """The team that the channels say they are in, else its owners', else most people's; empty if none says."""
    people = [user for user in users if not user.get("is_stranger")]
    owners = [user for user in people if any(user.get(flag) for flag in OWNERS)]
    for records, key in ((channels, "context_team_id"), (owners, "team_id"), (people, "team_id")):
        if found := most_common(short(record, key) for record in records):
            return found
    return ""


def most_common(ids: Iterable[str]) -> str:
    """The id of a workspace that is named most often; empty if none is."""
    teams = Counter(team for team in ids if TEAM_ID.fullmatch(team))
    # Of equally frequent ones the first in the alphabet: the order of a listing must not decide.
    return min(teams, key=lambda team: (-teams[team], team), default="")


def display_name(user: Record) -> str:
    """The name that Slack shows: display name, then full name, then handle; empty if there is none."""
    known = record(user, "profile")
    for parent, key in ((known, "display_name"), (known, "real_name"), (user, "real_name"), (user, "name")):
        if found := short(parent, key).replace("<", "").replace(">", ""):
            return found
    return ""
