"""A broker that dies and forgets, and workers whose pool dies: runs go on, at most a sweep later."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from core.catalog import queue
from tests.support.doorbell import Doorbell, eventually
from tests.support.faults import jobs
from tests.support.faults.corpus import Undisturbed, assert_as_undisturbed, doubled, pages
from tests.support.faults.household import Household, household
from tests.support.faults.nursery import Grown, Nursery
from tests.support.installation import write_pages

PAUSE = 0.005
DOCUMENTS = 20
SWEEP_SECONDS = 1.0
QUICK: dict[str, object] = {"QUEUE__RELAY_SECONDS": 0.1, "QUEUE__SWEEP_SECONDS": SWEEP_SECONDS}
LONG_PAUSE = 0.3  # seconds for a text while sixty children are killed
READY_SECONDS = 60.0
WHOLE_WORKER = 4  # children, after which their parent is killed too


@pytest.fixture
def doorbell() -> Iterator[Doorbell]:
    with closing(Doorbell()) as bell:
        bell.start()
        yield bell


@pytest.fixture
def home(nursery: Nursery, doorbell: Doorbell, tmp_path: Path) -> Iterator[Household]:
    """An installation with a broker and a clock."""
    with household(nursery, tmp_path / "data", QUEUE__URL=doorbell.url, **QUICK) as made:
        made.start(jobs.keep_time)
        yield made


def ready_worker(home: Household, pause: float = PAUSE) -> Grown:
    worker = home.start(jobs.answer_rings, pause)
    eventually(lambda: "worker_ready" in worker.text, READY_SECONDS)
    return worker


def seconds_until_worked(home: Household, run_id: str) -> float:
    since = time.monotonic()
    eventually(lambda: home.is_worked(run_id), READY_SECONDS)
    return time.monotonic() - since


def is_rung(home: Household) -> bool:
    with home.house.database.read() as session:
        return not queue.unsent(session)


def new_run(home: Household, name: str) -> str:
    """A run of a source that was not there before."""
    return home.submit({name: write_pages(home.folder.parent / name, pages(name, DOCUMENTS))})[name]


def assert_all_worked(home: Household, runs: list[str]) -> None:
    home.await_end({run_id: run_id for run_id in runs})
    found = [home.house.runs.standing(run_id) for run_id in runs]
    assert [(one.run.state, one.buckets) for one in found] == [("succeeded", {"indexed": DOCUMENTS})] * len(runs)
    assert doubled(home.house) == []


def test_runs_that_are_submitted_while_the_broker_is_away_are_worked_once_it_is_back(
    home: Household,
    doorbell: Doorbell,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    ready_worker(home)
    runs, delays = [new_run(home, "first")], list[float]()
    for place in range(20 if full_size else 3):
        time.sleep(draw.uniform(0, 0.3))
        doorbell.kill()
        runs.append(new_run(home, f"away{place}"))
        time.sleep(draw.uniform(0, 1))
        doorbell.start()
        delays.append(seconds_until_worked(home, runs[-1]))
    print(f"taken {sorted(round(delay, 1) for delay in delays)} s after the broker was back; sweep {SWEEP_SECONDS} s")
    assert_all_worked(home, runs)


def test_runs_whose_rings_the_broker_has_forgotten_are_rung_for_again(
    home: Household,
    doorbell: Doorbell,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    runs, delays = list[str](), list[float]()
    for place in range(5 if full_size else 1):
        runs.append(new_run(home, f"lost{place}"))
        eventually(lambda: is_rung(home), READY_SECONDS)
        doorbell.client.flushall()
        worker = ready_worker(home)
        delays.append(seconds_until_worked(home, runs[-1]))
        home.await_end({"": runs[-1]})
        worker.kill()
    print(f"taken {sorted(round(delay, 1) for delay in delays)} s after a worker was ready; sweep {SWEEP_SECONDS} s")
    assert_all_worked(home, runs)


def test_a_run_ends_like_an_undisturbed_one_although_its_worker_or_the_pool_of_it_is_killed_again_and_again(
    home: Household,
    corpus: Undisturbed,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    pause = LONG_PAUSE if full_size else PAUSE
    worker, killed, workers = ready_worker(home, pause), set[int](), 1
    runs = home.submit(corpus.sources)
    while home.open_runs(runs) and len(killed) < (60 if full_size else 5):
        fresh = [pid for pid in worker.children() if pid not in killed]
        time.sleep(draw.uniform(0.05, 0.4))
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        if len(killed) == WHOLE_WORKER * workers:
            worker.kill()
            worker, workers = ready_worker(home, pause), workers + 1
    print(f"{len(killed)} children and {workers - 1} whole workers killed")
    home.await_end(runs)
    assert_as_undisturbed(home.house, runs, corpus)
