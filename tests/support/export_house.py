"""An installation that a company's exports are brought into, and everybody who asks it something.

Whatever is said to anybody is searched for words of what is hidden from them: texts, titles, ids, headers, errors. What
may be read has to be found.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from core import tables as t
from core.catalog.passages import Reader
from core.settings import ApiSettings, LlmSettings, RetrievalSettings, Settings
from generation.answers import AskRequest, DoneEvent
from retrieval.query import Query
from tests.support.export_company import (
    EVERYONE,
    GUESSER,
    TEAM,
    WORKSPACE,
    Company,
    Rights,
    fact,
    principals_of,
)
from tests.support.faults.toys import ToyEmbedder
from tests.support.installation import write_pages
from tests.support.rest import Door, Headers, door, new_key
from threadwise.runtime import Threadwise

SHUT = ("sources", "runs", "dead-letters", "deletions", "keys", "audit", f"runs/{'0' * 32}", f"runs/{'0' * 32}/plan")
NOWHERE = "q99999q"  # a word that nobody has said
DRAWN = frozenset({"request_id", "answer_id", "took_ms", "first_text_ms", "first_token_ms"})
WORDS_ALONE = RetrievalSettings(dense_weight=0.0)  # the vectors of a toy mean nothing

KINDS = ("thread", "sitting", "page")

Json = dict[str, Any]
Written = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a route says."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Json:
        """Its body."""
        found: Json = json.loads(self.text)
        return found


class LeakError(AssertionError):
    """Somebody was shown what they may not read."""


class MissingError(AssertionError):
    """Somebody did not find what they may read."""


class House:
    """A company, the installation that its exports are brought into, and what these grant."""

    def __init__(self, company: Company, opened: Door, folder: Path) -> None:
        self.company, self.door, self.folder = company, opened, folder
        self.threadwise, self.dice = opened.threadwise, company.dice
        self.rights: Rights = company.rights()
        self.counts: Counter[str] = Counter()
        self.steps = 0
        self._contents: dict[str, str] = {}
        self._keys: dict[str, Headers] = {}
        self._given: list[tuple[str, str]] = []  # who asked, and the id of the answer
        self._queries: dict[Callable[[str], None], int] = {
            self.search: 40,
            self.narrow: 8,
            self.ask: 10,
            self.search_by_rest: 8,
            self.ask_by_rest: 6,
            self.look_back: 6,
            self.knock: 4,
            self.pry: 6,
        }

    def live(self, steps: int, episode: int) -> None:
        """So many steps, an export after each episode. Raises `LeakError` and `MissingError`."""
        self.ingest()
        for step in range(steps):
            # In every third episode nothing is said: only rights change.
            self.step(only_people=step // episode % 3 == 1)
            if (step + 1) % episode == 0:
                self.ingest()

    def step(self, *, only_people: bool) -> None:
        """Something happens in the company, or somebody asks."""
        self.steps += 1
        if self.dice.random() < 0.2:
            self.company.change(only_people=only_people)
            self.counts["change"] += 1
            return
        (query,) = self.dice.choices(list(self._queries), list(self._queries.values()))
        query(self.anybody())
        self.counts[query.__name__] += 1

    def ingest(self, without: Iterable[str] = ()) -> None:
        """Bring the company in as it is now. What nobody has touched is not written anew."""
        before, written = self._contents, self.written()
        export = self.company.export(self.folder / "export.zip", without)
        report = self.threadwise.ingest(export, name="slack", options={"direct_messages": True})
        assert report.state == "succeeded", report
        self.rights, self._contents = self.company.rights(), self.company.contents()
        same = {place for place, content in self._contents.items() if before.get(place) == content}
        now = self.written()
        rewritten = [place for place in same if written.get(place) != now.get(place)]
        assert not rewritten, (rewritten, self.company.told[-40:])
        self.counts["ingest"] += 1
        self.counts["nothing written"] += written == now

    def written(self) -> Written:
        """By conversation the newest change of each chunk, dead ones too."""
        newest = func.max(t.change.c.seq)
        told = select(t.chunk.c.id, t.chunk.c.row_version, t.document.c.external_id, newest)
        told = told.join(t.document, t.document.c.id == t.chunk.c.document_id)
        told = told.outerjoin(t.change, t.change.c.chunk_id == t.chunk.c.id)
        found: Written = {}
        with self.threadwise.database.read() as session:
            for chunk_id, version, external_id, seq in session.execute(
                told.group_by(t.chunk.c.id, t.chunk.c.row_version, t.document.c.external_id)
            ):
                found.setdefault(external_id.partition(":")[0], {})[chunk_id] = version + (seq or 0)
        return found

    def anybody(self) -> str:
        """Somebody of the company, or whoever else may hold a key."""
        return self.dice.choice([person.id for person in self.company.people] + [EVERYONE, WORKSPACE, GUESSER])

    def search(self, who: str) -> None:
        """Look for a few words, of which every one that may be read is found."""
        words = self._some_words(who)
        ranking = self.threadwise.search(Query(text=" ".join(words), reader=self.reader(who), top_k=50))
        self.judge(who, ranking.as_json(), due=words)
        assert ranking.dropped == 0, "the engines know who may read what as well as the catalogue"

    def narrow(self, who: str) -> None:
        """Look for a word by kind: among all of them it is found; by author: nobody else's words come."""
        word, author = self._some_words(who)[0], f"Person {self.dice.choice(self.company.people).id}"
        of_kinds = [self.found(Query(text=word, reader=self.reader(who), kinds=(kind,))) for kind in KINDS]
        self.judge(who, of_kinds, due=[word])
        self.judge(who, self.found(Query(text=word, reader=self.reader(who), authors=(author,))))

    def ask(self, who: str) -> None:
        """Ask; whoever finds no answer is told of the nearest documents."""
        request = AskRequest(question=self._question(who), reader=self.reader(who))
        for said in self.threadwise.ask(request):
            self.judge(who, said.as_json())
            if isinstance(said, DoneEvent):
                self.counts[said.answer.status] += 1

    def search_by_rest(self, who: str) -> None:
        """Look for a few words over HTTP."""
        words = self._some_words(who)
        self.judge(who, self.call(who, "POST", "search", {"question": " ".join(words), "top_k": 50}).json, due=words)

    def ask_by_rest(self, who: str) -> None:
        """Ask over HTTP, at once or as a stream."""
        body: Json = {"question": self._question(who), "stream": self.dice.random() < 0.3}
        response = self.call(who, "POST", "ask", body)
        if not body["stream"]:
            self._given.append((who, response.json["answer_id"]))

    def look_back(self, _: str) -> None:
        """Look at an answer that was given, who asked and somebody else; what was readable then may not be now."""
        if self._given:
            who, answer_id = self.dice.choice(self._given)
            assert self.call(who, "GET", f"answers/{answer_id}").status == HTTPStatus.OK
            other, none = self.anybody(), "0" * 32
            if other != who:
                hidden, nothing = (self.call(other, "GET", f"answers/{name}") for name in (answer_id, none))
                assert hidden.status == HTTPStatus.NOT_FOUND
                assert without_drawn(hidden.json) == without_drawn(json.loads(nothing.text.replace(none, answer_id)))

    def knock(self, who: str) -> None:
        """Try what needs another key: every refusal is the same."""
        for path in SHUT:
            assert self.call(who, "GET", path).status == HTTPStatus.FORBIDDEN
        place = self.dice.choice(self.company.places)
        bodies = [{"question": NOWHERE, "as": principal} for principal in (f"{TEAM}/{place.id}", "T0/U0")]
        hidden, nothing = (without_drawn(self.call(who, "POST", "search", body).json) for body in bodies)
        assert hidden == nothing

    def pry(self, who: str) -> None:
        """Ask the catalogue itself about a chunk, dead or alive."""
        chunks = select(t.chunk.c.id, t.chunk.c.live, t.document.c.external_id).join(
            t.document, t.document.c.id == t.chunk.c.document_id
        )
        with self.threadwise.database.read() as session:
            rows = session.execute(chunks.order_by(t.chunk.c.id)).all()
        for chunk_id, live, external_id in self.dice.sample(rows, 5):
            place = external_id.partition(":")[0]
            is_due = live and (place in self.rights.places(who) or place.startswith("page"))
            if self.threadwise.may_read(self.reader(who), chunks=[chunk_id]) != is_due:
                raise (MissingError if is_due else LeakError)(self._report(who, external_id))

    def judge(self, who: str, said: object, due: Iterable[str] = ()) -> None:
        """Whatever is said to somebody. Raises `LeakError` and `MissingError`, the latter of `due` alone."""
        text = json.dumps(said, default=str)
        if leaks := self.rights.leaks(who, text):
            raise LeakError(self._report(who, *leaks))
        if missing := {word for word in due if word in self.rights.readable(who) and word not in text}:
            raise MissingError(self._report(who, *missing))
        self.counts["found"] += len(set(due) & self.rights.readable(who))
        self.counts["withheld"] += len(set(due) - self.rights.readable(who))

    def call(self, who: str, method: str, path: str, body: Json | None = None) -> Reply:
        """What a route says to somebody, judged: its headers as well. A question is whoever asks it knows already."""
        if who not in self._keys:
            self._keys[who] = new_key(self.threadwise, "ask", principals=principals_of(who, self.company))
        response = self.door.client.request(method, f"/v1/{path}", headers=self._keys[who], json=body)
        reply = Reply(response.status_code, dict(response.headers), response.text)
        is_json = "json" in reply.headers["content-type"]
        self.judge(who, [{**reply.json, "question": ""} if is_json else reply.text, dict(reply.headers)])
        return reply

    def reader(self, who: str) -> Reader:
        """The reader that somebody is."""
        return Reader(principals=principals_of(who, self.company))

    def found(self, query: Query) -> Json:
        """What a search shows, judged by nobody yet."""
        return dict(self.threadwise.search(query).as_json())

    def _some_words(self, who: str) -> list[str]:
        """Some that may be read, and some of all there ever were."""
        own = sorted(self.rights.readable(who))
        words = {*self.dice.sample(own, min(4, len(own))), *self.dice.sample(self.company.words, 4)}
        return self.dice.sample(sorted(words), len(words))

    def _question(self, who: str) -> str:
        return fact(self._some_words(who)[0])

    def _report(self, who: str, *what: str) -> str:
        told = self.company.told
        return "\n".join([f"{who}: {', '.join(sorted(what))}", f"{dict(self.counts)}", *told[-40:]])


@contextmanager
def house(company: Company, folder: Path) -> Iterator[House]:
    """An installation of its own for this company, open, with the handbook in it."""
    limits = ApiSettings(requests_per_minute=1_000_000, burst=100_000)
    settings = Settings(data_dir=folder / "data", llm=LlmSettings(kind="none"), retrieval=WORDS_ALONE, api=limits)
    with Threadwise(settings) as threadwise:
        threadwise.embedder = ToyEmbedder()
        threadwise.ingest(write_pages(folder / "handbook", company.pages()), name="handbook")
        with door(threadwise) as opened:
            yield House(company, opened, folder)


def without_drawn(said: Json) -> Json:
    """What a route says, but for what is drawn or measured anew each time."""
    return {name: value for name, value in said.items() if name not in DRAWN}
