"""Documents that are nearly the same are linked and stay apart, each under its own audience."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, update

from core import tables as t
from core.catalog import state
from core.catalog.likeness import Pair
from core.catalog.passages import Reader, readable_places
from core.errors import UnknownSourceError
from core.settings import Settings
from core.words import document_id_of
from ingest.errors import RunStoppedError
from ingest.likeness import BUCKET
from ingest.linking import AT_ONCE, Linker
from tests.support.faults.toys import ToyEmbedder
from tests.support.installation import write_pages
from tests.support.slack_export import ExportBuilder
from threadwise.runtime import Threadwise

NOTICE = (
    "The office is closed between the years. Whoever has to come in all the same asks the desk for a key of the side"
    " door, signs for it, and brings it back on the first day of the new year before nine in the morning."
)
EDITED = NOTICE.replace("nine", "ten")
OTHER = " ".join(f"sentence{number} about bicycles" for number in range(30))
TABLES = (t.likeness, t.likeness_band, t.near_duplicate)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Threadwise]:
    """An installation whose embedder costs nothing."""
    threadwise = Threadwise(Settings(data_dir=tmp_path / "data"))
    threadwise.embedder = ToyEmbedder()
    with threadwise:
        yield threadwise


def bring(threadwise: Threadwise, folder: Path, texts: dict[str, str], audience: str = "everyone") -> None:
    """Ingest a folder of these pages, of the folder's name."""
    pages = {name: f"# {name}\n\n{text}\n" for name, text in texts.items()}
    threadwise.ingest(write_pages(folder, pages), name=folder.name, audience=(audience,), allow_empty=True)


def linked(threadwise: Threadwise, source: str | None = None) -> list[tuple[str, str]]:
    """The places of both documents of each pair."""
    return [place(pair) for pair in threadwise.twins(source=source, limit=100)[1]]


def place(pair: Pair) -> tuple[str, str]:
    first, second = sorted(f"{one.source}/{one.external_id}" for one in pair.documents)
    return first, second


def rows(threadwise: Threadwise) -> list[int]:
    """How many rows each table has."""
    with threadwise.database.read() as session:
        return [session.execute(select(func.count()).select_from(table)).scalar_one() for table in TABLES]


def readable(threadwise: Threadwise, principal: str) -> set[str]:
    """The documents that the read barrier lets somebody have anything of."""
    with threadwise.database.read() as session:
        (generation,) = {*session.execute(select(t.chunk.c.generation_id)).scalars()}
        chunks = list(session.execute(select(t.chunk.c.id)).scalars())
        reader = Reader(principals=(principal,))
        places = readable_places(session, generation, reader, threadwise.clock(), chunks)
    return {one.document_id for one in places.values()}


def read_by_searches(threadwise: Threadwise) -> list[list[str]]:
    """Everything that engines and readers are given."""
    with threadwise.database.read() as session:
        changes = [str(row) for row in session.execute(select(t.change).order_by(t.change.c.seq))]
        (generation,) = {*session.execute(select(t.chunk.c.generation_id)).scalars()}
        return [changes, list(state.chunk_rows(session, generation)), list(state.feature_rows(session))]


def unlink(threadwise: Threadwise) -> None:
    """As a run leaves it that was killed before it linked."""
    with threadwise.database.write() as session:
        for table in reversed(TABLES):
            session.execute(table.delete())


def test_twins_of_different_audiences_are_linked_and_each_is_read_by_its_own_readers_alone(
    opened: Threadwise, tmp_path: Path
) -> None:
    bring(opened, tmp_path / "public", {"notice.md": NOTICE, "bikes.md": OTHER})
    before = readable(opened, "staff")
    bring(opened, tmp_path / "board", {"copy.md": EDITED}, "board")
    total, (pair,) = opened.twins(limit=10)
    assert (total, place(pair)) == (1, ("board/copy.md", "public/notice.md"))
    assert 0.8 <= pair.similarity < 1.0
    assert pair.as_json()["same_audience"] is False
    assert sorted(one.audience for one in pair.documents) == [("board",), ("everyone",)]
    assert readable(opened, "staff") == before
    assert readable(opened, "board") == before | {document_id_of("board", "copy.md")}


def test_linking_changes_nothing_that_is_searched_or_ranked(opened: Threadwise, tmp_path: Path) -> None:
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE, "c.md": OTHER})
    unlink(opened)
    before = read_by_searches(opened)
    assert opened.ingestion.linker.catch_up(10) == 3
    assert linked(opened)
    assert read_by_searches(opened) == before


def test_pairs_are_listed_by_source_the_most_alike_first_and_as_many_as_asked_for(
    opened: Threadwise, tmp_path: Path
) -> None:
    bring(opened, tmp_path / "one", {"a.md": NOTICE, "b.md": NOTICE, "c.md": OTHER})
    bring(opened, tmp_path / "two", {"a.md": EDITED})
    total, pairs = opened.twins(limit=2)
    assert (total, len(pairs)) == (3, 2)
    assert place(pairs[0]) == ("one/a.md", "one/b.md")
    assert sorted(linked(opened, "two")) == [("one/a.md", "two/a.md"), ("one/b.md", "two/a.md")]
    with pytest.raises(UnknownSourceError):
        opened.twins(source="three", limit=1)


def test_a_text_that_is_alike_no_more_is_linked_no_more(opened: Threadwise, tmp_path: Path) -> None:
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE})
    assert linked(opened)
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": OTHER})
    assert linked(opened) == []
    assert rows(opened) == [2, 32, 0]


def test_a_small_change_keeps_the_link_and_is_compared_anew(opened: Threadwise, tmp_path: Path) -> None:
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE})
    (before,) = opened.twins(limit=1)[1]
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": EDITED})
    (after,) = opened.twins(limit=1)[1]
    assert 0.8 <= after.similarity < before.similarity
    assert rows(opened) == [2, 32, 1]


def test_who_is_removed_has_no_twin_from_that_moment_on_and_has_one_again_when_it_returns(
    opened: Threadwise, tmp_path: Path
) -> None:
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE, "c.md": OTHER})
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "c.md": OTHER})
    assert linked(opened) == []
    assert rows(opened) == [2, 32, 0]
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE, "c.md": OTHER})
    assert linked(opened) == [("docs/a.md", "docs/b.md")]


def test_a_deleted_twin_leaves_neither_sketch_nor_link_and_a_receipt_says_so(
    opened: Threadwise, tmp_path: Path
) -> None:
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE})
    number = document_id_of("docs", "b.md")
    (tombstone,) = opened.deletions.delete([number])
    assert tombstone.purged_at
    (receipt,) = [receipt for receipt in tombstone.receipts if receipt.store == "likeness"]
    assert (receipt.ids, receipt.left) == ((number,), 0)
    assert (linked(opened), rows(opened)) == ([], [1, 16, 0])


def test_what_an_erased_person_said_is_in_no_sketch_any_more(opened: Threadwise, tmp_path: Path) -> None:
    export = ExportBuilder().user("U1", "Ada").user("U2", "Ben").channel("C1", "hr", ["U1", "U2"], is_general=True)
    first = "1700000000.000100"
    export.say("hr", first, NOTICE, thread_ts=first)
    export.say("hr", "1700000060.000200", OTHER, user="U2", thread_ts=first)
    opened.ingest(export.unpacked(tmp_path / "export"), name="slack")
    assert rows(opened) == [1, 16, 0]
    assert opened.deletions.erase("T1/U1").purged_at
    assert rows(opened) == [0, 0, 0]
    bring(opened, tmp_path / "docs", {"a.md": OTHER})
    (pair,) = opened.twins(limit=10)[1]
    assert pair.similarity > 0.9, "what is left was sketched again"


def test_a_run_that_was_stopped_before_it_linked_leaves_it_to_the_next(opened: Threadwise, tmp_path: Path) -> None:
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE})
    unlink(opened)
    with pytest.raises(RunStoppedError):
        opened.ingestion.linker.catch_up(10, lambda: True)
    assert rows(opened) == [0, 0, 0]
    bring(opened, tmp_path / "more", {"c.md": OTHER})
    assert linked(opened) == [("docs/a.md", "docs/b.md")]
    assert rows(opened) == [3, 48, 1]


def test_nothing_is_sketched_twice_and_what_was_overtaken_is_not_written(opened: Threadwise, tmp_path: Path) -> None:
    linker = opened.ingestion.linker
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE})
    assert linker.catch_up(100) == 0
    with opened.database.write() as session:
        session.execute(t.likeness.update().values(content_sha="old"))
    assert linked(opened) == [], "what was compared is not what is read"
    number = document_id_of("docs", "b.md")

    def overtaken() -> bool:
        opened.deletions.delete([number])
        return False

    assert linker.catch_up(100, overtaken) == 2
    assert rows(opened) == [1, 16, 0]


def test_two_linkers_at_a_time_end_with_the_links_of_one(opened: Threadwise, tmp_path: Path) -> None:
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE, "c.md": EDITED})
    links = linked(opened)
    unlink(opened)
    other = Linker(opened.database, opened.blobs, opened.clock)
    assert opened.ingestion.linker.catch_up(100, lambda: other.catch_up(100) > 100) == 3
    assert linked(opened) == links
    assert rows(opened) == [3, 48, 3]


def test_statements_grow_with_batches_and_not_with_documents_or_likes(opened: Threadwise, tmp_path: Path) -> None:
    count = 2 * BUCKET
    assert count < AT_ONCE
    bring(opened, tmp_path / "docs", {f"{number}.md": NOTICE for number in range(count)})
    unlink(opened)
    counted: list[str] = []

    def count_one(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        counted.append(statement)

    event.listen(opened.database.engine, "before_cursor_execute", count_one)
    assert opened.ingestion.linker.catch_up(count) == count
    event.remove(opened.database.engine, "before_cursor_execute", count_one)
    assert len(counted) < 20
    assert rows(opened)[:2] == [count, 16 * BUCKET]
    assert rows(opened)[2] <= 8 * count


def test_what_was_not_compared_yet_is_told_until_a_run_has_done_it(opened: Threadwise, tmp_path: Path) -> None:
    bring(opened, tmp_path / "docs", {"a.md": NOTICE, "b.md": NOTICE})
    assert opened.uncompared() == 0
    with opened.database.write() as session:
        session.execute(update(t.document).values(content_sha="0" * 64))
    assert opened.uncompared() == 2
