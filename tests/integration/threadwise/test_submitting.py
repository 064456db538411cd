"""Runs that are submitted twice, or when there is no room, on both databases."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import StorageFullError
from ingest.errors import SourceNotFoundError, SourceUnreadableError
from ingest.options import UnfitOptionError
from tests.support.installation import PAGES, installation, write_pages
from threadwise.errors import IdempotencyConflictError, QueueFullError
from threadwise.opening import Idempotency, SubmitRequest

KEY = Idempotency(key_id="k1", key="once", body_sha="a" * 64)


def test_the_same_request_sent_twice_is_one_run_and_another_one_is_refused(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    request = SubmitRequest(source="docs", path=str(write_pages(tmp_path / "docs", PAGES)), idempotency=KEY)
    with threadwise:
        first = threadwise.runs.submit(request)
        assert threadwise.runs.submit(request) == first
        with pytest.raises(IdempotencyConflictError):
            threadwise.runs.submit(replace(request, idempotency=replace(KEY, body_sha="b" * 64)))
        other = threadwise.runs.submit(replace(request, idempotency=replace(KEY, key_id="k2")))
        assert other != first, "a key is its sender's own"
        assert {run.run_id for run in threadwise.runs.latest()} == {first, other}


def test_the_same_request_sent_by_several_at_once_is_one_run(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    request = SubmitRequest(source="docs", path=str(write_pages(tmp_path / "docs", PAGES)), idempotency=KEY)
    with threadwise:
        threadwise.database.migrate()
        told: list[str] = []
        gate = threading.Barrier(6)

        def send() -> None:
            gate.wait()
            told.append(threadwise.runs.submit(request))

        threads = [threading.Thread(target=send) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(told) == 6
        assert set(told) == {run.run_id for run in threadwise.runs.latest()}
        assert len(set(told)) == 1


def test_a_full_queue_takes_no_more_of_its_source(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    request = SubmitRequest(source="docs", path=str(write_pages(tmp_path / "docs", PAGES)))
    with threadwise:
        threadwise.runs.settings = threadwise.runs.settings.model_copy(update={"max_waiting": 2})
        waiting = [threadwise.runs.submit(request) for _ in range(2)]
        with pytest.raises(QueueFullError, match="wait already"):
            threadwise.runs.submit(request)
        threadwise.runs.submit(replace(request, source="other"))
        threadwise.runs.cancel(waiting[0])
        threadwise.runs.submit(request)


def test_nothing_is_taken_in_without_room_for_it(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data", min_free_mb=2**20)
    with threadwise:
        request = SubmitRequest(source="docs", path=str(write_pages(tmp_path / "docs", PAGES)))
        with pytest.raises(StorageFullError, match="THREADWISE_INGEST__MIN_FREE_MB"):
            threadwise.runs.submit(request)
        assert threadwise.runs.latest() == []


def test_a_source_that_could_not_be_read_is_none_and_its_name_is_free(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    broken = write_pages(tmp_path / "export" / "general", {"2024-01-02.json": "[]"}).parent
    (broken / "users.json").write_text("[]")
    with threadwise:
        with pytest.raises(SourceNotFoundError):
            threadwise.ingest(tmp_path / "nowhere", name="docs")
        with pytest.raises(UnfitOptionError):
            threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs", options={"bots": False})
        assert threadwise.runs.latest() == []
        with pytest.raises(SourceUnreadableError):
            threadwise.ingest(broken, name="docs")
        assert [run.state for run in threadwise.runs.latest()] == ["failed"]
        assert threadwise.runs.sources() == []
        waiting = threadwise.runs.submit(SubmitRequest(source="docs", path=str(tmp_path / "docs")))
        assert [source.kind for source in threadwise.runs.sources()] == ["files"]
        assert threadwise.runs.work(waiting, lambda: False) == "succeeded"
        assert [source.documents for source in threadwise.runs.sources()] == [len(PAGES)]


def test_an_option_that_is_none_for_its_source_is_refused_before_anything_waits(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    request = SubmitRequest(source="docs", path=str(write_pages(tmp_path / "docs", PAGES)))
    with threadwise:
        with pytest.raises(UnfitOptionError):
            threadwise.runs.submit(replace(request, options={"period": "2024-01-01..2024-01-31"}))
        assert threadwise.runs.latest() == []
        threadwise.runs.submit(replace(request, options={"period": "", "include": ["*.md"]}))
