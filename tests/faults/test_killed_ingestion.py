"""`kill -9` in the middle of an ingestion, then the same command: nothing lost, doubled or half visible.

The short form kills twice while the demonstration's export is ingested. `FULL=1 make faults` kills ten times, and takes
the largest public export where `THREADWISE_EVAL_DATA` names one.
"""

import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from tests.support.processes import ROOT, command, finished, kill_after, python
from threadwise.digest import catalogue_digest
from threadwise.runtime import Threadwise

# Searches until a file appears; every answer has to be whole: as many passages as asked for, none without its text.
SEARCHING = """
import json, sys
from pathlib import Path
from core.catalog.passages import Reader
from core.settings import Settings
from retrieval.query import Query
from threadwise.runtime import Threadwise

def sources(threadwise):
    everything = Reader(principals=(), unrestricted=True)
    found = threadwise.search(Query(text="how do I do this, does anybody know", reader=everything, top_k=10))
    assert len(found.passages) == 10 and all(passage.text for passage in found.passages), found
    return sorted({passage.source for passage in found.passages})

with Threadwise(Settings(data_dir=Path(sys.argv[1]))) as threadwise:
    before, searches = sources(threadwise), 1
    print("ready", flush=True)
    while not Path(sys.argv[2]).exists():
        sources(threadwise)
        searches += 1
    print(json.dumps({"searches": searches, "before": before, "after": sources(threadwise)}))
"""
DEMO = ROOT / "demo" / "slack-export"


def digest(data_dir: Path) -> dict[str, str]:
    """Everything a reader can meet, as hashes."""
    with Threadwise(Settings(data_dir=data_dir)) as threadwise:
        return catalogue_digest(threadwise)


def ingest(data_dir: Path, archive: Path) -> subprocess.Popen[str]:
    """Start the ingestion of the archive."""
    return command(data_dir, "ingest", str(archive), "--source", "slack")


@pytest.fixture(scope="module")
def archive(full_size: bool) -> Path:  # noqa: FBT001 - a fixture
    """What is ingested."""
    data = os.environ.get("THREADWISE_EVAL_DATA")
    return Path(data) / "slack" / "tenacademy.zip" if full_size and data else DEMO


@pytest.fixture(scope="module")
def undisturbed(
    archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, str], float]:
    """Report, digest and seconds of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    started = time.monotonic()
    report = finished(ingest(folder, archive))
    return report, digest(folder), time.monotonic() - started


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next command need not wait for long until it knows that the killed one is gone."""
    monkeypatch.setenv("THREADWISE_INGEST__LEASE_SECONDS", "1")


def test_an_ingestion_that_is_killed_again_and_again_gets_done(
    archive: Path,
    undisturbed: tuple[dict[str, Any], dict[str, str], float],
    tmp_path: Path,
    draw: random.Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    report, wanted, seconds = undisturbed
    moments = [round(draw.uniform(0.3, 0.9) * seconds, 2) for _ in range(10 if full_size else 2)]
    kills = sum(kill_after(ingest(tmp_path, archive), moment) for moment in moments)
    print(f"killed {kills} times at {moments} of {seconds:.1f} s")
    assert finished(ingest(tmp_path, archive))["ledger"] == report["ledger"]
    assert digest(tmp_path) == wanted


def test_two_processes_search_while_one_ingests(archive: Path, tmp_path: Path) -> None:
    finished(command(tmp_path, "ingest", str(ROOT / "demo" / "handbook"), "--source", "handbook"))
    stop = tmp_path / "stop"
    readers = [python(SEARCHING, tmp_path, str(stop)) for _ in range(2)]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n", "it has answered its first question"
    finished(ingest(tmp_path, archive))
    stop.touch()
    for reader in readers:
        seen = finished(reader)
        print(seen)
        assert seen["searches"] > 10
        assert seen["before"] == ["handbook"]
        assert "slack" in seen["after"], "what was committed is found without a restart"
