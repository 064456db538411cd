"""`kill -9` at any moment: of the only worker there is, of a child of the pool, in the middle of a commit.

Nothing is lost, nothing has happened twice, and what is there is what an undisturbed ingestion leaves.
"""

import time
from pathlib import Path
from random import Random

from tests.support.faults.corpus import Undisturbed, assert_as_undisturbed
from tests.support.faults.household import household
from tests.support.faults.nursery import Nursery

PAUSE = 0.004  # seconds for a text: so that a run is still at it when it is hit


def test_a_worker_killed_at_random_moments_loses_and_doubles_nothing(
    nursery: Nursery,
    corpus: Undisturbed,
    tmp_path: Path,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    kills = 0
    with household(nursery, tmp_path / "data") as home:
        runs = home.submit(corpus.sources)
        begun = time.monotonic()
        while home.open_runs(runs) and kills < (100 if full_size else 10):
            worker = home.worker(PAUSE)
            time.sleep(draw.uniform(0.05, 0.6))
            worker.kill()
            kills += 1
        last = time.monotonic()
        home.worker()
        home.await_end(runs)
        print(f"{kills} kills in {last - begun:.1f} s, ended {time.monotonic() - last:.1f} s after the last")
        assert_as_undisturbed(home.house, runs, corpus)
