"""A data folder and the processes that work on it, each of which a test may stop, kill and start again."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from core.settings import Settings
from tests.support.databases import VARIABLE, variables_of
from tests.support.faults import jobs
from tests.support.faults.houses import toy_house
from tests.support.faults.nursery import Grown, Nursery
from threadwise.opening import SubmitRequest

LEASE_SECONDS: Final = 1.0
LONGEST: Final = 120.0
"""Seconds after the last fault within which every run has to have ended."""

# Nothing of what is killed at random is to be given up, and nobody's disk decides about a test.
USUAL: Final[dict[str, object]] = {
    "INGEST__LEASE_SECONDS": LEASE_SECONDS,
    "INGEST__MAX_ATTEMPTS": 100,
    "INGEST__MIN_FREE_MB": 0,
    "QUEUE__MAX_ATTEMPTS": 1000,
    "QUEUE__URL": "none",
}


class Household:
    """One installation: opened in the test's own process, worked on by others."""

    def __init__(self, nursery: Nursery, folder: Path, **settings: object) -> None:
        self.nursery = nursery
        self.folder = folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.variables = variables_of(folder) | _prefixed(USUAL | settings)
        self.house = toy_house(_settings(folder, self.variables))
        self.house.database.migrate()
        self.started: list[Grown] = []
        self._numbers = itertools.count()

    def start(self, job: Callable[..., object], *arguments: object, **settings: object) -> Grown:
        """A process that does this on the folder, with settings of its own beside the usual ones."""
        log = self.folder.parent / f"{job.__name__}-{next(self._numbers)}.log"
        grown = self.nursery.start(job, *arguments, log=log, variables=self.variables | _prefixed(settings))
        self.started.append(grown)
        return grown

    def worker(self, pause: float = 0.0) -> Grown:
        """A worker without a broker."""
        return self.start(jobs.poll, pause)

    def submit(self, sources: Mapping[str, Path]) -> dict[str, str]:
        """Queue a run of each source; the runs' ids by source."""
        return {
            name: self.house.runs.submit(SubmitRequest(source=name, path=str(path))) for name, path in sources.items()
        }

    def open_runs(self, runs: Mapping[str, str]) -> list[str]:
        """Those of the runs that have not ended."""
        return [run_id for run_id in runs.values() if self.house.runs.standing(run_id).run.is_open]

    def settled(self, runs: Mapping[str, str]) -> int:
        """How many documents of these runs are done."""
        return sum(self.house.runs.standing(run_id).progress.settled for run_id in runs.values())

    def is_worked(self, run_id: str) -> bool:
        """Whether a worker has taken this run."""
        return self.house.runs.standing(run_id).run.state != "queued"

    def await_end(self, runs: Mapping[str, str], seconds: float = LONGEST) -> None:
        """Return once every run has ended; fails with what the processes said when they do not."""
        deadline = time.monotonic() + seconds
        while left := self.open_runs(runs):
            assert time.monotonic() < deadline, f"{len(left)} runs did not end: {self.told()}"
            time.sleep(0.05)

    def told(self) -> str:
        """The last words of the processes that were started last."""
        return "\n".join(grown.text[-2000:] for grown in self.started[-2:])

    def close(self) -> None:
        """Kill what is left, and close."""
        for grown in self.started:
            if grown.status() is None:
                grown.kill()
        self.house.close()


def _settings(folder: Path, variables: Mapping[str, str]) -> Settings:
    """What a process finds that has these variables in its environment."""
    url = variables.get(VARIABLE)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        return Settings(data_dir=folder, database_url=url) if url else Settings(data_dir=folder)


def _prefixed(settings: Mapping[str, object]) -> dict[str, str]:
    return {f"THREADWISE_{name}": str(value) for name, value in settings.items()}


@contextmanager
def household(nursery: Nursery, folder: Path, **settings: object) -> Iterator[Household]:
    """A household that is cleared away afterwards."""
    made = Household(nursery, folder, **settings)
    try:
        yield made
    finally:
        made.close()
