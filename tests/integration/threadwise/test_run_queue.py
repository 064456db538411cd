"""A run from the queue to its end, on both databases: worked, resumed, stopped, cancelled, failed."""

import os
import time
from pathlib import Path
from uuid import uuid4

import pytest

from core.catalog import leases, queue, sources
from core.catalog.sources import SourceKindError
from core.database import Session
from core.errors import RunNotFoundError, UnknownSourceError
from core.words import Instant
from ingest.errors import SourceNotFoundError, UnknownKindError
from tests.support.installation import PAGES, installation, live_texts, write_pages
from tests.support.slack_export import small_workspace
from threadwise.digest import catalogue_digest
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise


def never() -> bool:
    return False


def docs_of(folder: Path, count: int = 0) -> Path:
    many = {f"page{place}.md": f"# Page {place}\n\nThe answer to {place} is {place * 7}.\n" for place in range(count)}
    return write_pages(folder / "docs", many or PAGES)


def claim(session: Session, run_id: str, holder: str) -> bool:
    """Another worker takes the run."""
    return queue.claim_run(session, run_id, token=holder) is not None


def lose(session: Session, run_id: str) -> None:
    """Its worker is found to be dead."""
    assert leases.rescue(session, run_id, leases.holders(session)[run_id], max_attempts=3, now=Instant(1))


def unsent_of(session: Session) -> list[str]:
    return [run_id for _, run_id in queue.unsent(session)]


def submit(threadwise: Threadwise, folder: Path, **rest: object) -> str:
    return threadwise.runs.submit(SubmitRequest(source="docs", path=str(folder), requested_by="k1", **rest))  # type: ignore[arg-type]


def test_a_submitted_run_is_worked_to_its_end(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        run_id = submit(threadwise, docs_of(tmp_path))
        assert threadwise.runs.standing(run_id).run.state == "queued"
        assert live_texts(threadwise) == set()
        assert threadwise.runs.work(run_id, never) == "succeeded"
        standing = threadwise.runs.standing(run_id)
        assert (standing.progress.settled, standing.progress.total, standing.run.requested_by) == (3, 3, "k1")
        assert len(live_texts(threadwise)) == 3
        assert [row.last_state for row in threadwise.runs.sources()] == ["succeeded"]


def test_a_worked_run_leaves_what_a_direct_ingestion_leaves(tmp_path: Path) -> None:
    folder = docs_of(tmp_path)
    direct, _ = installation(tmp_path / "one")
    queued, _ = installation(tmp_path / "two")
    with direct, queued:
        report = direct.ingest(folder, name="docs")
        run_id = submit(queued, folder)
        queued.runs.work(run_id, never)
        assert catalogue_digest(queued) == catalogue_digest(direct)
        assert queued.runs.standing(run_id).buckets == report.buckets


def test_an_unchanged_source_costs_its_run_one_look(tmp_path: Path) -> None:
    threadwise, watched = installation(tmp_path / "data")
    with threadwise:
        threadwise.runs.work(submit(threadwise, docs_of(tmp_path)), never)
        embedded = len(watched.texts)
        again = threadwise.runs.submit(SubmitRequest(source="docs"))
        assert threadwise.runs.work(again, never) == "succeeded"
        standing = threadwise.runs.standing(again)
        assert (standing.progress.total, standing.progress.unchanged, len(watched.texts)) == (0, 3, embedded)
        assert sum(standing.buckets.values()) == 3


def test_a_stopped_run_goes_on_where_it_was_and_costs_no_attempt(tmp_path: Path, database_url: str) -> None:
    stopped = False

    def stop_after_some(_text: str) -> None:
        nonlocal stopped
        stopped = stopped or len(watched.texts) >= 90

    threadwise, watched = installation(tmp_path / "data", database_url, stop_after_some)
    with threadwise:
        run_id = submit(threadwise, docs_of(tmp_path, 300))
        assert threadwise.runs.work(run_id, lambda: stopped) == "running"
        before = threadwise.runs.standing(run_id)
        assert before.progress.settled < 300
        assert before.progress.states.get("running", 0) == 0, "what was claimed is given back"
        assert threadwise.runs.work(run_id, never) == "succeeded"
        after = threadwise.runs.standing(run_id)
        assert (after.progress.settled, after.run.attempt) == (300, 1)
        assert len(set(watched.texts)) == 300
        assert len(watched.texts) <= 302, "at most what each thread had in hand is embedded twice"


def test_a_run_whose_worker_vanished_is_resumed_by_the_next(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        run_id = submit(threadwise, docs_of(tmp_path))
        with threadwise.database.write() as session:
            assert claim(session, run_id, "dead")
            lose(session, run_id)
        assert threadwise.runs.work(run_id, never) == "succeeded"
        assert threadwise.runs.standing(run_id).run.attempt == 1, "of attempts without any progress"


def test_a_run_that_somebody_holds_is_left_alone(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        run_id = submit(threadwise, docs_of(tmp_path))
        with threadwise.database.write() as session:
            assert claim(session, run_id, "other")
        assert threadwise.runs.work(run_id, never) == "planning"
        assert live_texts(threadwise) == set()


def test_a_cancelled_run_ends_and_keeps_what_it_had_committed(tmp_path: Path) -> None:
    run_id = ""

    def cancel_soon(_text: str) -> None:
        if len(watched.texts) == 150:
            threadwise.runs.cancel(run_id)
        if len(watched.texts) > 150:
            time.sleep(0.02)  # recounting, which notices, happens once a second

    threadwise, watched = installation(tmp_path / "data", "", cancel_soon)
    with threadwise:
        run_id = submit(threadwise, docs_of(tmp_path, 400))
        assert threadwise.runs.work(run_id, never) == "cancelled"
        standing = threadwise.runs.standing(run_id)
        assert 0 < standing.progress.states["committed"] < 400
        assert standing.progress.states["cancelled"] == 400 - standing.progress.states["committed"]
        committed = standing.progress.states["committed"]
        assert len(live_texts(threadwise)) == committed
        assert standing.as_json()["documents"]["added"] == committed  # type: ignore[index]
        assert standing.buckets == {"indexed": committed, "failed": 400 - committed}
        assert not threadwise.runs.cancel(run_id)


def test_a_run_that_cannot_be_read_fails_with_its_reason(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    folder = docs_of(tmp_path)
    with threadwise:
        run_id = submit(threadwise, folder)
        for page in folder.iterdir():
            page.unlink()
        folder.rmdir()
        assert threadwise.runs.work(run_id, never) == "failed"
        run = threadwise.runs.standing(run_id).run
        assert run.error_code == "source_not_found"
        assert "Check the path" in run.error


def test_a_run_that_kills_every_worker_fails_in_the_end(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        run_id = submit(threadwise, docs_of(tmp_path))
        for place in range(threadwise.settings.queue.max_attempts):
            with threadwise.database.write() as session:
                assert claim(session, run_id, f"dead{place}")
                lose(session, run_id)
        assert threadwise.runs.work(run_id, never) == "failed"
        assert threadwise.runs.standing(run_id).run.error_code == "worker_lost"


def test_one_document_is_ingested_again_without_the_rest(tmp_path: Path) -> None:
    threadwise, watched = installation(tmp_path / "data")
    folder = docs_of(tmp_path)
    with threadwise:
        threadwise.runs.work(submit(threadwise, folder), never)
        watched.texts.clear()
        (folder / "vpn.md").write_text("# VPN\n\nUse the new client.\n")
        (folder / "leave.md").write_text("# Leave\n\nEverybody has 30 days of leave.\n")
        one = threadwise.runs.submit(SubmitRequest(source="docs", document="vpn.md"))
        assert threadwise.runs.work(one, never) == "succeeded"
        texts = " ".join(live_texts(threadwise))
        assert "new client" in texts
        assert "25 days" in texts
        assert len(watched.texts) == 1
        whole = threadwise.runs.submit(SubmitRequest(source="docs"))
        assert threadwise.runs.work(whole, never) == "succeeded"
        assert "30 days" in " ".join(live_texts(threadwise))


def test_a_document_that_the_source_never_had_fails_its_run(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        run_id = submit(threadwise, docs_of(tmp_path), document="nothing.md")
        assert threadwise.runs.work(run_id, never) == "failed"
        assert threadwise.runs.standing(run_id).run.error_code == "document_not_found"


def test_what_is_wrong_at_once_is_said_at_once(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        with pytest.raises(SourceNotFoundError):
            submit(threadwise, tmp_path / "nowhere")
        with pytest.raises(UnknownSourceError):
            threadwise.runs.submit(SubmitRequest(source="docs"))
        with pytest.raises(UnknownSourceError):
            threadwise.runs.schedule("docs", 5)
        with pytest.raises(RunNotFoundError):
            threadwise.runs.cancel(uuid4().hex)
        assert threadwise.runs.latest() == []


def test_an_audience_holds_for_later_runs_whoever_starts_them(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        threadwise.runs.work(submit(threadwise, docs_of(tmp_path), audience=("T1/U1",)), never)
        (tmp_path / "docs" / "vpn.md").write_text("# VPN\n\nUse the new client.\n")
        threadwise.runs.schedule("docs", 1)
        later = Instant(threadwise.clock() + 120_000_000)
        with threadwise.database.write() as session:
            [due] = queue.submit_due(session, later)
            assert queue.submit_due(session, later) == []
        assert threadwise.runs.work(due, never) == "succeeded"
        with threadwise.database.read() as session:
            from sqlalchemy import select  # noqa: PLC0415

            from core import tables as t  # noqa: PLC0415

            assert set(session.execute(select(t.document.c.audience_id)).scalars()) == {1}


def test_an_upload_that_nothing_needs_any_more_is_deleted(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        made = {}
        for name, text in (("old", "one"), ("new", "two"), ("stray", "three"), ("coming", "four")):
            folder = threadwise.uploads / name
            folder.mkdir(parents=True)
            made[name] = folder / "page.md"
            made[name].write_text(f"# Page\n\nThe text is {text}.\n")
        for name in ("old", "stray"):
            for path in (made[name], made[name].parent):
                os.utime(path, (1, 1))
        for name in ("old", "new"):
            assert made["old"].exists(), "its source was read from it"
            run_id = threadwise.runs.submit(SubmitRequest(source="docs", path=str(made[name]), allow_empty=True))
            threadwise.runs.work(run_id, never)
        assert {folder.name for folder in threadwise.uploads.iterdir()} == {"new", "coming"}


def test_all_sources_are_queued_and_one_that_is_gone_holds_up_no_other(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(docs_of(tmp_path), name="docs")
        gone = write_pages(tmp_path / "gone", {"a.md": "# A\n\nText.\n"})
        threadwise.ingest(gone, name="gone")
        (gone / "a.md").unlink()
        gone.rmdir()
        queued, refused = threadwise.runs.submit_all("k1")
        assert [threadwise.runs.work(run_id, never) for run_id in queued] == ["succeeded"]
        assert {name: error.code for name, error in refused.items()} == {"gone": "source_not_found"}


def test_a_long_run_lets_another_source_go_first_and_is_rung_again(tmp_path: Path) -> None:
    other = write_pages(tmp_path / "other", {"a.md": "# A\n\nText.\n"})
    submitted: list[str] = []

    def submit_other(_text: str) -> None:
        if not submitted:
            submitted.append(threadwise.runs.submit(SubmitRequest(source="other", path=str(other))))
            with threadwise.database.write() as session:
                queue.mark_sent(session, [number for number, _ in queue.unsent(session)], threadwise.clock())

    threadwise, _ = installation(tmp_path / "data", "", submit_other, workers=1)
    with threadwise:
        long_run = submit(threadwise, docs_of(tmp_path, 100))
        usual = threadwise.runs.settings
        threadwise.runs.settings = usual.model_copy(update={"slice_seconds": 1e-6})
        assert threadwise.runs.work(long_run, never) == "running"
        [short_run] = submitted
        with threadwise.database.read() as session:
            assert set(unsent_of(session)) == {long_run}
        threadwise.runs.settings = usual
        assert threadwise.runs.work(short_run, never) == "succeeded"
        assert threadwise.runs.work(long_run, never) == "succeeded", "nobody waits any more"


def test_an_export_is_never_read_as_a_folder_of_pages(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    export = small_workspace().unpacked(tmp_path / "export")
    folder = docs_of(tmp_path)
    with threadwise:
        threadwise.runs.work(submit(threadwise, folder), never)
        with pytest.raises(SourceKindError):
            submit(threadwise, export)
        for page in folder.iterdir():
            page.unlink()
        for file in export.iterdir():
            file.rename(folder / file.name)
        with pytest.raises(SourceKindError):
            threadwise.runs.submit(SubmitRequest(source="docs"))
        with threadwise.database.write() as session:
            sources.set_schedule(session, "docs", 1)
            [due] = queue.submit_due(session, Instant(threadwise.clock() + 120_000_000))
        assert threadwise.runs.work(due, never) == "failed"
        assert threadwise.runs.standing(due).run.error_code == "source_kind"
        assert len(live_texts(threadwise)) == 3, "the pages stay"


def test_neither_a_device_nor_a_pipe_is_a_source(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    os.mkfifo(tmp_path / "pipe")
    with threadwise:
        for path in (Path("/dev/zero"), tmp_path / "pipe"):
            with pytest.raises(UnknownKindError):
                submit(threadwise, path)


def test_messages_that_cannot_be_read_are_said_to_be_missing(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    odd = {"type": "message", "ts": "NaN", "user": "U1", "text": "When was this?"}
    export = small_workspace().raw("general", "2024-01-01", odd).unpacked(tmp_path / "export")
    with threadwise:
        run_id = submit(threadwise, export)
        assert threadwise.runs.work(run_id, never) == "succeeded_with_quarantine"
        assert threadwise.runs.standing(run_id).buckets["failed"] == 1
        [(place, _, reason)] = threadwise.runs.quarantined(run_id)
        assert "general" in place
        assert reason == "1 could not be read."
