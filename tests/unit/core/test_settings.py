from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import InvalidSettingError
from core.settings import RetrievalSettings, load_settings


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
