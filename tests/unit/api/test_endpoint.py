"""The local service is found by its own user alone, and only while it runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api import endpoint

KEY = "tw_0123_secret"


def place(folder: Path, mode: int = 0o600, **fields: object) -> Path:
    """An up.json as a running service leaves it."""
    path = folder / endpoint.FILE
    path.write_text(json.dumps({"url": "http://127.0.0.1:8765", "key": KEY, "pid": os.getpid()} | fields))
    path.chmod(mode)
    return path


def test_a_running_service_is_found_with_its_key(tmp_path: Path) -> None:
    place(tmp_path)
    assert endpoint.find(tmp_path) == endpoint.Endpoint("http://127.0.0.1:8765", KEY, os.getpid())


def test_nobody_runs_in_an_empty_folder(tmp_path: Path) -> None:
    assert endpoint.find(tmp_path) is None
    assert endpoint.find(tmp_path / "none") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_read_or_write_is_not_used_and_that_is_said(
    tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path, mode)
    assert endpoint.find(tmp_path) is None
    said = capsys.readouterr()
    assert "open to others" in said.err
    assert KEY not in said.err
    assert not said.out


def test_a_link_to_such_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / endpoint.FILE).symlink_to(place(tmp_path / "elsewhere"))
    assert endpoint.find(tmp_path) is None


def test_a_service_that_was_killed_is_none(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    place(tmp_path, pid=ended.pid)
    assert endpoint.find(tmp_path) is None


@pytest.mark.parametrize(
    "fields",
    [{"pid": 0}, {"pid": -1}, {"pid": "many"}, {"url": "file:///etc/passwd"}, {"pid": None}, {"key": ""}, {"key": "é"}],
)
def test_what_no_service_wrote_is_none(tmp_path: Path, fields: dict[str, object]) -> None:
    place(tmp_path, 0o600, **fields)
    assert endpoint.find(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"url": "http://x"}'])
def test_a_damaged_file_is_none(tmp_path: Path, text: str) -> None:
    place(tmp_path).write_text(text)
    assert endpoint.find(tmp_path) is None


def test_a_number_that_another_process_has_by_now_is_not_the_services(tmp_path: Path) -> None:
    place(tmp_path, started=endpoint.started_at(os.getpid()))
    assert endpoint.find(tmp_path)
    place(tmp_path, started=endpoint.started_at(os.getpid()) - 1)
    assert endpoint.find(tmp_path) is None


def test_a_process_that_ended_and_waits_for_its_parent_was_never_started() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert endpoint.started_at(ended.pid) == 0


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 200_000, b'{"url": "http://x", "key": "k", "pid": 1e400}'])
def test_a_file_that_is_no_address_is_none(tmp_path: Path, content: bytes) -> None:
    path = place(tmp_path)
    path.write_bytes(content)
    assert endpoint.find(tmp_path) is None


def test_a_number_too_large_for_a_process_is_nobodys(tmp_path: Path) -> None:
    place(tmp_path, pid=10**20)
    assert endpoint.find(tmp_path) is None


def test_neither_a_folder_nor_a_pipe_of_that_name_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / endpoint.FILE).mkdir()
    assert endpoint.find(tmp_path) is None
    (tmp_path / endpoint.FILE).rmdir()
    os.mkfifo(tmp_path / endpoint.FILE, 0o600)
    assert endpoint.find(tmp_path) is None
