"""The catalogue on both databases: commits, the read barrier, feeds and signals."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from core import tables as t
from core.catalog import audiences, documents, feeds, passages, sequence, sources
from core.catalog.documents import NewVersion
from core.catalog.generations import GenerationMismatchError, generation_for
from core.catalog.passages import Reader
from core.catalog.signals import put_signal_rows, signal_row, signal_rows
from core.catalog.sources import SourceKindError
from core.database import HEAD, Database
from core.words import EVERYONE, Instant, document_id_of
from tests.support.documents import NOW, SPACE, commit, new_target, page

ANYONE = Reader(principals=(EVERYONE,))
LATER = Instant(NOW + 1_000_000)


def read_ids(database: Database, reader: Reader, chunk_ids: list[str], at: Instant = LATER) -> set[str]:
    """Which of these chunks the reader may read."""
    with database.read() as session:
        live = feeds.live_generation(session)
        assert live is not None
        places = passages.readable_places(session, live[0], reader, at, chunk_ids)
        wanted = [(place.document_id, place.ordinal) for place in places.values()]
        texts = passages.readable_passages(session, live[0], reader, at, wanted)
        assert {row.chunk_id for row in texts.values()} == set(places), "both statements are one barrier"
        return set(places)


def test_the_migrations_make_exactly_the_tables_that_the_code_declares(database: Database) -> None:
    with database.read() as session:
        context = MigrationContext.configure(session)
        assert compare_metadata(context, t.metadata) == []
        assert context.get_current_revision() == HEAD


def test_migrating_twice_changes_nothing(database: Database) -> None:
    new_target(database)
    database.migrate()
    with database.read() as session:
        assert session.execute(select(t.source.c.name)).scalars().all() == ["docs"]


def test_a_committed_document_is_readable_by_its_audience_and_by_nobody_else(database: Database) -> None:
    target = new_target(database)
    ids = [c.id for c in commit(database, target, page("secret", "the plan", audience=("T1/C1",)))]
    assert read_ids(database, Reader(principals=("T1/C1",)), ids) == set(ids)
    assert read_ids(database, Reader(principals=("T1/U1",)), ids) == set()
    assert read_ids(database, ANYONE, ids) == set()
    assert read_ids(database, Reader(principals=(), unrestricted=True), ids) == set(ids)


def test_a_member_reads_what_its_groups_may_read_until_it_leaves(database: Database) -> None:
    target = new_target(database)
    ids = [c.id for c in commit(database, target, page("secret", "the plan", audience=("T1/C1",)))]
    member = Reader(principals=("T1/U1",))
    with database.write() as session:
        audiences.replace_memberships(session, target.source_id, [("T1/U1", "T1/C1"), ("T1/U2", "T1")])
    assert read_ids(database, member, ids) == set(ids)
    with database.write() as session:
        assert audiences.replace_memberships(session, target.source_id, [("T1/U2", "T1")]) == 1
    assert read_ids(database, member, ids) == set()


def test_the_same_principals_in_any_order_are_one_audience(database: Database) -> None:
    with database.write() as session:
        first = audiences.audience_id(session, ("a", "b"))
        assert audiences.audience_id(session, ("b", "a", "a")) == first
        assert audiences.audience_id(session, ("a",)) != first
        assert audiences.audience_ids(session, ["b"]) == (first,)


def test_a_new_version_replaces_the_old_one_at_the_commit(database: Database) -> None:
    target = new_target(database)
    old = [c.id for c in commit(database, target, page("leave", "25 days", "ask HR"))]
    new = [c.id for c in commit(database, target, page("leave", "30 days", "ask HR"), now=NOW + 5)]
    assert not set(old) & set(new)
    assert read_ids(database, ANYONE, old + new) == set(new)
    with database.read() as session:
        ended = dict(session.execute(select(t.chunk.c.text, t.chunk.c.valid_to).where(t.chunk.c.live.is_(False))).all())
    assert ended["25 days"] == NOW + 5
    assert ended["ask HR"] == 0, "what the new version repeats was replaced, not ended"


def test_going_back_to_an_earlier_text_makes_it_live_again(database: Database) -> None:
    target = new_target(database)
    first = [c.id for c in commit(database, target, page("leave", "25 days"))]
    commit(database, target, page("leave", "30 days"), now=NOW + 5)
    again = [c.id for c in commit(database, target, page("leave", "25 days"), now=NOW + 9)]
    assert again == first
    assert read_ids(database, ANYONE, first) == set(first)


def test_a_removed_document_is_unreadable_from_its_commit_on(database: Database) -> None:
    target = new_target(database)
    ids = [c.id for c in commit(database, target, page("leave", "25 days"))]
    with database.write() as session:
        documents.commit_removals(session, target, ["leave"], now=LATER)
    assert read_ids(database, ANYONE, ids) == set()
    with database.read() as session:
        assert list(feeds.vector_rows(session, target.generation_id, SPACE.id)) == []
        assert not documents.known_documents(session, target.source_id)["leave"].live
        assert documents.content_of(session, "docs", "leave") is None


def test_a_chunk_that_is_not_valid_yet_is_held_back(database: Database) -> None:
    target = new_target(database)
    ids = [c.id for c in commit(database, target, page("leave", "25 days"))]
    with database.write() as session:
        session.execute(t.chunk.update().values(valid_from=LATER))
    assert read_ids(database, ANYONE, ids, at=NOW) == set()
    assert read_ids(database, ANYONE, ids, at=LATER) == set(ids)


def test_a_new_audience_moves_rights_at_once_and_rewrites_no_chunk(database: Database) -> None:
    target = new_target(database)
    ids = [c.id for c in commit(database, target, page("plan", "the plan"))]
    with database.write() as session:
        before = sequence.current(session)
        hidden = NewVersion(document=page("plan", "the plan", audience=("T1/C1",)), blob_sha="c" * 64)
        documents.commit_metadata(session, target, [hidden], now=LATER)
    assert read_ids(database, ANYONE, ids) == set()
    with database.read() as session:
        newest, changed = feeds.changed_chunks(session, target.generation_id, before)
        assert changed == ids, "the engines' filter columns have to follow"
        assert newest == before + 1, "one for the chunk; the signals' own number follows"
        assert len(session.execute(select(t.version.c.id)).all()) == 1


def test_feeds_return_live_chunks_with_the_text_that_is_indexed(database: Database) -> None:
    target = new_target(database)
    chunks = commit(database, target, page("leave", "25 days", "ask HR"))
    with database.read() as session:
        words = {row.chunk_id: row.text for row in feeds.words_rows(session, target.generation_id)}
        vectors = list(feeds.vector_rows(session, target.generation_id, SPACE.id, [chunks[1].id]))
    assert words == {chunk.id: chunk.indexed_text for chunk in chunks}
    assert [row.chunk_id for row in vectors] == [chunks[1].id]
    assert len(vectors[0].vector) == 4 * SPACE.dimension


def test_change_numbers_have_no_gap_and_follow_the_order_of_commits(database: Database) -> None:
    target = new_target(database)
    for place in range(3):
        commit(database, target, page(f"p{place}", "a", "b"))
    with database.read() as session:
        assert session.execute(select(t.change.c.seq).order_by(t.change.c.seq)).scalars().all() == [1, 2, 3, 4, 5, 6]
        assert feeds.changed_chunks(session, target.generation_id, 6) == (6, [])


def test_an_older_signal_row_never_overwrites_a_newer_one(database: Database) -> None:
    target = new_target(database)
    commit(database, target, page("leave", "25 days", reactions=7))
    number = document_id_of("docs", "leave")
    with database.write() as session:
        old = signal_row(number, page("leave").signals, length=0, recorded_at=1, row_version=0)
        put_signal_rows(session, [old])
        assert signal_rows(session, [number, "unknown"], ["reactions"]) == {number: (7,)}


def test_another_model_or_pipeline_is_refused_with_what_to_do(database: Database) -> None:
    new_target(database)
    other = SPACE.__class__(model="other", revision="1", runtime="none", dimension=8, max_tokens=64)
    for pipeline, space in (("p2", SPACE), ("p1", other)):
        with database.write() as session, pytest.raises(GenerationMismatchError, match="threadwise generations build"):
            generation_for(session, pipeline=pipeline, space=space, now=NOW)


def test_a_source_name_keeps_its_kind(database: Database) -> None:
    new_target(database)
    with database.write() as session, pytest.raises(SourceKindError, match="--source"):
        sources.source_id(session, name="docs", kind="slack-export", now=NOW)
