"""A backup is one whole state, and what is restored from it answers as the installation did that it was made of."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from core import tables as t
from core.catalog import dump
from core.catalog.passages import Reader
from core.database import HEAD, Database
from core.errors import SchemaTooNewError
from core.settings import Settings, sqlite_url
from core.words import document_id_of
from retrieval.query import Query
from tests.support.databases import current_mode
from tests.support.installation import PAGES, live_texts, write_pages
from tests.support.processes import ROOT
from tests.support.slack_export import ExportBuilder
from threadwise.backups import CATALOGUE, MANIFEST, BackupDamagedError, BackupExistsError
from threadwise.digest import catalogue_digest
from threadwise.maintenance import BROKEN
from threadwise.restoring import InstallationUsedError
from threadwise.runtime import Threadwise

EVERYTHING = Reader(principals=(), unrestricted=True)


def opened(folder: Path, *, sqlite: bool = False) -> Threadwise:
    """The installation of a data folder, in the database of the mode or in SQLite."""
    if sqlite:
        folder.mkdir(parents=True, exist_ok=True)
        return Threadwise(Settings(data_dir=folder, database_url=sqlite_url(folder.resolve() / "threadwise.sqlite3")))
    return Threadwise(Settings(data_dir=folder))


def questions(limit: int) -> list[str]:
    lines = (ROOT / "demo" / "questions.jsonl").read_text().splitlines()[:limit]
    return [json.loads(line)["question"] for line in lines]


def best(threadwise: Threadwise, asked: list[str]) -> list[list[str]]:
    """The ids of the best passages for each question."""
    found = [threadwise.search(Query(text=text, reader=EVERYTHING, top_k=10)) for text in asked]
    return [[passage.chunk_id for passage in ranking.passages] for ranking in found]


@dataclass(frozen=True)
class Small:
    """A small installation, what it is fed from, and a backup of it."""

    threadwise: Threadwise
    pages: Path
    backup: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of an installation with three pages."""
    folder = tmp_path_factory.mktemp("made")
    with opened(folder / "data") as threadwise:
        threadwise.ingest(write_pages(folder / "pages", PAGES), name="handbook")
        threadwise.maintenance.backup(folder / "backup")
    return folder / "backup"


@pytest.fixture
def small(made: Path, tmp_path: Path) -> Iterator[Small]:
    """An installation with three pages, restored from one backup and backed up in another."""
    with opened(tmp_path / "data") as threadwise:
        assert threadwise.maintenance.restore(made).verdict.status == 0
        threadwise.maintenance.backup(tmp_path / "backup")
        yield Small(threadwise, write_pages(tmp_path / "pages", PAGES), tmp_path / "backup")


def test_what_is_restored_answers_as_before_in_either_database(
    tmp_path: Path,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    data = os.environ.get("THREADWISE_EVAL_DATA")
    archive = Path(data) / "slack" / "tenacademy.zip" if full_size and data else ROOT / "demo" / "slack-export"
    asked = questions(50 if full_size else 5)
    with opened(tmp_path / "first") as first:
        first.ingest(archive, name="slack")
        wanted, digest = best(first, asked), catalogue_digest(first)
        first.maintenance.backup(tmp_path / "backup0")
    # From this mode's database to SQLite, and from there back into this mode's.
    steps = (True, False) if current_mode() == "server" else (True,)
    for step, sqlite in enumerate(steps):
        with opened(tmp_path / f"data{step}", sqlite=sqlite) as threadwise:
            restored = threadwise.maintenance.restore(tmp_path / f"backup{step}")
            assert restored.verdict.status == 0
            assert catalogue_digest(threadwise) == digest
            if full_size or step == len(steps) - 1:
                assert best(threadwise, asked) == wanted
            threadwise.maintenance.backup(tmp_path / f"backup{step + 1}")


def test_what_is_restored_goes_on_with_numbers_of_its_own(small: Small, tmp_path: Path) -> None:
    with opened(tmp_path / "other") as threadwise:
        threadwise.maintenance.restore(small.backup)
        changed = PAGES | {"bikes.md": "# Bikes\n\nBikes are bought.\n", "new.md": "# New\n\nNew.\n"}
        report = threadwise.ingest(write_pages(small.pages, changed), name="handbook")
        assert (report.added, report.changed, report.unchanged) == (1, 1, 2)
        threadwise.ingest(small.pages, name="another")
        assert threadwise.maintenance.fsck().status == 0


def test_a_backup_beside_a_running_ingestion_is_one_state(small: Small, tmp_path: Path) -> None:
    pages = {f"p{number}.md": f"# P{number}\n\nPage {number}.\n" for number in range(30)}
    write_pages(small.pages, PAGES | pages)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(small.threadwise.ingest, small.pages, name="handbook")
        for number in range(3):
            small.threadwise.maintenance.backup(tmp_path / f"during{number}")
        running.result()
    with opened(tmp_path / "other") as threadwise:
        assert threadwise.maintenance.restore(tmp_path / "during2").verdict.left == ()
        threadwise.ingest(small.pages, name="handbook")
        assert catalogue_digest(threadwise) == catalogue_digest(small.threadwise)


def test_what_is_deleted_beside_a_backup_is_whole_in_it(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file, deletions = dump.write_file, small.threadwise.deletions
    number = document_id_of("handbook", "leave.md")
    with ThreadPoolExecutor() as pool:

        def write_and_delete(*given: Any) -> None:  # noqa: ANN401 - whatever it is given
            write_file(*given)
            deleting.append(pool.submit(deletions.delete, [number]))
            threading.Event().wait(0.3)

        deleting: list[Any] = []
        monkeypatch.setattr(dump, "write_file", write_and_delete)
        manifest = small.threadwise.maintenance.backup(tmp_path / "beside")
        assert deleting[0].result()[0].purged_at
    assert (manifest.damaged, manifest.blobs) == (0, len(PAGES))
    assert not any("25 days" in text for text in live_texts(small.threadwise))


def test_a_backup_is_for_its_owner_alone_and_stands_under_its_name_when_it_is_whole(small: Small) -> None:
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (small.backup, *small.backup.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.name in (CATALOGUE, MANIFEST)} == {0o600}
    assert {path.name for path in small.backup.iterdir()} == {CATALOGUE, MANIFEST, "blobs"}
    with pytest.raises(BackupExistsError):
        small.threadwise.maintenance.backup(small.backup)
    assert not list(small.backup.parent.glob(".backup*")), "nothing unfinished is left"


def test_a_backup_that_was_altered_is_refused_before_anything_is_touched(small: Small, tmp_path: Path) -> None:
    catalogue, [*blobs] = small.backup / CATALOGUE, sorted(small.backup.glob("blobs/*/*"))
    before = catalogue.read_bytes(), blobs[0].read_bytes()
    with opened(tmp_path / "other") as threadwise:
        with pytest.raises(BackupDamagedError):
            threadwise.maintenance.restore(tmp_path / "nothing")
        catalogue.write_bytes(before[0][:-1] + b"x")
        with pytest.raises(BackupDamagedError):
            threadwise.maintenance.restore(small.backup)
        catalogue.write_bytes(before[0])
        blobs[0].unlink()
        blobs[0].write_bytes(before[1][:-1] + b"x")
        with pytest.raises(BackupDamagedError):
            threadwise.maintenance.restore(small.backup)
        manifest = json.loads((small.backup / MANIFEST).read_text())
        (small.backup / MANIFEST).write_text(json.dumps(manifest | {"revision": f"{int(HEAD) + 1:04}"}))
        with pytest.raises(SchemaTooNewError):
            threadwise.maintenance.restore(small.backup)
        assert live_texts(threadwise) == set()
        assert not (tmp_path / "other" / "blobs").exists()


def test_an_installation_in_use_is_replaced_only_by_force_and_kept_aside(small: Small) -> None:
    threadwise = small.threadwise
    threadwise.ingest(write_pages(small.pages, {"only.md": "# Only\n\nOnly this.\n"}), name="handbook")
    newer = live_texts(threadwise)
    with pytest.raises(InstallationUsedError):
        threadwise.maintenance.restore(small.backup)
    assert live_texts(threadwise) == newer
    older = threadwise.maintenance.restore(small.backup, force=True)
    assert len(live_texts(threadwise)) == len(PAGES)
    assert older.verdict.status == 0
    assert older.placed.replaced is not None
    threadwise.maintenance.restore(older.placed.replaced, force=True)
    assert live_texts(threadwise) == newer


@pytest.mark.parametrize("beside", [True, False], ids=["catalogue replaced", "file of tombstones alone"])
def test_what_was_deleted_after_the_backup_stays_deleted(small: Small, tmp_path: Path, *, beside: bool) -> None:
    threadwise = small.threadwise
    with threadwise.database.read() as session:
        where = t.document.c.external_id == "leave.md"
        number = session.execute(select(t.document.c.id).where(where)).scalar_one()
    threadwise.deletions.delete([number], reason="out of date")
    threadwise.database.close()
    noted = (tmp_path / "data" / "tombstones.jsonl").read_bytes()
    target = tmp_path / "data" if beside else tmp_path / "fresh"
    target.mkdir(exist_ok=True)
    with opened(target) as other:
        if not beside:
            (target / "tombstones.jsonl").write_bytes(noted)
        restored = other.maintenance.restore(small.backup, force=beside)
        assert restored.buried_again == 1
        assert restored.verdict.status == 0
        assert not any("25 days" in text for text in live_texts(other))
        assert len(live_texts(other)) == len(PAGES) - 1
        other.ingest(small.pages, name="handbook")
        assert len(live_texts(other)) == len(PAGES) - 1, "nor does an ingestion bring it back"


def test_a_restore_that_was_killed_shows_nothing_that_was_deleted(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threadwise = small.threadwise
    export = ExportBuilder().user("U1", "Ada").channel("C1", "hr", ["U1"])
    export.say("hr", "1700000000.000100", "My secret is a numbat.")
    threadwise.ingest(export.zipped(tmp_path / "export.zip"), name="slack")
    threadwise.maintenance.backup(tmp_path / "both")
    threadwise.deletions.delete([document_id_of("handbook", "leave.md")])
    threadwise.deletions.erase("T1/U1")

    def die(_place: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("threadwise.restoring.crashpoint", die)
    with pytest.raises(KeyboardInterrupt):
        threadwise.maintenance.restore(tmp_path / "both", force=True)
    assert not [text for text in live_texts(threadwise) if "25 days" in text or "numbat" in text]
    assert threadwise.deletions.purge_due() == 2
    assert threadwise.maintenance.fsck(repair=True).status < BROKEN


@pytest.mark.embedded_only("is about the file of SQLite")
def test_nothing_is_restored_below_somebody_who_has_the_catalogue_open(small: Small) -> None:
    with opened(small.threadwise.settings.data_dir) as other, other.database.read():
        with pytest.raises(InstallationUsedError):
            small.threadwise.maintenance.restore(small.backup, force=True)
        assert len(live_texts(other)) == len(PAGES)
    assert small.threadwise.maintenance.restore(small.backup, force=True).verdict.status == 0


def test_nobody_holds_anything_after_a_restore_and_uploads_are_where_they_are_looked_for(
    small: Small, tmp_path: Path
) -> None:
    threadwise, upload = small.threadwise, small.threadwise.uploads / "u1" / "export.zip"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"an export")
    with threadwise.database.write() as session:
        session.execute(update(t.source).values(location=str(upload)))
        row = dict(session.execute(select(t.run)).mappings().one())
        row |= {"id": "r" * 32, "state": "planning", "lease_token": "somebody", "queued_at": 1, "finished_at": None}
        session.execute(insert(t.run).values(row | {"request": json.dumps({"path": str(upload)})}))
    threadwise.maintenance.backup(tmp_path / "later")
    with opened(tmp_path / "other") as other:
        other.maintenance.restore(tmp_path / "later")
        moved = other.uploads / "u1" / "export.zip"
        assert moved.read_bytes() == b"an export"
        with other.database.read() as session:
            assert session.execute(select(t.source.c.location)).scalar_one() == str(moved)
            held = select(func.count()).select_from(t.run).where(t.run.c.lease_token != "")
            assert session.execute(held).scalar_one() == 0
            run = session.execute(select(t.run.c.state, t.run.c.request).where(t.run.c.id == "r" * 32)).one()
        assert (run.state, json.loads(run.request)["path"]) == ("queued", str(moved))


@pytest.mark.embedded_only("a server keeps its files itself")
def test_a_database_file_that_cannot_be_read_is_kept_aside_and_replaced(small: Small, tmp_path: Path) -> None:
    path = tmp_path / "data" / "threadwise.sqlite3"
    small.threadwise.close()
    path.write_bytes(b"no database at all" * 1000)
    with opened(tmp_path / "data") as threadwise:
        threadwise.database = Database(threadwise.settings.resolved_database_url)
        restored = threadwise.maintenance.restore(small.backup, force=True)
        assert restored.verdict.status == 0
        assert len(live_texts(threadwise)) == len(PAGES)
        assert restored.placed.replaced is not None
        assert (restored.placed.replaced / path.name).read_bytes().startswith(b"no database")
