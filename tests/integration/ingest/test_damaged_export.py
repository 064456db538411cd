"""An export that cannot be read whole takes nothing away from what an earlier one brought."""

from pathlib import Path

from sqlalchemy import select

from core import tables as t
from tests.support.installation import installation
from tests.support.slack_export import ExportBuilder, day_of
from threadwise.runtime import Threadwise

FIRST, LATER = "1767600000.000100", "1767700000.000200"


def export() -> ExportBuilder:
    """A thread over two days."""
    return (
        ExportBuilder()
        .user("U1", "Ada")
        .channel("C1", "hr", ["U1"])
        .say("hr", FIRST, "How many days of leave?", thread_ts=FIRST)
        .say("hr", LATER, "Thirty from this year on.", thread_ts=FIRST)
    )


def live_text(threadwise: Threadwise) -> str:
    """Everything a reader can meet."""
    with threadwise.database.read() as session:
        return "\n".join(session.execute(select(t.chunk.c.text).where(t.chunk.c.live)).scalars())


def test_a_day_that_cannot_be_read_any_more_shortens_no_thread(tmp_path: Path) -> None:
    threadwise, embedder = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(export().zipped(tmp_path / "one.zip"), name="slack")
        damaged = export().file(f"hr/{day_of(LATER)}.json", b"[{").zipped(tmp_path / "two.zip")
        report = threadwise.ingest(damaged, name="slack")
        assert (report.state, report.quarantined) == ("succeeded_with_quarantine", 1)
        assert (report.changed, report.removed, report.unchanged) == (0, 0, 1)
        assert "Thirty" in live_text(threadwise)
        assert len(embedder.texts) == 1


def test_what_was_really_edited_beside_a_damaged_day_still_changes(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        threadwise.ingest(export().zipped(tmp_path / "one.zip"), name="slack")
        edited = export().say("hr", "1767700001.000300", "Ask before June.", thread_ts=FIRST)
        report = threadwise.ingest(
            edited.file("hr/2026-03-01.json", b"nonsense").zipped(tmp_path / "two.zip"), name="slack"
        )
        assert (report.changed, report.quarantined) == (1, 1)
        assert "before June" in live_text(threadwise)
