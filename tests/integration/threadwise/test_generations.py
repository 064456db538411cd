"""Generations beside each other: built from stored documents, checked, swapped, gone back to, cleared away."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select, update

from core import tables as t
from core.catalog import builds, clearing
from core.catalog import generations as catalog
from core.catalog.generations import GenerationNotFoundError
from features.engine_pair import engine_folder
from generation.answers import AskRequest, DoneEvent
from ingest.building import GenerationBusyError
from ingest.errors import RunStoppedError
from tests.support.faults.toys import ToyEmbedder
from tests.support.generations import OTHER, built, followed, found, house, live_ids, never, pages, quiet, seen
from tests.support.installation import PoisonError, write_pages
from threadwise.digest import catalogue_digest
from threadwise.generations import GateRefusedError
from threadwise.runtime import Threadwise

SMALL = 40  # tokens of a chunk, where 256 are usual
PAGES = pages(8)


class Picky(ToyEmbedder):
    """Cannot embed what names this page."""

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (n, d)."""
        if any("w3x" in text for text in texts):
            raise PoisonError("It cannot be embedded.")
        return super().embed_documents(texts)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Threadwise]:
    """A service over eight pages."""
    with house(tmp_path / "data") as threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        yield threadwise


@pytest.fixture
def other(opened: Threadwise) -> Iterator[Threadwise]:
    """The same folder under settings that cut in another way."""
    with house(opened.settings.data_dir, chunk_tokens=SMALL) as threadwise:
        yield threadwise


def test_another_way_of_cutting_is_built_beside_and_then_seen(opened: Threadwise, other: Threadwise) -> None:
    before = found(opened)
    assert other.recipes.is_outdated()
    number = built(other)
    assert found(opened) == before, "nobody sees what is being built"
    other.generations.activate(stop=never, report=quiet)
    assert not other.recipes.is_outdated()
    followed(opened)
    after = {chunk_id for chunk_id, *_ in found(opened)}
    assert after <= live_ids(opened, number)
    assert not after & {chunk_id for chunk_id, *_ in before}


def test_a_built_generation_is_what_an_ingestion_under_its_settings_makes(other: Threadwise, tmp_path: Path) -> None:
    with house(tmp_path / "fresh", chunk_tokens=SMALL) as fresh:
        fresh.ingest(tmp_path / "docs", name="docs")
        wanted = catalogue_digest(fresh)
    seen(other)
    made = catalogue_digest(other)
    assert {part: made[part] for part in ("chunks", "features", "words")} == {
        part: wanted[part] for part in ("chunks", "features", "words")
    }


def test_another_model_takes_over_in_a_service_that_goes_on(opened: Threadwise) -> None:
    found(opened)
    with house(opened.settings.data_dir, OTHER) as changed:
        number = seen(changed)
    followed(opened)
    assert len(found(opened)) == 5
    with opened.database.read() as session:
        assert catalog.find(session, number).space_id != opened.embedder.space.id
    *_, done = opened.ask(AskRequest(question="Is it w3x5 or w3x6?", reader=opened.reader(), key_id="k"))
    assert isinstance(done, DoneEvent)
    opened.ping()


def test_changed_settings_stop_no_ingestion_and_mix_nothing(
    opened: Threadwise, other: Threadwise, tmp_path: Path
) -> None:
    report = other.ingest(write_pages(tmp_path / "docs", PAGES | {"new.md": PAGES["page-1.md"] + "more"}), name="docs")
    assert (report.state, report.added) == ("succeeded", 1)
    with other.database.read() as session:
        pipelines = session.execute(select(func.count()).select_from(t.generation)).scalar_one()
    assert pipelines == 1
    assert all(len(text) > 400 for _, text, _ in found(opened)), "chunks of the usual size"


def test_going_back_gives_the_same_results_and_what_changed_meanwhile(
    opened: Threadwise, other: Threadwise, tmp_path: Path
) -> None:
    before = found(opened)
    seen(other)
    other.generations.rollback(stop=never, report=quiet)
    followed(opened)
    assert found(opened) == before
    other.generations.rollback(stop=never, report=quiet)
    changed = PAGES | {"page-1.md": "# Page 1\n\nIt says something else now.\n"}
    del changed["page-3.md"]
    other.ingest(write_pages(tmp_path / "docs", changed), name="docs")
    row = other.generations.rollback(stop=never, report=quiet)
    assert row.is_live
    followed(opened)
    texts = " ".join(text for _, text, _ in found(opened, top_k=20))
    assert "something else" in texts
    assert "w1x1" not in texts
    assert "w3x" not in texts


def test_a_document_that_cannot_be_made_is_given_up_and_too_many_of_them_are_refused(other: Threadwise) -> None:
    live = other.generations.listed()[0]
    other.embedder = Picky()
    with pytest.raises(GateRefusedError, match=r"1 documents could not be made: 12.50%"):
        built(other)
    rows = other.generations.listed()
    assert [(row.generation.state, row.is_live) for row in rows] == [("active", True), ("failed", False)]
    assert "12.50%" in rows[1].generation.error
    assert rows[0].generation == live.generation, "the pointer was left alone"


def test_what_was_given_up_within_the_limit_can_be_tried_again(opened: Threadwise) -> None:
    with house(opened.settings.data_dir, chunk_tokens=SMALL, quarantine_share=0.5) as lenient:
        lenient.embedder = Picky()
        number = seen(lenient)
        assert not [text for _, text, _ in found(lenient, "w3x1 w3x2") if "w3x" in text]
        with lenient.database.read() as session:
            assert [code for _, code, _ in builds.given_up(session, number)] == ["poison"]
        lenient.embedder = ToyEmbedder()
        lenient.recipes._made.clear()
        assert lenient.generations.retry(number, stop=never, report=quiet).account.quarantined == 0
        assert [text for _, text, _ in found(lenient, "w3x1 w3x2") if "w3x" in text]


def test_a_generation_that_lost_chunks_is_refused_and_readers_see_what_they_saw(
    opened: Threadwise, other: Threadwise
) -> None:
    before = found(opened)
    number = built(other)
    with other.database.write() as session:
        one = session.execute(select(t.chunk.c.id).where(t.chunk.c.generation_id == number).limit(1)).scalar_one()
        gone = (t.chunk.c.generation_id == number) & (t.chunk.c.id == one)
        session.execute(update(t.chunk).where(gone).values(live=False))
    with pytest.raises(GateRefusedError, match="chunks"):
        other.generations.activate(stop=never, report=quiet)
    assert found(opened) == before
    assert other.generations.row(number).generation.state == "ready"


def test_what_a_golden_set_says_is_part_of_the_gate(other: Threadwise) -> None:
    number = built(other)
    asked: list[int] = []

    def golden(which: int) -> list[str]:
        asked.append(which)
        return ["Question 7 is not answered any more."]

    other.generations.gate = replace(other.generations.gate, golden=golden)
    assert other.generations.reasons() == ["Question 7 is not answered any more."]
    with pytest.raises(GateRefusedError, match="Question 7"):
        other.generations.activate(stop=never, report=quiet)
    assert asked == [number, number]


def test_building_goes_on_where_it_was_stopped(other: Threadwise) -> None:
    with pytest.raises(RunStoppedError):
        other.generations.build(stop=lambda: True, report=quiet)
    begun = other.generations.listed()[-1]
    # What was ready when the stop came is written; a thread may have been that fast.
    assert (begun.generation.state, begun.account.pending + begun.account.done) == ("building", len(PAGES))
    with other.database.read() as session:
        assert set(session.execute(select(t.build.c.attempt)).scalars()) == {0}, "who stops on purpose did not fail"
        assert set(session.execute(select(t.build.c.state)).scalars()) <= {"pending", "done"}, "nothing is left in hand"
    assert built(other) == begun.generation.id


def test_somebody_who_builds_is_left_alone_and_one_who_stands_still_is_taken_over(opened: Threadwise) -> None:
    with house(opened.settings.data_dir, chunk_tokens=SMALL, lease_seconds=0.4) as other:
        with pytest.raises(RunStoppedError):
            other.generations.build(stop=lambda: True, report=quiet)
        number = other.generations.listed()[-1].generation.id
        with other.database.write() as session:
            assert catalog.hold(session, number, "somebody", catalog.holder(session, number))

        def live_on() -> bool:
            with other.database.write() as session:
                assert catalog.beat(session, number, "somebody")
            return False

        with pytest.raises(GenerationBusyError):
            other.generations.build(stop=live_on, report=quiet)
        assert built(other) == number
        with other.database.write() as session:
            assert not catalog.beat(session, number, "somebody"), "what it has in hand can no longer be written"


def test_nobody_waits_for_a_generation_that_is_given_up(other: Threadwise) -> None:
    number = built(other)
    other.generations.cancel(number)
    with pytest.raises(GenerationNotFoundError):
        other.generations.retry(number, stop=never, report=quiet)


def test_what_was_begun_by_other_settings_is_given_up(opened: Threadwise, other: Threadwise) -> None:
    with pytest.raises(RunStoppedError):
        other.generations.build(stop=lambda: True, report=quiet)
    built(opened)
    assert [row.generation.state for row in opened.generations.listed()] == ["active", "cancelled", "ready"]
    assert opened.generations.cancel().generation.state == "cancelled"
    with pytest.raises(GenerationNotFoundError):
        opened.generations.cancel()


def test_collecting_keeps_what_a_rollback_needs_and_deletes_the_rest(opened: Threadwise, tmp_path: Path) -> None:
    first = opened.generations.listed()[0].generation
    before = found(opened)
    with house(tmp_path / "data", OTHER) as other, house(tmp_path / "data", chunk_tokens=SMALL) as third:
        second = seen(other)
        seen(third)
        third.generations.grace_seconds = 60
        assert third.generations.collect() == [], "a request may still be reading it"
        third.generations.grace_seconds = 0
        assert third.generations.collect() == [first.id]
        assert not engine_folder(third.settings.data_dir, first.id, first.created_at).exists()
        assert third.generations.collect() == []
        assert third.generations.rollback(stop=never, report=quiet).generation.id == second
        with third.database.read() as session:
            assert not clearing.has_rows(session, first.id)
            texts = set(session.execute(select(t.chunk.c.text_sha)).scalars())
            left = set(session.execute(select(t.embedding.c.text_sha)).scalars())
        assert left == texts, "vectors that only it used went with it, the others stayed"
        assert third.generations.collect(everything=True) == [3]
    followed(opened)
    assert len(found(opened)) == len(before)


def test_there_is_nothing_to_build_before_the_first_ingestion(tmp_path: Path) -> None:
    with house(tmp_path / "data") as empty:
        with pytest.raises(GenerationNotFoundError, match="ingested"):
            built(empty)
        with pytest.raises(GenerationNotFoundError):
            empty.generations.rollback(stop=never, report=quiet)
        assert empty.generations.listed() == []
