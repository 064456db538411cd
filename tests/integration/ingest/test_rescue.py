"""Who frees a run whose worker is gone, on both databases, by nobody's clock but its own monotonic one."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.catalog import leases, queue
from core.database import Database, Session
from core.errors import DatabaseUnavailableError
from core.settings import IngestSettings
from core.words import Instant
from ingest.errors import SourceBusyError
from ingest.lease import kept
from ingest.rescue import LOOKS, Rescuer, take_over
from tests.support.documents import NOW, new_target
from tests.support.doorbell import eventually

SECONDS = 30.0
RUN = "run1"


class Time:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Unwritable(Database):
    """A database that cannot be written while its disk is full."""

    is_full = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction, if there is room."""
        if self.is_full:
            message = "down"
            raise DatabaseUnavailableError(message)
        with super().write() as session:
            yield session


@pytest.fixture
def held(database: Database) -> Iterator[Unwritable]:
    """A catalogue with a run that somebody holds."""
    new_target(database, run_id=RUN)
    opened = Unwritable(database.url)
    yield opened
    opened.close()


def rescuer_of(database: Database, time: Time) -> Rescuer:
    return Rescuer(database, lambda: NOW, SECONDS, 3, monotonic=time)


def looks(rescuer: Rescuer, time: Time, count: int, seconds: float = SECONDS / LOOKS) -> list[str]:
    """What so many looks in a row have freed."""
    freed: list[str] = []
    for _ in range(count):
        time.seconds += seconds
        freed += rescuer.look()
    return freed


def beat(database: Database) -> None:
    with database.write() as session:
        token = leases.holders(session)[RUN][0]
        assert leases.beat(session, RUN, token)


def test_a_holder_whose_counter_stands_still_for_long_enough_is_freed_with_a_ring(held: Unwritable) -> None:
    time = Time()
    rescuer = rescuer_of(held, time)
    assert looks(rescuer, time, LOOKS) == [], "it has been seen to stand still for three quarters of it"
    assert looks(rescuer, time, 1) == [RUN]
    assert looks(rescuer, time, LOOKS) == []
    with held.write() as session:
        assert [run_id for _, run_id in queue.unsent(session)] == [RUN]
        assert queue.claim_run(session, RUN, token="next")  # noqa: S106 - no secret


def test_a_holder_whose_counter_moves_is_never_freed_however_long_it_takes(held: Unwritable) -> None:
    time = Time()
    rescuer = rescuer_of(held, time)
    for _ in range(20):
        assert looks(rescuer, time, LOOKS - 1) == []
        beat(held)


def test_a_rescuer_that_was_stopped_has_seen_nothing_meanwhile(held: Unwritable) -> None:
    time = Time()
    rescuer = rescuer_of(held, time)
    assert looks(rescuer, time, 1) == []
    assert looks(rescuer, time, 3, seconds=86_400) == [], "each of these days counts as one look"
    assert looks(rescuer, time, 1) == [RUN]


def test_a_rescuer_that_could_not_write_forgets_what_it_saw(held: Unwritable) -> None:
    time = Time()
    rescuer = rescuer_of(held, time)
    assert looks(rescuer, time, LOOKS) == []
    held.is_full = True
    with pytest.raises(DatabaseUnavailableError):
        looks(rescuer, time, 1)
    held.is_full = False
    assert looks(rescuer, time, LOOKS) == [], "nobody's counter could grow either"
    assert looks(rescuer, time, 1) == [RUN]


def test_whoever_wants_the_source_itself_waits_out_a_dead_worker_and_makes_way_for_a_living_one(
    held: Unwritable,
) -> None:
    settings = IngestSettings(lease_seconds=0.2)
    waits: list[float] = []

    def lives(seconds: float) -> None:
        waits.append(seconds)
        beat(held)

    with pytest.raises(SourceBusyError):
        take_over(held, "docs", lambda: NOW, settings, sleep=lives)
    assert len(waits) == 1
    take_over(held, "docs", lambda: NOW, settings)
    with held.read() as session:
        assert leases.holders(session) == {}
    take_over(held, "docs", lambda: NOW, settings, sleep=lives)
    assert len(waits) == 1, "nobody has it: there is nothing to wait for"


def test_a_lease_is_kept_while_the_work_lasts_and_known_to_be_lost_when_somebody_else_has_it(held: Unwritable) -> None:
    with held.read() as session:
        token, before = leases.holders(session)[RUN]

    def counter() -> int:
        with held.read() as session:
            return leases.holders(session)[RUN][1]

    with kept(held, RUN, token, seconds=0.06) as lease:
        eventually(lambda: counter() > before + 1)
        assert not lease.lost.is_set()
        with held.write() as session:
            seen = leases.holders(session)[RUN]
            assert leases.rescue(session, RUN, seen, max_attempts=3, now=Instant(NOW))
        assert lease.lost.wait(10)


def test_a_lease_survives_that_the_database_is_away_for_a_while(held: Unwritable) -> None:
    with held.read() as session:
        token, before = leases.holders(session)[RUN]
    held.is_full = True
    with kept(held, RUN, token, seconds=0.03) as lease:
        assert not lease.lost.wait(0.1)
        held.is_full = False

        def moved() -> bool:
            with held.read() as session:
                return leases.holders(session)[RUN][1] > before

        eventually(moved)
        assert not lease.lost.is_set()
