"""How fast Slack exports are read, inspected and planned with the embedder off, and their share of a whole run.

    [THREADWISE_EVAL_DATA=FOLDER] .venv/bin/python benchmarks/parsing.py [EXPORT ...] [--whole] [--profile] [--json]

Without an export, every zip of FOLDER/slack is read; without FOLDER, the demonstration's. Messages and megabytes of
unpacked JSON are for each second of processor time, the best of five rounds; seconds are also given by the clock, which
counts waiting for the disk and for whatever else the machine does.
`read` is the reader of exports alone, `inspected` adds the look for secrets and hidden characters, and `planned` is
everything before the first text is embedded: documents compared and stored. A whole run embeds as well, which takes
minutes for a large export: it is made of the smallest alone, or of all with `--whole`.
"""

import argparse
import cProfile
import json
import os
import pstats
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.blobs import BlobStore
from core.settings import IngestSettings, Settings
from core.words import OPEN_TO
from ingest.buried import Graves
from ingest.hygiene.inspection import inspect
from ingest.items import Found
from ingest.options import SourceOptions
from ingest.plan import Findings, examine
from ingest.sources.slack_export import SlackExport
from threadwise.runtime import Threadwise

DEMO = Path(__file__).parents[1] / "demo" / "slack-export"
ROUNDS = 5
HOT = 20
OPTIONS = SourceOptions(direct_messages=True)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of the process's processor time, and of the clock."""

    busy: float
    passed: float


def exports_at_hand() -> list[Path]:
    """The exports to read where none is named, the smallest first."""
    data = os.environ.get("THREADWISE_EVAL_DATA")
    found = sorted((Path(data) / "slack").glob("*.zip"), key=lambda place: place.stat().st_size) if data else []
    if not found:
        print("THREADWISE_EVAL_DATA is not set: the demonstration's export alone")
    return found or [DEMO]


def best(steps: Mapping[str, Callable[[], object]]) -> dict[str, Spent]:
    """The least that each step takes; rounds alternate, so that a busy machine slows all of them."""
    rounds = [{name: once(step) for name, step in steps.items()} for _ in range(ROUNDS)]
    return {
        name: Spent(min(one[name].busy for one in rounds), min(one[name].passed for one in rounds)) for name in steps
    }


def once(action: Callable[[], object]) -> Spent:
    """What one round takes."""
    busy, passed = time.process_time(), time.perf_counter()
    action()
    return Spent(time.process_time() - busy, time.perf_counter() - passed)


def opened(place: Path) -> SlackExport:
    """The export, with everything in it allowed."""
    return SlackExport(place, name="bench", settings=IngestSettings(), options=OPTIONS)


def read(place: Path) -> tuple[int, int]:
    """Read everything: how many messages were accounted for, and how many documents they make."""
    items = list(opened(place).read())
    return sum(len(item.entries) for item in items), sum(isinstance(item, Found) for item in items)


def read_and_inspect(place: Path) -> None:
    """Read everything, and look at each document as a run does before it is stored."""
    for item in opened(place).read():
        if isinstance(item, Found):
            inspect(item.document, OPTIONS)


def plan(place: Path, folder: str) -> None:
    """Everything a run does before the first text is embedded, for a catalogue that knows nothing yet."""
    findings = Findings({}, OPEN_TO, graves=Graves(), options=OPTIONS)
    examine(opened(place), findings, BlobStore(Path(tempfile.mkdtemp(dir=folder))))


def whole(place: Path) -> Spent:
    """What a whole run takes with the bundled embedder."""
    with tempfile.TemporaryDirectory() as folder, Threadwise(Settings(data_dir=Path(folder))) as threadwise:
        threadwise.embedder.embed_documents(["warm"])
        return once(lambda: threadwise.ingest(place, name="bench", options={"direct_messages": True}))


def size_of(place: Path) -> int:
    """Bytes of the export, unpacked."""
    if place.is_dir():
        return sum(file.stat().st_size for file in place.rglob("*.json"))
    with zipfile.ZipFile(place) as archive:
        return sum(info.file_size for info in archive.infolist())


def measure(place: Path, *, complete: bool) -> dict[str, object]:
    """Every figure of one export, by name."""
    messages, documents = read(place)
    size = size_of(place)
    figures: dict[str, object] = {
        "export": place.stem,
        "messages": messages,
        "documents": documents,
        "megabytes": round(size / 1e6, 2),
    }
    with tempfile.TemporaryDirectory() as folder:
        spent = best(
            {
                "read": lambda: read(place),
                "inspected": lambda: read_and_inspect(place),
                "planned": lambda: plan(place, folder),
            }
        )
    for name, seconds in spent.items():
        figures |= {
            f"{name}_seconds": round(seconds.passed, 3),
            f"{name}_busy_seconds": round(seconds.busy, 3),
            f"{name}_messages_per_second": round(messages / seconds.busy),
            f"{name}_megabytes_per_second": round(size / 1e6 / seconds.busy, 1),
        }
    figures["inspection_over_reading"] = round(spent["inspected"].busy / spent["read"].busy - 1, 3)
    if complete:
        run = whole(place)
        figures |= {
            "whole_seconds": round(run.passed, 2),
            "whole_busy_seconds": round(run.busy, 2),
            "planned_over_whole": round(spent["planned"].passed / run.passed, 4),
            "planned_over_whole_busy": round(spent["planned"].busy / run.busy, 4),
        }
    return figures


def profile(place: Path) -> None:
    """Where reading spends its time: the functions by what they take themselves."""
    profiler = cProfile.Profile()
    profiler.runcall(read_and_inspect, place)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(HOT)


def show(figures: Sequence[dict[str, object]]) -> None:
    """A block for each export."""
    for one in figures:
        print("\n".join(f"{name:<32} {value}" for name, value in one.items()), end="\n\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", nargs="*", type=Path)
    parser.add_argument("--whole", action="store_true", help="a whole run of every export")
    parser.add_argument("--profile", action="store_true", help="print what takes the time, of the last export")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    places: list[Path] = options.exports or exports_at_hand()
    if options.profile:
        profile(places[-1])
        return
    figures = [measure(place, complete=options.whole or place == places[0]) for place in places]
    if options.json:
        print(json.dumps(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()
