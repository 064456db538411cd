"""The front door of everything known about chunks and documents: what retrieval reads, with Feast behind it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.settings import IndexSettings
from features import registry
from features.engine_pair import Candidates, EnginePair
from features.filters import PassageFilter
from features.listing import Registered, registered
from features.signals import RAW_COLUMNS, ranking_signals_columns

if TYPE_CHECKING:
    from features.online_store import CachedFeastStore, ThreadwiseOnlineStore

DOCUMENT_VIEW = "document_signals"


class FeatureStore:
    """Searches and reads by column, without the cost of Feast's generic calls but with the same answers."""

    def __init__(self, feast_store: "CachedFeastStore", online: "ThreadwiseOnlineStore") -> None:
        self.feast = feast_store
        self._online = online
        self._config = feast_store.config

    def serving(self) -> EnginePair | None:
        """The engines of the live generation, for one request from its first to its last look; None before any."""
        return self._online.serving(self._config)

    def search_rows(
        self,
        embedding: NDArray[np.float32] | None,
        query_string: str,
        *,
        pool: int,
        filter: PassageFilter,  # noqa: A002 - the word of the domain
        engines: EnginePair | None = None,
    ) -> Candidates:
        """The `pool` nearest by `embedding` (d,) and the `pool` best by words, each once, scored by both.

        They are all of one generation, which they name: that of `engines`, else the live one.
        """
        return self._online.search_rows(
            self._config, embedding, query_string, pool=pool, passage_filter=filter, engines=engines
        )

    def read_columns(self, view: str, keys: Sequence[str], features: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Registered features as arrays whose row i belongs to keys[i]. Raises `UnknownFeatureError`."""
        return self._online.read_columns(self._config, self.feast.get_feature_view(view), keys, features)

    def ranking_signals(
        self, document_ids: Sequence[str], now: int, *, half_life_days: float | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Signals in [0, 1], row i of each for document_ids[i], 0 for an unknown document; `now` in microseconds."""
        columns = self.read_columns(DOCUMENT_VIEW, document_ids, RAW_COLUMNS)
        options = {} if half_life_days is None else {"half_life_days": half_life_days}
        return ranking_signals_columns(columns, now, **options)

    def delete(self, view: str, keys: Sequence[str]) -> None:
        """Forget entities of a view."""
        self._online.delete(self._config, self.feast.get_feature_view(view), keys)

    def registered(self) -> list[Registered]:
        """Every view and service of the registry, with owner, meaning and features."""
        return registered(self.feast)

    def close(self) -> None:
        """Return connections."""
        self._online.shut()
        self.feast.shut()


def open_feature_store(*, data_dir: Path, database_url: str, index: IndexSettings) -> FeatureStore:
    """The feature store of this installation; imports Feast and brings its registry up to date, seconds when cold."""
    data_dir.mkdir(parents=True, exist_ok=True)
    config = registry.repo_config(data_dir=data_dir, database_url=database_url, index=index)
    feast_store = registry.open_applied(config, data_dir)
    online: Any = feast_store._get_provider().online_store  # noqa: SLF001 - the instance that Feast's calls use
    return FeatureStore(feast_store, online)
