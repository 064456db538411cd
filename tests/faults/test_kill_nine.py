"""`kill -9` of the only worker there is, at any moment.

Nothing is lost, nothing has happened twice, and what is there is what an undisturbed ingestion leaves.
"""

import itertools
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
    kills, wanted = 0, 100 if full_size else 10
    for life in itertools.count():
        with household(nursery, tmp_path / str(life) / "data") as home:
            runs, before, begun = home.submit(corpus.sources), kills, time.monotonic()
            while home.open_runs(runs) and kills < wanted:
                worker = home.worker(PAUSE)
                time.sleep(draw.uniform(0.05, 0.6))
                worker.kill()
                kills += 1
            last = time.monotonic()
            home.worker()
            home.await_end(runs)
            seconds = (last - begun, time.monotonic() - last)
            print(f"{kills - before} kills in {seconds[0]:.1f} s, ended {seconds[1]:.1f} s after the last")
            assert_as_undisturbed(home.house, runs, corpus)
        if kills == wanted:
            return
