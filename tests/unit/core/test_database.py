from pathlib import Path

import pytest

from core.database import HEAD, Database
from core.errors import DatabaseUnavailableError, SchemaTooNewError


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://x/y", "oracle://x/y", "postgresql+psycopg://u:pw@127.0.0.1:port/x", ""]
)
def test_a_url_that_cannot_be_used_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match="sqlite:///PATH"):
        Database(url)


def test_a_server_that_does_not_answer_is_unavailable_and_worth_another_try() -> None:
    with pytest.raises(DatabaseUnavailableError) as caught:
        Database("postgresql+psycopg://u:secret@127.0.0.1:1/x").migrate()
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite3").write_text("not a database at all, " * 100)
    with pytest.raises(DatabaseUnavailableError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path / 'x.sqlite3'}").migrate()


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatabaseUnavailableError, match="THREADWISE_DATA_DIR"):
        Database(f"sqlite:///{tmp_path / 'file' / 'data' / 'x.sqlite3'}")


def test_a_database_from_the_future_is_left_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    database.migrate()
    with database.write() as session:
        session.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNewError, match=HEAD):
        database.migrate()
