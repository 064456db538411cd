"""An export that cannot be read whole takes nothing away from what an earlier one brought."""

from pathlib import Path

import pytest
from sqlalchemy import select

from core import tables as t
from core.catalog import audiences
from ingest.errors import EmptySourceError
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


STRATEGY = "1767600001.000100"
REPLY = "1767600002.000100"


def company(*, private: bool = False, without_reply: bool = False, listed: bool = True) -> ExportBuilder:
    """A public channel, and one that was public once."""
    export = ExportBuilder().user("U1", "Ada").user("U2", "Ben").channel("C1", "general", ["U1", "U2"])
    export.say("general", FIRST, "Welcome everybody")
    if not listed:
        return export
    (export.private if private else export.channel)("C2", "strategy", ["U1"])
    export.say("strategy", STRATEGY, "We merge in May.", thread_ts=STRATEGY)
    return export if without_reply else export.say("strategy", REPLY, "With whom?", thread_ts=STRATEGY)


def readers_of(threadwise: Threadwise, text: str) -> set[str]:
    """Who may read the live chunk with this text: principals of its audience."""
    statement = (
        select(t.audience_principal.c.principal)
        .join(t.document, t.document.c.audience_id == t.audience_principal.c.audience_id)
        .join(t.chunk, t.chunk.c.document_id == t.document.c.id)
        .where(t.chunk.c.live, t.chunk.c.text.contains(text))
    )
    with threadwise.database.read() as session:
        return set(session.execute(statement).scalars())


def twice(threadwise: Threadwise, folder: Path, second: ExportBuilder) -> None:
    """Ingest the company as it was, then its newer export."""
    threadwise.ingest(company().zipped(folder / "one.zip"), name="slack")
    assert readers_of(threadwise, "merge") == {"T1"}
    threadwise.ingest(second.zipped(folder / "two.zip"), name="slack")


def test_a_channel_that_became_private_is_private_though_another_one_is_damaged(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        newer = company(private=True, without_reply=True).file(f"general/{day_of(FIRST)}.json", b"{")
        twice(threadwise, tmp_path, newer)
        assert readers_of(threadwise, "merge") == {"T1/C2"}
        assert "With whom?" not in live_text(threadwise), "what was deleted there is gone too"
        assert "Welcome" in live_text(threadwise), "what could not be read is kept"


def test_a_channel_that_is_gone_is_withdrawn_though_another_one_is_damaged(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        twice(threadwise, tmp_path, company(listed=False).file(f"general/{day_of(FIRST)}.json", b"{"))
        assert "merge" not in live_text(threadwise)


def test_a_channel_that_became_private_is_read_by_nobody_while_it_is_damaged(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        twice(threadwise, tmp_path, company(private=True).file(f"strategy/{day_of(STRATEGY)}.json", b"{"))
        assert "merge" in live_text(threadwise)
        assert readers_of(threadwise, "merge") == set()


def test_who_was_deactivated_reads_nothing_more_though_the_export_holds_no_document(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(company().zipped(tmp_path / "one.zip"), name="slack")
        empty = ExportBuilder().user("U1", "Ada").user("U2", "Ben", deleted=True).channel("C9", "new", ["U1"])
        with pytest.raises(EmptySourceError):
            threadwise.ingest(empty.zipped(tmp_path / "two.zip"), name="slack")
        with threadwise.database.read() as session:
            assert audiences.audience_ids(session, ["T1/U1"])
            assert not audiences.audience_ids(session, ["T1/U2"])


def test_what_was_deleted_on_a_readable_day_is_gone_though_another_day_is_damaged(tmp_path: Path) -> None:
    garden = "1768600000.000100"
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(
            company().say("strategy", garden, "A garden for all").zipped(tmp_path / "1.zip"), name="slack"
        )
        newer = company(without_reply=True).file(f"strategy/{day_of(garden)}.json", b"{")
        threadwise.ingest(newer.zipped(tmp_path / "2.zip"), name="slack")
        assert "With whom?" not in live_text(threadwise)
        assert "A garden" in live_text(threadwise), "what stood on the damaged day is kept"
