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
from ingest.formats.wire import ANSWER_BYTES, receive, send, unpacked
from ingest.markup import one_line

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
GRACE_SECONDS = 0.5
# One thread of NumPy's own takes tens of megabytes of address space; a fixed seed keeps what is read twice alike.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
ENDINGS: dict[int, type[SandboxError]] = {
    OUT_OF_MEMORY: ParserMemoryError,
    -signal.SIGKILL: ParserMemoryError,  # not by this process: the kernel had none left
    -signal.SIGXCPU: ParserTimeoutError,
}


class Sandbox:
    """One child process, started when first needed and anew after it ended. Threads take turns.

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

        Raises ParserUnavailableError where no child can be started.
        """
        header = json.dumps({"module": module, "name": name[-1000:]}).encode()
        with self._turn:
            child = self._running()
            answer = self._exchange(child, self._seconds, header, raw)
            try:
                return _understood(answer)
            except SandboxError:
                self._end()
                raise

    def close(self) -> None:
        """End the child. Another one starts where it is needed again."""
        with self._turn:
            self._end()

    def _running(self) -> "_Child":
        if self._child is not None and self._child.is_ready():
            return self._child
        self._end()
        try:
            self._child = self._started()
            self._exchange(self._child, START_SECONDS)
        except (SandboxError, OSError) as error:
            raise ParserUnavailableError(
                "No process that reads documents can be started.", hint="Check the machine's memory and limits."
            ) from error
        return self._child

    def _started(self) -> "_Child":
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as unless_started:
            unless_started.callback(ours.close)
            process = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of our own
                [
                    *(sys.executable, "-m", "ingest.formats.child"),
                    *(str(os.getpid()), str(self._seconds), str(self._memory_mb), *self._modules),
                ],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,  # what a parser prints may be the document's text
                cwd=ROOT,
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C is meant for whoever reads the source
            )
            unless_started.pop_all()
        return _Child(process, ours)

    def _exchange(self, child: "_Child", seconds: float, *frames: bytes) -> bytes:
        """Send a request and wait for its answer; whatever goes wrong ends the child."""
        expired = threading.Event()
        answer: bytes | None = None
        try:
            with _killed_after(seconds, child, expired), contextlib.suppress(OSError, EOFError, ValueError):
                with child.connection.makefile("wb") as requests:
                    send(requests, *frames)
                # Without a buffer, so that what a child sends unasked is still there to be seen.
                with child.connection.makefile("rb", buffering=0) as answers:
                    answer = receive(cast("BinaryIO", answers), ANSWER_BYTES)
        finally:
            ended = self._end() if answer is None or expired.is_set() else None
        if answer is None:
            raise _failure(ended, expired=expired.is_set())
        return answer

    def _end(self) -> int | None:
        """Reap the child; its exit status where it had ended by itself."""
        child, self._child = self._child, None
        if child is None:
            return None
        child.connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.process.wait(timeout=GRACE_SECONDS)
        child.process.kill()
        child.process.wait()
        return None


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    connection: socket.socket

    def is_ready(self) -> bool:
        """Whether it lives and has said nothing unasked, which would be taken for the next answer."""
        try:
            self.connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return self.process.poll() is None
        except OSError:
            return False
        return False

    def kill(self) -> None:
        """End it and whoever waits for its answer, even where something else holds the other end open."""
        self.process.kill()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _killed_after(seconds: float, child: _Child, expired: threading.Event) -> Iterator[None]:
    def end() -> None:
        expired.set()
        child.kill()

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
