"""A catalogue of an older schema is brought up to date with everything that is in it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

import core.database
from core.database import HEAD, Database

OLD_RUN = (
    "INSERT INTO run (id, source_id, state, fingerprint, unchanged, started_at, finished_at)"
    " VALUES ('r1', 1, 'succeeded', 'f', 0, 1, 2)"
)
OLD_WORK = (
    "INSERT INTO work (run_id, external_id, change, blob_sha, state, attempt, lease_token, lease_until, chunks,"
    " embedded, error_code, error) VALUES ('r1', 'd', 'added', 'b', 'committed', 1, '', 0, 2, 1, '', '')"
)
OLD_SOURCE = (
    "INSERT INTO source (id, name, kind, workspace, location, audience, fingerprint, created_at)"
    " VALUES (1, 'docs', 'files', '', '/docs', '', 'f', 1)"
)


def at_first_schema(url: str) -> Database:
    database = Database(url)
    config = Config()
    config.set_main_option("script_location", str(Path(core.database.__file__).parent / "migrations"))
    with database.write() as session:
        config.attributes["connection"] = session
        command.upgrade(config, "0001")
        for statement in (OLD_SOURCE, OLD_RUN, OLD_WORK):
            session.execute(text(statement))
    return database


def test_runs_and_their_work_survive_the_upgrade(database_url: str) -> None:
    database = at_first_schema(database_url)
    database.migrate()
    with database.read() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == HEAD
        rows = session.execute(text("SELECT state, attempt, queued_at, due_at FROM run")).all()
        assert [tuple(row) for row in rows] == [("succeeded", 0, 0, None)]
        assert session.execute(text("SELECT state, chunks FROM work")).one() == ("committed", 2)
        assert session.execute(text("SELECT every_minutes FROM source")).scalar_one() == 0
        if database.is_sqlite:
            assert session.execute(text("PRAGMA foreign_key_check")).all() == []
            assert session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    database.close()
