"""A live workspace, read into a folder in the form of a Slack export: what reads exports reads it too.

Who is where is asked again when everything has been read, and that is what the listings say: nothing that was said in a
conversation after it had become private is listed as public. What nobody may tell us about is not in the folder.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from api.slack.errors import SlackAccessError, SlackRefusedError, SlackUnreachableError
from api.slack.pull_channel import read_conversation
from api.slack.pull_folder import LISTINGS, PEOPLE, PullFolder, Standing, opened
from api.slack.pull_messages import folders_of, micros_of
from api.slack.pull_web import PatientSlack
from api.slack.shapes import Conversation, Kind, conversation_of, person_of
from api.slack.words import Identity
from ingest.options import SourceOptions

OVERLAP_DAYS: Final = 30
TYPES: Final[Mapping[Kind, tuple[str, str, str]]] = {
    "public": ("public_channel", "channels:read", "channels:history"),
    "private": ("private_channel", "groups:read", "groups:history"),
    "group": ("mpim", "mpim:read", "mpim:history"),
    "direct": ("im", "im:read", "im:history"),
}
"""Slack's word for a kind of conversation, and what the token needs to list and to read them."""
NEEDED: Final = ("channels:read", "users:read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to pull: `since` is a timestamp of Slack's, empty = everything; `overlap_days` are read again each time."""

    folder: Path
    chosen: SourceOptions = field(default_factory=SourceOptions)
    since: str = ""
    overlap_days: int = OVERLAP_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How far a pull is: conversations `done` of `total`, and how many messages came."""

    done: int
    total: int
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A conversation, or with an empty id all of a kind, that was not read now; `reason` is Slack's word.

    `kept` says that what an earlier pull read of it is still there.
    """

    id: str = ""
    name: str = ""
    reason: str
    needed: str = ""
    kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A conversation as it is listed."""

    shape: Conversation
    row: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Slack's id."""
        return self.shape.id

    @property
    def name(self) -> str:
        """The name, the id where it has none."""
        return self.shape.name or self.shape.id


Progress = Callable[[Seen], None]


class Pull:
    """One pull; `run` does it. `progress` is told after every page."""

    def __init__(self, web: PatientSlack, order: Order, progress: Progress) -> None:
        self._web = web
        self._order = order
        self._progress = progress
        self._scopes: frozenset[str] = frozenset()
        self._left_out: dict[str, LeftOut] = {}
        self._malformed = {"messages": 0, "conversations": 0, "people": 0}
        self._seen = Seen(done=0, total=0, messages=0)

    def run(self) -> dict[str, Any]:
        """Read everything and say what became of it. Raises the errors of Slack and of the folder.

        What was read until then is kept, and not read again by the next run.
        """
        started = time.monotonic()
        me = self._web.identity()
        self._scopes = self._web.scopes()
        self._check_scopes()
        with opened(self._order.folder, team=me.team) as folder:
            report = self._pulled(folder, me)
        return report | {"requests": self._web.requests, "seconds": round(time.monotonic() - started, 1)}

    def _pulled(self, folder: PullFolder, me: Identity) -> dict[str, Any]:
        read = self._read(folder, self._chosen(self._places()))
        places = self._with_members(self._places(), folder, me)
        people = list(self._people())
        done = {place.id: found for place in self._chosen(places) if (found := folder.done(place.id)) is not None}
        report = self._report(me, read, list(done.values())) | {"people": len(people)}
        names = folders_of({place.id: place.shape.name for place in places})
        listings = {
            LISTINGS[kind]: [place.row for place in places if place.shape.kind == kind] for kind in self._kinds()
        }
        folder.publish({place: names[place] for place in done}, {PEOPLE: people} | listings, report)
        return {"folder": str(self._order.folder)} | report

    def _check_scopes(self) -> None:
        """Without these every channel and every person would look as if they were gone."""
        for scope in NEEDED:
            if scope not in self._scopes:
                raise SlackAccessError(
                    f"The token may not do what a pull needs first: {scope}.",
                    hint="Add the scope on the app's page in Slack and install the app again.",
                )
        for kind in self._wanted():
            if kind not in self._kinds():
                self._leave_out(LeftOut(id="", name=kind, reason="missing_scope", needed=TYPES[kind][1]))

    def _wanted(self) -> list[Kind]:
        return [kind for kind in TYPES if kind in {"public", "private"} or self._order.chosen.direct_messages]

    def _kinds(self) -> list[Kind]:
        return [kind for kind in self._wanted() if TYPES[kind][1] in self._scopes]

    def _places(self) -> list[Place]:
        """Every conversation that the token may see, by name. What is none is counted, of one told twice the later."""
        places: dict[str, Place] = {}
        malformed = 0
        kinds = self._kinds()
        for row in self._web.places(*(TYPES[kind][0] for kind in kinds)):
            try:
                shape = conversation_of(row)
            except SlackUnreachableError:
                malformed += 1
                continue
            if shape.kind in kinds:
                places[shape.id] = Place(shape=shape, row=cast("Mapping[str, Any]", row))
        self._malformed["conversations"] = malformed
        return sorted(places.values(), key=lambda place: (place.name, place.id))

    def _chosen(self, places: Iterable[Place]) -> list[Place]:
        return [place for place in places if self._order.chosen.takes(place.name, place.id)]

    def _read(self, folder: PullFolder, places: list[Place]) -> dict[str, int]:
        """Read each of them, or say why not. Returns how many were read, now and by a pull that was interrupted."""
        counts = {"read": 0, "already_read": 0}
        for number, place in enumerate(places):
            self._seen = replace(self._seen, done=number, total=len(places))
            self._progress(self._seen)
            if self._is_read(folder, place.id):
                counts["already_read"] += 1
            elif reason := self._closed(place) or self._read_one(folder, place.id):
                self._leave_out(replace(reason, id=place.id, name=place.name, kept=folder.keep(place.id)))
            else:
                counts["read"] += 1
        self._progress(replace(self._seen, done=len(places), total=len(places)))
        return counts

    def _is_read(self, folder: PullFolder, place: str) -> bool:
        standing = folder.done(place)
        return standing is not None and not standing.kept and micros_of(standing.since) <= micros_of(self._order.since)

    def _closed(self, place: Place) -> LeftOut | None:
        needed = TYPES[place.shape.kind][2]
        if needed not in self._scopes:
            return LeftOut(reason="missing_scope", needed=needed)
        return LeftOut(reason="not_in_channel") if place.row.get("is_member") is False else None

    def _read_one(self, folder: PullFolder, place: str) -> LeftOut | None:
        try:
            read_conversation(
                self._web,
                place,
                folder,
                since=self._order.since,
                overlap_days=self._order.overlap_days,
                told=self._tell,
            )
        except SlackRefusedError as error:
            return LeftOut(reason=error.reason)
        except SlackAccessError as error:
            self._web.identity()  # raises where it is not this conversation alone
            return LeftOut(reason=error.code)
        return None

    def _tell(self, messages: int) -> None:
        self._seen = replace(self._seen, messages=self._seen.messages + messages)
        self._progress(self._seen)

    def _leave_out(self, left_out: LeftOut) -> None:
        self._left_out[left_out.id or left_out.name] = left_out

    def _with_members(self, places: list[Place], folder: PullFolder, me: Identity) -> list[Place]:
        """As they are listed, and with those who are in them where not everybody may be."""
        found: list[Place] = []
        read = {place.id for place in self._chosen(places) if folder.done(place.id) is not None}
        for place in places:
            row = {name: value for name, value in place.row.items() if name != "members"}
            if place.shape.kind != "public" and place.id in read:
                try:
                    row["members"] = self._members(place, me)
                except SlackRefusedError as error:
                    # Who reads it can no longer be asked: it is not listed, and so it is not kept either.
                    self._leave_out(LeftOut(id=place.id, name=place.name, reason=error.reason))
                    continue
            found.append(replace(place, row=row))
        return found

    def _members(self, place: Place, me: Identity) -> list[str]:
        other = place.row.get("user")
        if place.shape.kind == "direct" and isinstance(other, str):
            return sorted({other, me.user})
        return sorted(self._web.members(place.id))

    def _people(self) -> Iterator[object]:
        """Everybody of whom Slack says what they are; the others would be taken for members."""
        for row in self._web.everybody():
            try:
                person_of(row)
            except SlackUnreachableError:
                self._malformed["people"] += 1
            else:
                yield row

    def _report(self, me: Identity, read: Mapping[str, int], standings: list[Standing]) -> dict[str, Any]:
        fresh = [standing for standing in standings if not standing.kept]
        self._malformed["messages"] = sum(standing.malformed for standing in fresh)
        return {
            "team": me.team,
            "workspace_url": me.url,
            "pulled_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "since": self._order.since,
            "overlap_days": self._order.overlap_days,
            "conversations": {
                **read,
                "kept": len(standings) - len(fresh),
                "left_out": len(self._left_out),
            },
            "messages": sum(standing.messages for standing in standings),
            "malformed": dict(self._malformed),
            "left_out": [asdict(one) for one in self._left_out.values()],
        }
