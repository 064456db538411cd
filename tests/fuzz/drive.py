"""Runs the fuzzing targets of this folder under Atheris, each in a process of its own.

    .venv/bin/python tests/fuzz/drive.py [TARGET ...] [--seconds 60 | --runs 1000000]
    .venv/bin/python tests/fuzz/drive.py TARGET --repeat BASE64

Nothing may come out of a target but what it allows; an input may cost a second of processor time and 512 MB. What was
found lies below .fuzz/ and is printed with the command that repeats it without Atheris. The corpus is kept there too,
so that the next run begins where this one ended, and `log`, what a target says while it runs. The exit status is 1
where anything was found.
"""

import argparse
import base64
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

NAMES = ("export", "json", "mrkdwn", "html", "cleaner")
AT_ONCE = 2
MAX_MB = 512
MAX_SECONDS = 1.0
# Seconds of the clock, on a machine that does other things too: what never ends is ended by them.
GIVE_UP_SECONDS = 20
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
SLOWEST = "slowest input, seconds:"
TOLD = 40  # lines of what a target said
# Code that is traced loses a kilobyte with an input: a process ends before that looks like the memory of one.
RUNS_AT_ONCE = 200_000


class Target(Protocol):
    """What a module of a target holds."""

    MAX_BYTES: int
    WORDS: Sequence[bytes]

    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with."""

    def one_input(self, data: bytes) -> None:
        """Raises what must never happen."""


class TooSlowError(Exception):
    """An input took longer than any may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one target: what libFuzzer counted, and the files of inputs that broke it."""

    name: str
    status: int
    executions: int
    seconds: float
    peak_mb: int
    slowest: float
    said: str
    found: tuple[Path, ...]

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than by having done what was asked."""
        return bool(self.status or self.found or not self.executions)


def target_of(name: str) -> Target:
    """The module of a target."""
    return cast("Target", import_module(f"tests.fuzz.fuzz_{name}"))


def timed(one_input: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same function, which also raises `TooSlowError` and says how long its slowest input took."""
    slowest = 0.0

    def watched(data: bytes) -> None:
        nonlocal slowest
        began = time.thread_time()
        one_input(data)
        spent = time.thread_time() - began
        if spent > 1.2 * slowest:
            slowest = spent
            print(SLOWEST, f"{spent:.4f}", file=sys.stderr, flush=True)
        if spent > MAX_SECONDS:
            raise TooSlowError(f"{spent:.2f} s for {len(data)} bytes")

    return watched


def fuzz(name: str, folder: Path, limit: str) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris  # noqa: PLC0415 - a library for Linux and macOS alone, and nothing but fuzzing needs it

    with atheris.instrument_imports(include=["ingest"]):
        target = target_of(name)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{escaped(word)}"\n' for word in target.WORDS), encoding="ascii")
    sizes = (f"-max_len={target.MAX_BYTES}", f"-rss_limit_mb={MAX_MB}")
    times = (f"-timeout={GIVE_UP_SECONDS}", f"-report_slow_units={GIVE_UP_SECONDS}", "-print_final_stats=1")
    places = (f"-dict={words}", f"-artifact_prefix={folder}/")
    atheris.Setup([name, *sizes, *times, *places, limit, str(corpus)], timed(target.one_input))
    atheris.Fuzz()


def escaped(word: bytes) -> str:
    """A word as libFuzzer's dictionaries write it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def outcome_of(name: str, folder: Path, limit: str) -> Outcome:
    """Fuzz one target in a process of its own, and read what it said."""
    before = set(folder.glob("*-*"))
    began = time.monotonic()
    command = [sys.executable, __file__, name, "--child", str(folder), f"--limit={limit}"]
    log = folder / "log"
    with tempfile.TemporaryDirectory(dir=memory_folder()) as scratch, log.open("wb") as told:
        environment = ENVIRONMENT | {"TMPDIR": scratch}
        child = subprocess.run(command, cwd=ROOT, env=environment, stdout=told, stderr=told, check=False)
    said = log.read_text(errors="replace")
    return Outcome(
        name=name,
        status=child.returncode,
        executions=counted(said, "number_of_executed_units"),
        seconds=time.monotonic() - began,
        peak_mb=counted(said, "peak_rss_mb"),
        slowest=max(map(float, re.findall(rf"{SLOWEST} ([0-9.]+)", said)), default=0.0),
        said=said,
        found=tuple(sorted({*folder.glob("*-*")} - before)),
    )


def outcome_of_all(name: str, folder: Path, rounds: Iterable[str]) -> Outcome:
    """Fuzz one target again and again, each time under one limit, until something is found; as if it were one time."""
    outcomes: list[Outcome] = []
    for limit in rounds:
        outcomes.append(outcome_of(name, folder, limit))
        if outcomes[-1].failed:
            break
    return replace(
        outcomes[-1],
        executions=sum(one.executions for one in outcomes),
        seconds=sum(one.seconds for one in outcomes),
        peak_mb=max(one.peak_mb for one in outcomes),
        slowest=max(one.slowest for one in outcomes),
    )


def memory_folder() -> Path | None:
    """A folder in memory for files that are written thousands of times a second, None where there is none."""
    shared = Path("/dev/shm")  # noqa: S108 - what is written there gets a folder of its own
    return shared if shared.is_dir() else None


def counted(said: str, name: str) -> int:
    """One of libFuzzer's final figures, 0 where it did not come so far."""
    found = re.search(rf"stat::{name}:\s+(\d+)", said)
    return int(found[1]) if found else 0


def report(outcomes: Iterable[Outcome]) -> str:
    """A line for each target."""
    lines = [f"{'target':<9}{'executions':>12}{'per second':>12}{'peak MB':>9}{'slowest ms':>12}  "]
    for one in outcomes:
        rate = one.executions / one.seconds
        figures = f"{one.executions:12,}{rate:12,.0f}{one.peak_mb:9}{1000 * one.slowest:12.1f}"
        lines.append(f"{one.name:<9}{figures}  {'FAILED' if one.failed else 'ok'}")
    return "\n".join(lines)


def explain(outcome: Outcome) -> str:
    """What a target that failed said last, and how to have it again."""
    _, uncaught, told = outcome.said.partition("=== Uncaught Python exception")
    last = told.strip(": =\n").splitlines()[:TOLD] if uncaught else outcome.said.splitlines()[-TOLD:]
    lines = [f"== {outcome.name}, exit status {outcome.status}", *last]
    for place in outcome.found:
        code = base64.b64encode(place.read_bytes()).decode()
        lines += [str(place), f"  .venv/bin/python tests/fuzz/drive.py {outcome.name} --repeat {code}"]
    return "\n".join(lines)


def run(names: Sequence[str], folder: Path, rounds: Sequence[str]) -> int:
    """Fuzz the targets, two at a time; print what was found and the table, and give the exit status."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(lambda name: outcome_of_all(name, folder / name, rounds), names))
    for outcome in outcomes:
        if outcome.failed:
            print(explain(outcome), end="\n\n")
    print(report(outcomes))
    return int(any(outcome.failed for outcome in outcomes))


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, or repeat one input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*NAMES, []], metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    parser.add_argument("--runs", type=int, help="executions of each target, however long they take")
    parser.add_argument("--folder", type=Path, default=ROOT / ".fuzz")
    parser.add_argument("--repeat", metavar="BASE64", help="run one input of one target")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--limit", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    names: Sequence[str] = options.targets or NAMES
    if options.child:
        fuzz(names[0], options.child, options.limit)
    if options.repeat is not None:
        timed(target_of(names[0]).one_input)(base64.b64decode(options.repeat))
        return 0
    pieces = [min(RUNS_AT_ONCE, options.runs - done) for done in range(0, options.runs or 0, RUNS_AT_ONCE)]
    rounds = [f"-runs={piece}" for piece in pieces] or [f"-max_total_time={options.seconds}"]
    return run(names, options.folder, rounds)


if __name__ == "__main__":
    sys.exit(main())
