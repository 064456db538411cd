"""The feature layer gives the same on SQLite and on PostgreSQL, its registry included."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.catalog import features as catalog
from core.catalog.feeds import live_generation
from core.database import Database
from core.settings import sqlite_url
from tests.support import catalog_rows as rows
from tests.support.feature_store import NOW, QUESTION, Installation, install, question_vector, sample


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[tuple[Installation, Installation]]:
    """The same rows in the database under test and in a SQLite file."""
    folders = [tmp_path / "tested", tmp_path / "reference"]
    for folder in folders:
        folder.mkdir()
    reference = Database(sqlite_url(folders[1] / "threadwise.sqlite3"))
    reference.migrate()
    both = install(folders[0], sample(24), database), install(folders[1], sample(24), reference)
    yield both
    for each in both:
        each.store.close()
    reference.close()


def agree(pair: tuple[Installation, Installation]) -> list[str]:
    found, expected = (
        each.store.search_rows(question_vector(), QUESTION, pool=30, filter=each.readable("everyone")) for each in pair
    )
    assert found.chunk_ids == expected.chunk_ids
    assert found.document_ids == expected.document_ids
    assert np.array_equal(found.dense, expected.dense)
    assert np.array_equal(found.vectors, expected.vectors)
    return found.chunk_ids


def test_searches_follow_commits_and_deletions(pair: tuple[Installation, Installation]) -> None:
    first = agree(pair)
    for each in pair:
        each.write(rows.Row(name="new", text="leave", vector=question_vector()))
        each.store.delete("chunk_embedding", first[:2])
    second = agree(pair)
    assert second[0] not in first
    assert set(first) - set(second) == set(first[:2])


def test_signals_and_columns_are_equal(pair: tuple[Installation, Installation]) -> None:
    documents = [row.document_id for row in pair[0].written] + ["unknown"]
    signals, expected = (each.store.ranking_signals(documents, NOW) for each in pair)
    assert {name: values.tolist() for name, values in signals.items()} == {
        name: values.tolist() for name, values in expected.items()
    }
    chunks = [row.chunk_id for row in pair[0].written]
    columns = [each.store.read_columns("chunk_embedding", chunks, ["vector", "author", "valid_to"]) for each in pair]
    for name, values in columns[0].items():
        assert np.array_equal(values, columns[1][name])


def test_vectors_written_through_feast_are_found(pair: tuple[Installation, Installation]) -> None:
    target = pair[0].written[0].chunk_id
    for each in pair:
        write_vector(each, target)
    assert agree(pair)[0] == target


def write_vector(made: Installation, chunk_id: str) -> None:
    row = catalog.EmbeddingWrite(chunk_id, question_vector().tobytes(), 10_000)
    with made.database.write() as session:
        live = live_generation(session)
        assert live is not None
        assert catalog.put_embeddings(session, *live, [row]) == frozenset()
