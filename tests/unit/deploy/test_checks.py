"""What cannot work is said once and clearly, before anything is started or changed."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.errors import DatabaseUnavailableError, InvalidSettingError
from core.settings import LlmSettings, QueueSettings, Settings
from deploy import native
from deploy.checks import check
from generation.errors import ModelDamagedError, ModelMissingError

ELSEWHERE = "postgresql+psycopg://db.example/threadwise"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root may not do")


def settings_with(**llm: str) -> Settings:
    return Settings(database_url=ELSEWHERE, llm=LlmSettings.model_validate({"kind": "none"} | llm))


@pytest.mark.parametrize("url", ["nonsense", "postgres//db.example", "nosuch://db.example/threadwise"])
def test_a_url_that_leads_to_no_database_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot be understood"):
        check(Settings(database_url=url, llm=LlmSettings(kind="none")), tmp_path)


@pytest.mark.parametrize("url", ["nonsense", "redis:nonsense", "http://broker.example", "redis://[::1"])
def test_a_url_that_leads_to_no_broker_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match="THREADWISE_QUEUE__URL"):
        check(Settings(queue=QueueSettings(url=url), llm=LlmSettings(kind="none")), tmp_path)


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://models.example"])
def test_a_model_behind_no_address_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match="THREADWISE_LLM__BASE_URL"):
        check(settings_with(kind="http", base_url=url), tmp_path)


def test_weights_that_are_not_there_or_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_text("no weights")
    with pytest.raises(InvalidSettingError, match="THREADWISE_LLM__PATH is empty"):
        check(settings_with(kind="gguf"), tmp_path)
    with pytest.raises(ModelMissingError, match="no file of weights at"):
        check(settings_with(kind="gguf", path=str(tmp_path / "absent.gguf")), tmp_path)
    with pytest.raises(ModelDamagedError, match="is not a GGUF file"):
        check(settings_with(kind="gguf", path=str(tmp_path / "model.gguf")), tmp_path)


@pytest.mark.parametrize(
    "broker", ["", "redis://:secret@broker.example:6379/0", "rediss://broker.example", "redis+socket:///run/bell.sock"]
)
def test_what_can_work_is_let_through(broker: str, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF and so on")
    for llm in (
        {"kind": "gguf", "path": str(tmp_path / "model.gguf")},
        {"kind": "http", "base_url": "http://m.example"},
    ):
        check(settings_with(**llm).model_copy(update={"queue": QueueSettings(url=broker)}), tmp_path)


@needs_root
def test_root_leaves_nothing_in_a_folder_of_somebody_else(tmp_path: Path) -> None:
    os.chown(tmp_path, 54321, 54321)
    with pytest.raises(InvalidSettingError, match=f"{tmp_path} belongs to user 54321"):
        check(settings_with(), tmp_path)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"DATABASE_URL": "nonsense"}, "database_unavailable"),
        ({"LLM__KIND": "gguf"}, "invalid_setting"),
        ({"DATA_DIR": "a,b"}, "invalid_setting"),
        ({"DATA_DIR": "x" * 120}, "invalid_setting"),
    ],
)
def test_a_server_that_cannot_work_makes_no_folder(
    variables: Mapping[str, str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ({"LLM__KIND": "none", "DATA_DIR": "new"} | dict(variables)).items():
        monkeypatch.setenv(f"THREADWISE_{name}", value)
    said: list[str] = []
    monkeypatch.setattr(native, "tell", said.append)
    assert native.main(["--port", "0"]) != 0
    assert len(said) == 1
    assert said[0].startswith(f"error[{code}]: ")
    assert not list(tmp_path.iterdir())
