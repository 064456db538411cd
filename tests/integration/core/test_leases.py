"""Who has a run, on both databases: a counter that grows while its holder lives, and what frees it."""

from core.catalog import leases, letters, queue, runs
from core.database import Database
from tests.support.documents import NOW, new_target

RUN = "run1"


def claimed(database: Database, holder: str = "holder") -> None:
    """A run of two documents, its plan written, held by somebody who has both in hand."""
    target = new_target(database, run_id=RUN)
    with database.write() as session:
        runs.add_work(session, RUN, [("d0", "added", "b" * 64), ("d1", "added", "b" * 64)])
        first = leases.holders(session)[target.run_id][0]
        assert queue.release_run(session, RUN, first, refund=True)
        assert queue.claim_run(session, RUN, token=holder)
        assert len(runs.claim(session, RUN, token=holder, limit=2)) == 2


def rescue(database: Database, seen: leases.Beat, max_attempts: int = 3) -> bool:
    with database.write() as session:
        return leases.rescue(session, RUN, seen, max_attempts=max_attempts, now=NOW)


def held(database: Database) -> dict[str, leases.Beat]:
    with database.read() as session:
        return leases.holders(session)


def test_a_beat_moves_the_counter_of_its_holder_and_of_nobody_else(database: Database) -> None:
    claimed(database)
    _, before = held(database)[RUN]
    with database.write() as session:
        assert leases.beat(session, RUN, "holder")
        assert not leases.beat(session, RUN, "stranger")
    assert held(database)[RUN] == ("holder", before + 1)
    with database.read() as session:
        assert leases.holder_of_source(session, "docs") == (RUN, ("holder", before + 1))
        assert leases.holder_of_source(session, "other") is None


def test_a_holder_that_moved_since_it_was_looked_at_is_not_freed(database: Database) -> None:
    claimed(database)
    seen = held(database)[RUN]
    with database.write() as session:
        leases.beat(session, RUN, "holder")
    assert not rescue(database, seen)
    with database.write() as session:
        assert leases.is_held(session, RUN, "holder")


def test_of_two_rescuers_one_frees_a_run(database: Database) -> None:
    claimed(database)
    seen = held(database)[RUN]
    assert rescue(database, seen)
    assert not rescue(database, seen)
    assert held(database) == {}


def test_a_new_holder_is_never_taken_for_the_old_one(database: Database) -> None:
    claimed(database)
    seen = held(database)[RUN]
    assert rescue(database, seen)
    with database.write() as session:
        assert queue.claim_run(session, RUN, token="holder"), "even one of the same name"  # noqa: S106 - no secret
    assert held(database)[RUN] != seen
    assert not rescue(database, seen)


def test_what_was_in_hand_waits_again_and_nothing_of_it_is_lost(database: Database) -> None:
    claimed(database)
    assert rescue(database, held(database)[RUN])
    with database.read() as session:
        assert runs.progress(session, RUN).states == {"pending": 2}
        assert letters.count_open(session) == 0


def test_what_has_used_up_its_attempts_becomes_a_dead_letter_of_the_worker(database: Database) -> None:
    claimed(database)
    assert rescue(database, held(database)[RUN], max_attempts=1)
    with database.read() as session:
        found = letters.listing(session)
        assert runs.progress(session, RUN).states == {"quarantined": 2}
    assert {(letter.place, letter.stage, letter.code, letter.attempts) for letter in found} == {
        ("d0", "worker", "worker_lost", 1),
        ("d1", "worker", "worker_lost", 1),
    }


def test_a_run_whose_worker_died_before_its_plan_waits_as_if_it_were_new(database: Database) -> None:
    target = new_target(database)
    with database.write() as session:
        queue.submit(session, run_id="young", source_id=target.source_id, request={}, requested_by="", now=NOW)
        queue.end_run(session, target.run_id, state="succeeded", now=NOW)
        assert queue.claim_run(session, "young", token="dead")  # noqa: S106 - no secret
    with database.write() as session:
        assert leases.rescue(session, "young", leases.holders(session)["young"], max_attempts=3, now=NOW)
        again = queue.claim_run(session, "young", token="next")  # noqa: S106 - no secret
    assert again
    assert (again.state, again.attempt) == ("planning", 2)


def test_a_rescuer_proves_each_time_that_it_can_write(database: Database) -> None:
    for _ in range(2):
        with database.write() as session:
            leases.prove_writable(session)
    with database.read() as session:
        assert held(database) == {}
        assert session.exec_driver_sql("SELECT value FROM counter WHERE name = 'rescuer'").scalar_one() == 2
