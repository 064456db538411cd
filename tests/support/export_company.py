"""A company that talks in Slack, as plain lists: what is said where, who is in it, and so who may read what.

Every text has a word that stands nowhere else, and so has every conversation's name. The model asks neither the
catalogue nor the reader of exports: `Company` writes an export of its present state, and says what that grants.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal

from tests.support.slack_export import ExportBuilder

TEAM: Final = "T0COMPANY"
ELSEWHERE: Final = "T0ELSEWHERE"
HANDBOOK: Final = "handbook"  # what everybody may read, beside Slack
EVERYONE: Final = "everyone"
WORKSPACE: Final = "the workspace"
GUESSER: Final = "somebody who only knows names"
HIDDEN_NAME: Final = "private-channel"
FIRST: Final = 1_700_000_000
_WORD: Final = re.compile(r"q\d{5}q", re.IGNORECASE)
_PLACE: Final = re.compile(r"\b[CGD]0\d{6}\b")

Standing = Literal["member", "guest", "foreign", "bot"]
Kind = Literal["public", "private", "group", "direct"]
Gone = Literal["", "vanished", "tombstone", "message_deleted"]
KINDS: Final[tuple[Kind, ...]] = ("public", "private", "group", "direct")
WAYS: Final[tuple[Gone, ...]] = ("vanished", "tombstone", "message_deleted")


@dataclass(slots=True)
class Person:
    """Somebody in the listing of users."""

    id: str
    standing: Standing = "member"
    is_deactivated: bool = False

    @property
    def reads(self) -> bool:
        """Whether they can read anything at all."""
        return not self.is_deactivated and self.standing != "bot"


@dataclass(slots=True)
class Said:
    """One message."""

    ts: str
    user: str
    word: str
    thread: str = ""
    mentions: str = ""  # a conversation
    is_edited: bool = False
    gone: Gone = ""


@dataclass(slots=True)
class Place:
    """One conversation. `is_flagged`: it was made private, and is listed with the public ones, flagged."""

    id: str
    kind: Kind
    name: str
    members: list[str]
    said: list[Said] = field(default_factory=list)
    is_archived: bool = False
    is_flagged: bool = False
    gone: Literal["", "unlisted", "erased"] = ""
    clock: int = FIRST

    @property
    def folder(self) -> str:
        """Where its messages lie."""
        return self.id if self.kind == "direct" else self.name

    @property
    def is_public(self) -> bool:
        """Whether the whole workspace may read it."""
        return self.kind == "public" and not self.gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Who may read what, as one export grants it. `words` and `names` lead to the place they belong to."""

    words: Mapping[str, str]
    names: Mapping[str, str]
    public: frozenset[str]
    members: frozenset[str]  # of the workspace
    inside: Mapping[str, frozenset[str]]  # of what is not public: who reads it

    def places(self, who: str) -> frozenset[str]:
        """Every conversation that they may read."""
        own = {place for place, readers in self.inside.items() if who in readers}
        return frozenset(own | (self.public if who == WORKSPACE or who in self.members else set()))

    def readable(self, who: str) -> frozenset[str]:
        """The words that they find when they look for them."""
        places = self.places(who) | {HANDBOOK}
        return frozenset(word for word, place in self.words.items() if place in places)

    def leaks(self, who: str, text: str) -> set[str]:
        """The words, names and ids in a text that they may not be shown."""
        places = self.places(who)
        names = {name for name, place in self.names.items() if place in places | self.public}
        said = {word.lower() for word in _WORD.findall(text)} - self.readable(who) - names
        return said | (set(_PLACE.findall(text)) - places)


class Company:
    """People, conversations and what happens to them, drawn from `dice`."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.words: list[str] = []  # all there ever were, of names too
        self.people = [Person(f"U{number:07d}") for number in range(8)]
        standings: tuple[Standing, ...] = ("guest", "guest", "foreign", "bot")
        self.people += [Person(f"U{number:07d}", standing) for number, standing in enumerate(standings, 8)]
        self.handbook = [self._word() for _ in range(6)]
        self.places: list[Place] = []
        kinds: tuple[Kind, ...] = ("public", "public", "public", "private", "private", "private", "group", "direct")
        for kind in (*kinds, "group", "direct"):
            self.open(kind)
        self.told: list[str] = []
        self._moves: dict[Callable[[], str], int] = {
            self.join: 12,
            self.leave: 10,
            self.change_standing: 4,
            self.deactivate: 4,
            self.come_back: 4,
            self.archive: 3,
        }
        self._changes = self._moves | {
            self.say: 30,
            self.reply: 14,
            self.edit: 8,
            self.delete: 8,
            self.rename: 2,
            self.open: 3,
            self.erase: 1,
            self.make_private: 2,
        }

    def change(self, *, only_people: bool = False) -> None:
        """Something happens; `only_people`: nothing that changes what is said, or for which principals."""
        acts = self._moves if only_people else self._changes
        (act,) = self.dice.choices(list(acts), list(acts.values()))
        self.told.append(f"{act.__name__} {act()}")

    def open(self, kind: Kind | None = None) -> str:
        """A conversation begins."""
        number = len(self.places)
        chosen = self.dice.choice(KINDS) if kind is None else kind
        size = {"direct": 2, "group": 3}.get(chosen, self.dice.randint(2, 6))
        letter = {"public": "C", "private": "G", "group": "G", "direct": "D"}[chosen]
        members = [person.id for person in self.dice.sample(self.people, size)]
        name = f"{'mpdm-' if chosen == 'group' else ''}{self._word()}"
        place = Place(f"{letter}0{number:06d}", chosen, name, members, clock=FIRST + number)
        self.places.append(place)
        for _ in range(4):
            self._utter(place)
        return place.id

    def say(self) -> str:
        """Somebody says something."""
        return self._utter(self._any_place()).word

    def reply(self) -> str:
        """A late reply: what stood alone begins a thread."""
        place = self._any_place()
        roots = [said for said in place.said if said.thread in ("", said.ts) and not said.gone]
        if not roots:
            return ""
        root = self.dice.choice(roots)
        root.thread = root.ts
        said = self._utter(place)
        said.thread = root.ts
        return said.word

    def edit(self) -> str:
        """A message says something else; what it said, nobody may read."""
        if said := self._any_said():
            said.word, said.is_edited = self._word(), True
        return said.word if said else ""

    def delete(self) -> str:
        """A message is taken back, in one of the ways an export tells of it or does not."""
        if said := self._any_said():
            said.gone = self.dice.choice(WAYS)
        return said.word if said else ""

    def rename(self) -> str:
        """A channel has another name."""
        place = self._any_place("public", "private")
        place.name = self._word()
        return place.id

    def join(self) -> str:
        """Somebody comes into a channel."""
        place = self._any_place("public", "private")
        others = [person.id for person in self.people if person.id not in place.members]
        place.members += self.dice.sample(others, min(1, len(others)))
        return f"{place.id} {place.members[-1:]}"

    def leave(self) -> str:
        """Somebody leaves a channel."""
        place = self._any_place("public", "private")
        gone = self.dice.sample(place.members, min(1, len(place.members)))
        place.members = [user for user in place.members if user not in gone]
        return f"{place.id} {gone}"

    def change_standing(self) -> str:
        """A member becomes a guest, or a guest a member."""
        person = self.dice.choice([person for person in self.people if person.standing in ("member", "guest")])
        person.standing = "guest" if person.standing == "member" and self.dice.random() < 0.6 else "member"
        return f"{person.id} {person.standing}"

    def deactivate(self) -> str:
        """Somebody leaves the company; the lists of members name them still, or do not."""
        person = self.dice.choice(self.people)
        person.is_deactivated = True
        if self.dice.random() < 0.5:
            for place in self.places:
                place.members = [user for user in place.members if user != person.id]
        return person.id

    def come_back(self) -> str:
        """Somebody can log in again."""
        gone = [person for person in self.people if person.is_deactivated]
        for person in gone[:1]:
            person.is_deactivated = False
        return " ".join(person.id for person in gone[:1])

    def archive(self) -> str:
        """A channel is archived, which takes it from nobody."""
        place = self._any_place("public", "private")
        place.is_archived = True
        return place.id

    def erase(self) -> str:
        """A conversation is deleted; its messages may lie in the export still."""
        if sum(not place.gone for place in self.places) <= len(self.people) // 2:
            return ""
        place = self._any_place()
        place.gone = self.dice.choice(["unlisted", "erased"])
        return f"{place.id} {place.gone}"

    def make_private(self) -> str:
        """A public channel is only for its members from now on."""
        if sum(place.is_public for place in self.places) <= 1:
            return ""
        place = self._any_place("public")
        place.kind, place.is_flagged = "private", self.dice.random() < 0.5
        return place.id

    def rights(self) -> Rights:
        """What an export of now grants."""
        known = [place for place in self.places if not place.gone]
        words = {said.word: place.id for place in known for said in place.said if not said.gone}
        able = {person.id for person in self.people if person.reads}
        members = {person.id for person in self.people if person.id in able and person.standing == "member"}
        return Rights(
            words=words | dict.fromkeys(self.handbook, HANDBOOK),
            names={name: place.id for place in known for name in _WORD.findall(place.name)},
            public=frozenset(place.id for place in known if place.is_public),
            members=frozenset(members),
            inside={place.id: frozenset(able & set(place.members)) for place in known if not place.is_public},
        )

    def export(self, folder: Path, without: Iterable[str] = ()) -> Path:
        """The workspace as Slack would export it now, but for some conversations; of a public one the name stays."""
        hidden = set(without)
        builder = ExportBuilder(team=TEAM)
        for person in self.people:
            builder.user(person.id, f"Person {person.id}", **_traits(person))
        for place in self.places:
            if not place.gone and (place.is_public or place.id not in hidden):
                builder.listed(*_listed(place))
            if place.gone != "erased" and place.id not in hidden:
                self._write(builder, place)
        return builder.zipped(folder)

    def contents(self) -> dict[str, str]:
        """By conversation all that its documents are made of: what stays the same here is written anew nowhere."""
        known = [place for place in self.places if not place.gone]
        return {
            place.id: repr((place.name, place.is_public, [(said, self._seen(said.mentions)) for said in place.said]))
            for place in known
        }

    def pages(self) -> dict[str, str]:
        """The handbook's pages."""
        return {f"page{number}.md": f"# Page {number}\n\n{fact(word)}\n" for number, word in enumerate(self.handbook)}

    def _write(self, builder: ExportBuilder, place: Place) -> None:
        for said in place.said:
            for message in self._messages(said):
                builder.say(place.folder, str(message.pop("at")), str(message.pop("says")), user=said.user, **message)

    def _messages(self, said: Said) -> Iterator[dict[str, object]]:
        mention = next((f" <#{place.id}|{place.name}>" for place in self.places if place.id == said.mentions), "")
        whole: dict[str, object] = {"at": said.ts, "says": fact(said.word) + mention}
        whole |= {"thread_ts": said.thread} if said.thread else {}
        whole |= {"edited": {"user": said.user, "ts": said.ts}} if said.is_edited else {}
        if said.gone == "message_deleted":
            later = f"{int(said.ts.partition('.')[0]) + 1}.900000"
            yield whole
            yield {"at": later, "says": "", "subtype": "message_deleted", "deleted_ts": said.ts}
        elif said.gone == "tombstone":
            yield whole | {"says": "This message was deleted.", "subtype": "tombstone"}
        elif not said.gone:
            yield whole

    def _seen(self, mentioned: str) -> str:
        """How a mentioned conversation is called for all who read along."""
        return next((place.name for place in self.places if place.id == mentioned and place.is_public), HIDDEN_NAME)

    def _utter(self, place: Place) -> Said:
        place.clock += self.dice.choice([5, 60, 600, 9_000, 50_000])
        mentions = self.dice.choice(self.places).id if self.dice.random() < 0.2 else ""
        user = self.dice.choice(place.members or [self.people[0].id])
        said = Said(f"{place.clock}.{len(place.said) % 800_000:06d}", user, self._word(), mentions=mentions)
        place.said.append(said)
        return said

    def _any_place(self, *kinds: Kind) -> Place:
        return self.dice.choice([place for place in self.places if not place.gone and place.kind in (kinds or KINDS)])

    def _any_said(self) -> Said | None:
        said = [said for said in self._any_place().said if not said.gone]
        return self.dice.choice(said) if said else None

    def _word(self) -> str:
        self.words.append(f"q{len(self.words):05d}q")
        return self.words[-1]


def fact(word: str) -> str:
    """A sentence about a word."""
    return f"The budget of {word} is ready for the board."


def principals_of(who: str, company: Company) -> tuple[str, ...]:
    """What a reader holds by itself."""
    if who == GUESSER:
        known = [name for place in company.places for name in (place.id, place.name)]
        return ("*", "%", "", f"{TEAM}/", f"{ELSEWHERE}/{company.people[0].id}", *known)
    return {EVERYONE: (EVERYONE,), WORKSPACE: (TEAM,)}.get(who, (f"{TEAM}/{who}",))


def _listed(place: Place) -> tuple[str, dict[str, object]]:
    """The listing that a conversation stands in, and its record there."""
    listing = {"public": "channels", "private": "groups", "group": "mpims", "direct": "dms"}[place.kind]
    record: dict[str, object] = {"id": place.id, "members": list(place.members), "is_archived": place.is_archived}
    record |= {} if place.kind == "direct" else {"name": place.name}
    if place.is_flagged:
        return "channels.json", record | {"is_private": True}
    return f"{listing}.json", record


def _traits(person: Person) -> dict[str, object]:
    traits: dict[str, object] = {"deleted": person.is_deactivated}
    if person.standing == "foreign":
        return traits | {"team_id": ELSEWHERE, "is_stranger": True}
    return traits | {"is_bot": person.standing == "bot", "is_restricted": person.standing == "guest"}
