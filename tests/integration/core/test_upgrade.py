"""A catalogue of an older schema is brought up to date with everything that is in it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

import core.database
from core.catalog import queue, runs
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


LATER_RUN = OLD_RUN.replace("'r1'", "'r2'").replace("1, 2)", "3, 4)")
FAILED_WORK = OLD_WORK.replace("'d'", "'e'").replace("committed", "quarantined")
REFUSED = "INSERT INTO quarantine (run_id, place, code, reason, recorded_at) VALUES ('{}', 'f', 'not_utf8', '', 1)"


def at_first_schema(url: str, *further: str) -> Database:
    database = Database(url)
    config = Config()
    config.set_main_option("script_location", str(Path(core.database.__file__).parent / "migrations"))
    with database.write() as session:
        config.attributes["connection"] = session
        command.upgrade(config, "0001")
        for statement in (OLD_SOURCE, OLD_RUN, OLD_WORK, *further):
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


def test_only_what_the_newest_run_of_a_source_could_not_take_waits_for_a_decision(database_url: str) -> None:
    later_work = FAILED_WORK.replace("'r1'", "'r2'").replace("'e'", "'g'")
    refused = (REFUSED.format("r1"), REFUSED.format("r2"))
    database = at_first_schema(database_url, FAILED_WORK, LATER_RUN, later_work, *refused)
    database.migrate()
    with database.read() as session:
        rows = session.execute(text("SELECT run_id, kind, place FROM dead_letter ORDER BY kind"))
        assert [tuple(row) for row in rows] == [("r2", "document", "g"), ("r2", "place", "f")]
    database.close()


def test_what_was_at_work_before_the_upgrade_waits_for_a_worker_after_it(database_url: str) -> None:
    at_work = LATER_RUN.replace("succeeded", "running").replace("3, 4)", "3, NULL)")
    in_hand = OLD_WORK.replace("'r1'", "'r2'").replace("committed", "running").replace("1, '', 0", "1, 'gone', 9")
    half_read = at_work.replace("'r2'", "'r3'").replace("running", "planning")
    database = at_first_schema(database_url, at_work, in_hand, half_read)
    database.migrate()
    with database.write() as session:
        states = session.execute(text("SELECT id, state FROM run ORDER BY id"))
        assert [tuple(row) for row in states] == [("r1", "succeeded"), ("r2", "running"), ("r3", "superseded")]
        assert queue.claim_next(session, token="me")  # noqa: S106 - no secret
        [item] = runs.claim(session, "r2", token="me", limit=8)  # noqa: S106 - no secret
        assert item.attempt == 2
    database.close()
