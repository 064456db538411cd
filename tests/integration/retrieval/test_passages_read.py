"""What a reader is shown: whole stretches of a document, each once, the better copy of what was posted twice."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core import tables as t
from core.settings import IngestSettings, RetrievalSettings, Settings
from core.words import Document, Passage
from ingest.chunking import body_of
from retrieval.query import Query
from tests.support.installation import write_pages
from tests.support.slack_export import ExportBuilder
from threadwise.runtime import Threadwise

RUTH = "T05LQ8R2PNK/U05LQF8E1HC"
DAY = 86_400
LONG_AGO = 1_600_000_000
ANNOUNCEMENT = (
    "The Christmas party takes place on Friday 12 December from 18:00 in the canteen. Partners are welcome, please "
    "sign up with Bea until the end of November and tell her what you do not eat. A bus leaves for town at midnight."
)


def ask(threadwise: Threadwise, text: str, **more: Any) -> list[Passage]:  # noqa: ANN401 - any field of a query
    return threadwise.search(Query(text=text, reader=threadwise.reader(), **more)).passages


def body(threadwise: Threadwise, passage: Passage) -> str:
    """The whole text of the passage's document."""
    with threadwise.database.read() as session:
        sha = session.execute(select(t.document.c.blob_sha).where(t.document.c.id == passage.document_id)).scalar_one()
    return body_of(Document.from_canonical(threadwise.blobs.get(sha)))


def chunks_of(threadwise: Threadwise, document_id: str) -> list[str]:
    c = t.chunk.c
    mine = select(c.text).where(c.document_id == document_id, c.live).order_by(c.ordinal)
    with threadwise.database.read() as session:
        return list(session.execute(mine).scalars())


def long_page() -> str:
    """Five paragraphs, each far longer than a chunk, in which no sentence is said twice."""
    paragraphs = []
    for number in range(5):
        sentences = [
            f"Rule {number}.{n}: a ladder of {n + 2} rungs holds {10 * n + number} kilograms." for n in range(20)
        ]
        paragraphs.append(f"## Part {number}\n\n{' '.join(sentences)}")
    return "# Ladders\n\n" + "\n\n".join(paragraphs) + "\n"


@pytest.fixture(params=[0, 1, 3])
def ladders(request: pytest.FixtureRequest, tmp_path: Path) -> Threadwise:
    """One page in many small chunks with overlaps, read with so many neighbours."""
    threadwise = Threadwise(
        Settings(
            data_dir=tmp_path / "data",
            ingest=IngestSettings(chunk_tokens=64, overlap_tokens=16),
            retrieval=RetrievalSettings(neighbours=request.param, duplicate_similarity=1.0),
        )
    )
    threadwise.ingest(write_pages(tmp_path / "docs", {"ladders.md": long_page()}), name="docs")
    return threadwise


def test_a_passage_is_one_stretch_of_its_document_without_repeated_text(ladders: Threadwise) -> None:
    with ladders:
        found = ask(ladders, "How many kilograms does a ladder of 12 rungs hold?", top_k=20)
        text = body(ladders, found[0])
        pieces = chunks_of(ladders, found[0].document_id)
        assert sum(map(len, pieces)) > len(text), "chunks overlap: the rule would pass on nothing"
        for passage in found:
            assert passage.text in text
            rules = re.findall(r"Rule \d+\.\d+:", passage.text)
            assert len(rules) == len(set(rules))
        if ladders.settings.retrieval.neighbours:
            assert max(len(passage.text) for passage in found) > max(map(len, pieces))


def test_no_chunk_is_shown_twice(ladders: Threadwise) -> None:
    with ladders:
        found = ask(ladders, "How many kilograms does a ladder of 12 rungs hold?", top_k=20)
        for piece in chunks_of(ladders, found[0].document_id):
            assert sum(piece in passage.text for passage in found) <= 1


def test_a_passage_of_the_demo_is_one_stretch_of_its_document(
    demo: Threadwise, questions: list[dict[str, Any]]
) -> None:
    for question in questions:
        query = Query(text=question["question"], reader=demo.reader(RUTH), top_k=10)
        found = demo.search(query).passages
        assert len({passage.chunk_id for passage in found}) == len(found)
        assert all(passage.text in body(demo, passage) for passage in found)


def test_a_page_is_cited_at_one_of_its_headings(demo: Threadwise, questions: list[dict[str, Any]]) -> None:
    cited = set()
    for question in questions:
        for found in ask(demo, question["question"], sources=("handbook",)):
            page, _, slug = found.uri.partition("#")
            assert page == found.external_id
            if slug:
                cited.add(found.uri)
                lines = {re.sub(r"[^a-z0-9]+", "-", line.lower()).strip("-") for line in body(demo, found).splitlines()}
                assert slug in lines
    assert len(cited) > 10


def test_a_thread_is_cited_by_the_link_that_opens_it(demo: Threadwise) -> None:
    found = demo.search(
        Query(text="Who won the quiz?", reader=demo.reader(RUTH), sources=("slack",), top_k=10)
    ).passages
    for passage in found:
        channel, _, ts = passage.external_id.partition(":")
        assert passage.uri.endswith(f"/archives/{channel}/p{ts.replace('.', '')}")


def test_an_announcement_posted_in_two_channels_is_shown_once(tmp_path: Path) -> None:
    builder = ExportBuilder().user("U1", "Bea").channel("C1", "general", ["U1"]).channel("C2", "office", ["U1"])
    for folder, ts in (("general", "1760000000.000100"), ("office", "1760000060.000200")):
        builder.say(folder, ts, ANNOUNCEMENT)
    builder.say("office", "1761000000.000100", "The lift is out of order on Friday.")
    with Threadwise(Settings(data_dir=tmp_path / "data")) as threadwise:
        threadwise.ingest(builder.unpacked(tmp_path / "export"), name="slack", audience=("everyone",))
        found = ask(threadwise, "When is the Christmas party?")
        assert [ANNOUNCEMENT in passage.text for passage in found] == [True, False]


def test_the_same_page_in_two_sources_is_shown_once(tmp_path: Path) -> None:
    pages = {"party.md": f"# Party\n\n{ANNOUNCEMENT}\n", "lift.md": "# Lift\n\nIt is out of order on Friday.\n"}
    with Threadwise(Settings(data_dir=tmp_path / "data")) as threadwise:
        threadwise.ingest(write_pages(tmp_path / "docs", pages), name="docs")
        threadwise.ingest(write_pages(tmp_path / "copy", pages), name="copy")
        found = ask(threadwise, "When is the Christmas party?")
        assert [passage.external_id for passage in found] == ["party.md", "lift.md"]


def two_threads(place: Path, *, first: dict[str, Any], second: dict[str, Any]) -> Path:
    """The same question answered alike in #alpha and in #gamma; each has a time and reactions of its own."""
    builder = ExportBuilder().user("U1", "Ada").user("U2", "Ben")
    places = (("alpha", "blue", first), ("gamma", "grey", second))
    for number, (name, colour, thread) in enumerate(places, start=1):
        builder.channel(f"C{number}", name, ["U1", "U2"])
        root = f"{thread['at']}.000100"
        builder.say(name, root, "Where do I find the printer paper?", thread_ts=root)
        thanks = [{"name": "pray", "users": ["U1"] * thread["thanks"], "count": thread["thanks"]}]
        answer: dict[str, Any] = {"thread_ts": root, "user": "U2"} | ({"reactions": thanks} if thread["thanks"] else {})
        builder.say(name, f"{thread['at'] + 60}.000200", f"The printer paper is in the {colour} cupboard.", **answer)
    return builder.unpacked(place)


def winner(tmp_path: Path, *, first: dict[str, Any], second: dict[str, Any]) -> str:
    """The channel whose thread comes first when their words are equally good."""
    # By words alone both match alike: neither channel's name is asked for, and both texts are equally long.
    ranked = RetrievalSettings(dense_weight=0.0, mmr_lambda=1.0, duplicate_similarity=1.0)
    export = two_threads(tmp_path / "export", first=first, second=second)
    with Threadwise(Settings(data_dir=tmp_path / "data", retrieval=ranked)) as threadwise:
        threadwise.ingest(export, name="slack", audience=("everyone",))
        found = ask(threadwise, "Where is the printer paper?")
        assert len(found) == 2
        assert found[0].signals["lexical"] == found[1].signals["lexical"]
        assert found[0].score > found[1].score
        return found[0].title.partition(":")[0]


def test_of_two_equally_good_threads_the_newer_comes_first(tmp_path: Path) -> None:
    old, new = {"at": LONG_AGO, "thanks": 0}, {"at": LONG_AGO + 1_500 * DAY, "thanks": 0}
    assert winner(tmp_path / "a", first=old, second=new) == "#gamma"
    assert winner(tmp_path / "b", first=new, second=old) == "#alpha"


def test_of_two_equally_good_threads_the_one_that_helped_more_people_comes_first(tmp_path: Path) -> None:
    quiet, thanked = {"at": LONG_AGO, "thanks": 0}, {"at": LONG_AGO, "thanks": 4}
    assert winner(tmp_path / "a", first=quiet, second=thanked) == "#gamma"
    assert winner(tmp_path / "b", first=thanked, second=quiet) == "#alpha"
