"""The whole service as `threadwise up` runs it: found, looked into through /proc, killed part by part, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import httpx

from api.endpoint import Endpoint, find
from tests.support.databases import variables_of
from tests.support.doorbell import Doorbell, broker, eventually, queue_variables
from tests.support.processes import ROOT

Part = Literal["api", "doorbell", "worker", "clock", "pool child"]
PARTS: Final[tuple[Part, ...]] = ("api", "doorbell", "worker", "clock", "pool child")
COMMANDS: Final[Mapping[Part, str]] = {
    "api": "api.server",
    "doorbell": "valkey-server",
    "worker": "workers.worker",
    "clock": "workers.clock",
    "pool child": "workers.worker",
}
READY_SECONDS = 60.0
STOP_SECONDS = 60.0
GONE_SECONDS = 15.0
ABSENCE_SECONDS = 0.5
"""How long a doorbell that is not the service's own stays away when it is killed."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that ran when it was looked at. Its number and the tick it began at belong to no other, ever."""

    pid: int
    began: int
    parent: int = field(compare=False)
    command: str = field(compare=False)

    @property
    def is_running(self) -> bool:
        """Whether it still is; a dead one that nobody has collected is not."""
        return _looked_up(self.pid) == self

    def is_part(self, name: Part) -> bool:
        """Whether it is this part, and not the tether that is about to become it."""
        return COMMANDS[name] in self.command and "api.tether" not in self.command


def _everybody() -> list[Process]:
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [process for number in numbers if (process := _looked_up(number)) is not None]


def _looked_up(pid: int) -> Process | None:
    """The process of this number that runs now."""
    folder = Path(f"/proc/{pid}")
    try:
        state, parent, *rest = (folder / "stat").read_text().rpartition(")")[2].split()
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    return None if state in "ZX" else Process(pid=pid, began=int(rest[17]), parent=int(parent), command=command)


class WholeService:
    """`threadwise up` on a data folder, and every process that was seen below it. What it says is in `log`.

    In the server mode it rings at a doorbell that is not its own and that outlives it.
    """

    _doorbell: Doorbell | None = None

    def __init__(self, folder: Path, variables: Mapping[str, object], doorbell: Doorbell | None) -> None:
        self.folder = folder
        self._doorbell = doorbell
        self.log = folder.parent / f"up-{time.monotonic_ns()}.log"
        given = {f"THREADWISE_{name}": str(value) for name, value in variables.items()}
        given |= variables_of(folder) | queue_variables(doorbell)
        # Where it is set, every start would compile every module again.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api.cli", "up", "--port", "0"],
                cwd=ROOT,
                env=inherited | {"PYTHONPATH": str(ROOT)} | given,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.seen: set[Process] = set()
        self.endpoint = self._published()

    def upload(self, archive: Path, source: str) -> str:
        """Upload a Slack export as the newest state of a source; the id of its run."""
        response = httpx.post(
            f"{self.endpoint.url}/v1/runs",
            params={"source": source, "filename": archive.name, "kind": "slack-export"},
            headers={"Authorization": f"Bearer {self.endpoint.key}", "Content-Type": "application/zip"},
            content=archive.read_bytes(),
            timeout=60,
            trust_env=False,
        )
        assert response.status_code == httpx.codes.ACCEPTED, response.text
        return str(response.json()["run_id"])

    def part(self, name: Part) -> Process | None:
        """The process that is this part now, or None while there is none."""
        if name == "doorbell" and self._doorbell is not None:
            return _looked_up(self._doorbell.pid)
        family = self.family()
        parents = {self.process.pid}
        if name == "pool child":
            parents = {process.pid for process in family if process.parent in parents and process.is_part("worker")}
        return next((process for process in family if process.parent in parents and process.is_part(name)), None)

    def kill(self, name: Part) -> bool:
        """SIGKILL to this part; False while there is none."""
        found = self.part(name)
        if found is None:
            return False
        if name == "doorbell" and self._doorbell is not None:
            self._doorbell.kill()
            self._doorbell.start_after(ABSENCE_SECONDS)
            return True
        with suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGKILL)
            return True
        return False

    def family(self) -> list[Process]:
        """Every process below the supervisor, remembered for `left`."""
        everybody = _everybody()
        found, todo = [], [self.process.pid]
        while todo:
            parent = todo.pop()
            children = [process for process in everybody if process.parent == parent]
            found += children
            todo += [process.pid for process in children]
        self.seen.update(found)
        return found

    def left(self) -> list[Process]:
        """What still runs of all that was seen, and of all that was started for this folder."""
        running = {process for process in self.seen if process.is_running}
        return list(running | {process for process in _everybody() if self._was_started_for(process)})

    def terminate(self) -> int:
        """SIGTERM to the supervisor; its exit status."""
        self.family()
        self.process.terminate()
        return self.process.wait(timeout=STOP_SECONDS)

    def kill_supervisor(self) -> float:
        """SIGKILL to the supervisor alone; returns when nothing is left of the service, after so many seconds."""
        self.family()
        self.process.kill()
        self.process.wait()
        killed = time.monotonic()
        eventually(lambda: not self.left(), GONE_SECONDS)
        return time.monotonic() - killed

    def close(self) -> None:
        """End what a failed test has left."""
        self.family()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in self.left():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _published(self) -> Endpoint:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = find(self.folder)
            if found is not None and found.pid == self.process.pid:
                return found
            time.sleep(0.02)
        self.close()
        raise AssertionError(self.log.read_text())

    def _was_started_for(self, process: Process) -> bool:
        wanted = f"THREADWISE_DATA_DIR={self.folder}\0".encode()
        try:
            return wanted in Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            return False


Start = Callable[[Path], WholeService]


@contextmanager
def whole_services(**variables: object) -> Iterator[Start]:
    """A way to start services with these settings (without their prefix); none of them outlives the `with`."""
    with broker() as doorbell, ExitStack() as started:

        def start(folder: Path) -> WholeService:
            service = WholeService(folder, variables, doorbell)
            started.callback(service.close)
            return service

        yield start
