"""Feast's configuration, built in code, and its registry of definitions."""

import hashlib
import inspect
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from core.settings import IndexSettings
from features import signals
from features.feast_import import import_feast
from features.files import exclusive, write_whole

if TYPE_CHECKING:
    from feast import RepoConfig

    from features.online_store import CachedFeastStore
    from features.repo.definitions import Definitions

PROJECT = "threadwise"
KEY_SERIALIZATION = 3
OFFLINE_FOLDER = "offline"
OFFLINE_STORE = "dask"  # reads the same Parquet; Feast reaches DuckDB through ibis alone, which is not installed


def repo_config(*, data_dir: Path, database_url: str, index: IndexSettings) -> "RepoConfig":
    """Registry in SQL, our online store, offline Parquet below the data folder."""
    import_feast()
    from feast import RepoConfig  # noqa: PLC0415 - seconds, see features.feast_import

    from features.online_store import ThreadwiseOnlineStoreConfig  # noqa: PLC0415 - derives from Feast's classes

    folder = data_dir.resolve()
    registry = f"sqlite:///{folder / 'feast_registry.sqlite3'}" if database_url.startswith("sqlite") else database_url
    online = ThreadwiseOnlineStoreConfig(database_url=database_url, data_dir=str(folder), index=index)
    return RepoConfig(
        project=PROJECT,
        provider="local",
        # 0: the definitions come with the code, so that what was read once stays right.
        registry={"registry_type": "sql", "path": registry, "cache_ttl_seconds": 0},
        online_store=online.model_dump(),
        offline_store={"type": OFFLINE_STORE},
        entity_key_serialization_version=KEY_SERIALIZATION,
        repo_path=folder,
    )


def open_applied(config: "RepoConfig", data_dir: Path) -> "CachedFeastStore":
    """A store whose registry holds the definitions of this code; one process at a time looks and applies."""
    import_feast()
    from features.online_store import CachedFeastStore  # noqa: PLC0415 - derives from Feast's classes
    from features.repo.definitions import definitions  # noqa: PLC0415 - made of Feast's classes

    with exclusive(data_dir / "feast.lock", wait=True):
        store = CachedFeastStore(config)
        offline = data_dir.resolve() / OFFLINE_FOLDER
        wanted, digest = definitions(offline), definitions_digest(offline)
        mark = data_dir / "feast_applied"
        if not mark.exists() or mark.read_text() != digest or not _registered(store, wanted):
            store.register(wanted)
            write_whole(mark, digest.encode())
    return store


def definitions_digest(offline: Path) -> str:
    """SHA-256 (hex) of all that decides what is registered: the files that declare it, Feast, the offline folder."""
    from features.repo import definitions  # noqa: PLC0415 - made of Feast's classes

    sha = hashlib.sha256(f"{version('feast')}\n{offline}\n".encode())
    for module in (definitions, signals):
        sha.update(inspect.getsource(module).encode())
    return sha.hexdigest()


def _registered(store: "CachedFeastStore", wanted: "Definitions") -> bool:
    registered = {service.name for service in store.list_feature_services()}
    return wanted.service.name in registered
