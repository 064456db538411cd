"""Clocks that jump by hours: nothing is taken from a worker that lives, and nobody waits for hours."""

from pathlib import Path
from random import Random

from sqlalchemy import select

from core import tables as t
from tests.support.doorbell import eventually
from tests.support.faults import jobs
from tests.support.faults.corpus import Undisturbed, assert_as_undisturbed
from tests.support.faults.household import household
from tests.support.faults.nursery import Nursery

PAUSE = 0.03
CALM_SECONDS = 2.5  # a worker that waits for a busy machine so long is none that lost its run because of a clock


def test_workers_whose_clocks_jump_by_hours_neither_rob_each_other_nor_wait(
    nursery: Nursery,
    corpus: Undisturbed,
    tmp_path: Path,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    with household(nursery, tmp_path / "data", INGEST__LEASE_SECONDS=CALM_SECONDS) as home:
        first = home.submit(dict(list(corpus.sources.items())[:2]))
        workers = [home.start(jobs.poll_by_a_jumping_clock, draw.randrange(10**6), PAUSE) for _ in range(2)]

        def jumps() -> int:
            return sum(worker.text.count(jobs.JUMPED) for worker in workers)

        home.await_end(first)
        eventually(lambda: jumps() >= (20 if full_size else 4), 60)
        with home.house.database.read() as session:
            tried = set(session.execute(select(t.run.c.attempt)).scalars())
            tried |= set(session.execute(select(t.work.c.attempt)).scalars())
        assert tried == {1}, "nobody has taken anything over"
        second = home.submit(dict(list(corpus.sources.items())[2:]))
        eventually(lambda: home.settled(second) > 0, 30)
        print(f"{jumps()} jumps of two hours")
        for worker in workers:
            worker.kill()
        home.start(jobs.poll_by_a_jumping_clock, draw.randrange(10**6))
        home.await_end(second)
        assert_as_undisturbed(home.house, first | second, corpus)
