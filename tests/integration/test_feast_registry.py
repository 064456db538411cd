"""The registry follows the definitions of the code, once per change, whoever opens it first."""

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from core.errors import DatabaseUnavailableError
from core.settings import IndexSettings
from features.feast_import import import_feast
from features.store import FeatureStore, open_feature_store
from tests.support import catalog_rows as rows
from tests.support.databases import current_mode, url_of


def opened(folder: Path) -> FeatureStore:
    return open_feature_store(data_dir=folder, database_url=url_of(folder), index=IndexSettings())


def refuse(*_: object, **__: object) -> None:
    raise AssertionError


def test_definitions_are_applied_once_and_again_only_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.create(tmp_path).close()
    opened(tmp_path).close()
    from features import online_store  # noqa: PLC0415 - derives from Feast's classes

    with monkeypatch.context() as unchanged:
        unchanged.setattr(online_store.CachedFeastStore, "register", refuse)
        opened(tmp_path).close()
        (tmp_path / "feast_applied").write_text("of an older release")
        with pytest.raises(DatabaseUnavailableError):
            opened(tmp_path)
    opened(tmp_path).close()
    assert (tmp_path / "feast_applied").read_text() != "of an older release"


def lose(folder: Path) -> None:
    """Delete the registry, which is a file, or tables in the catalogue's database."""
    from feast.infra.registry.sql import metadata  # noqa: PLC0415 - after `import_feast`

    for part in folder.glob("feast_registry*"):
        part.unlink()
    if current_mode() == "server":
        database = Database(url_of(folder))
        metadata.drop_all(database.engine)
        database.close()


def test_a_registry_that_was_lost_is_made_again(tmp_path: Path) -> None:
    rows.create(tmp_path).close()
    opened(tmp_path).close()
    lose(tmp_path)
    store = opened(tmp_path)
    assert store.feast.get_feature_view("document_signals").name == "document_signals"
    store.close()


def garble(registry: Path) -> None:
    registry.write_bytes(b"no database at all" * 500)


def cut(registry: Path) -> None:
    registry.write_bytes(registry.read_bytes()[: registry.stat().st_size // 2])


def garble_the_middle(registry: Path) -> None:
    whole = registry.read_bytes()
    registry.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


def garble_a_row(registry: Path) -> None:
    with closing(sqlite3.connect(registry)) as connection, connection:
        connection.execute("UPDATE feature_services SET feature_service_proto = x'ffffffff'")


def garble_the_mark(registry: Path) -> None:
    registry.with_name("feast_applied").write_bytes(b"\xff\xfe")


A_FILE = pytest.mark.embedded_only("a registry of its own file, which can be thrown away")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(garble, marks=A_FILE),
        pytest.param(cut, marks=A_FILE),
        pytest.param(garble_the_middle, marks=A_FILE),
        pytest.param(garble_a_row, marks=A_FILE),
        garble_the_mark,
    ],
)
def test_a_registry_that_was_damaged_is_made_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    rows.create(tmp_path).close()
    opened(tmp_path).close()
    damage(tmp_path / "feast_registry.sqlite3")
    store = opened(tmp_path)
    assert len(store.feast.list_feature_views()) == 3
    store.close()


def test_a_registry_that_cannot_be_made_again_is_one_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.create(tmp_path).close()
    opened(tmp_path).close()
    from features import online_store  # noqa: PLC0415 - derives from Feast's classes

    tries: list[int] = []

    def full(*_: object) -> None:
        tries.append(1)
        message = "database or disk is full"
        raise sqlite3.OperationalError(message)

    (tmp_path / "feast_applied").unlink()
    monkeypatch.setattr(online_store.CachedFeastStore, "register", full)
    with pytest.raises(DatabaseUnavailableError, match="disk is full"):
        opened(tmp_path)
    assert len(tries) == (2 if current_mode() == "embedded" else 1), "a file is thrown away and made again"


@pytest.mark.parametrize("name", ["a%41 b?c#d", os.fsdecode(b"no text \xff%41")])
def test_a_registry_lies_in_exactly_the_folder_that_was_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    database = Database(url_of(folder))
    store = opened(folder)
    assert len(store.feast.list_feature_views()) == 3
    store.close()
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    registry = folder / "feast_registry.sqlite3"
    assert (registry.exists() and registry.stat().st_size > 0) == (current_mode() == "embedded")


def test_two_that_open_an_empty_folder_at_once_both_get_a_whole_registry(tmp_path: Path) -> None:
    import_feast()
    rows.create(tmp_path).close()
    with ThreadPoolExecutor(3) as pool:
        stores = list(pool.map(opened, [tmp_path] * 3))
    for store in stores:
        assert len(store.feast.list_feature_views()) == 3
        store.close()


def test_everything_registered_has_an_owner_a_description_and_tags(tmp_path: Path) -> None:
    rows.create(tmp_path).close()
    store = opened(tmp_path)
    feast: Any = store.feast
    things = [*feast.list_feature_views(), *feast.list_on_demand_feature_views(), *feast.list_feature_services()]
    entities = [entity for entity in feast.list_entities() if not entity.name.startswith("__")]
    assert {entity.name for entity in entities} == {"chunk", "document", "channel", "question"}
    for thing in [*things, *entities]:
        assert (bool(thing.owner), bool(thing.description), bool(thing.tags)) == (True, True, True), thing.name
    for view in feast.list_feature_views():
        assert all(field.description for field in view.features), view.name
    store.close()


def test_answered_questions_are_declared_as_they_are_stored(tmp_path: Path) -> None:
    rows.create(tmp_path).close()
    store = opened(tmp_path)
    view: Any = store.feast.get_feature_view("answered_question")
    assert view.ttl == timedelta(days=1)
    assert view.online is True
    assert view.join_keys == ["question_id"]
    assert {field.name: str(field.dtype) for field in view.features} == {
        "question": "String",
        "answer": "String",
        "embedding": "Array(Float32)",
    }
    source = view.batch_source
    assert (source.timestamp_field, source.created_timestamp_column) == ("event_timestamp", "created")
    assert source.path == str(tmp_path / "offline" / "answered_question")
    store.close()


def test_the_on_demand_function_survives_the_registry(tmp_path: Path) -> None:
    rows.create(tmp_path).close()
    store = opened(tmp_path)
    view: Any = store.feast.get_on_demand_feature_view("ranking_signals")
    assert view.mode == "python"
    assert view.singleton is False
    raw = {"last_activity": [None], "replies": [30], "reactions": [0], "resolved": [True], "official": [None]}
    outputs = view.feature_transformation.udf(raw | {"now": [5]})
    assert outputs == {
        "recency": [0.0],
        "helpfulness": [0.0],
        "engagement": [1.0],
        "is_resolved": [1.0],
        "is_official": [0.0],
    }
    store.close()
