"""Whatever workers, rescuers and people do to runs, in whatever order: the catalogue does what a dictionary does.

`FULL=1 make faults` takes 2,000 lives of 50 steps instead of 30 of 30.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlalchemy import select

from core import tables as t
from core.blobs import BlobStore
from core.catalog import leases, plans, queue, runs, sources, tombstones
from core.catalog.documents import Target
from core.catalog.generations import generation_for
from core.catalog.queue import ClaimedRun
from core.catalog.runs import WorkItem
from core.catalog.tombstones import Burial
from core.database import Database
from core.errors import LostClaimError
from core.settings import IngestSettings
from core.words import Document, Instant, document_id_of
from ingest.prepare import Prepared, Preparer
from ingest.work import RunLoop
from tests.support.documents import NOW, SPACE, cut, page, vectors_for
from tests.support.faults.claims import MAX_ATTEMPTS, Model, Run
from tests.support.faults.toys import ToyEmbedder

LIVES, STEPS = (2000, 50) if os.environ.get("FULL") == "1" else (30, 30)
NAMES = ("p0", "p1", "p2", "p3")
SHORT = ("a", "b")
_ages = itertools.count(1)

Hand = tuple[ClaimedRun, tuple[WorkItem, ...]]
Sight = tuple[tuple[str, leases.Beat], ...]


class Claims(RuleBasedStateMachine):
    """Every life has two sources of its own in one catalogue."""

    database: ClassVar[Database]
    blobs: ClassVar[BlobStore]
    submitted: Bundle[str] = Bundle("submitted")
    claims: Bundle[ClaimedRun] = Bundle("claims")
    hands: Bundle[Hand] = Bundle("hands")
    sights: Bundle[Sight] = Bundle("sights")

    @initialize()
    def settle_in(self) -> None:
        """Make the sources."""
        self.model, self.age = Model(), next(_ages)
        with self.database.write() as session:
            self.generation = generation_for(session, pipeline="p1", space=SPACE, now=NOW)
            made = [sources.source_id(session, name=self.named(name), kind="files", now=NOW) for name in SHORT]
        self.numbers = dict(zip(SHORT, made, strict=True))

    def named(self, short: str) -> str:
        """A name that no other life has used."""
        return f"{short}{self.age}"

    def now(self) -> Instant:
        return Instant(NOW + next(_ages))

    @rule(target=submitted, source=st.sampled_from(SHORT))
    def submit(self, source: str) -> str:
        run_id = f"{next(_ages):032x}"
        asked: dict[str, Any] = {"run_id": run_id, "source_id": self.numbers[source], "request": {}}
        with self.database.write() as session:
            assert queue.submit(session, **asked, requested_by="", now=self.now())
        self.model.runs[run_id] = Run(source)
        return run_id

    @rule(target=claims, run_id=submitted)
    def claim(self, run_id: str) -> Any:  # noqa: ANN401 - one value or none
        token = f"{next(_ages):032x}"
        with self.database.write() as session:
            claimed = queue.claim_run(session, run_id, token=token)
        assert (claimed is not None) == self.model.is_free(run_id)
        return self.taken(claimed)

    @rule(target=claims)
    def claim_next(self) -> Any:  # noqa: ANN401 - one value or none
        with self.database.write() as session:
            claimed = queue.claim_next(session, token=f"{next(_ages):032x}")
        assert (claimed.id if claimed else None) == self.model.next_free()
        return self.taken(claimed)

    def taken(self, claimed: ClaimedRun | None) -> Any:  # noqa: ANN401 - one value or none
        if claimed is None:
            return multiple()
        self.model.claim(claimed.id, claimed.token)
        return claimed

    @rule(claimed=claims, names=st.sets(st.sampled_from(NAMES), min_size=1))
    def plan(self, claimed: ClaimedRun, names: set[str]) -> None:
        """What a worker has read becomes work, unless it has lost its run meanwhile."""
        run = self.model.runs[claimed.id]
        is_due = self.model.holds(claimed.id, claimed.token) and run.state == "planning"
        with self.database.write() as session:
            if not leases.is_held(session, claimed.id, claimed.token) or run.state != "planning":
                assert not is_due
                return
            runs.add_work(session, claimed.id, [(name, "changed", "b" * 64) for name in sorted(names)])
            runs.supersede_unfinished(session, claimed.source_id, self.now(), but=claimed.id)
            plans.start(session, claimed.id, fingerprint="", unchanged=0, now=self.now())
            rows = session.execute(select(t.work.c.external_id, t.work.c.id).where(t.work.c.run_id == claimed.id))
            self.model.plan(claimed.id, {row[0]: row[1] for row in rows})
        assert is_due

    @rule(target=claims, source=st.sampled_from(SHORT), names=st.sets(st.sampled_from(NAMES), min_size=1))
    def set_out(self, source: str, names: set[str]) -> Any:  # noqa: ANN401 - one value or none
        """The usual beginning in one step, so that lives get further."""
        run_id = self.submit(source)
        claimed = self.claim(run_id)
        if isinstance(claimed, ClaimedRun):
            self.plan(claimed, names)
        return claimed

    @rule(target=hands, claimed=claims, limit=st.integers(1, 3))
    def take(self, claimed: ClaimedRun, limit: int) -> Any:  # noqa: ANN401 - one value or none
        is_held = self.model.holds(claimed.id, claimed.token) and self.model.runs[claimed.id].state == "running"
        try:
            with self.database.write() as session:
                items = runs.claim(session, claimed.id, token=claimed.token, limit=limit)
        except LostClaimError:
            assert not is_held
            return multiple()
        assert is_held
        names = {item.external_id for item in items}
        assert names == self.model.chosen(claimed.id, limit)
        self.model.take(claimed.id, names, claimed.token)
        return (claimed, tuple(items)) if items else multiple()

    @rule(claimed=claims, limit=st.integers(1, 3), fails=st.sampled_from((False, False, True)))
    def take_and_hand_over(self, claimed: ClaimedRun, limit: int, *, fails: bool) -> None:
        """The usual course in one step, so that lives get further."""
        hand = self.take(claimed, limit)
        if isinstance(hand, tuple):
            self.hand_over(hand, fails=fails)

    @rule(claimed=claims)
    def work_to_the_end(self, claimed: ClaimedRun) -> None:
        """A worker whom nothing disturbs, if it still has its run."""
        run = self.model.runs[claimed.id]
        if run.state == "running" and self.model.holds(claimed.id, claimed.token):
            while isinstance(hand := self.take(claimed, len(NAMES)), tuple):
                self.hand_over(hand, fails=False)
            self.finish(claimed)

    @rule(hand=hands)
    def commit(self, hand: Hand) -> None:
        """Write what a lane had in hand, however long ago it took it."""
        self.hand_over(hand, fails=False)

    @rule(hand=hands)
    def fail(self, hand: Hand) -> None:
        """What a lane had in hand could not be prepared."""
        self.hand_over(hand, fails=True)

    def hand_over(self, hand: Hand, *, fails: bool) -> None:
        claimed, items = hand
        loop, run = self.loop_of(claimed), self.model.runs[claimed.id]
        group = [self.prepared(claimed, item, fails=fails) for item in items]
        loop._commit_group(group)
        for item in items:
            known = run.items[item.external_id]
            if (known.state, known.attempt, known.token) == ("running", item.attempt, item.token):
                self.model.settle(claimed.id, item.external_id, failed=fails)

    @rule(claimed=claims)
    def beat(self, claimed: ClaimedRun) -> None:
        with self.database.write() as session:
            held = leases.beat(session, claimed.id, claimed.token)
        assert held == self.model.holds(claimed.id, claimed.token)
        self.model.runs[claimed.id].beat += held

    @rule(target=sights)
    def look(self) -> Sight:
        with self.database.read() as session:
            seen = leases.holders(session)
        held = {run_id: (run.token, run.beat) for run_id, run in self.model.runs.items() if run.is_open and run.token}
        assert seen == held
        return tuple(sorted(seen.items()))

    @rule(sight=sights)
    def rescue(self, sight: Sight) -> None:
        """Free whoever has not moved since it was looked at."""
        for run_id, seen in sight:
            run = self.model.runs[run_id]
            is_still = run.is_open and (run.token, run.beat) == seen
            with self.database.write() as session:
                freed = leases.rescue(session, run_id, seen, max_attempts=MAX_ATTEMPTS, now=self.now())
            assert freed == is_still
            if freed:
                self.model.rescue(run_id)

    @rule(claimed=claims)
    def move_just_before_the_rescue(self, claimed: ClaimedRun) -> None:
        """Whoever gives a sign of life after it was looked at keeps its run."""
        sight = self.look()
        self.beat(claimed)
        self.rescue(tuple(seen for seen in sight if seen[0] == claimed.id))

    @rule(claimed=claims, refund=st.booleans())
    def give_back(self, claimed: ClaimedRun, *, refund: bool) -> None:
        with self.database.write() as session:
            released = queue.release_run(session, claimed.id, claimed.token, refund=refund)
        assert released == self.model.holds(claimed.id, claimed.token)
        if released:
            self.model.release(claimed.id, claimed.token, refund=refund)

    @rule(run_id=submitted)
    def cancel(self, run_id: str) -> None:
        run = self.model.runs[run_id]
        with self.database.write() as session:
            asked = queue.request_cancel(session, run_id, self.now())
        assert asked == run.is_open
        if run.is_open and run.token:
            run.cancel = True
        elif run.is_open:
            run.end("cancelled", "cancelled")

    @rule(claimed=claims)
    def cancel_while_worked(self, claimed: ClaimedRun) -> None:
        self.cancel(claimed.id)

    @rule(claimed=claims)
    def finish(self, claimed: ClaimedRun) -> None:
        """Whoever has settled everything ends the run; whoever has lost it cannot."""
        run = self.model.runs[claimed.id]
        if run.in_state("pending", "running"):
            return
        is_held = self.model.holds(claimed.id, claimed.token) and run.state == "running"
        try:
            with self.database.write() as session:
                state, _ = runs.finish(session, claimed.id, claimed.token, self.now())
        except LostClaimError:
            assert not is_held
            return
        assert is_held
        assert state.startswith("succeeded")
        run.end("succeeded")

    @rule(source=st.sampled_from(SHORT), name=st.sampled_from(NAMES))
    def delete(self, source: str, name: str) -> None:
        document_id = document_id_of(self.named(source), name)
        burial = Burial(kind="document", key=document_id, source=self.named(source), external_id=name, at=self.now())
        with self.database.write() as session:
            tombstones.bury(session, burial)
            tombstones.hide(session, [document_id], removed=True)
            tombstones.stop_work(session, self.numbers[source], [name])
        self.model.bury(source, name)

    @rule(source=st.sampled_from(SHORT), on=st.booleans())
    def pause(self, source: str, *, on: bool) -> None:
        with self.database.write() as session:
            if on:
                queue.pause(session, self.numbers[source], "asked")
            else:
                queue.resume(session, self.numbers[source], "asked", self.now())
        (self.model.paused.add if on else self.model.paused.discard)(source)

    @invariant()
    def the_catalogue_is_what_the_dictionary_is(self) -> None:
        r, w, d = t.run.c, t.work.c, t.document.c
        with self.database.read() as session:
            mine = r.source_id.in_(self.numbers.values())
            rows = session.execute(
                select(r.id, r.state, r.attempt, r.lease_token, r.beat, r.cancel_requested).where(mine)
            )
            found = {row[0]: tuple(row[1:]) for row in rows}
            items = select(w.run_id, w.external_id, w.state, w.attempt).where(w.run_id.in_(found))
            work = {(row[0], row[1]): (row[2], row[3]) for row in session.execute(items)}
            live = select(d.source_id, d.external_id, t.version.c.run_id).join(
                t.version, t.version.c.id == d.version_id
            )
            documents = {
                tuple(row[:2]): row[2] for row in session.execute(live.where(d.source_id.in_(self.numbers.values())))
            }
        assert {one: (_ended(row[0]), *row[1:]) for one, row in found.items()} == {
            run_id: (run.state, run.attempt, run.token, run.beat, run.cancel) for run_id, run in self.model.runs.items()
        }
        assert work == {
            (run_id, name): (item.state, item.attempt)
            for run_id, run in self.model.runs.items()
            for name, item in run.items.items()
        }
        assert documents == {(self.numbers[source], name): run for (source, name), run in self.model.live.items()}

    @invariant()
    def no_source_is_worked_on_twice_and_nothing_is_tried_too_often(self) -> None:
        held = [run.source for run in self.model.runs.values() if run.is_open and run.token]
        assert len(held) == len(set(held))
        assert all(item.attempt <= MAX_ATTEMPTS for run in self.model.runs.values() for item in run.items.values())

    def teardown(self) -> None:
        """Leave nothing that the next life could claim."""
        with self.database.write() as session:
            for run_id in self.model.runs:
                queue.end_run(session, run_id, state="cancelled", now=self.now())

    def loop_of(self, claimed: ClaimedRun) -> RunLoop:
        target = Target(
            source_id=claimed.source_id,
            source=claimed.source,
            run_id=claimed.id,
            generation_id=self.generation,
            space_id=SPACE.id,
        )
        preparer = Preparer(self.database, self.blobs, embedder=ToyEmbedder(), chunker=cut, target=target)
        limits = IngestSettings(max_attempts=MAX_ATTEMPTS)
        return RunLoop(self.database, preparer, token=claimed.token, settings=limits, clock=self.now)

    def prepared(self, claimed: ClaimedRun, item: WorkItem, *, fails: bool) -> Prepared:
        if fails:
            return Prepared(item=item, error=RuntimeError(), stage="embed")
        document: Document = page(item.external_id, f"{item.external_id} as run {claimed.id} has it")
        chunks = cut(document, claimed.source)
        return Prepared(item=item, document=document, chunks=tuple(chunks), vectors=vectors_for(chunks))


def _ended(state: str) -> str:
    return "succeeded" if state == "succeeded_with_quarantine" else state


@contextmanager
def living_in(database: Database, folder: Path) -> Iterator[type[Claims]]:
    """The machine, at home in this catalogue."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Claims, "database", database, raising=False)
        patch.setattr(Claims, "blobs", BlobStore(folder / "blobs"), raising=False)
        yield Claims


def test_the_catalogue_does_what_a_dictionary_does(database: Database, tmp_path: Path) -> None:
    with living_in(database, tmp_path) as machine:
        case = machine.TestCase
        case.settings = settings(
            max_examples=LIVES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        case().runTest()
