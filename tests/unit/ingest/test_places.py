"""The pages, headings and rows to which chunks and their parts lead."""

from bisect import bisect_right

from hypothesis import given, settings
from hypothesis import strategies as st

from core.anchors import anchors_of
from core.words import Block, Chunk, Document
from ingest.chunking import ChunkLimits, body_of, chunk_document
from tests.support.word_tokenizer import Words


def written(*blocks: tuple[str, str], kind: str = "page") -> Document:
    made = tuple(Block(text=text, anchor=anchor) for anchor, text in blocks)
    return Document(external_id="a", kind=kind, title="", uri="a.pdf", audience=("everyone",), blocks=made)


def cut(document: Document, size: int = 22) -> list[Chunk]:
    limits = ChunkLimits(size, 2)
    return chunk_document(document, source="docs", tokenizer=Words(), limits=limits, pipeline="p")


def test_a_page_begins_a_chunk() -> None:
    found = cut(written(("page=1", "a b c d e f g"), ("page=2", "h i"), ("page=2", "j k l m"), ("page=3", "n")))
    assert [(chunk.text, chunk.anchor) for chunk in found] == [
        ("a b c d e f g", "page=1"),
        ("h i\nj k l m", "page=2"),
        ("n", "page=3"),
    ]


def test_pages_that_say_next_to_nothing_share_a_chunk_that_knows_both() -> None:
    found = cut(written(("page=1", "Part one"), ("page=2", "a b c d e f g")))
    assert [(chunk.text, chunk.anchor) for chunk in found] == [("Part one\na b c d e f g", "page=1 9:page=2")]


def test_headings_and_rows_share_a_chunk_that_knows_each_of_them() -> None:
    (found,) = cut(written(("", "a b"), ("leave", "c d e"), ("leave", "f"), ("bikes", "g h")))
    assert found.anchor == " 4:leave 12:bikes"


def test_a_conversation_is_opened_as_a_whole() -> None:
    (found,) = cut(written(("1.5", "a b"), ("2.5", "c d"), kind="thread"))
    assert found.anchor == "1.5"


ANCHORS = st.sampled_from(["page=1", "page=2", "leave", ""])
DOCUMENTS = st.lists(st.tuples(ANCHORS, st.text("ab \n.", max_size=90)), min_size=1, max_size=6)


@settings(deadline=None)
@given(blocks=DOCUMENTS, size=st.integers(12, 30))
def test_every_word_of_a_chunk_leads_to_where_its_block_stands(blocks: list[tuple[str, str]], size: int) -> None:
    document = written(*blocks)
    where = [anchor for anchor, text in blocks for _ in f"{text}\n"]
    assert len(where) == len(body_of(document)) + 1
    for chunk in cut(document, size):
        anchors = anchors_of(chunk.anchor)
        for offset, letter in enumerate(chunk.text):
            place = bisect_right(anchors, offset, key=lambda one: one[0]) - 1
            assert letter.isspace() or anchors[place][1] == where[chunk.start + offset]


def test_an_anchor_with_white_space_stays_one_even_where_a_document_has_no_other() -> None:
    (chunk,) = cut(written(("page=1 x", "a b c"), ("page=1 x", "d")))
    assert anchors_of(chunk.anchor) == ((0, "page=1%20x"),)
