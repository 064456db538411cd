"""The process that holds the parsers: `python -m ingest.formats.child PARENT SECONDS MEGABYTES MODULE...`.

It loads every parser, gives up every right that parsing does not need, and forks a copy of itself for each file. It
passes the copy a connection and never sees what crosses it: a file can take over its own copy and nothing else. What a
copy answers is data; whoever asked trusts nothing of it.
"""

import codecs
import contextlib
import gc
import json
import os
import pkgutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from encodings import __path__ as encodings_path
from importlib import import_module

from ingest.errors import RefusedError
from ingest.formats.parsed import DocumentTooLargeError, Parser
from ingest.formats.rights import Libc, confine, die_with, filter_program, limit, memory_in_use
from ingest.formats.wire import ANSWER_BYTES, HEADER_BYTES, REPORT, packed, receive, send
from ingest.markup import one_line

OUT_OF_MEMORY = 3
"""The exit status where memory ran out: what is left cannot be relied upon."""


@dataclass(frozen=True, slots=True)
class _Copies:
    """What every copy of this process works with and under."""

    parsers: Mapping[str, Parser]
    parent: int
    memory: int
    seconds: float
    libc: Libc
    program: bytes

    def fork(self, control: socket.socket, connection: int) -> int:
        """A copy's process id; the copy itself never comes back."""
        if pid := os.fork():
            return pid
        try:
            os.dup2(connection, control.fileno())  # so that it has its own connection and no other
            os.close(connection)
            self._answer_once(control.fileno())
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except BaseException:  # noqa: BLE001 - whatever happens in a copy ends that copy
            os._exit(1)
        os._exit(0)

    def _answer_once(self, connection: int) -> None:
        with os.fdopen(connection, "rb", closefd=False) as requests, os.fdopen(connection, "wb") as answers:
            die_with(self.parent, self.libc)
            limit(memory=self.memory, seconds=self.seconds)
            if self.program:
                self.libc.filter(self.program)
            header = json.loads(receive(requests, HEADER_BYTES))
            send(answers, _answer(self.parsers[header["module"]], receive(requests, sys.maxsize), header["name"]))


def main(arguments: Sequence[str]) -> None:
    """Fork a copy for each connection that comes, until nobody is left to send one."""
    parent, seconds, megabytes = int(arguments[0]), float(arguments[1]), int(arguments[2])
    control = _control()
    parsers: dict[str, Parser] = {name: import_module(name).parse for name in arguments[3:]}
    _load_encodings()
    memory, libc = memory_in_use() + megabytes * 1024 * 1024, Libc()
    confine(libc)
    die_with(parent, libc)
    copies = _Copies(parsers, os.getpid(), memory, seconds, libc, filter_program())
    gc.collect()
    gc.freeze()
    control.send(REPORT.pack(os.getpid()))
    while connections := socket.recv_fds(control, 1, 1)[1]:
        pid = copies.fork(control, connections[0])
        os.close(connections[0])
        control.send(REPORT.pack(pid))
        control.send(REPORT.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _control() -> socket.socket:
    """The way to whoever asks, out of reach of a parser that reads standard input or prints."""
    control = socket.socket(fileno=os.dup(0))
    os.dup2(2, 1)
    os.dup2(2, 0)
    return control


def _load_encodings() -> None:
    """Python loads an encoding from its file on first use; soon no file can be opened any more."""
    for module in pkgutil.iter_modules(encodings_path):
        with contextlib.suppress(LookupError, ImportError):
            codecs.lookup(module.name)


def _answer(parser: Parser, raw: bytes, name: str) -> bytes:
    try:
        answer = b'{"documents":%b}' % packed(parser(raw, name))
        if len(answer) > ANSWER_BYTES:
            raise DocumentTooLargeError(f"Its text takes {len(answer)} bytes, more than the {ANSWER_BYTES} allowed.")  # noqa: TRY301 - answered like every other refusal
    except MemoryError:
        raise
    except RefusedError as error:
        return _json({"code": error.code, "message": one_line(error.message, 300)})
    except Exception as error:  # noqa: BLE001 - whatever a parser raises says that it cannot read this file
        return _json({"error": type(error).__name__[:100]})
    return answer


def _json(answer: Mapping[str, str]) -> bytes:
    return json.dumps(answer).encode()


if __name__ == "__main__":
    main(sys.argv[1:])
