"""Exports of a part of the time, and how a source is read, from run to run."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.errors import EmptySourceError
from tests.support.installation import installation, live_texts
from tests.support.slack_export import ExportBuilder
from threadwise.runtime import Threadwise

JANUARY = {"period": "2024-01-01..2024-01-31"}


def ts(day: str, hour: int = 9) -> str:
    """Slack's timestamp of an hour of a day (UTC)."""
    return f"{int(datetime.fromisoformat(day).replace(tzinfo=UTC, hour=hour).timestamp())}.000100"


ROOT = ts("2023-12-04")


def workspace() -> ExportBuilder:
    builder = ExportBuilder().user("U1", "Ada").user("U2", "Ben")
    return builder.channel("C1", "general", ["U1", "U2"], is_general=True)


def whole_export() -> ExportBuilder:
    builder = workspace()
    builder.say("general", ROOT, "Where is the travel policy?", thread_ts=ROOT)
    builder.say("general", ts("2023-12-05"), "It hangs in the kitchen.", user="U2", thread_ts=ROOT)
    builder.say("general", ts("2024-01-08"), "The spare key lies under the mat.")
    builder.say("general", ts("2024-01-10"), "The canteen opens at noon.", user="U2")
    return builder.say("general", ts("2024-02-06"), "The lift is out of order.")


def january() -> ExportBuilder:
    """January as it is exported later: the key was deleted, and the old question has got another reply."""
    builder = workspace()
    builder.say("general", ts("2024-01-10"), "The canteen opens at noon.", user="U2")
    return builder.say("general", ts("2024-01-15"), "It moved to the wiki.", thread_ts=ROOT)


def said(threadwise: Threadwise) -> str:
    return "\n".join(sorted(live_texts(threadwise)))


def test_a_part_of_the_time_adds_and_takes_away_only_there(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        threadwise.ingest(whole_export().zipped(tmp_path / "whole.zip"), name="acme")
        part = january().zipped(tmp_path / "january.zip")
        report = threadwise.ingest(part, name="acme", options=JANUARY)
        assert (report.state, report.added, report.changed, report.removed) == ("succeeded", 0, 1, 1)
        now = said(threadwise)
        thread = next(text for text in live_texts(threadwise) if "travel policy" in text)
        for reply in ("hangs in the kitchen", "moved to the wiki"):
            assert reply in thread
        assert "canteen" in now
        assert "The lift" in now
        assert "spare key" not in now

        again = threadwise.ingest(part, name="acme", options=JANUARY)
        read_again = january().user("U3", "Cleo").zipped(tmp_path / "again.zip")
        others = threadwise.ingest(read_again, name="acme", options=JANUARY)
        for repeated in (again, others):
            counts = (repeated.added, repeated.changed, repeated.removed, repeated.embedded)
            assert counts == (0, 0, 0, 0)
        assert said(threadwise) == now


def test_the_period_is_remembered_until_it_is_taken_back(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        threadwise.ingest(whole_export().zipped(tmp_path / "whole.zip"), name="acme")
        part = january().zipped(tmp_path / "january.zip")
        threadwise.ingest(part, name="acme", options=JANUARY)
        later = january().say("general", ts("2024-01-20"), "The plants need water.").zipped(tmp_path / "later.zip")
        report = threadwise.ingest(later, name="acme")
        assert (report.added, report.removed) == (1, 0)
        assert "The lift" in said(threadwise)
        threadwise.ingest(later, name="acme", options={"period": ""})
        assert "The lift" not in said(threadwise)
        assert "travel policy" not in said(threadwise)


def test_a_month_without_a_word_takes_away_only_its_own(tmp_path: Path, database_url: str) -> None:
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        threadwise.ingest(whole_export().zipped(tmp_path / "whole.zip"), name="acme")
        report = threadwise.ingest(workspace().zipped(tmp_path / "none.zip"), name="acme", options=JANUARY)
        assert (report.added, report.changed, report.removed) == (0, 0, 2)
        assert "hangs in the kitchen" in said(threadwise)
        assert "canteen" not in said(threadwise)


def test_channels_that_were_left_out_stay_out_until_an_empty_list_brings_them_back(
    tmp_path: Path, database_url: str
) -> None:
    builder = whole_export().channel("C2", "random", ["U1"])
    first = builder.say("random", ts("2024-01-03"), "My cat sleeps.").zipped(tmp_path / "first.zip")
    threadwise, _ = installation(tmp_path / "data", database_url)
    with threadwise:
        threadwise.ingest(first, name="acme", options={"exclude": ["rand*"]})
        assert "My cat" not in said(threadwise)
        newer = builder.say("random", ts("2024-02-07"), "My dog barks.").zipped(tmp_path / "newer.zip")
        assert threadwise.ingest(newer, name="acme").added == 0
        report = threadwise.ingest(newer, name="acme", options={"exclude": []})
        assert (report.added, report.removed) == (2, 0)
        assert "My cat" in said(threadwise)
        assert threadwise.ingest(newer, name="acme").removed == 0


def test_a_period_does_not_let_a_pattern_take_everything_away(tmp_path: Path, database_url: str) -> None:
    with installation(tmp_path / "data", database_url)[0] as threadwise:
        part = january().zipped(tmp_path / "january.zip")
        threadwise.ingest(part, name="acme", options=JANUARY)
        before = said(threadwise)
        with pytest.raises(EmptySourceError):
            threadwise.ingest(part, name="acme", options=JANUARY | {"include": ["nothing"]})
        assert said(threadwise) == before
        assert "canteen" in before
