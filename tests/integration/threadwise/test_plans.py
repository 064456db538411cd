"""A plan is looked at first and then done exactly so, on both databases, or the world has changed."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core import tables as t
from core.catalog import audiences, leases, plans, queue, runs, sequence, sources
from core.database import Database
from core.errors import LostClaimError
from core.words import Instant, document_id_of
from ingest.errors import PlanNotFoundError, WorldChangedError
from ingest.planning import Planner
from tests.support.documents import NOW, new_target
from tests.support.installation import PAGES, WatchedEmbedder, installation, live_texts, write_pages
from tests.support.slack_export import ExportBuilder, small_workspace
from threadwise.digest import catalogue_digest
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise

NEW_LEAVE = "# Leave\n\nEverybody has 30 days of leave.\n"


def never() -> bool:
    return False


def planned(threadwise: Threadwise, folder: Path, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - of a request
    """What a run that only plans has found."""
    run_id = threadwise.runs.submit(SubmitRequest(source="docs", path=str(folder), plan_only=True, **rest))
    assert threadwise.runs.work(run_id, never) == "planned"
    return threadwise.runs.plan(run_id)


def applied(threadwise: Threadwise, plan: dict[str, Any]) -> str:
    """The state of the plan's run once it was applied and worked."""
    run_id = threadwise.runs.apply(plan["plan_hash"])
    assert run_id == plan["run_id"]
    return threadwise.runs.work(run_id, never)


def changed_docs(threadwise: Threadwise, tmp_path: Path) -> Path:
    """A folder that was ingested, and in which one page was added, changed and removed since."""
    docs = write_pages(tmp_path / "docs", PAGES)
    threadwise.ingest(docs, name="docs")
    return write_pages(docs, {"leave.md": NEW_LEAVE, "vpn.md": PAGES["vpn.md"], "desk.md": "# Desk\n\nBook one.\n"})


def test_a_plan_says_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    threadwise, embedder = installation(tmp_path / "data")
    with threadwise:
        docs = changed_docs(threadwise, tmp_path)
        before, digest = live_texts(threadwise), catalogue_digest(threadwise)
        plan = planned(threadwise, docs)
        assert plan["documents"] == {
            "added": ["desk.md"],
            "changed": ["leave.md"],
            "removed": ["bikes.md"],
            "audience_changed": [],
        }
        assert (plan["counts"]["unchanged"], plan["chunks"], plan["chunks_to_embed"]) == (1, 2, 2)
        assert plan["expected_minutes"] >= 0
        assert plan["ledger"] == {"total": 3, "buckets": {"indexed": 3}}
        assert (live_texts(threadwise), catalogue_digest(threadwise)) == (before, digest)
        assert planned(threadwise, docs)["plan_hash"] == plan["plan_hash"], "of the same world"
        with pytest.raises(PlanNotFoundError):
            threadwise.runs.apply("0" * 64)
        assert isinstance(embedder, WatchedEmbedder)


def test_what_is_applied_is_exactly_what_was_planned_and_once(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        plan = planned(threadwise, changed_docs(threadwise, tmp_path))
        assert applied(threadwise, plan) == "succeeded"
        counts = threadwise.runs.standing(plan["run_id"]).progress.changes
        assert counts == {"added": 1, "changed": 1, "removed": 1}
        texts = live_texts(threadwise)
        assert applied(threadwise, plan) == "succeeded", "the second time leads to the same run"
        assert live_texts(threadwise) == texts
        assert len(threadwise.runs.latest()) == 2
        again = threadwise.runs.submit(SubmitRequest(source="docs"))
        threadwise.runs.work(again, never)
        assert threadwise.runs.standing(again).progress.total == 0, "nothing is left to do"


def test_a_plan_that_was_killed_half_way_through_goes_on(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        plan = planned(threadwise, changed_docs(threadwise, tmp_path))
        run_id = threadwise.runs.apply(plan["plan_hash"])
        with threadwise.database.write() as session:
            assert queue.claim_run(session, run_id, token="dead")  # noqa: S106 - no secret
        with threadwise.database.write() as session:
            leases.rescue(session, run_id, leases.holders(session)[run_id], max_attempts=3, now=NOW)
        assert threadwise.runs.apply(plan["plan_hash"]) == run_id
        assert threadwise.runs.work(run_id, never) == "succeeded"


@pytest.mark.parametrize("what", ["the source", "the catalogue", "another plan", "cancelled"])
def test_a_plan_is_not_applied_to_another_world(tmp_path: Path, what: str) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        docs = changed_docs(threadwise, tmp_path)
        plan = planned(threadwise, docs)
        if what == "the source":
            (docs / "desk.md").write_text("# Desk\n\nBook two.\n")
        elif what == "the catalogue":
            threadwise.deletions.delete([document_id_of("docs", "vpn.md")])
        elif what == "another plan":
            (docs / "desk.md").write_text("# Desk\n\nBook two.\n")
            planned(threadwise, docs)
        else:
            assert threadwise.runs.cancel(plan["run_id"])
        texts = live_texts(threadwise)
        with pytest.raises(WorldChangedError, match="Plan again"):
            threadwise.runs.apply(plan["plan_hash"])
        assert live_texts(threadwise) == texts
        left = {"another plan": {"superseded": 3}, "cancelled": {"cancelled": 3}}.get(what, {"pending": 3})
        assert threadwise.runs.standing(plan["run_id"]).progress.states == left


def test_rights_change_when_a_plan_is_applied_and_not_before(tmp_path: Path) -> None:
    def export(members: list[str]) -> ExportBuilder:
        builder = small_workspace()
        builder.listings["groups.json"] = []
        return builder.private("G1", "salaries", members)

    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(export(["U1", "U3"]).zipped(tmp_path / "one.zip"), name="docs")
        with threadwise.database.read() as session:
            workspace = session.execute(select(t.source.c.workspace)).scalar_one()
            secret = set(session.execute(select(t.chunk.c.id).where(t.chunk.c.text.contains("budget"))).scalars())
        plan = planned(threadwise, export(["U2"]).zipped(tmp_path / "two.zip"))

        def who_reads() -> set[str]:
            readers = {user: threadwise.reader(f"{workspace}/{user}") for user in ("U1", "U2", "U3")}
            return {user for user, reader in readers.items() if threadwise.may_read(reader, chunks=secret)}

        assert who_reads() == {"U1", "U3"}
        run_id = threadwise.runs.apply(plan["plan_hash"])
        assert who_reads() == {"U2"}, "at once, before any document was worked on"
        assert threadwise.runs.work(run_id, never) == "succeeded"
        assert who_reads() == {"U2"}


def test_whoever_has_lost_its_run_neither_starts_nor_keeps_a_plan(database: Database) -> None:
    target = new_target(database)
    with database.write() as session, pytest.raises(LostClaimError):
        plans.start(session, target.run_id, fingerprint="", unchanged=0, now=NOW)
    with database.write() as session, pytest.raises(LostClaimError):
        plans.keep(session, target.run_id, plan_hash="h", plan={}, fingerprint="", unchanged=0)
    with database.write() as session:
        assert not plans.release(session, target.run_id, NOW), "it does not wait"
        assert plans.of_run(session, target.run_id) is None
        assert audiences.audience_ids(session, ["everyone"]) == ()


def test_a_plan_is_applied_beside_a_run_of_its_source_that_commits(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        docs = changed_docs(threadwise, tmp_path)
        plan = planned(threadwise, docs)
        other = threadwise.runs.submit(SubmitRequest(source="docs"))
        with threadwise.database.write() as session:
            assert queue.claim_run(session, other, token="busy")  # noqa: S106 - no secret
            plans.start(session, other, fingerprint="", unchanged=0, now=NOW)
        errors: list[Exception] = []

        def apply() -> None:
            try:
                threadwise.runs.apply(plan["plan_hash"])
            except Exception as error:  # noqa: BLE001 - looked at below
                errors.append(error)

        with threadwise.database.write() as session:
            assert leases.is_held(session, other, "busy")
            thread = threading.Thread(target=apply)
            thread.start()
            time.sleep(0.3)  # it waits by now for what this transaction has
            sequence.lock(session)
        thread.join()
        assert errors == []
        assert threadwise.runs.standing(other).run.state == "superseded"


def test_a_plan_of_an_emptied_source_withdraws_nothing(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        digest = catalogue_digest(threadwise)
        empty = write_pages(tmp_path / "empty", {"empty.md": ""})
        wanted = SubmitRequest(source="docs", path=str(empty), audience=("group:hr",), plan_only=True)
        run_id = threadwise.runs.submit(wanted)
        assert threadwise.runs.work(run_id, never) == "failed"
        assert threadwise.runs.standing(run_id).run.error_code == "source_empty"
        assert catalogue_digest(threadwise) == digest
        with threadwise.database.read() as session:
            assert sources.locations(session) == [str(tmp_path / "docs")]


def test_a_run_that_is_cancelled_while_it_plans_leaves_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        docs = changed_docs(threadwise, tmp_path)
        run_id = threadwise.runs.submit(SubmitRequest(source="docs", path=str(docs), plan_only=True))
        estimate = Planner._estimate

        def late(self: Planner, *args: Any) -> dict[str, object]:  # noqa: ANN401 - passed on
            assert threadwise.runs.cancel(run_id)
            return estimate(self, *args)

        monkeypatch.setattr(Planner, "_estimate", late)
        assert threadwise.runs.work(run_id, never) == "cancelled"


def test_of_equal_plans_the_one_that_waits_is_found_whatever_the_clock_said(database: Database) -> None:
    with database.write() as session:
        number = sources.source_id(session, name="docs", kind="files", now=NOW)
        for run_id, at, end in (("one", NOW + 5, True), ("two", NOW, False)):
            queue.begin(session, run_id=run_id, source_id=number, request={}, requested_by="", now=Instant(at))
            plans.keep(session, run_id, plan_hash="h", plan={}, fingerprint="", unchanged=0)
            if end:
                queue.end_run(session, run_id, state="cancelled", now=NOW)
        found = plans.find(session, "h")
        assert found
        assert found.run_id == "two"


def test_a_run_is_claimed_beside_a_plan_that_is_applied_and_neither_waits_for_ever(database: Database) -> None:
    target = new_target(database)
    with database.write() as session:
        queue.release_run(session, target.run_id, leases.holders(session)[target.run_id][0], refund=True)

    def claim() -> None:
        with database.write() as session:
            claimed.append(queue.claim_run(session, target.run_id, token="late"))  # noqa: S106 - no secret

    claimed: list[object] = []
    thread = threading.Thread(target=claim)
    with database.write() as session:
        runs.lock_unfinished(session, target.source_id)
        thread.start()
        time.sleep(0.3)  # it waits by now for what this transaction has
        queue.pause(session, target.source_id, "asked")
    thread.join(30)
    assert claimed == [None], "its source is paused"
