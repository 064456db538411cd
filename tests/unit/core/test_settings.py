import os
import tempfile
from pathlib import Path

import pytest
from annotated_types import Ge, Gt, Le
from pydantic import ValidationError

from core.database import Database
from core.errors import InvalidSettingError
from core.settings import RetrievalSettings, Section, Settings, default_cache_dir, load_settings


def test_a_variable_reaches_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREADWISE_RETRIEVAL__TOP_K", "8")
    assert load_settings().retrieval.top_k == 8


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("THREADWISE_RETRIEVAL__TOP_K", "abc"),
        ("THREADWISE_RETRIEVAL__MMR_LAMBDA", "1.5"),
        ("THREADWISE_INDEX__KIND", "magic"),
        ("THREADWISE_INGEST__TYPO", "1"),
        ("THREADWISE_RETRIEVAL", "abc"),
        ("THREADWISE_INGEST__LEASE_SECONDS", "inf"),
        ("THREADWISE_INGEST__LEASE_SECONDS", "0.001"),
        ("THREADWISE_INGEST__LEASE_SECONDS", "1e9"),
        ("THREADWISE_RETRIEVAL__DENSE_WEIGHT", "nan"),
        ("THREADWISE_RETRIEVAL__RECENCY_HALF_LIFE_DAYS", "1e300"),
        ("THREADWISE_RETRIEVAL__RRF_K", "1" + "0" * 30),
        ("THREADWISE_EMBEDDING__MODEL", ""),
        ("THREADWISE_EMBEDDING__CACHE_DIR", ""),
        ("THREADWISE_DATA_DIR", ""),
        ("THREADWISE_DATA_DIR", " "),
    ],
)
def test_a_bad_value_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingError, match=name):
        load_settings()


def test_the_data_folder_of_the_command_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THREADWISE_DATA_DIR", "/somewhere")
    assert load_settings(tmp_path).resolved_database_url == f"sqlite:///{tmp_path / 'threadwise.sqlite3'}"


def test_sections_are_frozen() -> None:
    with pytest.raises(ValidationError):
        RetrievalSettings().top_k = 9  # type: ignore[misc]


def test_every_number_of_a_section_has_two_bounds() -> None:
    sections = [field.annotation for field in Settings.model_fields.values()]
    fields = {
        name: field
        for section in sections
        if isinstance(section, type) and issubclass(section, Section)
        for name, field in section.model_fields.items()
        if field.annotation in {int, float}
    }
    assert len(fields) > 20
    low = {name for name, field in fields.items() if any(isinstance(bound, Ge | Gt) for bound in field.metadata)}
    high = {name for name, field in fields.items() if any(isinstance(bound, Le) for bound in field.metadata)}
    assert (fields.keys() - low, fields.keys() - high) == (set(), set())


def test_an_empty_folder_on_the_command_line_is_named_like_its_variable() -> None:
    with pytest.raises(InvalidSettingError, match="THREADWISE_DATA_DIR"):
        load_settings("")


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("THREADWISE_DATA_DIR", "~/data")
    monkeypatch.setenv("THREADWISE_EMBEDDING__CACHE_DIR", "~/models")
    settings = load_settings()
    assert (settings.data_dir, settings.embedding.cache_dir) == (tmp_path / "data", tmp_path / "models")
    assert load_settings("~").data_dir == tmp_path


def test_who_has_no_home_folder_keeps_models_in_the_temporary_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        message = "Could not determine home directory."
        raise RuntimeError(message)

    monkeypatch.setattr(Path, "home", homeless)
    expected = Path(tempfile.gettempdir()) / f"threadwise-cache-{os.getuid()}"
    assert default_cache_dir() == load_settings().embedding.cache_dir == expected


@pytest.mark.parametrize("name", ["a%41 b?c#d", "é:@&=+;,", os.fsdecode(b"no text \xff%41")])
def test_a_database_lies_in_exactly_the_folder_that_was_named(tmp_path: Path, name: str) -> None:
    database = Database(load_settings(tmp_path / name).resolved_database_url)
    with database.write() as session:
        session.exec_driver_sql("CREATE TABLE here (x)")
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "threadwise.sqlite3").stat().st_size > 0
