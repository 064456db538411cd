"""A run that meets what is nobody's fault, what never ends, or a wish to stop, on both databases."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.catalog import queue, sources
from core.database import Database
from core.errors import StorageFullError
from core.words import Chunk, Document
from features.errors import ModelUnavailableError
from ingest.ending import RunEnd
from ingest.errors import SourceBusyError, SourcePausedError
from ingest.lanes import ABANDONED
from tests.support.documents import NOW
from tests.support.doorbell import eventually
from tests.support.installation import PAGES, installation, live_texts, write_pages
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise


def never() -> bool:
    return False


def submit(threadwise: Threadwise, folder: Path) -> str:
    return threadwise.runs.submit(SubmitRequest(source="docs", path=str(folder)))


def paused(threadwise: Threadwise) -> str:
    [row] = threadwise.runs.sources()
    return row.paused


@pytest.mark.parametrize(
    ("error", "why"),
    [(StorageFullError("full"), "storage_full"), (ModelUnavailableError("away"), "dependency_down")],
)
def test_what_is_nobodys_fault_pauses_the_source_and_is_nobodys_attempt(
    tmp_path: Path, error: Exception, why: str
) -> None:
    trouble = [error]

    def fail(_text: str) -> None:
        if trouble:
            raise trouble[0]

    threadwise, _ = installation(tmp_path / "data", before=fail)
    with threadwise:
        run_id = submit(threadwise, write_pages(tmp_path / "docs", PAGES))
        assert threadwise.runs.work(run_id, never) == "running"
        standing = threadwise.runs.standing(run_id)
        assert (paused(threadwise), standing.stage, standing.run.attempt) == (why, "paused", 0)
        assert standing.progress.states == {"pending": 3}
        assert threadwise.runs.work_next(never) is None
        trouble.clear()
        threadwise.runs.resume("docs")
        assert threadwise.runs.work_next(never) == run_id
        with threadwise.database.read() as session:
            tried = session.exec_driver_sql("SELECT DISTINCT attempt FROM work").scalars().all()
        assert (threadwise.runs.standing(run_id).run.state, tried) == ("succeeded", [1])
        assert threadwise.runs.letters() == []


def test_a_run_at_work_is_given_back_when_its_source_is_paused_and_nothing_is_lost(tmp_path: Path) -> None:
    def pause(_text: str) -> None:
        if len(watched.texts) == 20:
            threadwise.runs.pause("docs")
        if len(watched.texts) > 20:
            time.sleep(0.02)  # recounting, which notices, happens once a second

    pages = {f"page{place}.md": f"# Page {place}\n\nThe answer is {place}.\n" for place in range(200)}
    threadwise, watched = installation(tmp_path / "data", before=pause, workers=1)
    with threadwise:
        docs = write_pages(tmp_path / "docs", pages)
        run_id = submit(threadwise, docs)
        assert threadwise.runs.work(run_id, never) == "running"
        standing = threadwise.runs.standing(run_id)
        assert 0 < standing.progress.settled < 200
        assert (standing.progress.states.get("running", 0), standing.stage, standing.run.attempt) == (0, "paused", 0)
        with pytest.raises(SourcePausedError):
            threadwise.ingest(docs, name="docs")
        assert threadwise.runs.cancel(run_id), "it is ended where it stands"
        assert threadwise.runs.standing(run_id).run.state == "cancelled"


def stuck_recipe(threadwise: Threadwise, let_go: threading.Event, word: str) -> None:
    """Documents with this word are never cut until they are let go."""
    usual = threadwise.recipe

    def cut(chunker: Callable[[Document], list[Chunk]], document: Document) -> list[Chunk]:
        if any(word in block.text for block in document.blocks):
            let_go.wait(60)
        return chunker(document)

    odd = replace(usual, chunker=lambda source: partial(cut, usual.chunker(source)))
    threadwise.ingestion._recipe = lambda: odd


def test_a_document_that_never_ends_is_left_behind_three_times_and_holds_up_no_other(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data", document_seconds=0.4, workers=1)
    let_go = threading.Event()
    with threadwise:
        stuck_recipe(threadwise, let_go, "client")
        run_id = submit(threadwise, write_pages(tmp_path / "docs", PAGES))
        assert threadwise.runs.work(run_id, never) == "succeeded_with_quarantine"
        [letter] = threadwise.runs.letters()
        assert (letter.place, letter.code, letter.attempts) == ("vpn.md", "document_stuck", 3)
        assert len(live_texts(threadwise)) == 2
        let_go.set()
        eventually(lambda: not any(thread.name == ABANDONED for thread in threading.enumerate()))
        assert len(live_texts(threadwise)) == 2, "what comes late is not written"


def test_a_stop_is_heard_within_a_long_document(tmp_path: Path) -> None:
    stopped = threading.Event()

    def stop(_text: str) -> None:
        if len(watched.texts) >= 16:
            stopped.set()
            time.sleep(0.05)

    pages = {"long.md": "".join(f"# Part {part}\n\n{f'Sentence {part} is here. ' * 40}\n\n" for part in range(40))}
    threadwise, watched = installation(tmp_path / "data", before=stop)
    with threadwise:
        run_id = submit(threadwise, write_pages(tmp_path / "docs", pages))
        assert threadwise.runs.work(run_id, stopped.is_set) == "running"
        assert 16 <= len(watched.texts) < 40
        standing = threadwise.runs.standing(run_id)
        assert (standing.progress.states, standing.run.attempt) == ({"pending": 1}, 0)
        assert live_texts(threadwise) == set(), "no part of a document is committed"
        assert threadwise.runs.work(run_id, never) == "succeeded"
        assert len(live_texts(threadwise)) == 40


@pytest.mark.parametrize(("done", "state"), [(True, "queued"), (False, "failed")])
def test_the_last_attempt_counts_only_where_nothing_was_done(database: Database, *, done: bool, state: str) -> None:
    with database.write() as session:
        number = sources.source_id(session, name="docs", kind="files", now=NOW)
        queue.submit(session, run_id="r1", source_id=number, request={}, requested_by="", now=NOW)
        queue.claim_run(session, "r1", token="one")  # noqa: S106 - no secret
        queue.release_run(session, "r1", "one", refund=False)
        claimed = queue.claim_run(session, "r1", token="two")  # noqa: S106 - no secret
        assert claimed
        if done:
            queue.note_progress(session, "r1")
    end = RunEnd(database, lambda: NOW)
    end.left_by_worker(claimed, OSError("it broke off"), max_attempts=2, stop=never)
    with database.read() as session:
        assert queue.as_claimed(session, "r1").state == state


def test_a_run_that_is_cancelled_beside_a_dead_worker_ends_when_the_next_one_takes_it(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        run_id = submit(threadwise, write_pages(tmp_path / "docs", PAGES))
        with threadwise.database.write() as session:
            assert queue.claim_run(session, run_id, token="dead")  # noqa: S106 - no secret
        assert threadwise.runs.cancel(run_id)
        with threadwise.database.write() as session:
            assert queue.release_run(session, run_id, "dead", refund=False)
        assert threadwise.runs.work(run_id, never) == "cancelled"
        assert live_texts(threadwise) == set()


def test_a_worker_that_takes_the_source_at_the_last_moment_goes_first(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        run_id = submit(threadwise, docs)
        usual = threadwise.ingestion._take_over

        def late(name: str) -> None:
            usual(name)
            with threadwise.database.write() as session:
                assert queue.claim_run(session, run_id, token="worker")  # noqa: S106 - no secret

        threadwise.ingestion._take_over = late  # type: ignore[method-assign]
        with pytest.raises(SourceBusyError):
            threadwise.ingest(docs, name="docs")
        assert [run.run_id for run in threadwise.runs.latest()] == [run_id]
