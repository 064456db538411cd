"""Server mode as processes of this machine: PostgreSQL and Valkey beside the service, killed and started again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy import account
from deploy.leftover import LOCKS
from tests.support.doorbell import eventually
from tests.support.service import Process, WholeService

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = ROOT / "demo" / "handbook"
EXPORT = ROOT / "demo" / "slack-export"
QUESTION = "What do I get per mile when I use my own car?"
SECONDS_TO_COME_BACK = 20.0
READY_SECONDS = 120.0

pytestmark = [
    pytest.mark.no_database,  # but what it starts itself: both modes of a test run would see the same
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]


class Server(WholeService):
    """`python -m deploy.native` on a data folder, without a model, and every process that was seen below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.parent / f"native-{time.monotonic_ns()}.log"
        self.seen: set[Process] = set()
        started = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.native", "--port", "0"],
                cwd=ROOT,
                env=os.environ | variables(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            eventually(lambda: self.process.poll() is not None or "ready in" in self.log.read_text(), READY_SECONDS)
            assert self.process.poll() is None, self.log.read_text()
        except AssertionError:
            self.close()
            raise
        self.started_in = time.monotonic() - started
        self.family()

    def named(self, command: str) -> Process:
        """The one child of the server with this in its command."""
        return next(p for p in self.family() if p.parent == self.process.pid and command in p.command)

    def run(self, *arguments: str | Path) -> dict[str, Any]:
        """What a command prints that finds the service by its folder."""
        done = subprocess.run(
            [sys.executable, "-m", "api.cli", *map(str, arguments), "--json"],
            cwd=ROOT,
            env=os.environ | variables(self.folder),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        shape: dict[str, Any] = json.loads(done.stdout)
        return shape

    def answers(self) -> bool:
        """Whether it answers a question from the handbook with the right quote."""
        answer = self.run("ask", QUESTION)
        return "error" not in answer and any("45p" in citation["quote"] for citation in answer["citations"])

    def ledger_of(self, source: str) -> Any:  # noqa: ANN401 - JSON
        """The ledger of the source's newest run once it has ended well."""

        def newest() -> dict[str, Any]:
            listed = self.run("runs", "--source", source).get("runs") or [{}]
            row: dict[str, Any] = listed[0]
            return row

        eventually(lambda: newest().get("state") == "succeeded", 60)
        return self.run("runs", "show", newest()["run_id"])["ledger"]


def variables(folder: Path) -> dict[str, str]:
    return {
        "THREADWISE_DATA_DIR": str(folder),
        "THREADWISE_LLM__KIND": "none",
        "THREADWISE_QUEUE__SWEEP_SECONDS": "1",
        "THREADWISE_INGEST__LEASE_SECONDS": "3",  # a run that lost its database is taken over after so long
        "PYTHONPATH": str(ROOT),
    }


def seconds_until(condition: Callable[[], bool]) -> float:
    started = time.monotonic()
    eventually(condition, SECONDS_TO_COME_BACK)
    return time.monotonic() - started


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.terminate()
        server.close()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that PostgreSQL's own account can enter: pytest's are closed to it, and their names too long."""
    with tempfile.TemporaryDirectory(prefix="threadwise-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    """A server that knows the handbook."""
    with running(place / "data") as started:
        assert started.run("ingest", HANDBOOK, "--source", "handbook")["state"] == "succeeded"
        yield started


def test_a_question_is_answered_from_postgresql(server: Server, record_property: Callable[[str, object], None]) -> None:
    record_property("ready_seconds", round(server.started_in, 1))
    print(f"ready after {server.started_in:.1f} s")
    assert server.answers()
    assert not list(server.folder.glob("*.sqlite3*")), "nothing may lie in a SQLite"


def test_it_says_what_listens_where(server: Server) -> None:
    said = server.log.read_text()
    assert f"postgresql+psycopg://postgres@/threadwise?host={server.folder}/postgres" in said
    assert f"redis+socket://{server.folder}/doorbell-" in said
    assert "threadwise  http://127.0.0.1:" in said


def test_its_files_are_open_to_nobody_else(server: Server) -> None:
    groups_may_pass_through = 0o010 if os.geteuid() == 0 else 0
    assert server.folder.stat().st_mode & 0o077 == groups_may_pass_through
    outside = [path for path in server.folder.iterdir() if path.stat().st_mode & 0o077]
    assert not outside


def test_no_part_but_the_door_has_a_port(server: Server) -> None:
    ids = {process.pid for process in server.family()}
    assert listening(ids) == {port_of(server)}


def port_of(server: Server) -> int:
    return int(json.loads((server.folder / "up.json").read_text())["url"].rpartition(":")[2])


def listening(pids: set[int]) -> set[int]:
    """The TCP ports on which any of these processes listens."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(link.readlink()))
            except OSError:
                continue
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}


def test_a_second_server_on_the_folder_is_refused(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.native", "--port", "0"],
        cwd=ROOT,
        env=os.environ | variables(server.folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error[already_running]: ")
    assert server.answers(), "the first one is still well"


def test_postgresql_that_stops_at_once_comes_back_with_everything(server: Server) -> None:
    before = server.named("bin/postgres")
    os.kill(before.pid, signal.SIGQUIT)  # what `pg_ctl stop -m immediate` sends
    eventually(lambda: not before.is_running)
    print(f"answers {seconds_until(server.answers):.1f} s after PostgreSQL was stopped")
    assert server.named("bin/postgres") != before
    documents = server.run("ingest", HANDBOOK, "--source", "handbook")["documents"]
    assert (documents["added"], documents["unchanged"], documents["removed"]) == (0, 13, 0)


def test_a_run_goes_on_when_postgresql_and_the_doorbell_are_killed_under_it(server: Server) -> None:
    key = json.loads((server.folder / "up.json").read_text())
    submitted = httpx.post(
        f"{key['url']}/v1/runs",
        json={"path": str(EXPORT), "source": "slack"},
        headers={"Authorization": f"Bearer {key['key']}"},
        trust_env=False,
        timeout=30,
    )
    assert submitted.status_code == httpx.codes.ACCEPTED, submitted.text
    for command, number in (("valkey-server", signal.SIGKILL), ("bin/postgres", signal.SIGQUIT)):
        time.sleep(0.3)  # somewhere in the middle of the run
        os.kill(server.named(command).pid, number)
    ledger = server.ledger_of("slack")
    assert ledger["total"] == sum(ledger["buckets"].values()) > 600
    assert not ledger["buckets"].get("failed")
    assert seconds_until(server.answers) < SECONDS_TO_COME_BACK


def test_a_doorbell_that_is_killed_comes_back_and_rings(server: Server) -> None:
    before = server.named("valkey-server")
    os.kill(before.pid, signal.SIGKILL)
    assert server.answers(), "a question needs no broker"
    assert server.run("ingest", HANDBOOK, "--source", "rung")["state"] == "succeeded"
    assert server.named("valkey-server") != before


def test_a_server_starts_again_after_its_end_after_a_crash_of_the_machine_and_while_a_killed_one_ends(
    place: Path,
) -> None:
    with running(place / "again") as first:
        assert first.run("ingest", HANDBOOK, "--source", "handbook")["state"] == "succeeded"
        locks = {first.folder / "postgres" / name: (first.folder / "postgres" / name).read_text() for name in LOCKS}
        assert first.terminate() == 0
        assert not first.left()
        assert first.log.read_text().endswith("Stopped.\n")
    assert not (place / "again" / "up.json").exists()
    with someone_of_the_database() as other:
        for path, text in locks.items():
            path.write_text(f"{other}\n" + text.partition("\n")[2])
            os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid)
        with running(place / "again") as second:
            print(f"ready again after {second.started_in:.1f} s")
            assert second.answers()
            second.family()
            second.process.kill()
            second.process.wait()
            with running(place / "again") as third:
                assert not second.seen & set(second.left())
                assert third.answers()
                print(f"nothing left {third.kill_supervisor():.1f} s after SIGKILL")


@contextmanager
def someone_of_the_database() -> Iterator[int]:
    """The number of a process of the account that PostgreSQL runs as, which is none of its own."""
    user = account.NAME if account.is_root() else None
    with subprocess.Popen([shutil.which("sleep") or "sleep", "300"], user=user) as process:
        try:
            yield process.pid
        finally:
            process.kill()
