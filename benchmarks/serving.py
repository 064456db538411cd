"""A running service under work: an export is uploaded while somebody asks every two seconds.

    .venv/bin/python benchmarks/serving.py [SLACK_EXPORT.zip] [--quiet] [--json]

Starts `threadwise up` on an empty folder, uploads the archive over REST, follows the run's events and asks a question
every two seconds until the run has ended. Prints chunks per second of the run divided by those of the bare embedder
(the same texts, one session for each of the worker's threads, afterwards on the idle machine), the times to the first
quote and the first token, how many questions were answered, and the proportional set size (PSS) of all processes.
Questions come before ingestion: with --quiet nobody asks. Without an archive the demonstration's export is used, whose
run is too short to say much.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.ingestion import bare_rate, texts_of
from core.settings import Settings
from threadwise.runtime import Threadwise

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "demo" / "slack-export"
EVERY_SECONDS = 2.0
QUESTIONS = (
    "How do I install it on my laptop?",
    "When is the next meeting?",
    "Where can I find the slides?",
    "How do I fix the error when building?",
    "Who can help me with my pull request?",
)


@dataclass
class Asked:
    """What became of the questions; times in milliseconds as the service says."""

    statuses: list[str] = field(default_factory=list)
    first_text: list[float] = field(default_factory=list)
    first_token: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@contextmanager
def service(folder: Path) -> Iterator[tuple[httpx.Client, int]]:
    """A ready service on the folder and the process id of its supervisor."""
    environment = os.environ | {"THREADWISE_DATA_DIR": str(folder), "THREADWISE_API__PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "up"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        card = folder / "up.json"
        while not card.exists():
            time.sleep(0.1)
        address = json.loads(card.read_text())
        headers = {"Authorization": f"Bearer {address['key']}"}
        with httpx.Client(base_url=address["url"], headers=headers, timeout=120, trust_env=False) as client:
            while not _is_ready(client):
                time.sleep(0.1)
            yield client, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def pss_mb(root: int) -> dict[str, float]:
    """PSS in MiB of a process and everything below it, by what was started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = {}, [root]
    while todo:
        pid = todo.pop()
        todo += children.get(pid, [])
        name = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        found[f"{pid} {name[-40:]}"] = _pss(pid)
    return found


def _pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def ask_on(client: httpx.Client, ended: threading.Event, asked: Asked) -> None:
    """One question every two seconds until the run has ended."""
    number = 0
    while not ended.wait(EVERY_SECONDS):
        question = QUESTIONS[number % len(QUESTIONS)]
        response = client.post("/v1/ask", json={"question": question, "as": _reader(client)})
        number += 1
        body = response.json()
        if response.is_success:
            asked.statuses.append(body["status"])
            asked.first_text.append(body["first_text_ms"])
            if body["first_token_ms"] is not None:
                asked.first_token.append(body["first_token_ms"])
        elif body.get("code") != "nothing_ingested":
            asked.failed.append(f"{response.status_code} {body.get('code')}")


def _reader(client: httpx.Client) -> str:
    """The workspace of the export, as soon as it is known: its members read the public channels."""
    known = [source["workspace"] for source in client.get("/v1/sources").json()["sources"] if source["workspace"]]
    return str(known[0]) if known else "everyone"


def run_of(client: httpx.Client, archive: bytes) -> tuple[dict[str, Any], list[dict[str, Any]], float]:
    """Upload, follow to the end: the run as it ended, every progress event, seconds from upload to end."""
    started = time.perf_counter()
    response = client.post(
        "/v1/runs",
        params={"source": "bench", "filename": "bench.zip", "kind": "slack-export"},
        content=archive,
        headers={"Content-Type": "application/zip"},
    )
    response.raise_for_status()
    run_id = response.json()["run_id"]
    with client.stream("GET", f"/v1/runs/{run_id}/events") as stream:
        data = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: "))
        events = [json.loads(line) for line in data]
    taken = time.perf_counter() - started
    return client.get(f"/v1/runs/{run_id}").json(), events, taken


def measure(archive: bytes, *, quiet: bool) -> dict[str, object]:
    """Every figure, by name."""
    with tempfile.TemporaryDirectory() as name:
        folder, asked, ended = Path(name), Asked(), threading.Event()
        with service(folder) as (client, supervisor):
            if quiet:
                ended.set()
            asking = threading.Thread(target=ask_on, args=(client, ended, asked))
            asking.start()
            run, events, taken = run_of(client, archive)
            ended.set()
            asking.join()
            memory = pss_mb(supervisor)
        with Threadwise(Settings(data_dir=folder)) as threadwise:
            texts = texts_of(threadwise)
            bare = bare_rate(threadwise.embedder, texts, threadwise.settings.ingest.workers)
    for process, mb in sorted(memory.items(), key=lambda item: -item[1]):
        print(f"  {mb:7.1f} MiB  {process}", file=sys.stderr)
    return {
        "state": run["state"],
        "documents": run["total"],
        "chunks": run["chunks"],
        "seconds": round(taken, 1),
        "chunks_per_s": round(run["chunks"] / taken, 1),
        "bare_chunks_per_s": round(bare, 1),
        "over_bare": round(run["chunks"] / taken / bare, 3),
        "progress_events": len(events),
        "with_eta": sum(event.get("eta_seconds") is not None for event in events),
        "questions": len(asked.statuses),
        "failed": asked.failed,
        "statuses": {status: asked.statuses.count(status) for status in sorted(set(asked.statuses))},
        "first_text_ms_p50": round(statistics.median(asked.first_text), 1) if asked.first_text else None,
        "first_text_ms_max": round(max(asked.first_text), 1) if asked.first_text else None,
        "first_token_ms_p50": round(statistics.median(asked.first_token), 1) if asked.first_token else None,
        "pss_mb": round(sum(memory.values()), 1),
    }


def zipped(folder: Path) -> bytes:
    """A folder as the zip that Slack would give."""
    with tempfile.NamedTemporaryFile(suffix=".zip") as made:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*.json")):
                archive.write(path, path.relative_to(folder))
        return Path(made.name).read_bytes()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    archive = arguments.archive.read_bytes() if arguments.archive else zipped(DEMO)
    figures = measure(archive, quiet=arguments.quiet)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<22} {value}")


if __name__ == "__main__":
    main()
