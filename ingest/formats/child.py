"""The process that parses what may be hostile: `python -m ingest.formats.child PARENT SECONDS MEGABYTES MODULE...`.

It loads every parser, gives up every right and resource that parsing does not need, and then answers requests on its
standard input until that ends. What it answers is data; whoever asked trusts nothing of it.
"""

import codecs
import contextlib
import ctypes
import gc
import json
import math
import os
import pkgutil
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from encodings import __path__ as encodings_path
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from ingest.errors import RefusedError
from ingest.formats.parsed import DocumentTooLargeError, Parser
from ingest.formats.wire import ANSWER_BYTES, HEADER_BYTES, packed, receive, send
from ingest.markup import one_line

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
CAPABILITY_VERSION = 0x20080522
NOBODY = 65534
OUT_OF_MEMORY = 3
"""The exit status where memory ran out: what is left cannot be relied upon."""


def main(arguments: Sequence[str]) -> None:
    """Serve requests until standard input ends."""
    parent, seconds, megabytes = int(arguments[0]), float(arguments[1]), int(arguments[2])
    requests, answers = _streams()
    parsers: dict[str, Parser] = {name: import_module(name).parse for name in arguments[3:]}
    _load_encodings()
    gc.collect()
    gc.freeze()
    _confine(parent, megabytes)
    send(answers, b"{}")
    with contextlib.suppress(EOFError):
        while True:
            header = json.loads(receive(requests, HEADER_BYTES))
            _allow(seconds)
            send(answers, _answer(parsers[header["module"]], receive(requests, sys.maxsize), header["name"]))


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Both ways to whoever asks, out of reach of a parser that reads standard input or prints."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.dup2(2, 0)
    return requests, answers


def _load_encodings() -> None:
    """Python loads an encoding from its file on first use; soon no file can be opened any more."""
    for module in pkgutil.iter_modules(encodings_path):
        with contextlib.suppress(LookupError, ImportError):
            codecs.lookup(module.name)


def _confine(parent: int, megabytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    os.chdir("/")
    # Each of these only adds to the limits below: a container or a kernel may forbid it.
    offline = libc.unshare(CLONE_NEWNET) == 0
    _become_nobody()
    if not offline:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)())
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    # Last of its kind: the kernel forgets this signal when rights are given up.
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit()
    memory = pages * resource.getpagesize() + megabytes * 1024 * 1024
    for limit, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),  # no file and no socket can be opened; what is open stays
    ):
        resource.setrlimit(limit, (most, most))


def _become_nobody() -> None:
    """Root may fork and raise limits whatever they are."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)


def _allow(seconds: float) -> None:
    """Processor time for one document. The parent's clock is stricter; this holds where there is no parent any more."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(usage.ru_utime + usage.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(parser: Parser, raw: bytes, name: str) -> bytes:
    try:
        answer = b'{"documents":%b}' % packed(parser(raw, name))
        if len(answer) > ANSWER_BYTES:
            raise DocumentTooLargeError(f"Its text takes {len(answer)} bytes, more than the {ANSWER_BYTES} allowed.")  # noqa: TRY301 - answered like every other refusal
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except RefusedError as error:
        return _json({"code": error.code, "message": one_line(error.message, 300)})
    except Exception as error:  # noqa: BLE001 - whatever a parser raises says that it cannot read this file
        return _json({"error": type(error).__name__[:100]})
    return answer


def _json(answer: Mapping[str, str]) -> bytes:
    return json.dumps(answer).encode()


if __name__ == "__main__":
    main(sys.argv[1:])
