"""Rights, names and dates across several ingestions of one source."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from core.catalog import documents, sources
from core.catalog.sources import WorkspaceTakenError
from core.words import Instant
from ingest.errors import EmptySourceError, SourceNameTakenError
from ingest.work import RunLoop
from tests.support.installation import PAGES, PoisonError, installation, live_texts, write_pages
from tests.support.slack_export import ExportBuilder
from threadwise.opening import AS_IN_SOURCE
from threadwise.runtime import Threadwise


def test_an_audience_that_was_given_once_holds_until_it_is_taken_back(tmp_path: Path) -> None:
    def readers(threadwise: Threadwise) -> set[frozenset[str]]:
        with threadwise.database.read() as session:
            return {known.audience for known in documents.known_documents(session, 1).values()}

    docs = write_pages(tmp_path / "docs", PAGES)
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(docs, name="docs", audience=("group:hr",))
        assert threadwise.ingest(docs, name="docs").unchanged == 3
        assert readers(threadwise) == {frozenset({"group:hr"})}, "a forgotten option publishes nothing"
        threadwise.ingest(docs, name="docs", audience=(AS_IN_SOURCE,))
        assert readers(threadwise) == {frozenset({"everyone"})}


def test_a_policy_of_tomorrow_does_not_take_away_that_of_today(tmp_path: Path) -> None:
    threadwise, _ = installation(tmp_path / "data")
    with threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        threadwise.ingest(docs, name="docs")
        write_pages(docs, PAGES | {"leave.md": "---\neffective_date: 2100-01-01\n---\n# Leave\n\n40 days of leave.\n"})
        assert threadwise.ingest(docs, name="docs").changed == 0
        assert any("25 days" in chunk for chunk in live_texts(threadwise))
        threadwise.clock = lambda: Instant(4_200_000_000_000_000)
        threadwise.ingestion.clock = threadwise.ingestion.planner.clock = threadwise.clock
        assert threadwise.ingest(docs, name="docs").changed == 1, "it was not forgotten"
        assert any("40 days" in chunk for chunk in live_texts(threadwise))


def test_a_path_gives_its_name_to_one_source_only(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        for folder in ("a", "b"):
            write_pages(tmp_path / folder / "handbook.hr", PAGES)
        first, second = tmp_path / "a" / "handbook.hr", tmp_path / "b" / "handbook.hr"
        name = threadwise.free_name(first)
        assert name == "handbook.hr"
        threadwise.ingest(first, name=name)
        assert threadwise.free_name(first) == name
        with pytest.raises(SourceNameTakenError, match="--source"):
            threadwise.free_name(second)


def test_a_newer_export_belongs_to_the_source_of_its_workspace(tmp_path: Path) -> None:
    export = ExportBuilder().user("U1", "Ada").channel("C1", "hr", ["U1"]).say("hr", "1767600000.000100", "Hello all")
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(export.zipped(tmp_path / "january.zip"), name="january")
        with pytest.raises(WorkspaceTakenError, match="--source january"):
            threadwise.ingest(export.zipped(tmp_path / "february.zip"), name="february")
        assert threadwise.ingest(tmp_path / "february.zip", name="january").state == "succeeded"


def test_a_withdrawn_right_holds_even_where_the_new_content_cannot_be_embedded(
    tmp_path: Path, database_url: str
) -> None:
    def poison(text: str) -> None:
        if "secret" in text:
            raise PoisonError("It cannot be embedded.")

    threadwise, _ = installation(tmp_path / "data", database_url, poison)
    with threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        threadwise.ingest(docs, name="docs", audience=("everyone", "group:hr"))
        write_pages(docs, PAGES | {"leave.md": "# Leave\n\nEverybody has 25 days of leave. A secret.\n"})
        report = threadwise.ingest(docs, name="docs", audience=("group:hr", "group:board"))
        assert report.quarantined == 1
        with threadwise.database.read() as session:
            known = documents.known_documents(session, 1)
        assert known["leave.md"].audience == {"group:hr"}, "who lost the right has lost it; who gained it waits"
        assert known["vpn.md"].audience == {"group:hr", "group:board"}


def readers(threadwise: Threadwise, name: str) -> frozenset[str]:
    """The audience of one page."""
    with threadwise.database.read() as session:
        return documents.known_documents(session, 1)[name].audience


def test_a_right_that_was_withdrawn_by_a_killed_run_comes_back_when_the_source_gives_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = write_pages(tmp_path / "docs", PAGES)
    with installation(tmp_path / "data")[0] as threadwise:
        threadwise.ingest(docs, name="docs")
        with monkeypatch.context() as patch:
            patch.setattr(RunLoop, "run", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                threadwise.ingest(docs, name="docs", audience=("group:hr",))
        assert readers(threadwise, "leave.md") == frozenset()
        report = threadwise.ingest(docs, name="docs", audience=(AS_IN_SOURCE,))
        assert (report.changed, report.embedded) == (3, 0)
        assert readers(threadwise, "leave.md") == {"everyone"}


def test_an_emptied_source_still_withdraws_rights_and_remembers_who_may_read(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        threadwise.ingest(docs, name="docs")
        empty = write_pages(tmp_path / "typo", {"empty.md": ""})
        with pytest.raises(EmptySourceError):
            threadwise.ingest(empty, name="docs", audience=("group:hr",))
        assert readers(threadwise, "leave.md") == frozenset()
        with threadwise.database.read() as session:
            assert sources.locations(session) == [str(docs)], "where nothing was is not where it is read from now on"
        threadwise.ingest(write_pages(docs, {"new.md": "# Pay\n\nA raise for all."}), name="docs")
        assert readers(threadwise, "new.md") == {"group:hr"}


def test_a_refused_pattern_changes_nobodys_rights_and_is_not_remembered(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        docs = write_pages(tmp_path / "docs", PAGES)
        threadwise.ingest(docs, name="docs", audience=("board",))
        with pytest.raises(EmptySourceError, match="pattern"):
            threadwise.ingest(docs, name="docs", audience=("everyone",), options={"include": ["nothing"]})
        threadwise.ingest(docs, name="docs", audience=("board",), options={"include": []})
        assert threadwise.ingest(docs, name="docs").unchanged == 3
        assert readers(threadwise, "leave.md") == {"board"}


def test_personal_data_that_must_not_be_there_goes_even_where_nothing_else_is(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        docs = write_pages(tmp_path / "docs", {"a.md": "# A\n\nWrite to jo.smith@example.org for a key."})
        threadwise.ingest(docs, name="docs")
        report = threadwise.ingest(docs, name="docs", options={"personal_data": "quarantine"})
        assert (report.removed, report.quarantined) == (1, 1)


def test_a_draft_that_never_applied_is_replaced_by_a_later_one(tmp_path: Path) -> None:
    draft = "---\neffective_date: {}\n---\n# Leave\n\n{} days of leave.\n"
    with installation(tmp_path / "data")[0] as threadwise:
        docs = write_pages(tmp_path / "docs", {"leave.md": draft.format("2100-01-01", 40)})
        threadwise.ingest(docs, name="docs")
        threadwise.ingest(write_pages(docs, {"leave.md": draft.format("2110-01-01", 50)}), name="docs")
        assert any("50 days" in chunk for chunk in live_texts(threadwise))


def test_a_page_in_doubt_keeps_no_other_page_of_a_similar_name(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        docs = write_pages(tmp_path / "docs", {"a.md": "First page.", "a.md.md": "Second page."})
        threadwise.ingest(docs, name="docs")
        (docs / "a.md").write_bytes(b"\xff\xfe")
        (docs / "a.md.md").unlink()
        assert threadwise.ingest(docs, name="docs").removed == 1


def test_a_moved_source_is_remembered_though_nothing_in_it_changed(tmp_path: Path) -> None:
    with installation(tmp_path / "data")[0] as threadwise:
        first = write_pages(tmp_path / "a" / "hr ", PAGES)
        second = write_pages(tmp_path / "b" / "hr", PAGES)
        assert threadwise.free_name(first) == "hr"
        threadwise.ingest(first, name="hr")
        with pytest.raises(SourceNameTakenError):
            threadwise.free_name(second)
        assert threadwise.ingest(second, name="hr").unchanged == 3
        assert threadwise.free_name(second) == "hr"
