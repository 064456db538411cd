"""What the service does with three times as many questions as it can answer.

    .venv/bin/python benchmarks/overload.py [--seconds 15] [--times 3] [--json]

Measures its capacity first, with as many clients as there are slots. Then questions come at a fixed pace, whether
they are answered or not (open loop), from a process of their own. Prints the share of the capacity that is still
answered, the times of accepted and refused questions and of the health route, and every limit beside its figure.
The model is scripted: it paces its words and costs no processor, so that the service itself is what is measured.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np

from core.settings import Settings
from threadwise.runtime import Threadwise

ROOT = Path(__file__).parents[1]
SLOTS = 2
QUEUE = 8
WAIT_SECONDS = 1.0
VARIABLES = {
    "THREADWISE_LLM__KIND": "scripted",
    "THREADWISE_LLM__SLOTS": str(SLOTS),
    "THREADWISE_LLM__TOKEN_SECONDS": "0.02",
    "THREADWISE_ASK__THRESHOLD": "0",
    "THREADWISE_ASK__QUEUE": str(QUEUE),
    "THREADWISE_ASK__QUEUE_SECONDS": str(WAIT_SECONDS),
    "THREADWISE_API__BURST": "100000",
    "THREADWISE_API__REQUESTS_PER_MINUTE": "1000000",
    "THREADWISE_API__PORT": "0",
    "PYTHONPATH": str(ROOT),
}
Found = TypeVar("Found")
QUESTION = {"question": "How many days of leave does everybody have?"}


@dataclass(slots=True)
class Seen:
    """(seconds, status) of every request, and the times of the health route."""

    requests: list[tuple[float, int]] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    without_hint: int = 0

    def times(self, status: int) -> list[float]:
        """Seconds of the requests with this status."""
        return [seconds for seconds, seen in self.requests if seen == status]


@contextmanager
def service(folder: Path) -> Iterator[httpx.AsyncClient]:
    """A process that serves one page, and a client with a key."""
    page = folder / "leave.md"
    page.write_text("# Leave\n\nEverybody has 25 days of leave in each year.\n")
    with Threadwise(Settings(data_dir=folder / "data")) as threadwise:
        threadwise.ingest(page, name="pages")
        _, secret = threadwise.keyring.create(name="load", scopes=["ask"])
    environment = os.environ | VARIABLES | {"THREADWISE_DATA_DIR": str(folder / "data")}
    log = folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen([sys.executable, "-m", "api.server"], cwd=ROOT, env=environment, stderr=stream)
    try:
        port = _awaited(lambda: re.search(r'"port": (\d+)', log.read_text()))[1]
        url = f"http://127.0.0.1:{port}"
        _awaited(lambda: httpx.get(f"{url}/readyz", trust_env=False).is_success or None)
        limits = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
        headers = {"Authorization": f"Bearer {secret}"}
        yield httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False, limits=limits)
    finally:
        process.terminate()
        process.wait(20)


def _awaited(look: Callable[[], Found | None]) -> Found:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise TimeoutError


async def one(client: httpx.AsyncClient, seen: Seen) -> None:
    """One question."""
    started = time.perf_counter()
    response = await client.post("/v1/ask", json=QUESTION)
    seen.requests.append((time.perf_counter() - started, response.status_code))
    seen.without_hint += response.status_code == httpx.codes.TOO_MANY_REQUESTS and "retry-after" not in response.headers


async def capacity(client: httpx.AsyncClient, seconds: float) -> tuple[float, list[float]]:
    """Answers in a second with every slot busy and nobody waiting, and their times."""
    seen, until = Seen(), time.monotonic() + seconds

    async def worker() -> None:
        while time.monotonic() < until:
            await one(client, seen)

    started = time.monotonic()
    await asyncio.gather(*(worker() for _ in range(SLOTS)))
    return len(seen.requests) / (time.monotonic() - started), seen.times(200)


async def open_loop(client: httpx.AsyncClient, rate: float, seconds: float) -> Seen:
    """Questions at a fixed pace, and a look at the health route ten times a second."""
    seen = Seen()
    tasks: list[asyncio.Task[None]] = []
    started = time.monotonic()

    async def health() -> None:
        while time.monotonic() - started < seconds:
            asked = time.perf_counter()
            await client.get("/healthz")
            seen.health.append(time.perf_counter() - asked)
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(health())
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(one(client, seen)))
    await asyncio.gather(watching, *tasks)
    return seen


def percentile(values: list[float], percent: float) -> float:
    """Milliseconds."""
    return round(1000 * float(np.percentile(values, percent)), 1) if values else 0.0


async def measure(client: httpx.AsyncClient, *, times: float, seconds: float) -> dict[str, tuple[float, float]]:
    """Every figure with its limit (0 = none)."""
    async with client:
        await capacity(client, 1)
        able, alone = await capacity(client, seconds / 3)
        seen = await open_loop(client, times * able, seconds)
        after, _ = await capacity(client, seconds / 5)
    p99 = percentile(alone, 99)
    other = [status for _, status in seen.requests if status not in {200, 429}]
    return {
        "capacity_per_second": (round(able, 2), 0),
        "goodput_of_capacity": (round(len(seen.times(200)) / seconds / able, 3), 0.95),
        "capacity_after": (round(after / able, 3), 0.9),
        "accepted_ms_p50": (percentile(seen.times(200), 50), 0),
        "accepted_ms_p99": (percentile(seen.times(200), 99), 1000 * WAIT_SECONDS + 1.25 * p99),
        "refused_ms_p50": (percentile(_at_once(seen), 50), 0),
        "refused_at_once_ms_p99": (percentile(_at_once(seen), 99), 50),
        "refused_after_waiting_ms_p99": (percentile(_waited(seen), 99), 1000 * WAIT_SECONDS + 50),
        "refused": (len(seen.times(429)), 0),
        "without_retry_after": (seen.without_hint, 0),
        "other_statuses": (len(other), 0),
        "health_ms_p99": (percentile(seen.health, 99), 200),
    }


def _at_once(seen: Seen) -> list[float]:
    return [seconds for seconds in seen.times(429) if seconds < WAIT_SECONDS / 2]


def _waited(seen: Seen) -> list[float]:
    return [seconds for seconds in seen.times(429) if seconds >= WAIT_SECONDS / 2]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--times", type=float, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as client:
        figures = asyncio.run(measure(client, times=options.times, seconds=options.seconds))
    if options.json:
        print(json.dumps({name: value for name, (value, _) in figures.items()}))
        return
    for name, (value, limit) in figures.items():
        print(f"{name:32}{value:>12}{f'  limit {limit:g}' if limit else ''}")


if __name__ == "__main__":
    main()
