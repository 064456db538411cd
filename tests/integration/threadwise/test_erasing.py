"""A person is erased from what can be read; of what cannot, nobody says that it is gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from core import tables as t
from core.words import document_id_of
from tests.support.generations import house
from tests.support.installation import live_texts
from tests.support.slack_export import ExportBuilder
from threadwise.opening import SubmitRequest
from threadwise.runtime import Threadwise

OWN, OTHER = "1700090000.000100", "1700200000.000100"


def talk() -> ExportBuilder:
    """A thread of Ada's, and one of Ben's."""
    export = ExportBuilder().user("U1", "Ada").user("U2", "Ben").channel("C1", "hr", ["U1", "U2"])
    export.say("hr", OWN, "My secret is a numbat.", thread_ts=OWN)
    return export.say("hr", OTHER, "Coffee is in the kitchen.", user="U2", thread_ts=OTHER)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Threadwise]:
    """An installation in which two people speak."""
    with house(tmp_path / "data") as threadwise:
        threadwise.ingest(talk().zipped(tmp_path / "export.zip"), name="slack")
        yield threadwise


def blob_of(threadwise: Threadwise, document_id: str) -> str:
    with threadwise.database.read() as session:
        return str(session.execute(select(t.document.c.blob_sha).where(t.document.c.id == document_id)).scalar_one())


def test_who_may_speak_in_a_document_whose_blob_is_lost_is_not_called_erased(
    opened: Threadwise, tmp_path: Path
) -> None:
    own = document_id_of("slack", f"C1:{OWN}")
    opened.blobs.remove(blob_of(opened, own))
    tombstone = opened.deletions.erase("T1/U1")
    assert tombstone.purged_at is None
    assert {receipt.store: receipt.left for receipt in tombstone.receipts if receipt.left} == {"documents": 1}
    opened.maintenance.fsck(repair=True)
    assert opened.deletions.purge_due() == 1
    assert opened.deletions.listing()[0].purged_at is None, "its text is there still, its reference only is gone"
    opened.ingest(tmp_path / "export.zip", name="slack")
    assert opened.deletions.purge_due() == 1
    assert opened.deletions.listing()[0].purged_at
    with opened.database.read() as session:
        assert not [text for text in session.execute(select(t.chunk.c.text)).scalars() if "numbat" in text]
    assert live_texts(opened) == {"Ben: Coffee is in the kitchen."}


def test_a_document_that_waits_to_be_brought_again_is_searched_by_its_version(opened: Threadwise) -> None:
    with opened.database.write() as session:
        session.execute(update(t.document).values(content_sha="", blob_sha=""))
    assert opened.deletions.erase("T1/U1").purged_at
    assert live_texts(opened) == {"Ben: Coffee is in the kitchen."}


def test_a_plan_that_waits_does_not_name_who_was_erased(opened: Threadwise, tmp_path: Path) -> None:
    asked = SubmitRequest(source="slack", path=str(tmp_path / "export.zip"), plan_only=True)
    run_id = opened.runs.submit(asked)
    assert opened.runs.work(run_id, stop=lambda: False)
    stored = select(t.run.c.plan).where(t.run.c.id == run_id)
    with opened.database.read() as session:
        before = str(session.execute(stored).scalar_one())
    tombstone = opened.deletions.erase("T1/U1")
    assert {receipt.store: receipt.ids for receipt in tombstone.receipts}["plans"] == (run_id,)
    with opened.database.read() as session:
        after = str(session.execute(stored).scalar_one())
    assert "T1/U1" in before
    assert "T1/U1" not in after
    assert "T1/U2" in after
