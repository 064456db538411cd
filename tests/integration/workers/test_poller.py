"""Without any broker: a process that looks by itself, works what it finds and frees what others left."""

from pathlib import Path

from core.catalog import queue
from core.settings import Settings
from tests.support.doorbell import Service, eventually
from tests.support.installation import PAGES, live_texts, write_pages
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise


def test_runs_are_worked_without_a_broker_also_those_of_a_dead_worker(tmp_path: Path) -> None:
    with Threadwise(Settings(data_dir=tmp_path / "data")) as threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        other = write_pages(tmp_path / "other", {"a.md": "# A\n\nText.\n"})
        left = threadwise.runs.submit(SubmitRequest(source="docs", path=str(docs)))
        with threadwise.database.write() as session:
            assert queue.claim_run(session, left, token="dead")  # noqa: S106 - no secret
        poller = Service("poller", tmp_path / "data", "none", INGEST__LEASE_SECONDS=1, INGEST__WORKERS=1)
        try:
            poller.ready()
            waiting = threadwise.runs.submit(SubmitRequest(source="other", path=str(other)))
            for run_id in (waiting, left):
                eventually(lambda run_id=run_id: threadwise.runs.standing(run_id).run.state == "succeeded")  # type: ignore[misc]
            assert len(live_texts(threadwise)) == len(PAGES) + 1
            assert "run_rescued" in poller.text
            assert poller.terminate() < 30
        finally:
            poller.close()
