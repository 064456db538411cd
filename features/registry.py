"""Feast's configuration, built in code, and its registry of definitions."""

import hashlib
import inspect
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from core.errors import DatabaseUnavailableError
from core.settings import IndexSettings, sqlite_url
from features import signals
from features.feast_import import import_feast
from features.files import exclusive, write_whole

if TYPE_CHECKING:
    from feast import RepoConfig

    from features.online_store import CachedFeastStore
    from features.repo.definitions import Definitions

PROJECT = "threadwise"
KEY_SERIALIZATION = 3
REGISTRY_FILE = "feast_registry.sqlite3"
OFFLINE_FOLDER = "offline"
OFFLINE_STORE = "dask"  # reads the same Parquet; Feast reaches DuckDB through ibis alone, which is not installed

log = structlog.get_logger()


def repo_config(*, data_dir: Path, database_url: str, index: IndexSettings) -> "RepoConfig":
    """Registry in SQL, our online store, offline Parquet below the data folder."""
    import_feast()
    from feast import RepoConfig  # noqa: PLC0415 - seconds, see features.feast_import

    from features.online_store import ThreadwiseOnlineStoreConfig  # noqa: PLC0415 - derives from Feast's classes

    folder = data_dir.resolve()
    registry = sqlite_url(folder / REGISTRY_FILE) if database_url.startswith("sqlite") else database_url
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
    """A store whose registry holds the definitions of this code; one process at a time looks and applies.

    A damaged registry in the data folder is made again; raises `DatabaseUnavailableError` where that does not help.
    """
    with exclusive(data_dir / "feast.lock", wait=True):
        try:
            return _applied(config, data_dir)
        except Exception as error:  # Feast lets through whatever SQLite and protobuf raise
            if not _is_file(config):
                raise _unusable(error) from error
            log.warning("feature_registry_damaged", error=str(error))
        for part in data_dir.glob(f"{REGISTRY_FILE}*"):
            part.unlink()
        try:
            return _applied(config, data_dir)
        except Exception as error:
            raise _unusable(error) from error


def _applied(config: "RepoConfig", data_dir: Path) -> "CachedFeastStore":
    import_feast()
    from features.online_store import CachedFeastStore  # noqa: PLC0415 - derives from Feast's classes
    from features.repo.definitions import definitions  # noqa: PLC0415 - made of Feast's classes

    if _is_file(config):
        _check(data_dir / REGISTRY_FILE)
    store = CachedFeastStore(config)
    offline = _offline(data_dir)
    wanted, digest = definitions(offline), definitions_digest(offline).encode()
    mark = data_dir / "feast_applied"
    if not mark.exists() or mark.read_bytes() != digest or not _registered(store, wanted):
        store.register(wanted)
        write_whole(mark, digest)
    return store


def _offline(data_dir: Path) -> Path:
    folder = data_dir.resolve() / OFFLINE_FOLDER
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        return Path(OFFLINE_FOLDER)  # the registry holds text alone; Feast starts from `repo_path`
    return folder


def _is_file(config: "RepoConfig") -> bool:
    return str(config.registry.path).startswith("sqlite")


def _check(registry: Path) -> None:
    if registry.exists():
        with closing(sqlite3.connect(registry)) as connection:
            [finding] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise sqlite3.DatabaseError(finding)


def _unusable(error: Exception) -> DatabaseUnavailableError:
    return DatabaseUnavailableError(
        f"The feature registry cannot be used: {getattr(error, 'orig', error)}.",
        hint="Check the disk, or the server that THREADWISE_DATABASE_URL names.",
    )


def definitions_digest(offline: Path) -> str:
    """SHA-256 (hex) of all that decides what is registered: the files that declare it, Feast, the offline folder."""
    from features.repo import definitions  # noqa: PLC0415 - made of Feast's classes

    sha = hashlib.sha256(f"{version('feast')}\n{offline}\n".encode(errors="surrogateescape"))
    for module in (definitions, signals):
        sha.update(inspect.getsource(module).encode())
    return sha.hexdigest()


def _registered(store: "CachedFeastStore", wanted: "Definitions") -> bool:
    registered = {service.name for service in store.list_feature_services()}
    return wanted.service.name in registered
