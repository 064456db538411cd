"""Parsing in a process of its own, so that a hostile file costs nobody more than itself."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from ingest.errors import RefusedError
from ingest.formats.child import OUT_OF_MEMORY
from ingest.formats.parsed import (
    Parsed,
    ParserMemoryError,
    ParserTimeoutError,
    ParserUnavailableError,
    SandboxError,
    UnreadableDocumentError,
)
from ingest.formats.wire import ANSWER_BYTES, REPORT, receive, send, unpacked
from ingest.markup import one_line

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
GRACE_SECONDS = 2.0
# One thread of NumPy's own takes tens of megabytes of address space; a fixed seed keeps what is read twice alike.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
ENDINGS: dict[int, type[SandboxError]] = {
    OUT_OF_MEMORY: ParserMemoryError,
    -signal.SIGKILL: ParserMemoryError,  # not by this process: the kernel had none left
    -signal.SIGXCPU: ParserTimeoutError,
}


class Sandbox:
    """One child process, started when first needed and anew after it ended, and a copy of it for each file.

    The copy has ended before the next one starts; the child itself reads nothing. Threads take turns, and the child
    ends with the thread that started it (which is how Linux watches over a parent): that one has to be the last.

    `modules` are the parsers' modules, `parse_seconds` what one file may take on the wall clock, and
    `parse_memory_mb` what it may add to the memory of the child.
    """

    def __init__(self, modules: Sequence[str], *, parse_seconds: float, parse_memory_mb: int) -> None:
        self._modules = tuple(modules)
        self._seconds = parse_seconds
        self._memory_mb = parse_memory_mb
        self._child: _Child | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, None where none runs."""
        return self._child.process.pid if self._child else None

    def parse(self, module: str, raw: bytes, name: str) -> list[Parsed]:
        """What that module's parser makes of the bytes; raises a RefusedError for what goes wrong with it.

        Raises ParserUnavailableError where no child or no copy can be started: that says nothing about the file.
        """
        header = json.dumps({"module": module, "name": name[-1000:]}).encode()
        with self._turn:
            try:
                child = self._running()
                copy = child.copied()
            except (OSError, EOFError) as error:
                self._end()
                raise ParserUnavailableError(
                    "No process that reads documents can be started.", hint="Check the machine's memory and limits."
                ) from error
            return _understood(self._exchange(child, copy, header, raw))

    def close(self) -> None:
        """End the child. Another one starts where it is needed again."""
        with self._turn:
            self._end()

    def _running(self) -> "_Child":
        if self._child is not None and self._child.is_ready():
            return self._child
        self._end()
        with contextlib.ExitStack() as unless_ready:
            unless_ready.callback(self._end)
            self._child = self._started()
            self._child.report(START_SECONDS)
            unless_ready.pop_all()
        return self._child

    def _started(self) -> "_Child":
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)  # a report arrives whole
        with theirs, contextlib.ExitStack() as unless_started:
            unless_started.callback(ours.close)
            process = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of our own
                [
                    *(sys.executable, "-m", "ingest.formats.child"),
                    *(str(os.getpid()), str(self._seconds), str(self._memory_mb), *self._modules),
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what a parser prints may be the document's text
                cwd=ROOT,
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C is meant for whoever reads the source
            )
            unless_started.pop_all()
        return _Child(process, ours)

    def _exchange(self, child: "_Child", copy: "_Copy", *frames: bytes) -> bytes:
        """Send a copy its file and wait for its answer; it has ended afterwards, whatever it did."""
        expired = threading.Event()
        answer: bytes | None = None
        try:
            with _killed_after(self._seconds, copy, expired), contextlib.suppress(OSError, EOFError, ValueError):
                answer = copy.exchange(*frames)
        finally:
            copy.connection.close()
            # One that has answered is of no more use. Of another it matters how it ends.
            status = self._ended(child, copy, GRACE_SECONDS if answer is None else 0)
        if answer is None:
            raise _failure(status, expired=expired.is_set())
        return answer

    def _ended(self, child: "_Child", copy: "_Copy", seconds: float) -> int | None:
        """The exit status of a copy, None where it does not end by itself; without a word of it the child ends, too."""
        with contextlib.suppress(OSError, EOFError):
            return child.report(seconds)
        copy.kill()
        try:
            child.report(GRACE_SECONDS)
        except (OSError, EOFError):
            self._end()
        return None

    def _end(self) -> None:
        """Reap the child."""
        child, self._child = self._child, None
        if child is None:
            return
        child.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=GRACE_SECONDS)
            return
        child.process.kill()
        child.process.wait()


@dataclass(frozen=True, slots=True)
class _Copy:
    """A process for one file, and a connection that nobody else has the other end of."""

    pid: int
    connection: socket.socket

    def exchange(self, *frames: bytes) -> bytes:
        """Its answer; raises OSError, EOFError or ValueError where it gives none."""
        with self.connection.makefile("wb") as requests:
            send(requests, *frames)
        # Without a buffer, which would take all at once what the answer says that it is long.
        with self.connection.makefile("rb", buffering=0) as answers:
            return receive(cast("BinaryIO", answers), ANSWER_BYTES)

    def kill(self) -> None:
        """End it and whoever waits for its answer. The child has not reaped it yet, or did so just now."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class _Child:
    """The process that holds the parsers; what it says can be believed, since it sees no file."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    def is_ready(self) -> bool:
        """Whether it lives and owes no report that would be taken for the next."""
        try:
            self.control.settimeout(0)
            self.control.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return self.process.poll() is None
        except OSError:
            return False
        return False

    def report(self, seconds: float) -> int:
        """The next number that it says; raises OSError where none comes in time and EOFError where it has ended."""
        self.control.settimeout(seconds)
        if len(report := self.control.recv(REPORT.size)) != REPORT.size:
            raise EOFError
        (number,) = REPORT.unpack(report)
        return int(number)

    def copied(self) -> _Copy:
        """A copy of it that waits for a file; raises OSError or EOFError."""
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as unless_copied:
            unless_copied.callback(ours.close)
            self.control.settimeout(START_SECONDS)
            socket.send_fds(self.control, [b"\0"], [theirs.fileno()])
            copy = _Copy(self.report(START_SECONDS), ours)
            unless_copied.pop_all()
        return copy


@contextlib.contextmanager
def _killed_after(seconds: float, copy: _Copy, expired: threading.Event) -> Iterator[None]:
    def end() -> None:
        expired.set()
        copy.kill()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _failure(status: int | None, *, expired: bool) -> SandboxError:
    kind = ParserTimeoutError if expired else ENDINGS.get(status or 0, SandboxError)
    if kind is ParserTimeoutError:
        return kind("Reading it took too long.", hint="Split the file, or raise ingest.parse_seconds.")
    if kind is ParserMemoryError:
        return kind("Reading it took too much memory.", hint="Split the file, or raise ingest.parse_memory_mb.")
    return kind("The process that read it ended.", hint="Open the file, save it anew, and try again.")


def _understood(answer: bytes) -> list[Parsed]:
    try:
        told: Any = json.loads(answer)
        if "documents" in told:
            return unpacked(told["documents"])
        code, message, error = (str(told.get(name, "")) for name in ("code", "message", "error"))
    except (ValueError, TypeError, AttributeError, RecursionError) as failure:
        raise SandboxError("The process that read it gave an answer that is none.") from failure
    if code:
        raise _refusals().get(code, UnreadableDocumentError)(one_line(message, 300))
    raise UnreadableDocumentError(
        f"It cannot be read ({one_line(error, 100)}).", hint="Open the file, save it anew, and try again."
    )


def _refusals() -> dict[str, type[RefusedError]]:
    """Every refusal that this process knows, by code."""
    kinds: list[type[RefusedError]] = [RefusedError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return {kind.code: kind for kind in kinds}
