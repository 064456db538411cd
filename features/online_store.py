"""Feast's online store over our engines and the catalogue's feature tables: an adapter that decides nothing itself.

Feast builds it without arguments and hands it the configuration with every call; it opens its own database from
that, in the process that asks. Its writes are transactions of their own, never part of another. Import this module
through `features.feast_import`.
"""

import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from feast import Entity, FeatureStore, FeatureView
from feast.errors import FeatureViewNotFoundException
from feast.filter_models import ComparisonFilter, CompoundFilter
from feast.infra.infra_object import InfraObject
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import FloatList, Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from numpy.typing import NDArray
from pydantic import StrictStr

from core.database import Database
from core.settings import IndexSettings
from features import feature_rows
from features.engine_pair import Candidates, EnginePair, nothing
from features.engines import Engines
from features.errors import SpaceMismatchError, UnknownFeatureError, UnservedViewError
from features.feature_rows import ChunkRows, DocumentRows, FeatureRows
from features.filters import PassageFilter, from_feast
from features.repo.definitions import CHUNK_VIEW, DOCUMENT_VIEW, Definitions

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
"""What Feast writes: key, values, event time, time of creation."""

Read = tuple[datetime | None, dict[str, Value] | None]
Hit = tuple[datetime | None, EntityKey | None, dict[str, Value] | None]


class ThreadwiseOnlineStoreConfig(FeastConfigBaseModel):
    """Where the catalogue and the engines are; Feast refuses any other field."""

    type: Literal["features.online_store.ThreadwiseOnlineStore"] = "features.online_store.ThreadwiseOnlineStore"
    database_url: StrictStr
    data_dir: StrictStr
    index: IndexSettings = IndexSettings()


class CachedFeastStore(FeatureStore):
    """Feast's own store with views read from the registry once: it asks for the same one per requested feature."""

    def __init__(self, config: RepoConfig) -> None:
        super().__init__(config=config)
        self._views: dict[str, FeatureView] = {}

    def get_feature_view(
        self,
        name: str,
        allow_registry_cache: bool = True,  # noqa: FBT001, FBT002 - Feast's signature
    ) -> FeatureView:
        """The view of that name. Raises `UnknownFeatureError`."""
        if name not in self._views:
            try:
                self._views[name] = super().get_feature_view(name, allow_registry_cache=allow_registry_cache)
            except FeatureViewNotFoundException as error:
                raise UnknownFeatureError(f"The feature registry has no view {name}.") from error
        return self._views[name]

    def register(self, wanted: Definitions) -> None:
        """Write the definitions into the registry."""
        with warnings.catch_warnings():
            # Feast calls on-demand views experimental for offline use; the online path is what they serve here.
            warnings.filterwarnings("ignore", "On demand feature view is an experimental feature", RuntimeWarning)
            self.apply([*wanted.objects()])
        self._views.clear()

    def shut(self) -> None:
        """Return the registry's connections, which Feast itself never does."""
        registry: Any = self.registry
        for engine in {registry.read_engine, registry.write_engine}:
            engine.dispose()


@dataclass(frozen=True, slots=True)
class _Opened:
    process: int
    database: Database
    engines: Engines


class ThreadwiseOnlineStore(OnlineStore):
    """Serves `chunk_embedding` and `document_signals`; every other view is refused by name. Thread-safe."""

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._opened: _Opened | None = None

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Store rows in one transaction; an older `row_version` never overwrites a newer one.

        Raises `UnknownEntityError` for a chunk or document that no commit has brought; then nothing is stored.
        """
        rows = [(_key(entity), _plain(values), _microseconds(at)) for entity, values, at, _ in data]
        with self._at(config).database.write() as session:
            _rows(table).write(session, rows)
        if progress is not None:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[Read]:
        """Event time and values by entity, in the entities' order; (None, None) for an unknown one."""
        names = _checked(table, requested_features)
        keys = [_key(entity) for entity in entity_keys]
        with self._at(config).database.read() as session:
            found = _rows(table).read(session, keys, ["event_timestamp", *names])
        return [_answer(names, table, found.get(key)) for key in keys]

    def retrieve_online_documents_v2(  # noqa: PLR0913, PLR0917 - Feast's signature
        self,
        config: RepoConfig,
        table: FeatureView,
        requested_features: list[str] | None,
        embedding: list[float] | None,
        top_k: int,
        distance_metric: str | None = None,
        query_string: str | None = None,
        filters: ComparisonFilter | CompoundFilter | None = None,
        include_feature_view_version_metadata: bool = False,  # noqa: FBT001, FBT002 - Feast's signature
    ) -> list[Hit]:
        """The union of the `top_k` nearest by embedding and the `top_k` best by words, with both their scores.

        `distance` is 1 - cosine, `text_rank` is BM25. Feast pairs rows with entities that it has sorted: so the
        rows are sorted by entity here, and whoever asks sorts by score.
        """
        del include_feature_view_version_metadata
        if table.name != CHUNK_VIEW:
            raise UnservedViewError(f"{table.name} cannot be searched.", hint=f"Search {CHUNK_VIEW}.")
        if distance_metric not in {None, "cosine"}:
            raise SpaceMismatchError(f"The index compares by cosine, not by {distance_metric}.")
        names = _checked(table, requested_features)
        wanted = from_feast(filters, time.time_ns() // 1000)
        vector = None if embedding is None else np.asarray(embedding, dtype=np.float32)
        found = self.search_rows(config, vector, query_string or "", pool=top_k, passage_filter=wanted)
        return self._hits(config, table, names, found, with_rank=query_string is not None)

    def search_rows(
        self,
        config: RepoConfig,
        embedding: NDArray[np.float32] | None,
        query_string: str,
        *,
        pool: int,
        passage_filter: PassageFilter,
        engines: EnginePair | None = None,
    ) -> Candidates:
        """The same search as columns, in the order of the cosine: what retrieval calls, with what `serving` gave it."""
        pair = engines or self._at(config).engines.serving(wait=True)
        if pair is None:
            return nothing()
        return pair.search(embedding, query_string, pool=pool, passage_filter=passage_filter)

    def serving(self, config: RepoConfig) -> EnginePair | None:
        """The engines of the live generation, up to date, for one request; None before any ingestion."""
        return self._at(config).engines.serving()

    def read_columns(
        self, config: RepoConfig, table: FeatureView, keys: Sequence[str], features: Sequence[str]
    ) -> dict[str, NDArray[Any]]:
        """The features as arrays whose row i belongs to keys[i], read in one statement.

        Numbers and flags are float64 with NaN where nothing is known (instants stay exact), texts objects with
        None, vectors float32 (n, d) with rows of NaN. Raises `UnknownFeatureError`.
        """
        names = _checked(table, features)
        with self._at(config).database.read() as session:
            found = _rows(table).read(session, keys, names)
        return feature_rows.columns(_kinds(table), names, [found.get(key) for key in keys])

    def delete(self, config: RepoConfig, table: FeatureView, keys: Sequence[str]) -> None:
        """Forget these entities: a document's signals, or a chunk, which leaves its readers with this commit."""
        with self._at(config).database.write() as session:
            _rows(table).delete(session, keys)

    def update(  # noqa: PLR0917 - Feast's signature
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,  # noqa: FBT001 - Feast's signature
    ) -> None:
        """Do nothing: the catalogue's migrations make the tables, and a definition that goes deletes no document."""

    def plan(self, config: RepoConfig, desired_registry_proto: Registry) -> list[InfraObject]:
        """No infrastructure is Feast's to make."""
        del config, desired_registry_proto
        return []

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Let go of the database; the catalogue is not Feast's to delete."""
        del config, tables, entities
        self.shut()

    def shut(self) -> None:
        """Return the database's connections; the next call opens them again."""
        with self._opening:
            if self._opened is not None and self._opened.process == os.getpid():
                self._opened.engines.close()
                self._opened.database.close()
            self._opened = None

    def _is_versioned_read_supported(self) -> bool:
        return False  # Feast's own answer imports the clients of every vendor

    def _at(self, config: RepoConfig) -> _Opened:
        opened = self._opened
        if opened is not None and opened.process == os.getpid():
            return opened
        with self._opening:
            # A forked process must not use its parent's connections, nor close them.
            if self._opened is None or self._opened.process != os.getpid():
                settings: ThreadwiseOnlineStoreConfig = config.online_store
                database = Database(settings.database_url)
                engines = Engines(database, Path(settings.data_dir), settings.index)
                self._opened = _Opened(os.getpid(), database, engines)
            return self._opened

    def _hits(
        self, config: RepoConfig, table: FeatureView, names: Sequence[str], found: Candidates, *, with_rank: bool
    ) -> list[Hit]:
        stored = [name for name in names if name != "vector"]
        with self._at(config).database.read() as session:
            rows = ChunkRows(found.generation_id).read(session, found.chunk_ids, ["event_timestamp", *stored])
        hits: list[Hit] = []
        for place, chunk_id in sorted(enumerate(found.chunk_ids), key=lambda pair: pair[1]):
            at, values = _answer(stored, table, rows.get(chunk_id))
            if values is None:
                continue  # it was removed after the engines looked
            values["distance"] = Value(double_val=1.0 - float(found.dense[place]))
            if with_rank:
                values["text_rank"] = Value(double_val=float(found.lexical[place]))
            if "vector" in names:
                values["vector"] = _vector(found.vectors[place])
            hits.append((at, EntityKey(join_keys=["chunk_id"], entity_values=[Value(string_val=chunk_id)]), values))
        return hits


def _rows(table: FeatureView) -> FeatureRows:
    if table.name == DOCUMENT_VIEW:
        return DocumentRows()
    if table.name == CHUNK_VIEW:
        return ChunkRows()
    raise UnservedViewError(f"The online store has no table for {table.name}.", hint="It is declared for offline use.")


def _key(entity: EntityKey) -> str:
    return str(entity.entity_values[0].string_val)


def _checked(table: FeatureView, features: Sequence[str] | None) -> list[str]:
    known = [field.name for field in table.features]
    unknown = sorted(set(features or ()) - set(known))
    if unknown:
        raise UnknownFeatureError(
            f"{table.name} has no feature {', '.join(unknown)}.", hint=f"It has {', '.join(known)}."
        )
    return list(features or known)


def _kinds(table: FeatureView) -> dict[str, str]:
    return {field.name: str(field.dtype) for field in table.features}


def _answer(names: Sequence[str], table: FeatureView, row: tuple[Any, ...] | None) -> Read:
    if row is None:
        return None, None
    kinds = _kinds(table)
    values = {
        name: Value() if raw is None else _TO_VALUE[kinds[name]](raw) for name, raw in zip(names, row[1:], strict=True)
    }
    return EPOCH + timedelta(microseconds=row[0]), values


def _vector(vector: NDArray[np.float32]) -> Value:
    return Value(float_list_val=FloatList(val=vector.tolist()))


_TO_VALUE: Mapping[str, Callable[[Any], Value]] = {
    "Int64": lambda raw: Value(int64_val=raw),
    "Bool": lambda raw: Value(bool_val=bool(raw)),
    "String": lambda raw: Value(string_val=raw),
    "Array(Float32)": lambda raw: _vector(np.frombuffer(raw, dtype="<f4")),
}


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    kinds = {name: value.WhichOneof("val") for name, value in values.items()}
    plain = {name: None if kind is None else getattr(values[name], kind) for name, kind in kinds.items()}
    return {name: list(value.val) if isinstance(value, FloatList) else value for name, value in plain.items()}


def _microseconds(at: datetime) -> int:
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)
