"""Keys on both databases: the secret is shown once, stored nowhere, and dead the moment it is revoked."""

import pytest
from sqlalchemy import text

from core.catalog import answers, audit, keys
from core.catalog.answers import StoredAnswer
from core.catalog.audit import Act
from core.database import Database
from core.words import Instant
from tests.support.documents import NOW


def made(database: Database, expires_at: Instant | None = None) -> tuple[keys.Key, str]:
    with database.write() as session:
        return keys.create(
            session, name="bot", scopes=("ask",), principals=("T1", "everyone"), now=NOW, expires_at=expires_at
        )


def test_a_key_opens_with_its_whole_secret_and_nothing_else(database: Database) -> None:
    key, secret = made(database)
    with database.read() as session:
        assert keys.verified(session, secret, NOW) == key
        for wrong in ("", "tw", "tw_", f"tw_{key.id}_", secret[:-1], secret + "x", secret.upper(), "tw_\ud800_x"):
            assert keys.verified(session, wrong, NOW) is None
    assert (key.scopes, key.principals) == (("ask",), ("T1", "everyone"))


def test_the_secret_is_stored_nowhere(database: Database) -> None:
    _, secret = made(database)
    with database.read() as session:
        stored = " ".join(str(row) for row in session.execute(text("SELECT * FROM api_key")).all())
    assert secret.split("_", 2)[2] not in stored


def test_a_revoked_key_and_one_past_its_time_open_nothing(database: Database) -> None:
    key, secret = made(database)
    _, short = made(database, expires_at=Instant(NOW + 10))
    with database.write() as session:
        assert keys.verified(session, short, Instant(NOW + 9))
        assert keys.verified(session, short, Instant(NOW + 10)) is None
        assert keys.revoke(session, key.id, NOW)
        assert not keys.revoke(session, key.id, NOW)
        assert keys.verified(session, secret, NOW) is None
        assert [one.revoked_at for one in keys.every(session)] == [NOW, None] or len(keys.every(session)) == 2


def test_the_use_of_a_key_is_remembered_once_a_minute(database: Database) -> None:
    key, _ = made(database)
    for later in (0, 59_999_999, 60_000_001):
        with database.write() as session:
            keys.touch(session, key.id, Instant(NOW + later))
    with database.read() as session:
        found = keys.find(session, key.id)
    assert found
    assert found.last_used_at == NOW + 60_000_001


def test_acts_of_admins_are_kept_in_order(database: Database) -> None:
    with database.write() as session:
        for name in ("one", "two"):
            audit.record(session, Act(NOW, "k1", name, "target", "done"))
    with database.read() as session:
        assert [act.act for act in audit.latest(session)] == ["two", "one"]


@pytest.mark.parametrize("values", [(1, -1), (-1, 1)])
def test_a_second_opinion_of_one_key_replaces_the_first(database: Database, values: tuple[int, int]) -> None:
    answer = StoredAnswer(
        id="a" * 32,
        asked_at=NOW,
        key_id="k1",
        principals=("everyone",),
        question="Why?",
        status="quoted",
        text="Because.",
        citations=[{"uri": "x"}],
        generation_id=1,
        model="",
        template="",
        trace={"seed": 0},
    )
    with database.write() as session:
        answers.keep(session, answer)
        for value in values:
            answers.rate(session, answer.id, key_id="k1", value=value, comment="", now=NOW)  # type: ignore[arg-type]
    with database.read() as session:
        assert answers.find(session, answer.id) == answer
        assert answers.find(session, "b" * 32) is None
        assert session.execute(text("SELECT value FROM feedback")).scalars().all() == [values[1]]
