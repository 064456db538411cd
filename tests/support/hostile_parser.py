"""A parser that does what a taken-over one might: the name of the file says what."""

import ctypes
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from core.words import Block
from ingest.formats.parsed import EncryptedDocumentError, Parsed
from ingest.formats.wire import packed, send

CANARY = "the text of a document that nobody may log"
FORGED = b'{"documents":%b}' % packed([Parsed(blocks=())])
PTRACE_ATTACH = 16
_kept: list[object] = []


def parse(raw: bytes, name: str) -> list[Parsed]:
    """Obey the file's name."""
    return [Parsed(blocks=(Block(text=_DEEDS[name](raw)),))]


def _loop(_: bytes) -> NoReturn:
    while True:
        pass


def _sleep(_: bytes) -> str:
    time.sleep(3600)
    return ""


def _hog(_: bytes) -> NoReturn:
    while True:
        _kept.append(bytearray(1 << 24))


def _crash(_: bytes) -> str:
    ctypes.string_at(0)
    return ""


def _recurse(raw: bytes) -> str:
    return _recurse(raw) + "x"


def _fail(_: bytes) -> NoReturn:
    raise KeyError(CANARY)


def _locked(_: bytes) -> NoReturn:
    raise EncryptedDocumentError("It opens with a password only.")


def _attempt(deed: Callable[[], object]) -> str:
    try:
        deed()
    except OSError as error:
        return str(error.errno)
    return "done"


def _trace(pid: int) -> None:
    ctypes.set_errno(0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_ATTACH, pid, 0, 0) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


def _fork() -> None:
    if os.fork() == 0:
        time.sleep(3600)  # and holds on to whatever is open


def _raise_limits(_: bytes) -> str:
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        try:
            resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, OSError):
            continue
        return "raised"
    return "refused"


def _lie(_: bytes) -> str:
    """Answer in the place of whoever asked for this."""
    for number in range(3, 10):
        with suppress(OSError):
            send(os.fdopen(number, "wb", closefd=False), b'{"documents": [{"blocks": [[1]]}]}')
    return ""


def _linger(raw: bytes) -> str:
    """Answer, and stay."""
    for number in range(3, 10):
        with suppress(OSError):
            send(os.fdopen(number, "wb", closefd=False), FORGED)
    return _sleep(raw)


def _poison(_: bytes) -> str:
    """Change what would be said of every later file."""
    _DEEDS["echo"] = lambda _: CANARY
    vars(sys.modules["__main__"])["_answer"] = lambda *_: FORGED
    return "poisoned"


def _print(_: bytes) -> str:
    print(CANARY, flush=True)
    os.write(1, CANARY.encode())
    return f"printed {len(sys.stdin.read())}"


_DEEDS: dict[str, Callable[[bytes], str]] = {
    "echo": lambda raw: raw.decode(),
    "loop": _loop,
    "sleep": _sleep,
    "hog": _hog,
    "crash": _crash,
    "recurse": _recurse,
    "fail": _fail,
    "locked": _locked,
    "exit": lambda _: os._exit(0),
    "print": _print,
    "open": lambda _: _attempt(lambda: Path("/etc/passwd").read_text()),
    "write": lambda _: _attempt(lambda: os.open("escaped", os.O_CREAT | os.O_WRONLY)),  # it must fail
    "socket": lambda _: _attempt(socket.socket),
    "name a file": lambda _: _attempt(lambda: Path("/etc/passwd").stat()),
    "signal the parent": lambda _: _attempt(lambda: os.kill(os.getppid(), signal.SIGKILL)),
    "limit the parent": lambda _: _attempt(
        lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, resource.RLIM_INFINITY))
    ),
    "read the parent": lambda _: _attempt(lambda: _trace(os.getppid())),
    "fork": lambda _: _attempt(_fork),
    "environment": lambda _: ",".join(sorted(os.environ)),
    "folder": lambda _: str(Path.cwd()),
    "long": lambda _: "\x01" * (23 << 20),
    "raise limits": _raise_limits,
    "lie": _lie,
    "pid": lambda _: str(os.getpid()),
    "linger": _linger,
    "poison": _poison,
}
