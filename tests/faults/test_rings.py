"""Rings that come late, again and again, in any order or never: each run is worked once."""

import os
import time
from collections import Counter
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from core import clock
from core import tables as t
from tests.support.doorbell import eventually
from tests.support.faults import jobs
from tests.support.faults.corpus import doubled, pages
from tests.support.faults.household import Household, household
from tests.support.faults.nursery import Nursery
from tests.support.installation import write_pages
from workers.clock import relay
from workers.duties import Sweeper

SOURCES = 20
MOST = 5  # deliveries of one ring
PROCESSES, THREADS = 2, 2
QUIET_SECONDS = 0.2
LONGEST = 3600.0 if os.environ.get("FULL") == "1" else 120.0


class Shim:
    """A broker that delivers each ring never, once or several times, in whatever order it is answered."""

    def __init__(self, folder: Path, draw: Random) -> None:
        folder.mkdir()
        self.folder = folder
        self.delivered: list[int] = []
        self._draw = draw

    def ring(self, run_id: str) -> None:
        """Take a ring."""
        self.delivered.append(self._draw.randint(0, MOST))
        for place in range(self.delivered[-1]):
            (self.folder / f"{run_id}.{len(self.delivered)}.{place}").touch()

    def waiting(self) -> int:
        """How many deliveries nobody has answered yet."""
        return len(os.listdir(self.folder))  # noqa: PTH208 - of thousands only the number is wanted


def keep_ringing(home: Household, shim: Shim, runs: int) -> None:
    """Do the clock's duties until so many runs have ended."""
    database = home.house.database
    sweeper = Sweeper(lambda: database, shim.waiting, clock.now, QUIET_SECONDS)
    ended, deadline = 0, time.monotonic() + LONGEST
    while ended < runs:
        relay(database, shim.ring, clock.now)
        sweeper.sweep()
        with database.read() as session:
            ended = session.execute(select(func.count()).where(t.run.c.finished_at.is_not(None))).scalar_one()
        assert time.monotonic() < deadline, home.told()
        time.sleep(QUIET_SECONDS / 4)


def test_each_of_many_rings_has_one_effect_however_often_it_comes(
    nursery: Nursery,
    tmp_path: Path,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    shim, rounds = Shim(tmp_path / "spool", draw), 260 if full_size else 8
    names = [f"source{place}" for place in range(SOURCES)]
    folders = {name: write_pages(tmp_path / "sources" / name, pages(name, 1)) for name in names}
    # A machine that is busy with the other threads is no reason to take a run away.
    with household(nursery, tmp_path / "data", QUEUE__MAX_WAITING=100_000, INGEST__LEASE_SECONDS=30) as home:
        runs = [run_id for _ in range(rounds) for run_id in home.submit(folders).values()]
        answering = [
            home.start(jobs.deliver, str(shim.folder), draw.randrange(10**6), THREADS) for _ in range(PROCESSES)
        ]
        keep_ringing(home, shim, len(runs))
        eventually(lambda: not shim.waiting(), LONGEST)
        shim.folder.rmdir()
        assert [process.wait() for process in answering] == [0] * PROCESSES
        with home.house.database.read() as session:
            ends = Counter(tuple(row) for row in session.execute(select(t.run.c.state, t.run.c.attempt)))
            versions = session.execute(select(t.version.c.run_id)).scalars().all()
            generations = session.execute(select(t.generation.c.id)).scalars().all()
        often = shim.delivered
        print(f"{len(runs)} runs, {len(often)} rings delivered {sum(often)} times, {often.count(0)} of them never")
        assert ends == {("succeeded", 1): len(runs)}, "each run was taken once"
        assert len(versions) == SOURCES, "each document was written once"
        assert len(generations) == 1, "those who began at once began the same"
        assert doubled(home.house) == []
