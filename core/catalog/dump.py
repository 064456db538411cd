"""The whole catalogue as one SQLite file, whichever database it lives in, and back from such a file."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Integer, Table, and_, func, insert, select, text, update

from core import tables as t
from core.catalog import queue, sources
from core.catalog.integrity import hold_still
from core.database import Database, Session
from core.errors import BlobDamagedError, DatabaseUnavailableError, StorageFullError
from core.settings import sqlite_url

ROWS = 1000
RELATED = (t.source, t.answer, t.api_key, t.inbox, t.audit)
"""Tables of which an installation that nobody has used yet has no row."""

Report = Callable[[int, int], None]
"""Called with (tables copied, all tables)."""


def write_file(database: Database, path: Path, report: Report) -> None:
    """Copy one state of the catalogue into a new SQLite file, while others go on reading and writing."""
    if database.is_sqlite:
        _copy_file(database, path)
    else:
        copy = Database(sqlite_url(path))
        try:
            copy.migrate()
            with database.read() as session, copy.write() as target_session:
                hold_still(session)
                _copy_rows(session, target_session, report)
        finally:
            copy.close()
    make_whole(path)


def upgrade_file(path: Path, change: Callable[[Session], None]) -> None:
    """Bring a file to the present schema and change it, all in the file itself: no log is left beside it."""
    copy = Database(sqlite_url(path))
    try:
        copy.migrate()
        with copy.write() as session:
            change(session)
    finally:
        copy.close()
    make_whole(path)


def read_rows(path: Path, database: Database, report: Report) -> None:
    """Replace every row of a server's catalogue by those of a file of the present schema, in one transaction."""
    copy = Database(sqlite_url(path))
    try:
        with copy.read() as session, database.write() as target:
            names = ", ".join(target.dialect.identifier_preparer.quote(table.name) for table in _tables())
            target.execute(text(f"TRUNCATE {names}"))
            _copy_rows(session, target, report)
            for table in _tables():
                _count_on(target, table)
    finally:
        copy.close()


def make_whole(path: Path, *, patience: float = 5.0) -> None:
    """Keep all of a file in the file itself, with no log beside it; waits so many seconds for who has it open."""
    with closing(sqlite3.connect(path, timeout=patience)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def revision_of(path: Path) -> str:
    """The schema that a file has. Raises `BlobDamagedError` for a file that is none."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            [found] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise BlobDamagedError("The catalogue of the backup cannot be read.", hint="Use another backup.") from error
    return str(found)


def counts(session: Session) -> dict[str, int]:
    """How many rows each table has."""
    rows = {table.name: select(func.count()).select_from(table) for table in _tables()}
    return {name: int(session.execute(count).scalar_one()) for name, count in rows.items()}


def is_unused(session: Session) -> bool:
    """Whether nobody has used this installation yet."""
    return not any(session.execute(select(table).limit(1)).first() for table in RELATED)


def needed_paths(session: Session) -> list[str]:
    """Where sources were read from last, and what open runs have still to read."""
    return sorted({*queue.open_paths(session), *sources.locations(session)})


def let_go(session: Session) -> None:
    """Free everything that somebody held, and let every open run be rung again: nobody works on this catalogue."""
    w, r, b, i = t.work.c, t.run.c, t.build.c, t.inbox.c
    session.execute(update(t.work).where(w.state == "running").values(state="pending", lease_token=""))
    queued = and_(r.state == "planning", r.queued_at > 0)
    session.execute(update(t.run).where(queued).values(state="queued"))
    session.execute(update(t.run).where(r.lease_token != "").values(lease_token=""))
    session.execute(update(t.build).where(b.state == "running").values(state="pending", lease_token=""))
    session.execute(update(t.generation).where(t.generation.c.lease_token != "").values(lease_token=""))
    session.execute(update(t.inbox).where(i.lease_token != "").values(lease_token="", lease_until=0))


def move_paths(session: Session, old: str, new: str) -> None:
    """Let sources and open runs read what lay below one folder from another."""
    s, r = t.source.c, t.run.c
    for number, location in session.execute(select(s.id, s.location)).all():
        if (moved := _moved(location, old, new)) != location:
            session.execute(update(t.source).where(s.id == number).values(location=moved))
    for number, request in session.execute(select(r.id, r.request).where(r.request != "")).all():
        values = json.loads(request)
        if (moved := _moved(values.get("path") or "", old, new)) != (values.get("path") or ""):
            stored = json.dumps(values | {"path": moved}, sort_keys=True)
            session.execute(update(t.run).where(r.id == number).values(request=stored))


def _moved(path: str, old: str, new: str) -> str:
    return new + path.removeprefix(old) if path.startswith(f"{old}/") else path


def _copy_rows(source: Session, target: Session, report: Report) -> None:
    tables = _tables()
    for done, table in enumerate(tables):
        report(done, len(tables))
        with source.execute(select(table), execution_options={"yield_per": ROWS}) as rows:
            for some in rows.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in some])
    report(len(tables), len(tables))


def _tables() -> list[Table]:
    """Every table, none before those it refers to."""
    return list(t.metadata.sorted_tables)


def _count_on(session: Session, table: Table) -> None:
    """Let the server number new rows behind those that were copied."""
    keys = list(table.primary_key)
    if len(keys) != 1 or not isinstance(keys[0].type, Integer) or keys[0].autoincrement is False:
        return
    place: Mapping[str, str] = {"table": table.name, "key": keys[0].name}
    sequence = session.execute(text("SELECT pg_get_serial_sequence(:table, :key)"), place).scalar_one()
    if sequence is not None:
        newest = session.execute(select(func.coalesce(func.max(keys[0]), 0))).scalar_one()
        session.execute(text("SELECT setval(:name, :next, false)"), {"name": sequence, "next": int(newest) + 1})


def _copy_file(database: Database, path: Path) -> None:
    try:
        with closing(sqlite3.connect(path)) as target, database.read() as session:
            source: Any = session.connection.driver_connection
            source.backup(target)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise StorageFullError(f"There is no room left for {path.parent.parent}.", hint="Make room.") from error
        raise DatabaseUnavailableError(f"The database failed: {error}.", hint="Check the disk.") from error
