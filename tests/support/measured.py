"""What reading something hostile costs: memory above that of a small process, and bytes read.

Each reading happens in a fork of that process, so that nothing read before it counts.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import ThreadwiseError
from ingest import strict_json
from ingest.errors import RefusedError
from ingest.sources.archive import opened

ROOT = Path(__file__).parents[2]
MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """How reading a file ended (empty for well) and each of its entries; KiB over base, bytes that were read."""

    code: str
    entries: dict[str, str]
    kib: int
    read: int


Measure = Callable[[Path], Reading]


@contextmanager
def measuring() -> Iterator[Measure]:
    """A function that reads a zip whole, or parses a file of JSON, and says what it took."""
    command = [sys.executable, "-m", "tests.support.measured"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        questions, answers = process.stdin, process.stdout

        def measure(place: Path) -> Reading:
            print(place, file=questions, flush=True)
            return Reading(**json.loads(answers.readline()))

        yield measure


def _status(name: str, place: str = "status") -> int:
    lines = Path(f"/proc/self/{place}").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _measured(place: Path) -> Reading:
    base, read = _status("VmRSS"), _status("rchar", "io")
    code, entries = "", {}
    try:
        if place.suffix == ".json":
            strict_json.parse(place.read_bytes())
        else:
            entries = read_whole(place)
    except ThreadwiseError as error:
        code = error.code
    return Reading(code, entries, _status("VmHWM") - base, _status("rchar", "io") - read)


def read_whole(place: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, str]:
    """How reading each entry of a zip ends: a code, empty where it can be read."""
    codes = {}
    with opened(place, max_bytes) as archive:
        for name in archive.names():
            try:
                archive.read(name)
                codes[name] = ""
            except RefusedError as error:
                codes[name] = error.code
    return codes


def _serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            reading = _measured(Path(line.rstrip("\n")))
            shape = {name: getattr(reading, name) for name in Reading.__slots__}
            print(json.dumps(shape), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _serve()
