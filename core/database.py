"""Opening the catalogue's database and running transactions in it, on SQLite and on PostgreSQL alike."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import DatabaseUnavailableError, SchemaTooNewError, StorageFullError, ValueRefusedError

Session = Connection
"""One open transaction. Catalogue queries take it and never commit it."""

HEAD = "0006"
"""The newest schema revision; a test compares it with the migrations."""

BUSY_TIMEOUT_MS = 60_000
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # what was deleted is not to be found in the file either
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA cache_size=-32768",
    "PRAGMA mmap_size=1073741824",
)
# Beside a full disk, what SQLite says of it when it is the log or the shared memory that cannot grow.
_FULL_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
_FULL_STATE = "53100"  # disk_full of PostgreSQL

# A server that was restarted leaves dead connections behind, which show it when they are used. One that was cut off
# does not even say so: without limits the kernel waits for it for a quarter of an hour.
_SERVER: dict[str, Any] = {
    "pool_pre_ping": True,
    "connect_args": {
        "connect_timeout": 5,  # seconds
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,  # milliseconds
    },
}


class Database:
    """The catalogue's database. Thread-safe; the schema is brought up to date when it is opened."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # Threads of one process queue here instead of polling SQLite's file lock.
        self._writer = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that sees one state of the database throughout."""
        with self._connected() as connection, _named_errors(), connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that may write: committed on leaving, rolled back on any error."""
        with self._writer, self._connected() as connection:
            connection.execution_options(immediate=True)
            with _named_errors(), connection.begin():
                yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            connection = self.engine.connect()
        except PoolTimeoutError as error:
            raise DatabaseUnavailableError(
                "All connections to the database are in use.", hint="It is slow or overloaded; try again."
            ) from error
        except (DBAPIError, sqlite3.DatabaseError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise DatabaseUnavailableError(
                f"The database cannot be opened: {reason}.",
                hint="Check THREADWISE_DATABASE_URL and THREADWISE_DATA_DIR.",
            ) from error
        with connection:
            yield connection

    def migrate(self) -> None:
        """Bring the schema to `HEAD`. Alembic is imported only when there is something to do."""
        revision = self._revision()
        if revision == HEAD:
            return
        if revision is not None and revision > HEAD:
            raise SchemaTooNewError(
                f"The database is at schema {revision}, this Threadwise knows {HEAD}.",
                hint="Install the newer Threadwise, or point THREADWISE_DATA_DIR at another folder.",
            )
        with self._without_references(), self.write() as session:
            # Two processes may start on an empty folder: the second waits here and finds the work done.
            if not self.is_sqlite:
                session.execute(text("SELECT pg_advisory_xact_lock(7482901)"))
            _upgrade(session)

    @contextmanager
    def _without_references(self) -> Iterator[None]:
        """SQLite changes a table by replacing it, which its references must not notice; nothing else is running."""
        if not self.is_sqlite:
            yield
            return
        event.listen(self.engine, "checkout", _ignore_references)
        try:
            yield
        finally:
            event.remove(self.engine, "checkout", _ignore_references)
            self.engine.dispose()

    def _revision(self) -> str | None:
        with self.read() as session:
            if not inspect(session).has_table("alembic_version"):
                return None
            return session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()

    def close(self) -> None:
        """Return every connection."""
        self.engine.dispose()


@contextmanager
def _named_errors() -> Iterator[None]:
    """A full disk, a lost server, a damaged file: one error of ours, whatever the driver calls it."""
    try:
        yield
    except OverflowError as error:
        raise ValueRefusedError(
            "A number is larger than any that is stored.", hint="Numbers go up to 9223372036854775807."
        ) from error
    except (OperationalError, InterfaceError, DatabaseError) as error:
        if isinstance(error, DataError):
            # Its own message would show the value.
            raise ValueRefusedError(
                "A value is too long, too large, or has characters that no database holds.",
                hint="Names have at most 200 characters, and no text has a NUL.",
            ) from error
        if isinstance(error, IntegrityError | ProgrammingError | NotSupportedError):
            raise
        if _is_full(error.orig):
            raise StorageFullError(
                "The database has no room left on its disk.", hint="Make room; what waits goes on by itself."
            ) from error
        raise DatabaseUnavailableError(
            f"The database failed: {error.orig}.",
            hint="Check the disk, or the server that THREADWISE_DATABASE_URL names.",
        ) from error


def _is_full(error: object) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in _FULL_CODES
    return getattr(error, "sqlstate", None) == _FULL_STATE


def _upgrade(session: Session) -> None:
    from alembic import command  # noqa: PLC0415 - a third of a second that a current database does not need
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = session
    command.upgrade(config, "head")


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        engine = create_engine(parsed, **({} if parsed.get_backend_name() == "sqlite" else _SERVER))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise DatabaseUnavailableError(
            "The database URL cannot be understood.", hint="Use sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME."
        ) from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            _make_folder(Path(parsed.database).parent)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailableError(
            f"The data folder {folder} cannot be made: {error.strerror}.", hint="Set THREADWISE_DATA_DIR."
        ) from error


def _configure_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own object
    connection.isolation_level = None  # this module begins transactions itself
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _ignore_references(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - the driver's own
    connection.execute("PRAGMA foreign_keys=OFF")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later would not wait for the lock but fail.
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
