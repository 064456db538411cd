"""What is owed to generations: counted once, given out once, and made up for in the end, whatever happens between."""

from collections.abc import Iterator
from dataclasses import replace
from json import loads

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from core import tables as t
from core.catalog import builds, generations
from core.catalog.builds import Account, Owed
from core.catalog.generations import GenerationNotFoundError
from core.database import Database
from core.words import Instant
from tests.support import catalog_rows as rows
from threadwise.recipes import Ingredients

SPACE = rows.space_of(4)
VECTOR = rows.unit_vectors(1, 4)[0]
COUNT, MAX_ATTEMPTS = 5, 3
NOW = Instant(7)
STEPS = st.lists(st.sampled_from(["claim", "commit", "fail", "die", "stop", "change", "remove"]), max_size=30)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A catalogue with five documents in the generation that readers see."""
    made = rows.create(tmp_path_factory.mktemp("catalogue"))
    live = rows.start_generation(made, SPACE)
    rows.write(made, live, SPACE, [rows.Row(name=f"d{n}", text=f"text {n}", vector=VECTOR) for n in range(COUNT)])
    yield made
    made.close()


def begun(database: Database) -> int:
    """A new generation; nobody remembers the one before."""
    with database.write() as session:
        session.execute(delete(t.build))
        session.execute(delete(t.generation).where(t.generation.c.id > 1))
        session.execute(update(t.document).where(t.document.c.version_id.is_(None)).values(version_id=1))
        return generations.start(session, pipeline="p2", space=SPACE, recipe="{}", now=NOW)


class Life:
    """A builder that may die, and the dictionary that says what each document's state and attempts have to be."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.number = begun(database)
        with database.read() as session:
            names = session.execute(select(t.document.c.id).order_by(t.document.c.id)).scalars()
            self.wanted = dict.fromkeys(names, ("pending", 0))
        self.tokens = 0
        self.hand: list[Owed] = []
        self.new_builder()

    def new_builder(self) -> None:
        """Another one takes the generation over."""
        self.tokens += 1
        self.token, self.hand = f"t{self.tokens}", []
        with self.database.write() as session:
            assert generations.hold(session, self.number, self.token, generations.holder(session, self.number))
            builds.adopt(session, self.number, self.token, max_attempts=MAX_ATTEMPTS)

    def claim(self) -> None:
        """Take two documents."""
        with self.database.write() as session:
            got = builds.claim(session, self.number, self.token, source_id=1, limit=2)
        states = [self.wanted[owed.document_id] for owed in got]
        assert all(state == "pending" for state, _ in states)
        tried = [attempts for _, attempts in states if attempts]
        assert len(got) <= 1 or not tried, "what was tried is given alone"
        assert not tried or "running" not in {state for state, _ in self.wanted.values()}, "and beside nothing else"
        for owed in got:
            self.wanted[owed.document_id] = ("running", self.wanted[owed.document_id][1] + 1)
        self.hand += got

    def commit(self) -> None:
        """Settle whatever is still in hand."""
        with self.database.write() as session:
            held = builds.still_owed(session, self.number, self.token, self.hand)
            names = sorted({owed.document_id for owed in held})
            builds.forgive(session, [self.number], names)
        assert set(names) == {owed.document_id for owed in self.hand if self.wanted[owed.document_id][0] == "running"}
        self.wanted |= dict.fromkeys(names, ("done", 0))
        self.hand = []

    def fail(self) -> None:
        """The first one in hand fails."""
        if not self.hand:
            return
        owed = self.hand.pop(0)
        final = owed.attempt >= MAX_ATTEMPTS
        with self.database.write() as session:
            builds.fail(session, self.number, self.token, owed, final=final, code="poison", error="")
        state, attempts = self.wanted[owed.document_id]
        if state == "running":
            self.wanted[owed.document_id] = ("quarantined" if final else "pending", attempts)

    def die(self) -> None:
        """Everything in hand is lost, and its attempts count."""
        for name, (state, attempts) in self.wanted.items():
            if state == "running":
                self.wanted[name] = ("quarantined" if attempts >= MAX_ATTEMPTS else "pending", attempts)
        self.new_builder()

    def stop(self) -> None:
        """Everything in hand is given back, and its attempts do not count."""
        with self.database.write() as session:
            builds.release(session, self.number, self.token)
        for name, (state, attempts) in self.wanted.items():
            if state == "running":
                self.wanted[name] = ("pending", attempts - 1)
        self.hand = []

    def change(self) -> None:
        """The first document changes below whoever has it."""
        name = min(self.wanted)
        with self.database.write() as session:
            builds.owe(session, [self.number], [name])
        self.wanted[name] = ("pending", 0)

    def remove(self) -> None:
        """The second document changes into nothing."""
        name = sorted(self.wanted)[1]
        with self.database.write() as session:
            builds.forgive(session, [self.number], [name])
        self.wanted[name] = ("done", 0)

    def check(self) -> None:
        """The rows say what the dictionary says."""
        b = t.build.c
        with self.database.read() as session:
            found = session.execute(select(b.document_id, b.state, b.attempt).where(b.generation_id == self.number))
            stored = {name: (state, attempts) for name, state, attempts in found}
        assert {n: s for n, (s, _) in stored.items()} == {n: s for n, (s, _) in self.wanted.items()}
        assert {n: a for n, (s, a) in stored.items() if s == "pending"} == {
            n: a for n, (s, a) in self.wanted.items() if s == "pending"
        }


@given(steps=STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_owed_is_given_out_once_and_ends_done_or_given_up(database: Database, steps: list[str]) -> None:
    life = Life(database)
    for step in steps:
        getattr(life, step)()
        life.check()
    for _ in range(4 * COUNT):
        life.claim()
        life.commit()
    assert {state for state, _ in life.wanted.values()} <= {"done", "quarantined"}
    life.check()


def test_of_two_states_of_a_document_in_one_hand_only_the_newer_may_be_written(database: Database) -> None:
    number, d = begun(database), t.document.c
    with database.write() as session:
        assert generations.hold(session, number, "mine", generations.holder(session, number))
        (older,) = builds.claim(session, number, "mine", source_id=1, limit=1)
        mine = update(t.document).where(d.id == older.document_id)
        session.execute(mine.values(version_id=older.version_id + 1))
        builds.owe(session, [number], [older.document_id])
        newer = next(
            owed
            for owed in builds.claim(session, number, "mine", source_id=1, limit=COUNT)
            if owed.document_id == older.document_id
        )
        assert builds.still_owed(session, number, "mine", [older, newer]) == {newer}
        session.execute(mine.values(version_id=older.version_id))


def test_an_account_tells_what_it_knows_nothing_of() -> None:
    account = Account(documents=10, pending=2, done=5, quarantined=1, chunks=9)
    assert (account.missing, account.settled, account.quarantine_share) == (2, 6, 0.1)
    assert Account(documents=0, pending=0, done=0, quarantined=0, chunks=0).quarantine_share == 0.0


def test_the_one_that_readers_saw_before_is_kept_and_everything_older_may_go(database: Database) -> None:
    begun(database)
    with database.write() as session:
        old = {"pipeline": "p", "space_id": SPACE.id, "created_at": 1}
        ages = {"retired": 5, "failed": 6, "cancelled": 7}
        made = [old | {"id": 10 + n, "state": state, "settled_at": n} for state, n in ages.items()]
        session.execute(insert(t.generation), [*made, old | {"id": 20, "state": "retired", "settled_at": 9}])
        newest = generations.newest_retired(session)
        found = generations.collectable(session, grace_seconds=60, also_newest=False)
        everything = generations.collectable(session, grace_seconds=60, also_newest=True)
    assert newest is not None
    assert newest.id == 20
    assert [one.id for one in found] == [15, 16, 17]
    assert [one.id for one in everything] == [15, 16, 17, 20]


def test_only_a_generation_that_is_ready_or_retired_is_swapped_to(database: Database) -> None:
    number = begun(database)
    with database.write() as session:
        assert not generations.swap(session, number)
        assert generations.live_id(session) == 1
        assert generations.settle(session, number, before=("building",), after="ready")
        assert not generations.settle(session, number, before=("building",), after="failed")
        assert generations.swap(session, number)
        assert not generations.swap(session, number)
        assert generations.live_id(session) == number
        assert [one.state for one in generations.listed(session)] == ["retired", "active"]
        assert builds.account(session, 1).done == COUNT, "it lacks nothing, should readers go back to it"
        assert generations.swap(session, 1)
    with database.read() as session, pytest.raises(GenerationNotFoundError):
        generations.find(session, 99)


NUMBERS = st.integers(0, 10_000)
INGREDIENTS = st.builds(
    Ingredients, model=st.text(), chunk_tokens=NUMBERS, overlap_tokens=NUMBERS, sitting_gap_minutes=NUMBERS
)


@given(INGREDIENTS, NUMBERS)
def test_the_gap_between_sittings_makes_no_other_chunks(ingredients: Ingredients, gap: int) -> None:
    assert Ingredients(**loads(ingredients.as_json())) == ingredients
    assert ingredients.makes_the_same_as(replace(ingredients, sitting_gap_minutes=gap))
    assert not ingredients.makes_the_same_as(replace(ingredients, chunk_tokens=ingredients.chunk_tokens + 1))
