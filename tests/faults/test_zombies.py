"""A worker that stands still for longer than its lease and then goes on: it has lost its run and writes nothing."""

import signal
import sqlite3
import time
from pathlib import Path
from random import Random

from sqlalchemy import select

from core import tables as t
from core.database import Database
from core.errors import DatabaseUnavailableError
from tests.support.doorbell import eventually
from tests.support.faults import jobs
from tests.support.faults.corpus import Undisturbed, assert_as_undisturbed
from tests.support.faults.household import LEASE_SECONDS, Household, household
from tests.support.faults.nursery import Grown, Nursery

PAUSE = 0.025
LONGEST_START = 20  # documents: half of a source


def holds_no_lock(database: Database) -> bool:
    """Whether everybody else can write: who stands still inside a transaction keeps all others waiting."""
    if database.is_sqlite:
        connection = sqlite3.connect(str(database.engine.url.database), timeout=0.1)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True
    try:
        with database.write() as session:
            for table in (t.run, t.work, t.source, t.counter):
                session.execute(select(table).with_for_update(nowait=True)).all()
    except DatabaseUnavailableError:
        return False
    return True


def stand_still(worker: Grown, database: Database) -> None:
    """SIGSTOP, between two transactions."""
    worker.kill(signal.SIGSTOP)
    while not holds_no_lock(database):
        worker.kill(signal.SIGCONT)
        time.sleep(0.01)
        worker.kill(signal.SIGSTOP)


def token_of(home: Household, run_id: str) -> str:
    with home.house.database.read() as session:
        return str(session.execute(select(t.run.c.lease_token).where(t.run.c.id == run_id)).scalar_one())


def attempts(home: Household, run_id: str, token: str = "") -> dict[int, int]:
    """How often each work item of the run, or what this token holds of it, was tried."""
    w = t.work.c
    rows = select(w.id, w.attempt).where(w.run_id == run_id)
    with home.house.database.read() as session:
        return {row[0]: row[1] for row in session.execute(rows.where(w.lease_token == token) if token else rows)}


def test_a_worker_that_wakes_up_after_its_lease_writes_nothing_any_more(
    nursery: Nursery,
    corpus: Undisturbed,
    tmp_path: Path,
    draw: Random,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    for place in range(5 if full_size else 1):
        with household(nursery, tmp_path / str(place) / "data") as home:
            calm = 0 if full_size else 2
            runs = home.submit(dict(list(corpus.sources.items())[:calm]))
            for name, path in list(corpus.sources.items())[calm:]:
                runs |= home.submit({name: path})
                overtake(home, runs[name], draw)
            assert_as_undisturbed(home.house, runs, corpus)


def overtake(home: Household, run_id: str, draw: Random) -> None:
    """Let a worker stand still in the middle of the run, another one take over, and the first one wake up."""
    zombie, start = home.start(jobs.work, run_id, PAUSE), draw.randrange(LONGEST_START)
    eventually(lambda: home.settled({"": run_id}) >= start and bool(token_of(home, run_id)), 30)
    stand_still(zombie, home.house.database)
    token = token_of(home, run_id)
    in_hand = attempts(home, run_id, token)
    time.sleep(2 * LEASE_SECONDS)
    other = home.worker(PAUSE)
    eventually(lambda: token_of(home, run_id) not in ("", token), 30)
    time.sleep(draw.uniform(0, 0.5))
    zombie.kill(signal.SIGCONT)
    assert zombie.wait() == 0, "it sees that it has lost its run, and ends"
    home.await_end({"": run_id})
    after = attempts(home, run_id)
    print(f"stood still at {start} with {len(in_hand)} documents in hand")
    again = {number: tried + 1 for number, tried in in_hand.items()}
    assert {number: after[number] for number in in_hand} == again, "each was done again by whoever took over"
    assert attempts(home, run_id, token) == {}
    other.kill()
