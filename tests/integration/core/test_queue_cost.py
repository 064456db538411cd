"""What the queue costs when much waits in it or has ended: counted in steps of the database, never in seconds."""

from collections.abc import Callable

import pytest
from sqlalchemy import insert

from core import tables as t
from core.catalog import queue, sources
from core.database import Database, Session
from tests.support.documents import NOW

SOURCES = 4
EVERY = 10  # steps between two counts
FEW, MANY = 80, 320

Look = Callable[[Session], object]


def claim_a_run(session: Session) -> None:
    """Take the run that is next, and give it back."""
    claimed = queue.claim_next(session, token="me")  # noqa: S106 - no secret
    assert claimed
    assert queue.release_run(session, claimed.id, "me", refund=True)


def others_wait(session: Session) -> bool:
    return queue.others_wait(session, "queued0")


LOOKS: dict[str, Look] = {"sweep": queue.free_runs, "claim": claim_a_run, "others": others_wait}


def fill(database: Database, state: str, count: int) -> None:
    """So many runs in this state, in turn of each source; their rings have left."""
    with database.write() as session:
        numbers = [sources.source_id(session, name=f"source{place}", kind="files", now=NOW) for place in range(SOURCES)]
        rows = [
            {
                "id": f"{state}{place}",
                "source_id": numbers[place % SOURCES],
                "state": state,
                "fingerprint": "",
                "unchanged": 0,
                "queued_at": NOW + place,
                "started_at": NOW,
                "finished_at": None if state == "queued" else NOW,
            }
            for place in range(count)
        ]
        session.execute(insert(t.run), rows)


def steps(database: Database, look: Look) -> int:
    """How many steps SQLite's own machine takes for it, in tens."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    with database.write() as session:
        connection = session.connection.driver_connection
        assert connection is not None
        connection.set_progress_handler(count, EVERY)
        try:
            look(session)
        finally:
            connection.set_progress_handler(None, EVERY)
    return counted[0]


@pytest.mark.embedded_only("SQLite counts its steps")
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_four_times_as_many_runs_that_wait_cost_four_times_as_much_at_most(database: Database, look: Look) -> None:
    fill(database, "queued", FEW)
    few = steps(database, look)
    with database.write() as session:
        session.execute(t.run.delete())
    fill(database, "queued", MANY)
    assert steps(database, look) <= few * MANY / FEW * 1.25


@pytest.mark.embedded_only("SQLite counts its steps")
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_runs_that_have_ended_cost_nothing(database: Database, look: Look) -> None:
    fill(database, "queued", FEW)
    before = steps(database, look)
    fill(database, "succeeded", MANY)
    assert steps(database, look) <= before * 1.05 + 1


def test_of_runs_that_wait_for_one_another_the_next_of_each_source_is_rung_for_again(database: Database) -> None:
    fill(database, "queued", 3 * SOURCES)
    with database.read() as session:
        assert list(queue.free_runs(session)) == [f"queued{place}" for place in range(SOURCES)]
    with database.write() as session:
        queue.ring(session, "queued0", NOW)
        queue.claim_run(session, "queued1", token="me")  # noqa: S106 - no secret
        queue.end_run(session, "queued2", state="cancelled", now=NOW)
    with database.read() as session:
        found = list(queue.free_runs(session))
    assert found == ["queued3", f"queued{2 + SOURCES}"], "one has a ring already, one is held, one has gone"
