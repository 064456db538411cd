"""The processes of a service: started in order, brought back when they die, gone when their supervisor is."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from api.background import LONGEST_SOCKET_PATH, answers, background_children, doorbell_socket
from api.endpoint import find
from api.occupancy import Address, AlreadyRunningError, occupied, publish
from api.supervisor import ChildEvent, ChildFailedError, ChildSpec, Patience, Supervisor
from tests.support.databases import Mode, variables_of
from tests.support.doorbell import Doorbell, broker, eventually, queue_variables
from tests.support.processes import ROOT

pytestmark = pytest.mark.no_database

HASTY = Patience(first_restart=0.05, longest_restart=0.4, settled=30, ready=10, failures_before_ready=3, stop=0.5)

SLEEPS = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
FAMILY = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "

# A service of one child that has a child itself; prints their process ids once both run.
KILLED = """
import sys
from pathlib import Path
from api.supervisor import ChildSpec, Supervisor
spec = ChildSpec(name="child", command=(sys.executable, "-c", "import time; time.sleep(600)"))
report = lambda event: print(event.pid, flush=True) if event.state == "ready" else None
Supervisor([spec], logs=Path(sys.argv[1]), report=report).run(lambda: None)
"""

HOLDS = """
import sys, time
from pathlib import Path
from api.occupancy import occupied
with occupied(Path(sys.argv[1])):
    print("has", flush=True)
    time.sleep(600)
"""


def speaking(text: str, folder: Path) -> subprocess.Popen[str]:
    """A program that prints something when it is where the test wants it."""
    return subprocess.Popen([sys.executable, "-c", text, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


class Up:
    """A supervisor in a thread of its own, with everything it reported."""

    def __init__(self, folder: Path, *children: ChildSpec, patience: Patience = HASTY) -> None:
        self.events: list[ChildEvent] = []
        self.logs = folder / "logs"
        self.supervisor = Supervisor(children, logs=self.logs, report=self.events.append, patience=patience)
        self.is_up = threading.Event()
        self.error: ChildFailedError | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.supervisor.run(self.is_up.set)
        except ChildFailedError as error:
            self.error = error

    def said(self, name: str, state: str) -> list[ChildEvent]:
        """What was reported of this child."""
        return [event for event in self.events if (event.name, event.state) == (name, state)]

    def stop(self) -> None:
        """Stop and wait for the end."""
        self.supervisor.stop()
        self.thread.join(timeout=40)
        assert not self.thread.is_alive()


Begin = Callable[..., Up]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts supervisors and stops them at the end."""
    started: list[Up] = []

    def start(*children: ChildSpec, patience: Patience = HASTY) -> Up:
        started.append(Up(tmp_path, *children, patience=patience))
        return started[-1]

    yield start
    for up in started:
        up.stop()


def program(name: str, text: str, **env: str) -> ChildSpec:
    return ChildSpec(name=name, command=(sys.executable, "-c", text), env=env)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_children_start_in_order_and_stop_in_reverse(begin: Begin) -> None:
    up = begin(program("first", SLEEPS), program("second", SLEEPS))
    assert up.is_up.wait(10)
    up.stop()
    order = [(event.name, event.state) for event in up.events]
    assert order[:4] == [("first", "started"), ("first", "ready"), ("second", "started"), ("second", "ready")]
    assert order[4:] == [("second", "stopped"), ("first", "stopped")]
    assert not any(is_running(event.pid) for event in up.events)


def test_a_child_that_dies_is_brought_back_each_time_a_little_later(begin: Begin) -> None:
    up = begin(program("child", SLEEPS))
    assert up.is_up.wait(10)
    for count in range(1, 5):
        eventually(lambda count=count: len(up.said("child", "started")) == count)  # type: ignore[misc]
        os.kill(up.said("child", "started")[-1].pid, signal.SIGKILL)
        eventually(lambda count=count: len(up.said("child", "died")) == count)  # type: ignore[misc]
    died = up.said("child", "died")
    assert [event.again_in for event in died] == [0.05, 0.1, 0.2, 0.4]
    assert {event.status for event in died} == {-signal.SIGKILL}
    eventually(lambda: len(up.said("child", "started")) == 5)


def test_a_child_that_never_gets_ready_stops_the_whole_service(begin: Begin) -> None:
    never = ChildSpec(name="never", command=(sys.executable, "-c", "raise SystemExit(3)"), ready=lambda: False)
    up = begin(program("good", SLEEPS), never, program("third", SLEEPS))
    up.thread.join(timeout=20)
    assert up.error is not None
    assert "never.log" in str(up.error)
    assert not up.is_up.is_set()
    assert [event.status for event in up.said("never", "died")] == [3, 3, 3]
    assert up.said("good", "stopped")
    assert not up.said("third", "started")


def test_a_child_that_fails_later_does_not_take_the_others_along(begin: Begin) -> None:
    up = begin(program("good", SLEEPS), program("bad", "raise SystemExit(3)"))
    eventually(lambda: len(up.said("bad", "died")) > HASTY.failures_before_ready)
    assert up.is_up.is_set()
    assert len(up.said("good", "started")) == 1


def test_a_child_that_does_not_listen_is_killed_with_all_it_started(begin: Begin) -> None:
    up = begin(program("child", FAMILY + STUBBORN))
    log = up.logs / "child.log"
    eventually(lambda: log.exists() and "up" in log.read_text())
    pid = up.said("child", "started")[0].pid
    offspring = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    up.stop()
    assert up.said("child", "killed")
    eventually(lambda: not is_running(offspring))


def test_what_a_dead_child_started_dies_before_the_child_comes_back(begin: Begin) -> None:
    up = begin(program("child", FAMILY + "time.sleep(600)"))
    pid = up.said("child", "started")[0].pid if up.is_up.wait(10) else 0
    children = Path(f"/proc/{pid}/task/{pid}/children")
    eventually(lambda: bool(children.read_text()))
    offspring = int(children.read_text())
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(up.said("child", "started")) == 2)
    eventually(lambda: not is_running(offspring))


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    process = speaking(KILLED, tmp_path)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    eventually(lambda: "time.sleep" in Path(f"/proc/{child}/cmdline").read_text().rpartition("--")[2])
    process.kill()
    process.wait()
    process.stdout.close()
    eventually(lambda: not is_running(child))


def test_a_child_gets_its_variables_and_a_private_log(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    show = "import os; print([os.environ.get(n) for n in ('GIVEN', 'PYTHONDONTWRITEBYTECODE')], flush=True); "
    up = begin(program("child", show + SLEEPS, GIVEN="a=b c"))
    log = up.logs / "child.log"
    eventually(lambda: log.exists() and log.read_text() == "['a=b c', None]\n")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    up.stop()
    again = begin(program("child", SLEEPS))
    assert again.is_up.wait(10)
    assert log.with_suffix(".log.1").read_text() == "['a=b c', None]\n"


def test_a_folder_has_one_service_and_says_which(tmp_path: Path) -> None:
    address = Address(url="http://127.0.0.1:8765", key="k", pid=os.getpid(), doorbell="")
    with occupied(tmp_path):
        publish(tmp_path, address)
        assert stat.S_IMODE((tmp_path / "up.json").stat().st_mode) == 0o600
        assert json.loads((tmp_path / "up.json").read_text())["pid"] == os.getpid()
        found = find(tmp_path)
        assert found is not None
        assert (found.url, found.key) == (address.url, address.key)
        with pytest.raises(AlreadyRunningError, match=rf"process {os.getpid()} at http://127\.0\.0\.1:8765"):
            occupied(tmp_path).__enter__()
    assert find(tmp_path) is None
    with occupied(tmp_path):
        pass


def test_a_service_that_was_killed_does_not_keep_its_folder(tmp_path: Path) -> None:
    process = speaking(HOLDS, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "has\n"
    with pytest.raises(AlreadyRunningError, match=str(process.pid)):
        occupied(tmp_path).__enter__()
    process.kill()
    process.wait()
    process.stdout.close()
    with occupied(tmp_path):
        pass


@pytest.mark.parametrize("name", ["data", "d" * LONGEST_SOCKET_PATH, "with space", "per%20cent", "größe"])
def test_the_doorbell_listens_in_any_data_folder_and_leaves_nothing(tmp_path: Path, name: str, begin: Begin) -> None:
    data = tmp_path / name
    data.mkdir()
    with doorbell_socket(data) as path:
        assert (path.parent == data) == (name == "data" and len(str(path)) <= LONGEST_SOCKET_PATH)
        doorbell = background_children(data, path)[0]
        up = begin(doorbell)
        assert up.is_up.wait(10)
        assert answers(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        up.stop()
    assert not path.exists()
    assert not list(data.glob("doorbell*"))


def test_a_whole_background_comes_back_after_every_part_was_killed(
    begin: Begin, tmp_path: Path, run_mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with broker() as doorbell, doorbell_socket(data) as path:
        for name, value in (variables_of(data) | queue_variables(doorbell)).items():
            monkeypatch.setenv(name, value)
        up = begin(*background_children(data, None if doorbell else path), patience=Patience(stop=20))
        assert up.is_up.wait(20)
        worker_log = up.logs / "worker.log"
        eventually(lambda: "worker_ready" in worker_log.read_text())
        assert bool(up.said("doorbell", "ready")) == (run_mode == "embedded")
        for name in ("doorbell", "worker", "clock"):
            if name == "doorbell" and doorbell:
                outlives_its_doorbell(doorbell, worker_log)
                continue
            os.kill(up.said(name, "started")[-1].pid, signal.SIGKILL)
            eventually(partial(_is_back, up, name))
        eventually(lambda: worker_log.read_text().count("worker_ready") >= 2)
        started = time.monotonic()
        up.stop()
        print(f"stopped in {time.monotonic() - started:.1f} s")
        assert [up.said(name, "killed") for name in ("doorbell", "worker", "clock")] == [[], [], []]


def outlives_its_doorbell(doorbell: Doorbell, worker_log: Path) -> None:
    """A doorbell that is not the service's own is away until somebody starts it again; the worker waits for it."""
    doorbell.kill()
    eventually(lambda: "Cannot connect" in worker_log.read_text())
    doorbell.start()
    eventually(lambda: bool(doorbell.client.client_list()))


def _is_back(up: Up, name: str) -> bool:
    return len(up.said(name, "started")) == 2
