"""`kill -9` between the burial and the end of the purge: hidden all the same, and whoever comes next finishes it."""

from pathlib import Path

import pytest

from core.crashpoints import KILLED
from tests.support.installation import PAGES, installation, live_texts, write_pages
from tests.support.processes import python
from tests.support.slack_export import ExportBuilder
from threadwise.runtime import Threadwise

# Dies at the named place while it deletes a page, or erases a person.
DELETING = """
import sys
from pathlib import Path
from core import crashpoints
from core.settings import Settings
from core.words import document_id_of
from threadwise.runtime import Threadwise

crashpoints._NAME = sys.argv[3]
with Threadwise(Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2])) as threadwise:
    if sys.argv[4] == "page":
        threadwise.deletions.delete([document_id_of("docs", "leave.md")])
    else:
        threadwise.deletions.erase("T1/U1")
"""
OF_PAGES = ("delete.buried", "purge.rows_removed", "delete.noted", "purge.files_removed")
OF_PEOPLE = ("erase.hidden", "erase.rewritten", "delete.buried", "purge.rows_removed", "purge.files_removed")
SHORT: dict[str, tuple[str, ...]] = {"page": ("purge.rows_removed",), "person": ("erase.hidden",)}
"""What is tried where `FULL=1` does not ask for all."""


def talk() -> ExportBuilder:
    """A thread of two, and one of Ada alone."""
    export = ExportBuilder().user("U1", "Ada").user("U2", "Ben").channel("C1", "hr", ["U1", "U2"])
    shared, own = "1700000000.000100", "1700090000.000100"
    export.say("hr", shared, "Where is the wombat policy?", thread_ts=shared)
    export.say("hr", "1700000060.000200", "The policy is on the wiki.", user="U2", thread_ts=shared)
    return export.say("hr", own, "My secret is a numbat.", thread_ts=own)


def killed_at(place: str, threadwise: Threadwise, what: str) -> None:
    """Another process begins, and dies there."""
    settings = threadwise.settings
    url = settings.resolved_database_url
    process = python(DELETING, settings.data_dir, url, place, what)
    _, err = process.communicate(timeout=120)
    assert process.returncode == KILLED, err[-2000:]


@pytest.fixture
def places(full_size: bool) -> dict[str, tuple[str, ...]]:  # noqa: FBT001 - a fixture
    """Where processes die, by what they delete."""
    return {"page": OF_PAGES, "person": OF_PEOPLE} if full_size else SHORT


def test_a_killed_deletion_holds_and_is_finished_by_whoever_comes_next(
    tmp_path: Path, places: dict[str, tuple[str, ...]]
) -> None:
    docs = write_pages(tmp_path / "docs", PAGES)
    for place in places["page"]:
        with installation(tmp_path / place)[0] as threadwise:
            threadwise.ingest(docs, name="docs")
            killed_at(place, threadwise, "page")
            assert not [text for text in live_texts(threadwise) if "25 days" in text], "hidden with the burial"
            assert threadwise.deletions.purge_due() == 1
            finished(threadwise, "25 days")
            assert threadwise.ingest(docs, name="docs").buckets == {"indexed": 2, "tombstoned": 1}


def test_a_killed_erasure_holds_and_is_finished_by_whoever_comes_next(
    tmp_path: Path, places: dict[str, tuple[str, ...]]
) -> None:
    export = talk().zipped(tmp_path / "export.zip")
    for place in places["person"]:
        with installation(tmp_path / place)[0] as threadwise:
            threadwise.ingest(export, name="slack")
            killed_at(place, threadwise, "person")
            assert not [text for text in live_texts(threadwise) if "Ada" in text], "hidden with the burial"
            assert threadwise.deletions.purge_due() == 1
            finished(threadwise, "numbat")
            assert live_texts(threadwise) == {"Ben: The policy is on the wiki."}
            assert threadwise.ingest(export, name="slack").buckets == {"indexed": 1, "tombstoned": 2}
            assert live_texts(threadwise) == {"Ben: The policy is on the wiki."}


def finished(threadwise: Threadwise, secret: str) -> None:
    """Nothing is left anywhere, and the line beside the database says what was deleted."""
    (tombstone,) = threadwise.deletions.listing()
    assert tombstone.purged_at
    assert not [receipt for receipt in tombstone.receipts if receipt.left]
    assert not [count for count in threadwise.deletions.look(tombstone.kind, tombstone.key).values() if count]
    assert [entry["key"] for entry in threadwise.deletions.file.entries()] == [tombstone.key]
    blobs = (path for path in (threadwise.settings.data_dir / "blobs").rglob("*") if path.is_file())
    assert not [blob for blob in blobs if secret in blob.read_text()]


def test_who_is_erased_while_their_source_is_read_is_not_brought_back_by_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = talk().say("hr", "1700200000.000100", "Once more a numbat.", user="U1")

    def erase(place: str) -> None:
        if place == "plan.before_commit" and not threadwise.deletions.listing():
            threadwise.deletions.erase("T1/U1")

    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(talk().zipped(tmp_path / "export.zip"), name="slack")
        monkeypatch.setattr("ingest.planning.crashpoint", erase)
        threadwise.ingest(later.zipped(tmp_path / "later.zip"), name="slack")
        assert threadwise.deletions.listing()
        assert live_texts(threadwise) == {"Ben: The policy is on the wiki."}
        report = threadwise.ingest(tmp_path / "later.zip", name="slack")
        assert report.buckets == {"indexed": 1, "tombstoned": 3}
