"""The processes of one machine's service: started in order, restarted when they die, stopped together.

A child belongs to a process group of its own, so that what it started can be ended with it, and dies with its
supervisor (`api.tether`). Whoever runs a `Supervisor` does so in one thread from start to end: the kernel ties
children to the thread that started them.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

from api.tether import tethered
from core.errors import ThreadwiseError

WATCH_SECONDS = 0.1
ONE_WISH_SECONDS = 0.5

ChildState = Literal["started", "ready", "died", "stopped", "killed"]


class ChildFailedError(ThreadwiseError):
    """A process that the service needs does not start."""

    code = "child_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One process. `ready` says whether it does its work yet; without it, a process that runs is ready.

    `env` comes on top of what the supervisor was given and is no place for secrets.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEvent:
    """Something happened to a child: `status` is its exit status where it ended, `again_in` when it is restarted."""

    name: str
    state: ChildState
    pid: int
    status: int = 0
    again_in: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a supervisor waits, in seconds."""

    first_restart: float = 0.2
    longest_restart: float = 10.0
    settled: float = 30.0  # a child that lived this long has not failed before
    ready: float = 60.0
    failures_before_ready: int = 5
    stop: float = 30.0


class _Child:
    """A process and its history."""

    def __init__(self, spec: ChildSpec, log: Path, echo: TextIO | None) -> None:
        self.spec = spec
        self.log = log
        self.echo = echo
        self.process: subprocess.Popen[str] | None = None
        self.started = 0.0
        self.failures = 0
        self.due = 0.0

    def start(self) -> int:
        command = tethered(self.spec.command, tuple(self.spec.env.items()), os.getpid())
        with _opened_log(self.log) as log:
            self.process = subprocess.Popen(  # noqa: S603 - commands of our own
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.echo else log,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,
            )
        self.started = time.monotonic()
        if self.echo:
            threading.Thread(target=_echo, args=(self.process, self.spec.name, self.echo), daemon=True).start()
        return self.process.pid

    def ended(self) -> int | None:
        """Its exit status once it has ended; what is left of its group is killed before its number can be reused."""
        process = self.process
        if process is None:
            return None
        if process.returncode is None:
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self.signal(signal.SIGKILL)
        return process.wait()

    def signal(self, number: signal.Signals) -> None:
        """To the process to end well, to its whole group to end at once."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                os.kill(self.process.pid, number)


class Supervisor:
    """Runs children until it is told to stop. `report` hears what happens to them, in the thread that runs."""

    def __init__(
        self,
        children: Sequence[ChildSpec],
        *,
        logs: Path,
        report: Callable[[ChildEvent], None],
        echo: TextIO | None = None,
        patience: Patience | None = None,
    ) -> None:
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        for spec in children:
            _put_aside(logs / f"{spec.name}.log")
        self._children = [_Child(spec, logs / f"{spec.name}.log", echo) for spec in children]
        self._report = report
        self._patience = patience or Patience()
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._asked = 0.0

    def run(self, on_up: Callable[[], None]) -> None:
        """Start every child, call `on_up` when all are ready, and keep them alive until `stop`.

        Raises `ChildFailedError` when one does not get ready; everything is stopped then.
        """
        try:
            for child in self._children:
                self._start(child)
                self._await_ready(child)
            if not self._stop.is_set():
                on_up()
            while not self._stop.wait(WATCH_SECONDS):
                self._look_after(self._children)
        finally:
            for child in reversed(self._children):
                self._end(child)

    def stop(self) -> None:
        """End `run` soon; told again later, at once. Safe inside a signal handler and from any thread."""
        now = time.monotonic()
        # Some who stop a process signal it and its group: that is one wish, not two.
        if self._stop.is_set() and now - self._asked > ONE_WISH_SECONDS:
            self._hurry.set()
        elif not self._stop.is_set():
            self._asked = now
        self._stop.set()

    @contextmanager
    def stopping_on_signals(self) -> Iterator[None]:
        """While inside, Ctrl-C, SIGTERM and a closed terminal call `stop`. Only in the main thread."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, lambda *_: self.stop()) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, child: _Child) -> None:
        pid = child.start()
        self._report(ChildEvent(name=child.spec.name, state="started", pid=pid))

    def _await_ready(self, child: _Child) -> None:
        deadline = time.monotonic() + self._patience.ready
        ready = child.spec.ready or (lambda: True)
        while not self._stop.is_set():
            self._look_after(self._children)
            if child.process is not None and ready():
                self._report(ChildEvent(name=child.spec.name, state="ready", pid=child.process.pid))
                return
            if time.monotonic() > deadline or child.failures >= self._patience.failures_before_ready:
                raise ChildFailedError(f"The {child.spec.name} does not start.", hint=f"See {child.log}.")
            self._stop.wait(WATCH_SECONDS)

    def _look_after(self, children: Sequence[_Child]) -> None:
        now = time.monotonic()
        for child in children:
            status = child.ended()
            if status is not None:
                self._bury(child, status, now)
            elif child.process is None and child.failures and child.due <= now:
                self._start(child)

    def _bury(self, child: _Child, status: int, now: float) -> None:
        wait = self._patience
        child.failures = 1 if now - child.started >= wait.settled else child.failures + 1
        pause = min(wait.longest_restart, wait.first_restart * 2 ** min(child.failures - 1, 16))
        pid = child.process.pid if child.process else 0
        child.process, child.due = None, now + pause
        self._report(ChildEvent(name=child.spec.name, state="died", pid=pid, status=status, again_in=pause))

    def _end(self, child: _Child) -> None:
        if child.process is None:
            return
        pid, deadline = child.process.pid, time.monotonic() + self._patience.stop
        state: ChildState = "stopped"
        child.signal(signal.SIGTERM)
        while (status := child.ended()) is None:
            if self._hurry.is_set() or time.monotonic() > deadline:
                child.signal(signal.SIGKILL)
                state = "killed"
            time.sleep(WATCH_SECONDS / 4)
        child.process = None
        self._report(ChildEvent(name=child.spec.name, state=state, pid=pid, status=status))


def _opened_log(path: Path) -> TextIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "a")


def _put_aside(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.replace(path.with_suffix(".log.1"))


def _echo(process: subprocess.Popen[str], name: str, stream: TextIO) -> None:
    for line in process.stdout or ():
        stream.write(f"{name:>8} | {line}")
        stream.flush()
