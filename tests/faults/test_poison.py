"""Documents that end, occupy, overfill or confuse their worker: given up after three attempts, at nobody's expense."""

import time
from pathlib import Path

from sqlalchemy import select

from core import tables as t
from tests.support.faults.corpus import doubled, pages
from tests.support.faults.household import Household, household
from tests.support.faults.nursery import Nursery
from tests.support.faults.toys import EXITS, HOGS, LOOPS, RAISES
from tests.support.installation import write_pages

ATTEMPTS = 3
DOCUMENTS = 16
POISON = {3: EXITS, 6: LOOPS, 9: HOGS, 12: RAISES}
CODES = {3: "worker_lost", 6: "document_stuck", 9: "worker_lost", 12: "unexpected"}
LIMITS: dict[str, object] = {
    "INGEST__MAX_ATTEMPTS": ATTEMPTS,
    "INGEST__DOCUMENT_SECONDS": 2,
    "INGEST__MAX_MEMORY_MB": 500,
    "QUEUE__MAX_ATTEMPTS": 5,
}


def name_of(place: int) -> str:
    return f"page{place:03}.md"


def look_after(home: Household, runs: dict[str, str], seconds: float = 120.0) -> int:
    """Start a worker whenever there is none, as `threadwise up` does, until the runs have ended; how many it took."""
    workers, deadline = [home.worker()], time.monotonic() + seconds
    while home.open_runs(runs):
        assert time.monotonic() < deadline, home.told()
        if workers[-1].status() is not None:
            workers.append(home.worker())
        time.sleep(0.05)
    return len(workers)


def test_poison_is_given_up_after_three_attempts_and_delays_nobody(nursery: Nursery, tmp_path: Path) -> None:
    folder = write_pages(tmp_path / "poison", pages("poison", DOCUMENTS, POISON))
    with household(nursery, tmp_path / "data", **LIMITS) as home:
        runs = home.submit({"poison": folder})
        begun, workers = time.monotonic(), look_after(home, runs)
        print(f"{workers} workers in {time.monotonic() - begun:.1f} s")
        standing = home.house.runs.standing(runs["poison"])
        letters = {letter.place: letter for letter in home.house.runs.letters()}
        with home.house.database.read() as session:
            written = select(t.document.c.external_id, t.version.c.recorded_at)
            rows = session.execute(written.join(t.version, t.version.c.id == t.document.c.version_id))
            healthy = {row[0]: row[1] for row in rows}
        assert standing.run.state == "succeeded_with_quarantine"
        assert standing.buckets == {"indexed": DOCUMENTS - len(POISON), "failed": len(POISON)}
        assert {place: letters[name_of(place)].code for place in POISON} == CODES
        assert {letter.attempts for letter in letters.values()} == {ATTEMPTS}
        assert {letters[name_of(place)].stage for place in (9, 3)} == {"worker"}
        assert set(healthy) == {name_of(place) for place in range(DOCUMENTS)} - set(letters)
        assert max(healthy.values()) <= min(letter.recorded_at for letter in letters.values()), "nobody had to wait"
        assert doubled(home.house) == []
