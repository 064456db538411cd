"""Where the database may run, what is changed for it, and how it gets past what a killed one left behind."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from core.errors import InvalidSettingError
from deploy import account, postgres
from deploy.leftover import LOCKS, disclaim

ROOT = Path(__file__).resolve().parents[3]
STRANGER = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root may not do")
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that other accounts can come to."""
    with tempfile.TemporaryDirectory(prefix="threadwise-") as name:
        Path(name).chmod(0o711)
        (Path(name) / "data").mkdir(mode=0o700)
        yield Path(name) / "data"


def state_of(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode, owner and group of the folder and of everything in it."""
    states = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {path: (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid) for path, state in states.items()}


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    before = state_of(folder)
    yield
    assert state_of(folder) == before


def test_a_folder_whose_name_is_too_long_for_a_socket_is_refused(folder: Path) -> None:
    with unchanged(folder), pytest.raises(InvalidSettingError, match="too long a name for a socket"):
        postgres.prepare(folder / ("x" * 100))


def test_a_folder_with_a_comma_is_refused(folder: Path) -> None:
    with unchanged(folder), pytest.raises(InvalidSettingError, match="comma"):
        postgres.prepare(folder / "a,b" / "postgres")


@needs_root
def test_a_folder_that_the_account_of_the_database_cannot_enter_is_refused(folder: Path) -> None:
    folder.parent.chmod(0o700)
    with unchanged(folder.parent), pytest.raises(InvalidSettingError, match=f"cannot enter {folder.parent}"):
        postgres.prepare(folder / "postgres")


@needs_root
def test_the_account_of_the_database_passes_through_a_private_folder_of_root_and_sees_nothing(folder: Path) -> None:
    for _ in range(2):
        postgres.prepare(folder / "postgres")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o710
        assert stat.S_IMODE((folder / "postgres").stat().st_mode) == 0o700
        assert (folder / "postgres").stat().st_uid != 0


@needs_root
def test_a_folder_that_is_not_there_yet_is_made_for_both(folder: Path) -> None:
    postgres.prepare(folder.parent / "new" / "postgres")
    assert stat.S_IMODE((folder.parent / "new").stat().st_mode) == 0o710


@needs_root
@pytest.mark.parametrize("mode", [0o1777, 0o755, 0o711])
def test_a_folder_through_which_everybody_passes_stays_as_it_is(mode: int, folder: Path) -> None:
    folder.chmod(mode)
    before = state_of(folder)[folder]
    postgres.prepare(folder / "postgres")
    assert state_of(folder)[folder] == before


@needs_root
@pytest.mark.parametrize("mode", [0o750, 0o770, 0o704])
def test_a_folder_that_is_open_to_a_group_is_not_taken_from_it(mode: int, folder: Path) -> None:
    os.chown(folder, 0, STRANGER)
    folder.chmod(mode)
    with unchanged(folder), pytest.raises(InvalidSettingError, match=f"cannot enter {folder}"):
        postgres.prepare(folder / "postgres")


@needs_root
@pytest.mark.parametrize("place", ["postgres", "postgres/data"])
def test_the_cluster_of_somebody_else_is_refused_and_stays_theirs(place: str, folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "postgres" / "data").mkdir(parents=True)
    owner = account.found_or_made() if place == "postgres/data" else None
    os.chown(folder / "postgres", owner.pw_uid if owner else STRANGER, -1)
    os.chown(folder / "postgres" / "data", STRANGER, STRANGER)
    with unchanged(folder), pytest.raises(InvalidSettingError, match=f"{folder / place} belongs to user {STRANGER}"):
        postgres.prepare(folder / "postgres")


@needs_root
def test_a_user_without_a_name_gets_one_error_and_no_folder(folder: Path) -> None:
    folder.chmod(0o777)
    # They may not be allowed to start this Python, so it becomes theirs when it runs.
    start = f"import os; from deploy import postgres; os.setgroups([]); os.setuid({STRANGER}); postgres.main()"
    done = subprocess.run(
        [sys.executable, "-c", start, folder / "new" / "postgres"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"user {STRANGER}, who has no name on this machine" in done.stderr
    assert "THREADWISE_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(folder.iterdir())


def test_whoever_listens_at_the_socket_is_there_and_a_socket_that_was_left_is_nobody(folder: Path) -> None:
    assert not postgres.is_there(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.bind(str(folder / postgres.SOCKET))
        bound.listen()
        assert postgres.is_there(folder)
    assert (folder / postgres.SOCKET).exists()
    assert not postgres.is_there(folder)


@pytest.fixture
def locked(folder: Path) -> Path:
    """The files of a server that was killed, whose number this test's parent has now."""
    (folder / "data").mkdir()
    for name in LOCKS:
        (folder / name).write_text(f"{os.getppid()}\n{folder}/data\n1700000000\n")
    return folder


def numbers(folder: Path) -> set[str]:
    contents = [(folder / name).read_text().partition("\n") for name in LOCKS]
    assert {rest for _, _, rest in contents} == {f"{folder}/data\n1700000000\n"}
    return {first for first, _, _ in contents}


@needs_proc
def test_a_lock_whose_number_another_program_has_stands_for_the_server_that_starts(locked: Path) -> None:
    disclaim(locked, postgres.binaries() / "postgres")
    assert numbers(locked) == {str(os.getpid())}


@needs_proc
def test_the_lock_of_a_server_that_lives_stays(locked: Path) -> None:
    disclaim(locked, Path(f"/proc/{os.getppid()}/exe").readlink())
    assert numbers(locked) == {str(os.getppid())}


@needs_proc
def test_a_process_that_may_not_be_looked_at_is_known_by_its_name(
    locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> Path:
        raise PermissionError

    called = Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    monkeypatch.setattr(Path, "readlink", refused)
    disclaim(locked, Path("/elsewhere") / called)
    assert numbers(locked) == {str(os.getppid())}
    disclaim(locked, Path("/elsewhere/postgres"))
    assert numbers(locked) == {str(os.getpid())}


def test_a_lock_whose_process_has_ended_is_left_to_postgresql(locked: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in LOCKS:
        (locked / name).write_text(f"{ended.pid}\n{locked}/data\n1700000000\n")
    disclaim(locked, postgres.binaries() / "postgres")
    assert numbers(locked) == {str(ended.pid)}


@pytest.mark.parametrize("content", ["", "\n", "-17\n", "something else\n"])
def test_a_lock_without_the_number_of_a_server_stays(content: str, folder: Path) -> None:
    (folder / LOCKS[1]).write_text(content)
    disclaim(folder, postgres.binaries() / "postgres")
    assert (folder / LOCKS[1]).read_text() == content
    assert not (folder / "data").exists()


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_the_address_of_the_database_leads_to_its_folder_whatever_that_is_called(name: str) -> None:
    folder = Path("/") / name
    parsed = make_url(postgres.url(folder))
    assert parsed.query["host"] == str(folder)
    assert (parsed.username, parsed.database, parsed.host or "") == ("postgres", "threadwise", "")


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1))
def test_the_database_listens_at_no_port_and_in_one_folder(name: str) -> None:
    folder = Path("/") / name
    given_options = postgres.options(folder)
    assert given_options[::2] == ["-c"] * (len(given_options) // 2)
    values = dict(option.split("=", 1) for option in given_options[1::2])
    assert values["listen_addresses"] == ""
    assert values["unix_socket_directories"][1:-1].replace('""', '"') == str(folder)
    assert values["fsync"] == values["synchronous_commit"] == values["full_page_writes"] == "on"
