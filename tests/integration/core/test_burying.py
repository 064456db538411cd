"""Whoever deletes meets others who commit: one waits for the other, never both."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.catalog import leases, queue, sequence, sources
from core.words import document_id_of
from tests.support.generations import house
from tests.support.installation import PAGES, write_pages


def test_who_deletes_and_who_commits_do_not_wait_for_one_another(tmp_path: Path) -> None:
    held = threading.Event()
    with house(tmp_path / "data") as threadwise, ThreadPoolExecutor() as pool:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        database, now = threadwise.database, threadwise.clock()
        with database.write() as session:
            number = sources.source_id(session, name="docs", kind="files", now=now)
            run = queue.begin(session, run_id="r" * 32, source_id=number, request={}, requested_by="", now=now)

        def commit() -> bool:
            with database.write() as session:
                mine = leases.is_held(session, run.id, run.token)
                held.set()
                threading.Event().wait(0.3)  # the other one has come as far as it can
                sequence.lock(session)
                return mine

        committed = pool.submit(commit)
        held.wait()
        (tombstone,) = threadwise.deletions.delete([document_id_of("docs", "leave.md")])
        assert committed.result()
        assert tombstone.purged_at
