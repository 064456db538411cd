"""What `make server` starts under which settings, and what it refuses before it starts anything."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.endpoint import find
from api.occupancy import Address, AlreadyRunningError, publish
from api.serving import Place
from api.supervisor import ChildEvent, Supervisor
from core.errors import InvalidSettingError
from core.settings import LlmSettings, QueueSettings, Settings
from deploy import native, postgres
from generation import bundled
from generation.errors import ModelDownloadError

PLACE = Place("127.0.0.1", 8765)
NONE = LlmSettings(kind="none")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that other accounts can come to."""
    with tempfile.TemporaryDirectory(prefix="threadwise-") as name:
        Path(name).chmod(0o711)
        (Path(name) / "data").mkdir(mode=0o700)
        yield Path(name) / "data"


def names(settings: Settings, folder: Path) -> list[str]:
    with native.parts_of(settings, folder, PLACE) as parts:
        return [part.child.name for part in parts]


def test_everything_is_started_in_the_order_in_which_it_is_needed(folder: Path, tmp_path: Path) -> None:
    weights = LlmSettings(kind="gguf", path=str(tmp_path / "model.gguf"))
    assert names(Settings(llm=weights), folder) == ["postgres", "doorbell", "llama", "threadwise"]


def test_what_a_setting_names_elsewhere_is_used_there(folder: Path) -> None:
    url = "postgresql+psycopg://db.example/threadwise"
    broker = QueueSettings(url="redis://broker.example")
    assert names(Settings(database_url=url, llm=NONE), folder) == ["doorbell", "threadwise"]
    assert names(Settings(database_url=url, queue=broker, llm=NONE), folder) == ["threadwise"]


@pytest.mark.parametrize("kind", ["none", "http", "scripted"])
def test_only_a_model_of_this_machine_has_a_process(kind: str, folder: Path) -> None:
    settings = Settings(llm=LlmSettings.model_validate({"kind": kind, "base_url": "http://models.example/v1"}))
    assert names(settings, folder) == ["postgres", "doorbell", "threadwise"]


def test_the_service_finds_the_other_parts_in_its_environment(folder: Path) -> None:
    settings = Settings(llm=LlmSettings(kind="gguf", path="weights.gguf", slots=3, context_tokens=1024))
    with native.parts_of(settings, folder, PLACE) as parts:
        variables = {name: value for part in parts for name, value in part.variables.items()}
        llama = next(part.child.command for part in parts if part.child.name == "llama")
    assert set(variables) == {f"THREADWISE_{name}" for name in native.SETTINGS}
    assert variables["THREADWISE_LLM__KIND"] == "http"
    assert variables["THREADWISE_LLM__BASE_URL"].startswith("http://127.0.0.1:")
    assert llama[llama.index("--slots") + 1] == "3"
    assert llama[llama.index("--context-tokens") + 1] == "1024"


def test_the_key_of_the_model_is_in_a_private_file_and_on_no_command_line(folder: Path) -> None:
    settings = Settings(llm=LlmSettings(kind="gguf", path="weights.gguf"))
    (folder / native.KEY_FILE).write_text("an old key, which others may have read")
    (folder / native.KEY_FILE).chmod(0o644)
    with native.parts_of(settings, folder, PLACE) as parts:
        [part] = [part for part in parts if part.child.name == "llama"]
    key = (folder / native.KEY_FILE).read_text()
    assert part.variables["THREADWISE_LLM__API_KEY"] == key
    assert len(key) > 40
    assert stat.S_IMODE((folder / native.KEY_FILE).stat().st_mode) == 0o600
    assert key not in " ".join(part.child.command)
    assert key not in part.place


def test_without_weights_answers_are_quotes_and_a_line_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(*_: object) -> Path:
        message = "The weights could not be fetched."
        raise ModelDownloadError(message)

    monkeypatch.setattr(bundled, "pull", unreachable)
    with native.parts_of(Settings(), folder, PLACE) as parts:
        assert [part.child.name for part in parts] == ["postgres", "doorbell", "threadwise"]
    assert parts[-1].variables["THREADWISE_LLM__KIND"] == "none"
    assert "Without a model answers are quotes." in capsys.readouterr().err


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    with native.alone(tmp_path), pytest.raises(AlreadyRunningError, match="A server runs on"), native.alone(tmp_path):
        pytest.fail("two of them")
    with native.alone(tmp_path):
        pass


def test_a_folder_on_which_the_service_runs_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "up.json").touch(mode=0o600)
    (tmp_path / "up.json").write_text(f'{{"url": "http://127.0.0.1:1", "key": "k", "pid": {os.getpid()}}}')
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} at"), native.alone(tmp_path, patience=0):
        pytest.fail("two of them")


def test_a_server_that_is_about_to_end_is_waited_for(tmp_path: Path) -> None:
    with subprocess.Popen([shutil.which("sleep") or "sleep", "0.1"]) as ending:
        publish(tmp_path, Address(url="http://127.0.0.1:1", key="k", pid=ending.pid, doorbell=""))
        with native.alone(tmp_path):
            assert find(tmp_path) is None


def test_a_folder_whose_database_still_runs_is_refused() -> None:
    # Not pytest's: the names of its folders are too long for a socket.
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        (Path(name) / "postgres").mkdir()
        bound.bind(f"{name}/postgres/{postgres.SOCKET}")
        bound.listen()
        with pytest.raises(AlreadyRunningError, match="already: a database in"), native.alone(Path(name), patience=0):
            pytest.fail("two of them")


def test_a_folder_that_was_made_anew_can_be_made_anew(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    folder = tmp_path / "server"
    with native.alone(folder):
        native.empty(folder)
        (folder / "postgres" / "data").mkdir(parents=True)
        (folder / "blob").touch()
        (folder / "link").symlink_to(outside)
        native.empty(folder)
        assert {path.name for path in folder.iterdir()} == {native.LOCK, native.MARK}
    assert (outside / "kept").exists()


def test_a_folder_that_was_not_made_anew_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "somebody's").touch()
    with pytest.raises(InvalidSettingError, match="holds what no server with --anew has made"):
        native.empty(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["somebody's"]


def test_nothing_is_removed_under_a_server_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "umask", lambda _: 0)  # the mask of whoever runs the tests stays
    monkeypatch.setenv("THREADWISE_DATABASE_URL", "postgresql+psycopg://db.example/threadwise")
    monkeypatch.setenv("THREADWISE_LLM__KIND", "none")
    with native.alone(tmp_path):
        native.empty(tmp_path)
        (tmp_path / "blob").touch()
        assert native.main(["--anew", "--data-dir", str(tmp_path), "--port", "0"]) == 1
        assert (tmp_path / "blob").exists()


def test_the_demonstration_removes_nothing_before_it_has_the_folder() -> None:
    makefile = (Path(native.__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nserver:")[2].partition("endif")[0]
    assert "--anew --data-dir .server-demo" in recipe
    assert "rm " not in recipe


def test_one_line_says_where_a_part_listens_and_another_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    places = {"postgres": "postgresql://somewhere"}
    native.tell_event(places, ChildEvent(name="postgres", state="started", pid=7))
    native.tell_event(places, ChildEvent(name="postgres", state="ready", pid=7))
    native.tell_event(places, ChildEvent(name="postgres", state="died", pid=7, status=2, again_in=0.4))
    said = capsys.readouterr()
    assert said.out == "  postgres  postgresql://somewhere\n"
    assert said.err == "postgres (process 7) ended with 2; again in 0.4 s.\n"


def test_a_command_that_runs_on_the_server_ends_it_and_gives_its_status(tmp_path: Path) -> None:
    supervisor = Supervisor([], logs=tmp_path, report=lambda _: None)
    errand = native.Errand([sys.executable, "-c", "raise SystemExit(4)"], supervisor)
    supervisor.run(errand.start)
    assert errand.end() == 4


def test_a_command_that_is_not_there_ends_the_server(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor([], logs=tmp_path, report=lambda _: None)
    errand = native.Errand([str(tmp_path / "nowhere")], supervisor)
    supervisor.run(errand.start)
    assert errand.end() == 1
    assert "No such file" in capfd.readouterr().err
