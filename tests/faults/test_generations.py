"""Whole generations under fire: swapped below readers, killed while they are built, overtaken by what is ingested.

`FULL=1 make faults` swaps 100 times below 100,000 reads, and kills each place twice.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from core import tables as t
from core.catalog import builds
from core.catalog import generations as catalog
from ingest import building
from ingest.errors import RunStoppedError
from retrieval.query import Query
from tests.support.databases import variables_of
from tests.support.faults.nursery import CRASHED, Nursery
from tests.support.faults.toys import EXITS
from tests.support.generations import ImmuneToy, built, finish, followed, found, house, never, pages, quiet, seen
from tests.support.installation import write_pages
from threadwise.digest import catalogue_digest
from threadwise.runtime import Threadwise

SMALL = 40  # tokens of a chunk, where 256 are usual
BUILT: dict[str, Any] = {"chunk_tokens": SMALL, "lease_seconds": 0.5}
READERS = 8
TOP_K = 5
PAGES = pages(16, words=60)


@dataclass(slots=True)
class Reads:
    """What readers saw: (when they began, seconds, chunk ids) of every search, and what went wrong."""

    seen: list[tuple[float, float, tuple[str, ...]]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def read(self, threadwise: Threadwise, number: int) -> None:
        """Search until told to stop."""
        place = number
        try:
            while not self.stop.is_set():
                place += 1
                query = Query(text=f"w{place % 16}x1 w{place % 13}x7", reader=threadwise.reader(), top_k=TOP_K)
                began = time.monotonic()
                ranking = threadwise.search(query)
                ids = tuple(passage.chunk_id for passage in ranking.passages)
                assert all(passage.text for passage in ranking.passages)
                self.seen.append((began, time.monotonic() - began, ids))
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.errors.append(error)

    def p99(self, first: int, last: int) -> float:
        """Milliseconds within which 99 of 100 of these searches were answered."""
        return 1000 * float(np.quantile([seconds for _, seconds, _ in self.seen[first:last]], 0.99))

    def await_more(self, count: int) -> None:
        """Return once so many more searches are done."""
        wanted = len(self.seen) + count
        while len(self.seen) < wanted and not self.errors:
            time.sleep(0.01)


@contextmanager
def reading(threadwise: Threadwise) -> Iterator[Reads]:
    """Eight threads that search for as long as the block lasts."""
    reads = Reads()
    threads = [threading.Thread(target=reads.read, args=(threadwise, number)) for number in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield reads
    finally:
        reads.stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as opened:
        yield opened


def ingested(folder: Path, stack: ExitStack, chunk_tokens: int = 256) -> Threadwise:
    """An installation over the pages, which lie beside its folder."""
    threadwise = stack.enter_context(house(folder, chunk_tokens=chunk_tokens))
    threadwise.ingest(write_pages(folder.parent / "docs", PAGES), name="docs")
    return threadwise


def generation_of_chunks(threadwise: Threadwise) -> dict[str, int]:
    """Which generation each chunk that ever was belongs to; no two share one."""
    with threadwise.database.read() as session:
        rows = session.execute(select(t.chunk.c.id, t.chunk.c.generation_id)).all()
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1] for row in rows}


def test_no_answer_is_empty_or_mixed_while_generations_are_swapped_below_readers(
    tmp_path: Path,
    stack: ExitStack,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    swaps, wanted = (100, 100_000) if full_size else (10, 1_500)
    service = ingested(tmp_path / "data", stack)
    other = stack.enter_context(house(tmp_path / "data", chunk_tokens=SMALL))
    seen(other)
    followed(service)
    with reading(service) as reads:
        reads.await_more(wanted // 10)
        quiet_until = len(reads.seen)
        for swap in range(swaps):
            if swap % 5 == 0:
                write_pages(tmp_path / "docs", PAGES | {"page-3.md": f"# Page 3\n\nSaid anew the time {swap}.\n"})
                other.ingest(tmp_path / "docs", name="docs")
            other.generations.rollback(stop=never, report=quiet)
            reads.await_more(wanted // swaps)
        busy_until = len(reads.seen)
    assert not reads.errors, reads.errors[0]
    assert len(reads.seen) >= wanted
    belongs = generation_of_chunks(other)
    answers = [{belongs[chunk_id] for chunk_id in ids} for _, _, ids in reads.seen]
    print(
        f"{swaps} swaps, {len(reads.seen)} reads, p99 {reads.p99(0, quiet_until):.1f} ms before,"
        f" {reads.p99(quiet_until, busy_until):.1f} ms while swapping"
    )
    assert {len(ids) for _, _, ids in reads.seen} == {TOP_K}, "none is empty or short"
    assert {len(numbers) for numbers in answers} == {1}, "none mixes generations"
    assert {number for numbers in answers for number in numbers} == {1, 2}, "readers did follow the pointer"


def test_going_back_restores_the_same_results_exactly(tmp_path: Path, stack: ExitStack) -> None:
    service = ingested(tmp_path / "data", stack)
    questions = [f"w{n}x1 w{n}x2 w{n + 1}x9" for n in range(15)]
    before = [found(service, question, top_k=10) for question in questions]
    other = stack.enter_context(house(tmp_path / "data", chunk_tokens=SMALL))
    seen(other)
    followed(service)
    assert [found(service, question, top_k=10) for question in questions] != before
    other.generations.rollback(stop=never, report=quiet)
    followed(service)
    assert [found(service, question, top_k=10) for question in questions] == before


PLACES = (
    "build.claimed",
    "work.prepared:5",
    "build.commit.before",
    "build.commit.after",
    "swap.before",
    "swap.after",
    "collect.batch",
)


def leave_to_die(nursery: Nursery, folder: Path, place: str, **settings: float) -> int:
    """Let a process finish what is left of a new generation, dying at that place; how it ended."""
    process = nursery.start(
        finish,
        *(str(folder / "data"), BUILT | settings),
        log=folder / "log",
        variables=variables_of(folder / "data") | {"THREADWISE_CRASH_AT": place},
    )
    return process.wait()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The digest of a generation that nothing disturbed while it was built, swapped to and the old one deleted."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with ExitStack() as opened:
        ingested(folder / "data", opened)
    finish(str(folder / "data"), BUILT)
    with house(folder / "data", **BUILT) as made:
        return catalogue_digest(made)


@pytest.mark.parametrize("place", PLACES)
def test_a_generation_whose_builder_is_killed_ends_like_an_undisturbed_one(
    place: str,
    undisturbed: dict[str, str],
    tmp_path: Path,
    nursery: Nursery,
    full_size: bool,  # noqa: FBT001 - a fixture
) -> None:
    with ExitStack() as opened:
        ingested(tmp_path / "data", opened)
    statuses = [leave_to_die(nursery, tmp_path, place) for _ in range(2 if full_size else 1)]
    assert statuses[0] == CRASHED, (tmp_path / "log").read_text()
    finish(str(tmp_path / "data"), BUILT)
    with house(tmp_path / "data", **BUILT) as again:
        assert catalogue_digest(again) == undisturbed
        with again.database.read() as session:
            assert set(session.execute(select(t.build.c.state, t.build.c.attempt)).all()) == {("done", 0)}
            assert [one.state for one in catalog.listed(session)] == ["deleted", "active"]


def test_a_document_that_kills_its_builder_is_given_up_and_the_others_are_made(
    tmp_path: Path, nursery: Nursery
) -> None:
    with house(tmp_path / "data") as threadwise:
        threadwise.embedder = ImmuneToy()
        poisoned = PAGES | {"page-3.md": PAGES["page-3.md"] + f"\n{EXITS}\n"}
        threadwise.ingest(write_pages(tmp_path / "docs", poisoned), name="docs")
    statuses = [leave_to_die(nursery, tmp_path, "", quarantine_share=0.1) for _ in range(4)]
    assert statuses == [CRASHED, CRASHED, CRASHED, 0], (tmp_path / "log").read_text()
    with house(tmp_path / "data", **BUILT) as threadwise, threadwise.database.read() as session:
        assert [(who, code) for who, code, _ in builds.given_up(session, 2)] == [("page-3.md", "worker_lost")]
        assert builds.account(session, 2).done == len(PAGES) - 1


def test_what_happens_during_a_build_is_in_the_new_generation_too(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "GROUP", 4)
    monkeypatch.setattr(building, "RECOUNT_SECONDS", 0.0)
    service = ingested(tmp_path / "data", stack)
    other = stack.enter_context(house(tmp_path / "data", chunk_tokens=SMALL))
    told: list[int] = []
    with pytest.raises(RunStoppedError):
        other.generations.build(stop=lambda: any(told), report=lambda settled, _all, _chunks: told.append(settled))
    assert 0 < told[-1] < len(PAGES), "some of it was made before"
    changed = PAGES | {"page-1.md": "# Page 1\n\nIt says something else.\n", "new.md": "# New\n\nOf today.\n"}
    del changed["page-2.md"]
    service.ingest(write_pages(tmp_path / "docs", changed), name="docs")
    service.ingest(tmp_path / "docs", name="docs", audience=("group:hr",))
    assert found(service) == [], "the right was withdrawn"
    seen(other)
    followed(service)
    assert found(service) == [], "it stays withdrawn"
    with house(tmp_path / "fresh", chunk_tokens=SMALL) as fresh:
        fresh.ingest(tmp_path / "docs", name="docs", audience=("group:hr",))
        wanted, made = catalogue_digest(fresh), catalogue_digest(other)
    assert {part: made[part] for part in ("chunks", "words")} == {part: wanted[part] for part in ("chunks", "words")}


def test_a_build_beside_an_ingestion_that_goes_on_misses_nothing(tmp_path: Path, stack: ExitStack) -> None:
    service = ingested(tmp_path / "data", stack)
    other = stack.enter_context(house(tmp_path / "data", chunk_tokens=SMALL))
    number, rounds = 0, list[int]()

    def ingest_on() -> None:
        for turn in range(4):
            texts = {f"page-{n}.md": f"# Page {n}\n\n" + f"t{turn}n{n} " * 50 for n in range(turn, 16, 3)}
            service.ingest(write_pages(tmp_path / "docs", PAGES | texts), name="docs")
            rounds.append(turn)

    ingesting = threading.Thread(target=ingest_on)
    ingesting.start()
    number = built(other)
    ingesting.join()
    assert rounds == [0, 1, 2, 3]
    other.generations.activate(number, stop=never, report=quiet)
    with house(tmp_path / "fresh", chunk_tokens=SMALL) as fresh:
        fresh.ingest(tmp_path / "docs", name="docs")
        wanted, made = catalogue_digest(fresh), catalogue_digest(other)
    assert {part: made[part] for part in ("chunks", "words")} == {part: wanted[part] for part in ("chunks", "words")}
