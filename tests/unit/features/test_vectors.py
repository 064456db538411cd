"""The vector table against brute force: exactness, filters, following changes, approximate kinds."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from core import tables as t
from core.catalog import sequence
from core.settings import IndexSettings
from core.words import Space
from features.columns import Slots
from features.errors import SpaceMismatchError
from features.filters import PassageFilter
from features.vectors import VectorTable
from tests.support import catalog_rows as rows

DIMENSION = 16
SPACE = rows.space_of(DIMENSION)
ALL = PassageFilter(audience_ids=None, at=500)


class Catalogue:
    """A small catalogue with one live generation and a table over it."""

    def __init__(self, folder: Path, space: Space = SPACE) -> None:
        self.database = rows.create(folder)
        self.space = space
        self.generation = rows.start_generation(self.database, space)

    def write(self, *new: rows.Row) -> None:
        rows.write(self.database, self.generation, self.space, new)

    def table(self, settings: IndexSettings | None = None, *, exact_rows: int = 50_000) -> VectorTable:
        table = VectorTable(self.generation, self.space.id, settings or IndexSettings(), exact_rows=exact_rows)
        self.follow(table)
        return table

    def follow(self, table: VectorTable) -> None:
        with self.database.read() as session:
            table.catch_up(session)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue(tmp_path)
    yield made
    made.database.close()


def many(count: int, seed: int = 0) -> list[rows.Row]:
    vectors = rows.unit_vectors(count, DIMENSION, seed)
    return [rows.Row(name=f"{seed}-{i}", text=f"text {seed} {i}", vector=vectors[i]) for i in range(count)]


def best(written: list[rows.Row], query: np.ndarray, k: int) -> list[str]:
    ranked = sorted(written, key=lambda row: (-float(np.dot(row.vector, query)), row.chunk_id))
    return [row.chunk_id for row in ranked[:k]]


def test_a_search_returns_what_brute_force_returns_with_exact_cosines(catalogue: Catalogue) -> None:
    written = many(200)
    catalogue.write(*written)
    query = rows.unit_vectors(1, DIMENSION, 9)[0]
    ids, similarities = catalogue.table().search(query, 10, ALL)
    assert ids == best(written, query, 10)
    by_id = {row.chunk_id: row.vector for row in written}
    assert similarities == pytest.approx([np.dot(by_id[i], query) for i in ids], abs=1e-6)


def test_every_filter_column_is_respected(catalogue: Catalogue) -> None:
    plain, unit = many(1)[0], rows.unit_vectors(7, DIMENSION, 3)
    catalogue.write(
        replace(plain, name="private", text="1", vector=unit[0], audience=("C1",)),
        replace(plain, name="slack", text="2", vector=unit[1], source="slack"),
        replace(plain, name="faq", text="3", vector=unit[2], kind="faq"),
        replace(plain, name="ada", text="4", vector=unit[3], author="Ada"),
        replace(plain, name="later", text="5", vector=unit[4], valid_from=501),
        replace(plain, name="over", text="6", vector=unit[5], valid_to=500),
        replace(plain, name="starts", text="7", vector=unit[6], valid_from=500, valid_to=501),
    )
    table = catalogue.table()
    everyone = rows.audience_of(catalogue.database, "everyone")

    def found(**conditions: object) -> set[str]:
        wanted = replace(ALL, **conditions)  # type: ignore[arg-type]
        names = {row.chunk_id: row.name for row in (replace(plain, name=n) for n in NAMES)}
        return {names[chunk_id] for chunk_id in table.search(unit[0], 50, wanted)[0]}

    assert found() == {"private", "slack", "faq", "ada", "starts"}
    assert found(audience_ids=(everyone,)) == {"slack", "faq", "ada", "starts"}
    assert found(audience_ids=()) == set()
    assert found(audience_ids=(10_000,)) == set()
    assert found(sources=("slack", "unheard of")) == {"slack"}
    assert found(kinds=("faq",)) == {"faq"}
    assert found(authors=("Ada",)) == {"ada"}
    assert found(at=501) == {"private", "slack", "faq", "ada", "later"}
    assert found(chunk_ids=(replace(plain, name="faq").chunk_id, "unknown")) == {"faq"}


NAMES = ("private", "slack", "faq", "ada", "later", "over", "starts")


def test_a_table_that_follows_changes_equals_one_that_loads_everything(catalogue: Catalogue) -> None:
    first = many(40)
    catalogue.write(*first)
    table = catalogue.table()
    catalogue.write(*many(15, seed=1), replace(first[3], audience=("C9",)), replace(first[4], vector=first[5].vector))
    rows.remove(catalogue.database, catalogue.generation, [first[0].chunk_id, first[1].chunk_id])
    catalogue.follow(table)
    fresh = catalogue.table()
    everyone = PassageFilter((rows.audience_of(catalogue.database, "everyone"),), 500)
    for passage_filter in (ALL, everyone):
        for query in rows.unit_vectors(5, DIMENSION, 7):
            followed, loaded = table.search(query, 60, passage_filter), fresh.search(query, 60, passage_filter)
            assert followed[0] == loaded[0]
            assert np.array_equal(followed[1], loaded[1])


def test_a_search_that_began_keeps_its_view_while_the_table_moves_on(catalogue: Catalogue) -> None:
    written = many(30)
    catalogue.write(*written)
    table = catalogue.table()
    view = table.view
    before = view.search(written[0].vector, 5, view.mask(ALL))
    rows.remove(catalogue.database, catalogue.generation, [written[0].chunk_id])
    catalogue.write(*many(30, seed=1))
    catalogue.follow(table)
    after = view.search(written[0].vector, 5, view.mask(ALL))
    assert np.array_equal(before[0], after[0])
    assert written[0].chunk_id not in table.search(written[0].vector, 5, ALL)[0]


def test_dead_slots_are_given_back_once_they_are_a_fifth(catalogue: Catalogue) -> None:
    written = many(50)
    catalogue.write(*written)
    table = catalogue.table()
    rows.remove(catalogue.database, catalogue.generation, [row.chunk_id for row in written[:10]])
    catalogue.follow(table)
    assert (len(table), len(table.view.alive)) == (40, 50)
    rows.remove(catalogue.database, catalogue.generation, [written[10].chunk_id])
    catalogue.follow(table)
    assert (len(table), len(table.view.alive)) == (39, 39)
    assert table.search(written[20].vector, 39, ALL)[0] == best(written[11:], written[20].vector, 39)


def test_two_chunks_with_the_same_text_share_a_vector_and_are_both_found(catalogue: Catalogue) -> None:
    one = many(1)[0]
    catalogue.write(one, replace(one, name="copy"))
    assert len(catalogue.table()) == 2


def test_a_chunk_whose_vector_is_missing_waits_outside(catalogue: Catalogue) -> None:
    written = many(3)
    catalogue.write(*written)
    with catalogue.database.write() as session:
        session.execute(t.embedding.delete().where(t.embedding.c.text_sha.in_(_sha_of(catalogue, written[0]))))
    assert set(catalogue.table().search(written[0].vector, 9, ALL)[0]) == {row.chunk_id for row in written[1:]}


def _sha_of(catalogue: Catalogue, row: rows.Row) -> list[str]:
    with catalogue.database.read() as session:
        return list(
            session.execute(t.chunk.select().where(t.chunk.c.id == row.chunk_id)).mappings().one()["text_sha"].split()
        )


def test_similarities_and_vectors_of_named_chunks_are_exact(catalogue: Catalogue) -> None:
    written = many(5)
    catalogue.write(*written)
    table, query = catalogue.table(), rows.unit_vectors(1, DIMENSION, 8)[0]
    wanted = [written[3].chunk_id, "unknown", written[1].chunk_id]
    similarities = table.similarities(query, wanted)
    assert similarities[[0, 2]] == pytest.approx([np.dot(written[i].vector, query) for i in (3, 1)], abs=1e-6)
    assert np.isnan(similarities[1])
    vectors = table.vectors_of(wanted)
    assert np.array_equal(vectors[[0, 2]], np.stack([written[3].vector, written[1].vector]))
    assert np.isnan(vectors[1]).all()


def test_an_empty_catalogue_finds_nothing(catalogue: Catalogue) -> None:
    assert catalogue.table().search(np.zeros(DIMENSION, dtype=np.float32), 5, ALL)[0] == []


def test_a_question_of_another_length_is_refused(catalogue: Catalogue) -> None:
    catalogue.write(*many(2))
    with pytest.raises(SpaceMismatchError, match="vectors of 16 numbers") as refused:
        catalogue.table().search(np.zeros(8, dtype=np.float32), 1, ALL)
    assert "ingest everything again" in str(refused.value)


def test_a_space_without_normalised_vectors_is_refused_at_open(tmp_path: Path) -> None:
    made = Catalogue(tmp_path, replace(SPACE, normalised=False))
    with pytest.raises(SpaceMismatchError, match="not normalised"):
        made.table()
    made.database.close()


def test_a_stored_vector_of_another_length_is_refused_at_open(catalogue: Catalogue) -> None:
    catalogue.write(*many(3))
    with catalogue.database.write() as session:
        session.execute(update(t.embedding).values(vector=bytes(4 * DIMENSION + 4)))
    with pytest.raises(SpaceMismatchError, match="not 16 numbers"):
        catalogue.table()


def test_equal_similarities_are_ordered_by_chunk_id(catalogue: Catalogue) -> None:
    one = many(1)[0]
    catalogue.write(*(replace(one, name=f"copy {i}") for i in range(9)))
    ids, _ = catalogue.table().search(one.vector, 9, ALL)
    assert ids == sorted(ids)


def clustered(count: int) -> list[rows.Row]:
    """Vectors around 20 centres, like texts about 20 topics."""
    rng = np.random.default_rng(5)
    centres = rows.unit_vectors(20, DIMENSION, 6)
    drawn = centres[rng.integers(0, 20, count)] + 0.35 * rng.standard_normal((count, DIMENSION))
    unit = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return [rows.Row(name=f"{i}", text=f"{i}", vector=unit[i], source=f"s{i % 4}") for i in range(count)]


def recall(table: VectorTable, exact: VectorTable, passage_filter: PassageFilter = ALL) -> float:
    queries = rows.unit_vectors(25, DIMENSION, 11)
    pairs = [(exact.search(q, 10, passage_filter)[0], table.search(q, 10, passage_filter)[0]) for q in queries]
    return sum(len(set(right) & set(found)) for right, found in pairs) / (10 * len(pairs))


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    made = Catalogue(tmp_path_factory.mktemp("topics"))
    made.write(*clustered(2_000))
    yield made
    made.database.close()


def test_hnsw_finds_nearly_all_that_exact_search_finds_filtered_or_not(topics: Catalogue) -> None:
    table, exact = topics.table(IndexSettings(kind="hnsw"), exact_rows=0), topics.table()
    assert table.view.index is not None
    assert recall(table, exact) >= 0.98
    assert recall(table, exact, replace(ALL, sources=("s1",))) >= 0.95


def test_ivf_finds_more_the_more_lists_it_reads_and_all_when_it_reads_all(topics: Catalogue) -> None:
    exact = topics.table()
    shares = [
        recall(topics.table(IndexSettings(kind="ivf", ivf_nlist=32, ivf_nprobe=probes), exact_rows=0), exact)
        for probes in (1, 4, 12, 32)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.9
    assert shares[-1] == 1.0


def test_ivf_with_too_few_vectors_to_train_on_stays_exact(topics: Catalogue) -> None:
    table = topics.table(IndexSettings(kind="ivf", ivf_nlist=128), exact_rows=0)
    assert table.view.index is None
    assert recall(table, topics.table()) == 1.0


def test_few_rows_are_searched_exactly_whatever_the_kind(topics: Catalogue) -> None:
    table = topics.table(IndexSettings(kind="ivf", ivf_nlist=32, ivf_nprobe=1), exact_rows=600)
    assert table.view.index is not None
    assert recall(table, topics.table(), replace(ALL, sources=("s2",))) == 1.0


@pytest.mark.parametrize("added", [50, 400])
def test_an_approximate_index_finds_what_came_after_it_was_built(catalogue: Catalogue, added: int) -> None:
    catalogue.write(*clustered(2_000))
    table = catalogue.table(IndexSettings(kind="hnsw"), exact_rows=0)
    new = many(added, seed=2)
    catalogue.write(*new)
    rows.remove(catalogue.database, catalogue.generation, [new[0].chunk_id])
    catalogue.follow(table)
    assert table.view.index is not None
    assert (table.view.index.covered > 2_000) == (added > 200)
    found = [table.search(row.vector, 1, ALL)[0][0] for row in new]
    assert found[0] != new[0].chunk_id
    assert found[1:] == [row.chunk_id for row in new[1:]]


def test_removals_are_followed_without_the_vectors_being_read_again(catalogue: Catalogue) -> None:
    catalogue.write(*many(20))
    table = catalogue.table()
    buffer = table.view.vectors
    rows.remove(catalogue.database, catalogue.generation, [many(20)[0].chunk_id])
    catalogue.follow(table)
    assert np.shares_memory(table.view.vectors, buffer)
    with catalogue.database.read() as session:
        assert table.sequence == sequence.current(session)


def test_no_search_sees_half_of_a_commit(catalogue: Catalogue) -> None:
    one, two = many(2)
    catalogue.write(one, two, *many(50, seed=1))
    table = catalogue.table()
    states = rows.unit_vectors(40, DIMENSION, 12)
    query, done = rows.unit_vectors(1, DIMENSION, 13)[0], threading.Event()

    def watch() -> set[float]:
        gaps = set()
        while not done.is_set():
            view = table.view
            pair = view.slots_of([one.chunk_id, two.chunk_id])
            first, second = view.similarities(query, pair).tolist()
            assert view.alive[pair].all()
            gaps.add(first - second)
        return gaps

    catalogue.write(*(replace(row, vector=states[0]) for row in (one, two)))
    catalogue.follow(table)
    with ThreadPoolExecutor(3) as pool:
        watching = [pool.submit(watch) for _ in range(3)]
        for state in states:
            catalogue.write(*(replace(row, vector=state) for row in (one, two)))
            catalogue.follow(table)
        done.set()
    assert [future.result() for future in watching] == [{0.0}] * 3


@pytest.mark.no_database
@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-1, 50)), max_size=40))
def test_slots_answer_like_a_dictionary_and_leave_older_ones_alone(steps: list[tuple[str, int]]) -> None:
    slots = Slots({})
    expected: dict[str, int] = {}
    kept: list[tuple[Slots, dict[str, int]]] = []
    for chunk_id, slot in steps:
        kept.append((slots, dict(expected)))
        slots = slots.moving({chunk_id: slot}, settle_at=3)
        expected[chunk_id] = slot
    for state, then in [*kept, (slots, expected)]:
        assert [state.get(key) for key in "abcdefgh"] == [then.get(key, -1) for key in "abcdefgh"]
