"""Ingestion from a folder to the catalogue, on both databases, with the real embedder."""

import json
import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from core import tables as t
from core.catalog import documents, runs
from core.catalog.generations import GenerationMismatchError
from core.errors import DatabaseUnavailableError, ThreadwiseError
from core.settings import IngestSettings, Settings
from features.errors import SpaceMismatchError
from ingest.errors import EmptySourceError, RunSupersededError, SourceBusyError
from ingest.locks import source_lock
from retrieval.query import Query
from tests.support.databases import variables_of
from tests.support.faults.toys import ToyEmbedder
from tests.support.installation import PAGES, PoisonError, installation, live_texts, write_pages
from threadwise.runtime import Threadwise


def test_pages_become_live_chunks_with_one_embedding_each(tmp_path: Path, database_url: str) -> None:
    threadwise, embedder = installation(tmp_path / "data", database_url)
    with threadwise:
        report = threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        assert (report.state, report.added, report.chunks, report.embedded) == ("succeeded", 3, 3, 3)
        assert report.buckets == {"indexed": 3}
        assert len(embedder.texts) == 3
        assert any("25 days" in chunk for chunk in live_texts(threadwise))


def test_a_second_run_embeds_nothing_writes_no_change_and_repeats_the_ledger(tmp_path: Path, database_url: str) -> None:
    docs = write_pages(tmp_path / "docs", PAGES)
    threadwise, embedder = installation(tmp_path / "data", database_url)
    with threadwise:
        first = threadwise.ingest(docs, name="docs")
        again = threadwise.ingest(docs, name="docs")
        assert (again.unchanged, again.chunks, again.embedded) == (3, 0, 0)
        assert again.buckets == first.buckets
        assert len(embedder.texts) == 3
        with threadwise.database.read() as session:
            assert session.execute(select(func.count()).select_from(t.change)).scalar_one() == 3


def test_a_source_that_was_touched_but_not_changed_is_read_and_embeds_nothing(tmp_path: Path) -> None:
    threadwise, embedder = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        report = threadwise.ingest(write_pages(tmp_path / "docs", PAGES | {".hidden.md": "x"}), name="docs")
        assert (report.unchanged, report.added, report.changed) == (3, 0, 0)
        assert len(embedder.texts) == 3


def test_only_what_changed_is_embedded_and_what_is_gone_is_removed(tmp_path: Path, database_url: str) -> None:
    threadwise, embedder = installation(tmp_path / "data", database_url)
    with threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        changed = {"leave.md": "# Leave\n\nEverybody has 30 days of leave.\n", "bikes.md": PAGES["bikes.md"]}
        report = threadwise.ingest(write_pages(tmp_path / "docs", changed), name="docs")
        assert (report.changed, report.unchanged, report.removed, report.embedded) == (1, 1, 1, 1)
        texts = " ".join(live_texts(threadwise))
        assert "30 days" in texts
        assert "25 days" not in texts
        assert "VPN" not in texts
        assert len(embedder.texts) == 4


def test_a_text_that_was_embedded_before_is_taken_from_the_cache(tmp_path: Path) -> None:
    threadwise, embedder = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        threadwise.ingest(write_pages(tmp_path / "docs", {"bikes.md": PAGES["bikes.md"]}), name="docs")
        back = threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        assert (back.added, back.embedded) == (2, 0)
        assert len(embedder.texts) == 3


def test_an_audience_changes_without_embedding_anything(tmp_path: Path, database_url: str) -> None:
    docs = write_pages(tmp_path / "docs", PAGES)
    threadwise, embedder = installation(tmp_path / "data", database_url)
    with threadwise:
        threadwise.ingest(docs, name="docs")
        report = threadwise.ingest(docs, name="docs", audience=("group:hr",))
        assert (report.changed, report.chunks, report.embedded) == (3, 0, 0)
        assert len(embedder.texts) == 3
        with threadwise.database.read() as session:
            audience = select(t.audience_principal.c.principal).join(
                t.document, t.document.c.audience_id == t.audience_principal.c.audience_id
            )
            assert set(session.execute(audience).scalars()) == {"group:hr"}


def test_a_poisonous_document_is_quarantined_and_the_others_go_on(tmp_path: Path, database_url: str) -> None:
    def poison(text: str) -> None:
        if "client" in text:
            raise PoisonError("It cannot be embedded.")

    threadwise, _ = installation(tmp_path / "data", database_url, poison)
    with threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        report = threadwise.ingest(docs, name="docs")
        assert (report.state, report.quarantined) == ("succeeded_with_quarantine", 1)
        assert report.buckets == {"indexed": 2, "failed": 1}
        assert threadwise.quarantined(report.run_id) == [("vpn.md", "poison", "It cannot be embedded.")]
        again = threadwise.ingest(docs, name="docs")
        assert (again.unchanged, again.quarantined) == (2, 1), "a run with quarantine is tried again, not short-cut"


def test_a_passing_failure_is_tried_again_and_counted(tmp_path: Path) -> None:
    failures = iter([OSError("disk"), OSError("disk")])

    def flaky(text: str) -> None:
        if "client" in text and (error := next(failures, None)):
            raise error

    threadwise, _ = installation(tmp_path / "data", "", flaky)
    with threadwise:
        report = threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        assert report.state == "succeeded"
        with threadwise.database.read() as session:
            attempts = dict(session.execute(select(t.work.c.external_id, t.work.c.attempt)).all())
        assert attempts == {"leave.md": 1, "bikes.md": 1, "vpn.md": 3}


def test_an_unexpected_failure_is_given_up_after_its_attempts_and_its_message_is_not_kept(tmp_path: Path) -> None:
    def broken(text: str) -> None:
        if "client" in text:
            raise OSError(text)

    threadwise, _ = installation(tmp_path / "data", "", broken)
    with threadwise:
        report = threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        assert threadwise.quarantined(report.run_id) == [("vpn.md", "unexpected", "OSError")]


def test_a_damaged_blob_is_quarantined_with_its_reason(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    real_put = threadwise.blobs.put

    def torn(data: bytes) -> str:
        sha = real_put(data)
        if b"client" in data:
            next(threadwise.blobs.folder.glob(f"*/{sha}")).write_bytes(b"{")
        return sha

    threadwise.blobs.put = torn  # type: ignore[method-assign]
    with threadwise:
        report = threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        assert [row[:2] for row in threadwise.quarantined(report.run_id)] == [("vpn.md", "blob_damaged")]


def test_a_run_that_a_newer_one_took_over_stops_and_writes_nothing_more(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    overtaken = threading.Event()

    def overtake(_text: str) -> None:
        if not overtaken.is_set():
            overtaken.set()
            with threadwise.database.write() as session:
                source = session.execute(select(t.source.c.id)).scalar_one()
                runs.supersede_unfinished(session, source, threadwise.clock())

    threadwise.embedder = installation(tmp_path / "data", database_url, overtake)[1]
    with threadwise:
        with pytest.raises(RunSupersededError):
            threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        assert len(live_texts(threadwise)) == 0
        report = threadwise.ingest(tmp_path / "docs", name="docs")
        assert (report.state, report.added) == ("succeeded", 3)


def test_a_source_is_ingested_by_one_process_at_a_time(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise, source_lock(tmp_path / "data" / "locks", "docs"):
        with pytest.raises(SourceBusyError):
            threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        assert threadwise.ingest(tmp_path / "docs", name="other").state == "succeeded"


def test_a_page_that_cannot_be_read_keeps_its_old_state_and_holds_up_no_removal(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        threadwise.ingest(docs, name="docs")
        (docs / "vpn.md").write_bytes(b"\xff\xfe\x00bad")
        (docs / "bikes.md").unlink()
        report = threadwise.ingest(docs, name="docs")
        assert (report.removed, report.quarantined, report.unchanged) == (1, 1, 2)
        texts = " ".join(live_texts(threadwise))
        assert "client" in texts
        assert "bike" not in texts


def test_a_page_that_cannot_be_read_loses_the_readers_that_its_source_lost(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        threadwise.ingest(docs, name="docs")
        (docs / "vpn.md").write_bytes(b"\xff\xfe\x00bad")
        threadwise.ingest(docs, name="docs", audience=("group:hr",))
        with threadwise.database.read() as session:
            known = documents.known_documents(session, 1)
        assert known["vpn.md"].audience == frozenset(), "everyone lost it; who gained it waits for its content"


def test_other_chunk_sizes_change_nothing_in_the_generation_that_readers_see(tmp_path: Path) -> None:
    docs = write_pages(tmp_path / "docs", PAGES)
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(docs, name="docs")
    smaller = Settings(data_dir=tmp_path / "data", ingest=IngestSettings(chunk_tokens=64))
    with Threadwise(smaller) as threadwise:
        assert threadwise.ingest(docs, name="docs").unchanged == 3
        assert threadwise.recipes.is_outdated(), "a new generation can be built"


def test_a_generation_without_a_recipe_is_not_continued_under_other_settings(tmp_path: Path) -> None:
    docs = write_pages(tmp_path / "docs", PAGES)
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(docs, name="docs")
        with threadwise.database.write() as session:
            session.execute(t.generation.update().values(recipe=""))
    smaller = Settings(data_dir=tmp_path / "data", ingest=IngestSettings(chunk_tokens=64))
    with Threadwise(smaller) as threadwise, pytest.raises(GenerationMismatchError, match="chunking"):
        threadwise.ingest(docs, name="docs")
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(write_pages(docs, PAGES | {"new.md": "# New\n\nOf today.\n"}), name="docs")
    with Threadwise(smaller) as threadwise:
        assert threadwise.ingest(docs, name="docs").unchanged == 4, "now its recipe is known"


def test_the_report_adds_up_in_the_shape_that_tools_rely_on(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        report = json.loads(json.dumps(threadwise.ingest(write_pages(tmp_path / "d", PAGES), name="d").as_json()))
    assert set(report) == {"run_id", "state", "documents", "chunks", "embedded", "ledger", "seconds"}
    assert set(report["documents"]) == {"added", "changed", "unchanged", "removed", "quarantined"}
    assert report["ledger"]["total"] == sum(report["ledger"]["buckets"].values())


def test_ingestion_imports_neither_feast_nor_torch(tmp_path: Path) -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    program = (
        "import sys; from pathlib import Path; from core.settings import Settings; "
        "from threadwise.runtime import Threadwise; "
        "t = Threadwise(Settings(data_dir=Path(sys.argv[2]))); t.ingest(Path(sys.argv[1]), name='d'); "
        "heavy = {'feast', 'torch', 'transformers', 'sentence_transformers', 'pandas'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    docs = write_pages(tmp_path / "docs", PAGES)
    done = subprocess.run(
        [sys.executable, "-c", program, str(docs), str(tmp_path / "data")],
        env=os.environ | variables_of(tmp_path / "data"),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_an_unchanged_source_loads_no_model(tmp_path: Path) -> None:
    docs = write_pages(tmp_path / "docs", PAGES)
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(docs, name="docs")
    threadwise, embedder = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(docs, name="docs")
        assert embedder.texts == []
        with threadwise.database.read() as session:
            assert session.execute(text("SELECT count(*) FROM run")).scalar_one() == 2
    assert issubclass(PoisonError, ThreadwiseError)


def test_a_source_that_suddenly_has_nothing_takes_nothing_away(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        with pytest.raises(EmptySourceError, match="--allow-empty"):
            threadwise.ingest(write_pages(tmp_path / "docs", {}), name="docs")
        assert len(live_texts(threadwise)) == 3
        report = threadwise.ingest(tmp_path / "docs", name="docs", allow_empty=True)
        assert (report.state, report.removed) == ("succeeded", 3)
        assert live_texts(threadwise) == set()


def test_a_catalogue_of_another_model_answers_no_question(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        threadwise.embedder = ToyEmbedder()
        with pytest.raises(SpaceMismatchError, match="threadwise generations build"):
            threadwise.search(Query(text="leave", reader=threadwise.reader()))


def test_a_ping_meets_what_a_caller_would_meet(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ping()
    unreachable = Threadwise(Settings(database_url="postgresql+psycopg://u@127.0.0.1:1/x"))
    with unreachable, pytest.raises(DatabaseUnavailableError):
        unreachable.ping()
