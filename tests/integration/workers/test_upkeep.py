"""What takes long beside the duties: finishing deletions, and the nightly look at everything."""

from pathlib import Path

import pytest
from sqlalchemy import update

from core import tables as t
from core.settings import Settings
from core.words import document_id_of
from tests.support.installation import write_pages
from threadwise.runtime import Threadwise
from workers import upkeep


def test_a_deletion_that_was_cut_short_is_finished_and_the_check_finds_nothing_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with Threadwise(settings) as threadwise:
        threadwise.ingest(
            write_pages(tmp_path / "docs", {"a.md": "# A\n\nText.\n", "b.md": "# B\n\nMore.\n"}), name="docs"
        )
        threadwise.deletions.delete([document_id_of("docs", "a.md")])
        with threadwise.database.write() as session:
            session.execute(update(t.tombstone).values(purged_at=None))
        upkeep.work("purge", settings)
        assert [tombstone.purged_at is None for tombstone in threadwise.deletions.listing()] == [False]
        upkeep.work("fsck", settings)
        assert "fsck_clean" in "".join(capsys.readouterr())
        with threadwise.database.write() as session:
            session.execute(t.document_signals.delete())
        upkeep.work("fsck", settings)
        assert "fsck_found" in "".join(capsys.readouterr())
