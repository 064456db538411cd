"""How soon Slack hears that a question arrived, and how soon its reply stands there, while an export is ingested.

    .venv/bin/python benchmarks/slack.py [SLACK_EXPORT.zip] [--seconds 30] [--rate 10] [--server] [--llm none] [--json]

Starts the whole service on an empty folder (with --server that of the server mode), its bot in a workspace on loopback,
and ingests the demonstration. Then signed mentions come at a fixed pace, each over a connection of its own and whether
the earlier ones were answered or not (open loop): first for a third of the seconds with nothing beside them, then for
all of them while export after export is uploaded. Prints the times to the acknowledgement and from the event to the
visible reply, how many questions have not exactly one reply, and every limit beside its figure; exits with 1 where a
limit is broken. Slack's own limits on calls are off. Without an archive the exports are made up.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import numpy as np

from api.endpoint import Endpoint, find
from tests.support.slack_events import deliver_until_acked
from tests.support.slack_export import ExportBuilder
from tests.support.slack_server import SlackServer

ROOT: Final = Path(__file__).parents[1]
DEMO: Final = ROOT / "demo"
ACK_MS: Final = 300.0  # Slack waits ten times as long
CONNECTIONS: Final = 64  # more than can be open at once when every one lasts until Slack would hang up
MESSAGES: Final = 4000  # of a made export
PEOPLE: Final = 20
CHANNELS: Final = 10
READY_SECONDS: Final = 120.0
DRAIN_SECONDS: Final = 60.0  # and one more for each question
POLL_SECONDS: Final = 0.5
DOUBLE_SECONDS: Final = 2.0  # how long a second reply is waited for
COMMANDS: Final = {False: ("api.cli", "up", "--port", "0"), True: ("deploy.native", "--port", "0")}
SENTENCE: Final = """the office laptop invoice meeting customer release password contract holiday budget team server
desk travel form manager review training badge kitchen supplier order monitor deadline report payroll was is should
moved to before after next week Friday signed lost changed approved needs from with and a our new two"""
WORDS: Final = tuple(SENTENCE.split())


@dataclass(slots=True)
class Phase:
    """What became of the questions of one phase, by the `ts` of each."""

    sent: dict[str, float] = field(default_factory=dict)  # Unix seconds
    acks: list[tuple[float, int]] = field(default_factory=list)  # (seconds, status) of the first delivery
    late: list[float] = field(default_factory=list)  # seconds that the pace itself was behind
    replies: Counter[str] = field(default_factory=Counter)
    waited: list[float] = field(default_factory=list)  # seconds from the event to the first visible reply
    seconds: float = 0.0  # from the first event to the last reply
    chunks: int = 0  # committed meanwhile


@contextmanager
def service(folder: Path, slack: SlackServer, *, server: bool, llm: str) -> Iterator[Endpoint]:
    """A ready service with the demonstration in it."""
    environment = os.environ | {
        "THREADWISE_DATA_DIR": str(folder),
        "THREADWISE_LLM__KIND": llm,
        "THREADWISE_SLACK__BOT_TOKEN": slack.bot_token,
        "THREADWISE_SLACK__SIGNING_SECRET": slack.signing_secret,
        "THREADWISE_SLACK__API_URL": slack.api_url,
        "PYTHONPATH": str(ROOT),
    }
    with (folder.parent / "log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - itself
            [sys.executable, "-m", *COMMANDS[server]], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            endpoint = _ready(folder, process)
            for name in ("handbook", "slack-export"):
                command = [sys.executable, "-m", "api.cli", "ingest", str(DEMO / name), "--json"]
                subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=log, stderr=log)  # noqa: S603 - itself
            yield endpoint
        finally:
            process.terminate()
            process.wait(READY_SECONDS)


def _ready(folder: Path, process: "subprocess.Popen[bytes]") -> Endpoint:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        endpoint = find(folder)
        if endpoint is not None and _is_ready(endpoint.url):
            return endpoint
        time.sleep(0.1)
    raise RuntimeError((folder.parent / "log").read_text())


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def made_export(seed: int) -> ExportBuilder:
    """Threads of four messages in public channels; each seed is another team with other words."""
    rng = random.Random(seed)
    builder = ExportBuilder(team=f"T{seed}").user("U1", "Ada").user("U2", "Ben")
    for number in range(CHANNELS):
        builder.channel(f"C{number}", f"channel-{number}", ["U1", "U2"])
    for number in range(MESSAGES):
        thread = number - number % 4
        text = " ".join(rng.choices(WORDS, k=rng.randint(10, 50))).capitalize() + f" {seed}-{number}."
        builder.say(f"channel-{thread // 4 % CHANNELS}", _ts(number), text, thread_ts=_ts(thread))
    return builder


def _ts(number: int) -> str:
    return f"{1_600_000_000 + 600 * number}.000100"


class Ingesting:
    """Uploads the archive, then made exports, each when the one before has ended, until it is stopped."""

    def __init__(self, endpoint: Endpoint, archive: Path | None, folder: Path) -> None:
        self._client = httpx.Client(
            base_url=endpoint.url, headers={"Authorization": f"Bearer {endpoint.key}"}, timeout=60, trust_env=False
        )
        self._archive = archive
        self._folder = folder
        self._stopped = threading.Event()
        self._chunks: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(1)

    @property
    def chunks(self) -> int:
        """Committed so far."""
        return sum(self._chunks.values())

    def start(self) -> None:
        """Returns when the first run commits. Raises `RuntimeError` where it fails."""
        self._future = self._pool.submit(self._run)
        while not self.chunks and not self._future.done():
            time.sleep(POLL_SECONDS)
        if self._future.done():
            self._future.result()

    def stop(self) -> None:
        """Leave the run that is under way alone. Raises `RuntimeError` where one has failed."""
        self._stopped.set()
        self._pool.shutdown()
        self._client.close()
        self._future.result()

    def _run(self) -> None:
        for number in count():
            if self._stopped.is_set():
                return
            made = number > 0 or self._archive is None
            place = self._folder / f"made-{number}.zip"
            archive = made_export(number).zipped(place) if made else self._archive
            assert archive is not None
            self._follow(archive.read_bytes(), f"big-{number}")

    def _follow(self, content: bytes, source: str) -> None:
        named = {"source": source, "filename": f"{source}.zip", "kind": "slack-export"}
        headers = {"Content-Type": "application/zip"}
        response = self._client.post("/v1/runs", params=named, content=content, headers=headers)
        run_id = str(response.raise_for_status().json()["run_id"])
        while not self._stopped.wait(POLL_SECONDS):
            run = self._client.get(f"/v1/runs/{run_id}").raise_for_status().json()
            self._chunks[run_id] = run["chunks"]
            if run["finished_at"] is not None:
                if not run["state"].startswith("succeeded"):
                    raise RuntimeError(f"The run of {source} is {run['state']}: {run['error_code']}")
                return


class Asking:
    """The people of a workspace on loopback, who mention the bot."""

    def __init__(self, slack: SlackServer, url: str) -> None:
        self._slack = slack
        self._url = f"{url}/slack/events"
        self._people = [slack.add_user(f"U0ASKER{number:02}") for number in range(PEOPLE)]
        self._channels = [slack.add_channel(members=self._people) for _ in range(CHANNELS)]
        lines = [json.loads(line) for line in (DEMO / "questions.jsonl").read_text().splitlines()]
        self._questions = [str(line["question"]) for line in lines if not line["private"]]

    def phase(self, *, rate: float, seconds: float) -> Phase:
        """Ask at this pace for so long, then wait until everything is answered."""
        phase = Phase()
        started = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            asked = []
            for number in range(int(rate * seconds)):
                due = started + number / rate
                time.sleep(max(0.0, due - time.monotonic()))
                asked.append(pool.submit(self._ask, phase, number, due))
            for future in asked:
                future.result()
        self._drain(phase)
        phase.seconds = time.monotonic() - started
        time.sleep(DOUBLE_SECONDS)
        self._look(phase)
        return phase

    def _ask(self, phase: Phase, number: int, due: float) -> None:
        channel, user = self._channels[number % CHANNELS], self._people[number % PEOPLE]
        text = f"<@{SlackServer.bot_user}> {self._questions[number % len(self._questions)]}"
        envelope = self._slack.events.app_mention(channel, user, text)
        phase.late.append(time.monotonic() - due)
        phase.sent[envelope.event["ts"]] = time.time()
        tries = deliver_until_acked(self._url, envelope, secret=self._slack.signing_secret, minute=5)
        phase.acks.append((tries[0].seconds, tries[0].status))

    def _drain(self, phase: Phase) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS + len(phase.sent)
        while time.monotonic() < deadline:
            self._look(phase)
            if len(phase.replies) == len(phase.sent):
                return
            time.sleep(0.1)

    def _look(self, phase: Phase) -> None:
        """Count the visible replies; their `ts` is the moment at which they became visible."""
        first: dict[str, float] = {}
        phase.replies.clear()
        for channel in self._channels:
            for message in self._slack.posted_by_bot(channel):
                if message.thread_ts in phase.sent:
                    phase.replies[message.thread_ts] += 1
                    first.setdefault(message.thread_ts, float(message.ts))
        phase.waited = [at - phase.sent[thread] for thread, at in first.items()]


def figures(phase: Phase) -> dict[str, float]:
    """Every figure, by name."""
    acks = [seconds for seconds, _ in phase.acks]
    return {
        "deliveries": len(phase.acks),
        "not 200": sum(status != httpx.codes.OK for _, status in phase.acks),
        "ack ms p50": _percentile(acks, 50, 1000),
        "ack ms p99": _percentile(acks, 99, 1000),
        "ack ms max": _percentile(acks, 100, 1000),
        "reply s p50": _percentile(phase.waited, 50),
        "reply s p99": _percentile(phase.waited, 99),
        "all replied after s": round(phase.seconds, 1),
        "not exactly one reply": sum(phase.replies[thread] != 1 for thread in phase.sent),
        "chunks committed beside": phase.chunks,
        "pace behind ms max": _percentile(phase.late, 100, 1000),
    }


LIMITS: Final = {"not 200": 0.0, "ack ms p99": ACK_MS, "not exactly one reply": 0.0}


def _percentile(values: list[float], percent: float, times: float = 1.0) -> float:
    return round(times * float(np.percentile(values, percent)), 1) if values else 0.0


def measure(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The figures of both phases."""
    with tempfile.TemporaryDirectory() as name, SlackServer() as slack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user where this one is root
        with service(folder / "data", slack, server=options.server, llm=options.llm) as endpoint:
            asking = Asking(slack, endpoint.url)
            asking.phase(rate=2, seconds=2)  # loads what the first question loads
            quiet = asking.phase(rate=options.rate, seconds=options.seconds / 3)
            ingesting = Ingesting(endpoint, options.archive, folder)
            try:
                ingesting.start()
                before = ingesting.chunks
                busy = asking.phase(rate=options.rate, seconds=options.seconds)
                busy.chunks = ingesting.chunks - before
            finally:
                ingesting.stop()
    return {"quiet": figures(quiet), "ingesting": figures(busy)}


def report(found: dict[str, dict[str, float]]) -> None:
    """One table."""
    print(f"{'':26}" + "".join(f"{phase:>12}" for phase in found) + f"{'limit':>12}")
    for name in found["quiet"]:
        limit = f"{LIMITS[name]:12g}" if name in LIMITS else ""
        print(f"{name:26}" + "".join(f"{values[name]:12g}" for values in found.values()) + limit)


def main() -> int:
    """Measure and print; 1 where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=300 if os.environ.get("FULL") else 30)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--server", action="store_true")
    parser.add_argument("--llm", choices=("none", "bundled"), default="none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    if options.json:
        print(json.dumps(found))
    else:
        report(found)
    return int(any(values[name] > limit for values in found.values() for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
