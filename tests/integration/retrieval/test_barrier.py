"""The catalogue decides what is read: an engine that lags behind it costs a second look, never a secret."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import select

from core import tables as t
from core.catalog import documents
from core.catalog.documents import NewVersion, Target
from core.settings import RetrievalSettings, Settings
from core.words import Document, Instant
from features.engine_pair import Candidates, EnginePair
from features.filters import PassageFilter
from features.store import FeatureStore
from retrieval.query import Query
from retrieval.retriever import Ranking
from tests.support.installation import write_pages
from threadwise.runtime import Threadwise

POOL = 3
PAGES = {
    "carry-over.md": "# Carry over\n\nUnused days of leave are carried over into March.\n",
    "parental.md": "# Parental leave\n\nParents have four weeks of leave.\n",
    "leave.md": "# Leave\n\nEverybody has 25 days of leave.\n",
    "sick.md": "# Sick leave\n\nSend a note from the eighth day of sick leave.\n",
    "unpaid.md": "# Unpaid leave\n\nUnpaid leave is agreed with your manager.\n",
    "sabbatical.md": "# Sabbatical leave\n\nAfter ten years there is a sabbatical leave.\n",
    "study.md": "# Study leave\n\nStudy leave is five days.\n",
    "wedding.md": "# Special leave\n\nOne day of leave to move house.\n",
}
QUESTION = "How many days of leave are there?"


@dataclass
class Lagging:
    """An installation whose engines no longer follow the catalogue, and what was asked of them."""

    threadwise: Threadwise
    pools: list[int] = field(default_factory=list)
    found: list[set[str]] = field(default_factory=list)

    def ask(self) -> Ranking:
        self.pools.clear()
        self.found.clear()
        return self.threadwise.search(Query(text=QUESTION, reader=self.threadwise.reader(), mmr_lambda=1.0))

    def target(self) -> Target:
        """Where an ingestion of the pages would write."""
        with self.threadwise.database.read() as session:
            source, name = session.execute(select(t.source.c.id, t.source.c.name)).one()
            run = session.execute(select(t.run.c.id)).scalar_one()
            generation, space = session.execute(select(t.generation.c.id, t.generation.c.space_id)).one()
        return Target(source_id=source, source=name, run_id=run, generation_id=generation, space_id=space)

    def remove(self, *names: str) -> None:
        with self.threadwise.database.write() as session:
            documents.commit_removals(session, self.target(), names, now=self.now)

    def restrict(self, *names: str) -> None:
        """From now on only a channel may read these pages."""
        target = self.target()
        with self.threadwise.database.write() as session:
            known = documents.known_documents(session, target.source_id)
            batch = [self._restricted(known[name]) for name in names]
            documents.commit_metadata(session, target, batch, now=self.now)

    @property
    def now(self) -> Instant:
        return self.threadwise.clock()

    def _restricted(self, known: documents.Known) -> NewVersion:
        document = Document.from_canonical(self.threadwise.blobs.get(known.blob_sha))
        return NewVersion(document=replace(document, audience=("T1/C1",)), blob_sha=known.blob_sha)


@pytest.fixture
def lagging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lagging]:
    """Eight pages, a pool of three, and engines that stay as they are."""
    settings = Settings(data_dir=tmp_path / "data", retrieval=RetrievalSettings(pool=POOL, top_k=POOL, neighbours=0))
    with Threadwise(settings) as threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", PAGES), name="docs")
        threadwise.warm()
        watched = Lagging(threadwise)
        real = FeatureStore.search_rows

        def search_rows(
            self: FeatureStore,
            embedding: object,
            query_string: str,
            *,
            pool: int,
            filter: PassageFilter,  # noqa: A002 - the store's own name
            engines: EnginePair | None = None,
        ) -> Candidates:
            found = real(self, embedding, query_string, pool=pool, filter=filter, engines=engines)  # type: ignore[arg-type]
            watched.pools.append(pool)
            watched.found.append({*found.chunk_ids})
            return found

        monkeypatch.setattr(FeatureStore, "search_rows", search_rows)
        monkeypatch.setattr(EnginePair, "catch_up", lambda *_: None)
        yield watched


def names(ranking: Ranking) -> list[str]:
    return [passage.external_id for passage in ranking.passages]


def test_engines_that_are_up_to_date_are_asked_once(lagging: Lagging) -> None:
    ranking = lagging.ask()
    assert (ranking.dropped, lagging.pools) == (0, [POOL])
    assert len(ranking.passages) == POOL


def test_a_removed_document_is_gone_although_the_engines_still_list_it(lagging: Lagging) -> None:
    best = names(lagging.ask())[0]
    lagging.remove(best)
    ranking = lagging.ask()
    assert ranking.dropped == 1
    assert best not in names(ranking)
    assert len(ranking.passages) == POOL, "the pool was topped up"


def test_a_document_that_others_may_read_now_is_gone_although_the_engines_still_list_it(lagging: Lagging) -> None:
    best = names(lagging.ask())[:2]
    lagging.restrict(*best)
    ranking = lagging.ask()
    assert ranking.dropped == 2
    assert not set(best) & set(names(ranking))
    assert len(ranking.passages) == POOL


def test_the_pool_is_topped_up_once_by_as_many_as_were_dropped(lagging: Lagging) -> None:
    lagging.remove(*names(lagging.ask()))
    ranking = lagging.ask()
    assert lagging.pools == [POOL, POOL + ranking.dropped]
    assert lagging.found[0] < lagging.found[1]


def test_it_is_not_topped_up_again_when_everything_else_is_gone_too(lagging: Lagging) -> None:
    lagging.remove(*PAGES)
    ranking = lagging.ask()
    assert ranking.passages == []
    assert len(lagging.pools) == 2


def test_a_change_the_engines_have_not_seen_hides_the_old_text_and_its_neighbours(
    lagging: Lagging, tmp_path: Path
) -> None:
    assert "leave.md" in names(lagging.ask())
    changed = PAGES | {"leave.md": "# Leave\n\nEverybody has 30 days of leave.\n"}
    lagging.threadwise.ingest(write_pages(tmp_path / "docs", changed), name="docs")
    ranking = lagging.ask()
    assert ranking.dropped == 1
    assert not any("25 days" in passage.text for passage in ranking.passages)


def test_engines_that_caught_up_drop_nothing(lagging: Lagging, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    lagging.threadwise.ingest(write_pages(tmp_path / "docs", {"leave.md": PAGES["leave.md"]}), name="docs")
    ranking = lagging.ask()
    assert (ranking.dropped, names(ranking)) == (0, ["leave.md"])


def test_a_neighbour_that_may_no_longer_be_read_is_not_merged_into_a_passage(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", retrieval=RetrievalSettings(neighbours=5))
    sections = "".join(f"\n## Part {n}\n\n{'The ladder has a rubber foot of its own. ' * 25}\n" for n in range(4))
    pages = write_pages(tmp_path / "docs", {"ladders.md": f"# Ladders\n{sections}"})
    with Threadwise(settings) as threadwise:
        assert threadwise.ingest(pages, name="docs").chunks > 2
        asked = Query(text="ladder foot", reader=threadwise.reader())
        whole = threadwise.search(asked).passages
        assert len(whole) == 1
        with threadwise.database.write() as session:
            middle = session.execute(select(t.chunk.c.text).where(t.chunk.c.ordinal == 1)).scalar_one()
            session.execute(t.chunk.update().where(t.chunk.c.ordinal == 1).values(live=False))
        assert middle in whole[0].text
        assert all(middle not in passage.text for passage in threadwise.search(asked).passages)
