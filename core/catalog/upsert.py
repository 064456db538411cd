"""INSERT … ON CONFLICT, spelled alike for SQLite and PostgreSQL."""

from collections.abc import Mapping, Sequence
from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from core.database import Session


def upsert(
    session: Session, table: Table, rows: Sequence[Mapping[str, object]], *, keep_newer: str | None = None
) -> None:
    """Insert rows of the same columns, or overwrite the row of the same primary key.

    With `keep_newer` a stored row is overwritten only by one whose value in that column is not smaller.
    """
    session.execute(_upsert(session.dialect.name, table, tuple(rows[0]), keep_newer), list(rows))


def insert_missing(session: Session, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert the rows whose primary or unique key is not there yet; leave the others as they are."""
    if rows:
        session.execute(_insert_missing(session.dialect.name, table), list(rows))


def insert_new(session: Session, table: Table, row: Mapping[str, object]) -> bool:
    """Insert the row unless its primary key or a unique key is there already; returns whether it was new."""
    statement = _insert_missing(session.dialect.name, table)
    # Without the option the count of an INSERT is known on SQLite only.
    return session.execute(statement, dict(row), execution_options={"preserve_rowcount": True}).rowcount == 1


# Building such a statement takes longer than running it.


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...], keep_newer: str | None) -> sqlite.Insert:
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    excluded = statement.excluded
    changed = {name: excluded[name] for name in columns if name not in keys}
    where = None if keep_newer is None else excluded[keep_newer] >= table.c[keep_newer]
    return statement.on_conflict_do_update(index_elements=keys, set_=changed, where=where)


@cache
def _insert_missing(dialect: str, table: Table) -> sqlite.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


def _insert(dialect: str, table: Table) -> sqlite.Insert:
    # Both dialects' Insert have the same methods; only their class differs.
    if dialect == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)  # type: ignore[return-value]
