"""Nobody learns from an export what they may not read, whatever has happened to people and conversations.

A random life of a company, drawn from SEED: it goes on, is exported and ingested again, and all the while somebody
asks, here and by REST. tests/support/export_company.py says who may read what. `FULL=1 make faults` lives 10,000 steps.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

import pytest
from sqlalchemy import Engine, event, select

from core import tables as t
from core.catalog import audiences
from core.catalog.answers import StoredAnswer
from core.catalog.audiences import audience_id, own_principals, replace_memberships
from core.database import Session
from features.vector_view import VectorView
from features.words import WordIndex
from generation.answers import AskRequest
from retrieval.query import Query
from tests.support.export_company import TEAM, Company, fact
from tests.support.export_house import KINDS, NOWHERE, House, Json, LeakError, MissingError, house, without_drawn
from tests.support.faults.toys import ToyEmbedder
from threadwise.keyring import Keyring

STEPS, EPISODE = 300, 30  # of a quick run; FULL=1 lives through 10,000 in episodes of 250
ENOUGH = 1500  # for every broken part to be caught
BROKEN_SEED = 3
TWINS = 1  # and 20 with FULL=1
PATHS: tuple[Literal["search", "ask"], ...] = ("search", "ask")
ENGINES = (
    (VectorView, ("search", "similarities")),
    (WordIndex, ("search", "scores")),
    (ToyEmbedder, ("embed_query", "embed_documents")),
)


@dataclass(frozen=True, slots=True)
class Probe:
    """Something to ask in both of two installations, here or by REST."""

    path: Literal["search", "ask"]
    question: str
    by_rest: bool = True
    more: Json = field(default_factory=dict)


def test_nobody_is_shown_what_they_may_not_read_and_everybody_finds_what_they_may(
    tmp_path: Path, seed: int, *, full_size: bool
) -> None:
    steps, episode = (10_000, 250) if full_size else (STEPS, EPISODE)
    started = time.monotonic()
    with house(Company(Random(seed)), tmp_path) as lived:
        lived.live(steps, episode)
    print(f"{steps} steps, {time.monotonic() - started:.0f} s, {dict(lived.counts)}")
    assert lived.counts["nothing written"] > 0
    for what in ("found", "withheld", "quoted", "declined"):
        assert lived.counts[what] > 0, what


def test_a_query_costs_and_says_the_same_whether_or_not_something_is_hidden(
    tmp_path: Path, seed: int, *, full_size: bool
) -> None:
    for number in range(20 if full_size else TWINS):
        told = list(compared(Random(seed + number), tmp_path / str(number)))
        assert len(told) > 20
        for probe, with_hidden, without in told:
            assert with_hidden == without, probe


def compared(dice: Random, folder: Path) -> Generator[tuple[Probe, object, object]]:
    """What a reader's probes cost and say where there is everything, and where there is only what they may read."""
    company = Company(dice)
    for _ in range(40):
        company.change()
    with house(company, folder / "all") as whole, house(company, folder / "open") as bare, counting() as work:
        who = whole.anybody()
        whole.ingest()
        bare.ingest(without={place.id for place in company.places} - company.rights().places(who))
        for lived in (whole, bare):
            put(lived, who, Probe("search", NOWHERE))  # the engines follow the catalogue
        for probe in probes(company, who):
            yield probe, measured(work, whole, who, probe), measured(work, bare, who, probe)


def probes(company: Company, who: str) -> Iterator[Probe]:
    """What there is for a reader, what there is for others, what there never was; filters that meet it and do not."""
    rights = company.rights()
    hidden = company.dice.sample([word for word in company.words if rights.leaks(who, word)], 3)
    for word in (*company.dice.sample(sorted(rights.readable(who)), 2), *hidden, NOWHERE):
        yield from (Probe(path, word, by_rest=by_rest) for path in PATHS for by_rest in (True, False))
        yield Probe("search", fact(word))
    filters: list[Json] = [{"kinds": [kind]} for kind in (*KINDS, "no such")]
    filters += [{"authors": [f"Person {person.id}"]} for person in company.people[:4]]
    filters += [{"sources": [source]} for source in ("slack", "handbook", "no such")]
    filters += [{"as": f"{TEAM}/{place.id}"} for place in company.dice.sample(company.places, 4)]
    yield from (Probe("search", hidden[0], more=more) for more in filters)


def put(lived: House, who: str, probe: Probe) -> object:
    """Everything that is said to it, but for what is measured."""
    body = {"question": probe.question} | probe.more
    if probe.by_rest:
        reply = lived.call(who, "POST", probe.path, body)
        return reply.status, sorted(reply.headers), without_drawn(reply.json)
    if probe.path == "search":
        return without_drawn(lived.found(Query(text=probe.question, reader=lived.reader(who))))
    events = lived.threadwise.ask(AskRequest(question=probe.question, reader=lived.reader(who)))
    return [without_drawn(told.as_json()) for told in events]


def measured(work: Counter[str], lived: House, who: str, probe: Probe) -> object:
    """What a probe costs, and what is said to it, for all that the time of day leaves of a number.

    How rare a word is counts what is hidden too, and orders what several words find: of that only the shape counts.
    """
    work.clear()
    said = json.loads(json.dumps(put(lived, who, probe)), parse_float=lambda digits: round(float(digits), 2))
    return dict(work), shape_of(said) if " " in probe.question else said


def shape_of(said: object) -> object:
    """Names, kinds and numbers of values."""
    if isinstance(said, dict):
        return {name: shape_of(value) for name, value in said.items()}
    return [shape_of(value) for value in said] if isinstance(said, list) else type(said)


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Counts SQL statements on every database of the process, and calls of each engine and of the embedder."""
    counted: Counter[str] = Counter()

    def statement(*_: object) -> None:
        counted["statements"] += 1

    def watched(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            counted[name] += 1
            return real(*args, **named)

        return call

    event.listen(Engine, "before_cursor_execute", statement)
    with pytest.MonkeyPatch.context() as patch:
        # That a key was used is noted now and then, beside whatever is asked at that moment.
        patch.setattr(Keyring, "touch", lambda *_: None)
        for owner, names in ENGINES:
            for name in names:
                patch.setattr(owner, name, watched(f"{owner.__name__}.{name}", getattr(owner, name)))
        yield counted
    event.remove(Engine, "before_cursor_execute", statement)


def takes_nothing_away(session: Session, source_id: int, pairs: Iterable[tuple[str, str]]) -> int:
    """Whoever was once in a conversation stays in it."""
    held = select(t.membership.c.principal, t.membership.c.holds).where(t.membership.c.source_id == source_id)
    before = {(row.principal, row.holds) for row in session.execute(held)}
    return replace_memberships(session, source_id, before | set(pairs))


def keeps_the_first(session: Session, source_id: int, pairs: Iterable[tuple[str, str]]) -> int:
    """Whoever comes later is not noticed."""
    held = select(t.membership.c.principal, t.membership.c.holds).where(t.membership.c.source_id == source_id)
    before = {(row.principal, row.holds) for row in session.execute(held)}
    return replace_memberships(session, source_id, before & set(pairs) if before else pairs)


def gives_it_to_the_workspace(session: Session, principals: Sequence[str]) -> int:
    """The audience of a private conversation is that of a public one."""
    return audience_id(session, [principal.partition("/")[0] for principal in principals])


def takes_guests_for_members(principals: Iterable[str]) -> list[str]:
    """Whoever is of the workspace holds it."""
    own = own_principals(principals)
    return sorted({*own, *(TEAM for principal in own if principal.startswith(TEAM))})


def reads_all_it_leaned_on(_service: object, _caller: object, answer: StoredAnswer) -> set[str]:
    """An answer is shown as it was given."""
    return {citation["chunk_id"] for citation in [*answer.citations, *answer.trace["passages"]]}


LEAKING: dict[str, tuple[object, ...]] = {
    "memberships": (takes_nothing_away, "core.catalog.audiences.replace_memberships"),
    "audiences": (gives_it_to_the_workspace, "core.catalog.documents.audience_id"),
    "readers": (
        takes_guests_for_members,
        "core.catalog.audiences.own_principals",
        "core.catalog.passages.own_principals",
    ),
    "answers": (reads_all_it_leaned_on, "api.rest.routes.questions._readable"),
}


@pytest.mark.embedded_only("what is proven is the model, whatever the database")
@pytest.mark.parametrize("part", LEAKING)
def test_the_model_catches_a_part_that_shows_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    broken, *places = LEAKING[part]
    for place in places:
        monkeypatch.setattr(str(place), broken)
    with house(Company(Random(BROKEN_SEED)), tmp_path) as lived:
        with pytest.raises(LeakError):
            lived.live(ENOUGH, EPISODE)
        print(f"caught after {lived.steps} steps")


@pytest.mark.embedded_only("what is proven is the model, whatever the database")
def test_the_model_catches_a_part_that_shows_too_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "replace_memberships", keeps_the_first)
    with house(Company(Random(BROKEN_SEED)), tmp_path) as lived:
        with pytest.raises(MissingError):
            lived.live(ENOUGH, EPISODE)
        print(f"caught after {lived.steps} steps")


@pytest.mark.embedded_only("what is proven is the comparison, whatever the database")
def test_the_comparison_catches_a_filter_that_comes_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "audience_ids", lambda session, *_: every_audience(session))
    with closing(compared(Random(BROKEN_SEED), tmp_path)) as told:
        assert any(whole != bare for _, whole, bare in told)


def every_audience(session: Session) -> tuple[int, ...]:
    """As if everybody could read everything: only the barrier holds it back."""
    return tuple(session.execute(select(t.audience.c.id)).scalars())
