"""A citation leads to where its quote stands, however much else the passage shows."""

from collections.abc import Iterator

import pytest

from core.catalog.passages import Reader
from core.settings import LlmSettings, Settings
from core.words import EVERYONE
from generation.answers import AskRequest, Citation, DoneEvent
from retrieval.query import Query
from tests.support.installation import write_pages
from tests.support.pdf_files import lines, pdf
from threadwise.runtime import Threadwise

ANYONE = Reader(principals=(EVERYONE,))
GUIDE = pdf(
    [
        lines("Part one of the guide."),
        lines("The alarm code of the warehouse is changed every", "Monday by the night guard, who tells the shift"),
        lines("leads before six. The forklift keys hang in the blue cabinet behind the reception desk."),
    ],
    properties={"Title": "Warehouse guide"},
)
BIKES = """# Bikes

## Price

A leased bike may cost at most 4,000 pounds.

## Helmets

Helmets are lent by the janitor on the ground floor.
"""

RULES = """<html><body><h1>Rules</h1>
<h2 id="über uns">The sauna</h2><p>The sauna is heated on Fridays by the porter.</p>
<h2>Parking</h2><p>The visitors park behind the mill.</p></body></html>"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Threadwise]:
    folder = tmp_path_factory.mktemp("places")
    (write_pages(folder / "docs", {"bikes.md": BIKES, "rules.html": RULES}) / "guide.pdf").write_bytes(GUIDE)
    with Threadwise(Settings(data_dir=folder / "data", llm=LlmSettings(kind="none"))) as threadwise:
        threadwise.ingest(folder / "docs", name="docs")
        yield threadwise


def first_citation(threadwise: Threadwise, question: str) -> Citation:
    *_, done = threadwise.ask(AskRequest(question=question, reader=ANYONE))
    assert isinstance(done, DoneEvent)
    return done.answer.citations[0]


@pytest.mark.parametrize(
    ("question", "quote", "uri"),
    [
        ("Where do the forklift keys hang?", "The forklift keys hang in the blue cabinet", "guide.pdf#page=3"),
        ("When is the alarm code of the warehouse changed?", "The alarm code of the warehouse", "guide.pdf#page=2"),
        ("What may a leased bike cost at most?", "A leased bike may cost at most 4,000 pounds.", "bikes.md#price"),
        ("Who lends helmets?", "Helmets are lent by the janitor", "bikes.md#helmets"),
        ("When is the sauna heated?", "The sauna is heated on Fridays", "rules.html#%C3%BCber%20uns"),
    ],
)
def test_a_citation_leads_to_the_page_or_heading_of_its_quote(
    opened: Threadwise, question: str, quote: str, uri: str
) -> None:
    cited = first_citation(opened, question)
    assert (cited.quote[: len(quote)], cited.uri) == (quote, uri)


def test_a_sentence_that_a_page_cuts_is_quoted_as_a_whole(opened: Threadwise) -> None:
    cited = first_citation(opened, "When is the alarm code of the warehouse changed?")
    assert cited.quote.endswith("by the night guard, who tells the shift leads before six.")


def test_what_tools_are_told_of_a_passage_has_one_address(opened: Threadwise) -> None:
    asked = Query(text="forklift keys", reader=ANYONE, top_k=1)
    shown = opened.search(asked).as_json()["passages"]
    assert isinstance(shown, list)
    assert "places" not in shown[0]
    assert shown[0]["uri"].startswith("guide.pdf#page=")
