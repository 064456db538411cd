"""Documents cut into chunks that fit."""

import math
import re
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import InvalidSettingError
from core.words import OPEN_FROM, Block, Chunk, Document, Instant
from ingest.chunking import ChunkLimits, body_of, chunk_document, pipeline_id
from ingest.splitting import Tokenizer
from retrieval.passages import Span, merge_spans
from tests.support.word_tokenizer import Words


@dataclass(frozen=True)
class WordPieces(Words):
    """Two characters a token, but a very long word is one unknown token: to cut it makes more of it."""

    def count(self, text: str) -> int:
        return len(self.spans(text))

    def spans(self, text: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for match in re.finditer(r"\S+", text):
            start, end = match.span()
            step = end - start if end - start > 20 else 2
            found.extend((at, min(at + step, end)) for at in range(start, end, step))
        return found


@dataclass(frozen=True)
class Bytes(Words):
    """A token for each three characters, line ends included, wherever words begin: parts count more than a whole."""

    def count(self, text: str) -> int:
        return math.ceil(len(text) / 3)

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [(at, min(at + 3, len(text))) for at in range(0, len(text), 3)]


@dataclass(frozen=True)
class Jealous(Words):
    """Counts an extra token for each pair of neighbouring words: a whole counts more than its parts."""

    def count(self, text: str) -> int:
        return max(2 * len(text.split()) - 1, 0)


SMALL = ChunkLimits(12, 2)
TOKENIZERS: list[Tokenizer] = [Words(), WordPieces(), Bytes(), Jealous()]


def document(*texts: str, **more: object) -> Document:
    blocks = tuple(Block(text=text, anchor=str(index), speaker=f"S{index}") for index, text in enumerate(texts))
    page = Document(external_id="d", kind="page", title="", uri="d", audience=("everyone",), blocks=blocks)
    return replace(page, **more)  # type: ignore[arg-type]


def chunks_of(page: Document, limits: ChunkLimits = SMALL, tokenizer: Tokenizer = TOKENIZERS[0]) -> list[Chunk]:
    return chunk_document(page, source="s", tokenizer=tokenizer, limits=limits, pipeline="p")


def words(count: int, name: str = "w") -> str:
    return " ".join(f"{name}{index}" for index in range(count))


def test_a_document_that_fits_is_one_chunk() -> None:
    (chunk,) = chunks_of(document("one two", "three", title="A title", context="#general"))
    assert chunk.text == "one two\nthree"
    assert chunk.indexed_text == "A title\n#general\none two\nthree"
    assert (chunk.start, chunk.end, chunk.ordinal) == (0, 13, 0)
    assert (chunk.anchor, chunk.author) == ("0 8:1", "S0")


@pytest.mark.parametrize("page", [document(), document(""), document(" \n", "\t")])
def test_a_document_without_text_has_no_chunks(page: Document) -> None:
    assert chunks_of(page) == []


def test_blocks_that_fit_are_packed_whole() -> None:
    texts = [words(4, "a"), words(5, "b"), words(3, "c"), words(6, "d"), words(1, "e")]
    assert [chunk.text for chunk in chunks_of(document(*texts))] == [
        f"{texts[0]}\n{texts[1]}",
        f"{texts[2]}\n{texts[3]}\n{texts[4]}",
    ]


def test_a_block_that_fits_is_not_split_for_the_sake_of_the_target() -> None:
    texts = [words(3, "a"), words(9, "b"), words(3, "c")]
    assert [chunk.text for chunk in chunks_of(document(*texts), ChunkLimits(12, 2, 6))] == texts


def test_a_target_makes_chunks_shorter_than_the_limit() -> None:
    texts = [words(3, name) for name in "abcdef"]
    assert [len(chunk.text.split()) for chunk in chunks_of(document(*texts), ChunkLimits(40, 2, 8))] == [6, 6, 6]


def test_a_tiny_last_chunk_shares_out_with_its_neighbour() -> None:
    texts = [words(3, "a"), words(3, "b"), words(3, "c"), words(2, "d")]
    assert [len(chunk.text.split()) for chunk in chunks_of(document(*texts))] == [6, 5]


@pytest.mark.parametrize("asked", ["who pays?", "*who pays?*", "as follows:"])
def test_a_question_goes_into_the_chunk_of_what_follows_it(asked: str) -> None:
    texts = [words(6, "a"), asked, words(8, "b"), words(5, "c")]
    assert [chunk.text for chunk in chunks_of(document(*texts))] == [texts[0], f"{asked}\n{texts[2]}", texts[3]]


def test_a_line_set_like_a_heading_goes_with_what_it_is_above_on_a_page_and_not_in_a_conversation() -> None:
    texts = [f"{words(6, 'a')}.", "Cost savings", f"{words(8, 'b')}.", f"{words(5, 'c')}."]
    page = document(blocks=tuple(Block(text=text) for text in texts))
    assert [chunk.text for chunk in chunks_of(page)] == [texts[0], f"{texts[1]}\n{texts[2]}", texts[3]]
    assert chunks_of(document(*texts))[0].text == f"{texts[0]}\n{texts[1]}"


@pytest.mark.parametrize(("asked", "answer"), [("who pays?", words(9, "b")), ("and which of us pays?", words(5, "b"))])
def test_a_question_stays_where_it_is_if_it_would_make_the_next_chunk_too_long_or_is_long_itself(
    asked: str, answer: str
) -> None:
    texts = [words(5, "a"), asked, answer, words(6, "c")]
    assert chunks_of(document(*texts))[0].text == f"{texts[0]}\n{asked}"


def test_not_more_than_two_lines_are_carried_and_something_always_stays() -> None:
    assert chunks_of(document("a?", "b?", "c?", "d?", words(8)), ChunkLimits(12, 0))[0].text == "a?\nb?"
    assert chunks_of(document("a?", words(9)), ChunkLimits(11, 0))[0].text == "a?"


def test_a_small_last_chunk_does_not_take_an_answer_from_its_question() -> None:
    texts = [words(2, "a"), words(2, "b"), "who pays?", words(3, "c"), words(2, "d")]
    assert [chunk.text for chunk in chunks_of(document(*texts))] == [
        f"{texts[0]}\n{texts[1]}", f"{texts[2]}\n{texts[3]}\n{texts[4]}"
    ]  # fmt: skip


def test_what_is_appended_leaves_the_chunks_before_the_last_two_alone() -> None:
    texts = [words(4, f"m{index}x") for index in range(20)]
    before = [chunk.text for chunk in chunks_of(document(*texts))]
    after = [chunk.text for chunk in chunks_of(document(*texts, "late reply"))]
    assert before[:-2] == after[: len(before) - 2]


def test_a_long_block_is_split_at_sentences_and_repeats_the_overlap() -> None:
    text = " ".join(f"{words(3, name)} end." for name in "abcdefgh")
    found = chunks_of(document(text), ChunkLimits(14, 3))
    assert all(chunk.text.endswith("end.") for chunk in found)
    for one, two in pairwise(found):
        assert 0 < len(text[two.start : one.end].split()) <= 3
        assert text[two.start - 1] == " "


def test_parts_of_a_long_block_are_of_about_equal_length() -> None:
    sizes = [len(chunk.text.split()) for chunk in chunks_of(document(words(101)), ChunkLimits(102, 0))]
    assert len(sizes) == 2
    assert min(sizes) >= 40


def test_a_word_without_end_is_cut_between_tokens() -> None:
    text = "x" * 100
    found = chunks_of(document(text), ChunkLimits(12, 0), Bytes())
    assert "".join(chunk.text for chunk in found) == text


def test_headings_stand_where_they_change_and_in_front_of_what_goes_on() -> None:
    blocks = (
        Block(text=words(9), heading=("Leave",)),
        Block(text=words(9), heading=("Leave", "Carry over")),
        Block(text=words(5), heading=("Leave", "Carry over")),
        Block(text=words(2), heading=("Leave",)),
        Block(text=words(2)),
    )
    page = document(blocks=blocks, title="Handbook")
    assert body_of(page).split("\n") == [
        "Leave", words(9), "Carry over", words(9), words(5), "Leave", words(2), words(2)
    ]  # fmt: skip
    found = chunks_of(page, ChunkLimits(18, 0))
    assert [(chunk.context, chunk.text.split("\n")[0]) for chunk in found] == [
        ("Handbook", "Leave"),
        ("Handbook\nLeave", "Carry over"),
        ("Handbook\nLeave > Carry over", words(5)),
    ]


def test_the_title_is_not_said_twice() -> None:
    blocks = (Block(text=words(8), heading=("T", "H")), Block(text=words(8), heading=("T", "H")))
    found = chunks_of(document(blocks=blocks, title="T", context="T"), ChunkLimits(14, 0))
    assert [chunk.context for chunk in found] == ["T", "T\nH"]


def test_a_header_longer_than_a_third_is_cut() -> None:
    (chunk,) = chunks_of(document("text", title=words(30)), ChunkLimits(14, 0))
    assert chunk.context == words(4)


def test_validity_is_the_newest_message_else_the_document_else_open() -> None:
    blocks = tuple(Block(text=words(6), at=Instant(at)) for at in (5, 9, 7))
    assert [chunk.valid_from for chunk in chunks_of(document(blocks=blocks), ChunkLimits(15, 0))] == [9, 7]
    assert chunks_of(document("x", valid_from=Instant(3)))[0].valid_from == 3
    assert chunks_of(document("x"))[0].valid_from == OPEN_FROM


def test_the_author_stands_in_where_nobody_speaks() -> None:
    (chunk,) = chunks_of(document(blocks=(Block(text="x"),), author="HR"))
    assert chunk.author == "HR"


def test_ids_depend_on_source_content_and_pipeline() -> None:
    page = document("x")

    def first(page: Document, source: str = "s", pipeline: str = "p") -> str:
        return chunk_document(page, source=source, tokenizer=Words(), limits=ChunkLimits(12), pipeline=pipeline)[0].id

    ids = {first(page), first(page, "t"), first(page, pipeline="q"), first(document("y"))}
    assert len(ids) == 4
    assert first(page) == first(replace(page, audience=("hr",)))


def test_limits_without_room_are_refused() -> None:
    with pytest.raises(InvalidSettingError):
        chunks_of(document("x"), ChunkLimits(4, 0))


def test_the_pipeline_changes_with_everything_that_decides_a_cut() -> None:
    limits = ChunkLimits(256, 20)
    variants = [
        pipeline_id("t", limits, 60), pipeline_id("u", limits, 60), pipeline_id("t", limits, 30),
        pipeline_id("t", ChunkLimits(128, 20), 60), pipeline_id("t", ChunkLimits(256, 10), 60),
        pipeline_id("t", ChunkLimits(256, 20, 160), 60),
    ]  # fmt: skip
    assert len(set(variants)) == len(variants)
    assert pipeline_id("t", ChunkLimits(256, 20, 256), 60) == variants[0]


TEXT = st.text(alphabet=st.sampled_from("abc .!\n\u00e9\U0001f600"), max_size=120) | st.integers(1, 80).map("x".__mul__)
HEADINGS = st.lists(st.sampled_from(["Leave", "Pay rise", "T"]), max_size=3).map(tuple)
PAGES = st.builds(
    document,
    blocks=st.lists(st.builds(Block, text=TEXT, heading=HEADINGS), max_size=6).map(tuple),
    title=st.sampled_from(["", "T", "A rather long title of a page that goes on and on"]),
    context=st.sampled_from(["", "#general"]),
)
LIMITS = st.builds(ChunkLimits, st.integers(12, 40), st.integers(0, 12), st.none() | st.integers(8, 40))


@settings(max_examples=300, deadline=None)
@given(page=PAGES, limits=LIMITS, tokenizer=st.sampled_from(TOKENIZERS))
@example(
    page=document(blocks=(Block(text="a", heading=("Leave", "Pay rise", "Pay rise")),), title="T", context="#general"),
    limits=ChunkLimits(12, 2),
    tokenizer=Jealous(special=2),
)
def test_chunks_fit_cover_the_body_and_say_where_they_are(
    page: Document, limits: ChunkLimits, tokenizer: Tokenizer
) -> None:
    body = body_of(page)
    found = chunks_of(page, limits, tokenizer)
    covered: set[int] = set()
    for ordinal, chunk in enumerate(found):
        assert tokenizer.count(chunk.indexed_text) <= limits.max_tokens - tokenizer.special
        assert body[chunk.start : chunk.end] == chunk.text == chunk.text.strip() != ""
        assert chunk.ordinal == ordinal
        covered.update(range(chunk.start, chunk.end))
    assert all(index in covered or sign.isspace() for index, sign in enumerate(body))
    assert len({chunk.id for chunk in found}) == len(found)
    assert found == chunks_of(page, limits, tokenizer)
    for one, two in pairwise(found):
        assert one.start < two.start
        assert one.end < two.end
        assert tokenizer.count(body[two.start : one.end]) <= limits.overlap


@settings(max_examples=100, deadline=None)
@given(page=PAGES, limits=LIMITS, tokenizer=st.sampled_from(TOKENIZERS), data=st.data())
def test_neighbouring_chunks_read_like_the_body_under_them(
    page: Document, limits: ChunkLimits, tokenizer: Tokenizer, data: st.DataObject
) -> None:
    spans = [
        Span(ordinal=chunk.ordinal, start=chunk.start, end=chunk.end, text=chunk.text)
        for chunk in chunks_of(page, limits, tokenizer)
    ]
    first = data.draw(st.integers(0, len(spans)))
    near = spans[first : data.draw(st.integers(first, len(spans)))]
    under = body_of(page)[near[0].start : near[-1].end] if near else ""
    assert merge_spans(near).split() == under.split()


@settings(max_examples=100, deadline=None)
@given(PAGES)
def test_the_body_holds_every_block(page: Document) -> None:
    body = body_of(page)
    at = 0
    for block in page.blocks:
        at = body.index(block.text, at) + len(block.text)


def test_what_its_author_has_struck_is_no_part_of_the_text() -> None:
    blocks = (
        Block(text="~~The fee is 50.~~ It is 60."),
        Block(text="<s>Old", heading=("Pay",)),
        Block(text="more</s>"),
    )
    page = Document(external_id="p", kind="page", title="Fees", uri="p", audience=("everyone",), blocks=blocks)
    assert body_of(page) == "It is 60.\nPay\n\n"


def test_a_page_that_is_struck_as_a_whole_has_no_chunk() -> None:
    page = document(blocks=(Block(text="~~The fee is 50.~~"),))
    assert not body_of(page).strip()
    assert chunks_of(page, ChunkLimits(64)) == []


@pytest.mark.parametrize("line", ["Total" + " " * 60 + "12.", "Name:" + " " * 40 + "Unit:" + " " * 40 + "Date."])
def test_a_line_full_of_spaces_is_cut_as_soon_as_another(line: str) -> None:
    """A pattern that tries every way to share out the spaces would not end."""
    page = document(*(f"{words(2, name)}\n{line}" for name in "abcdef"))
    bare = replace(page, blocks=tuple(replace(block, speaker="") for block in page.blocks))
    assert [chunk.text.split()[0] for chunk in chunks_of(bare)] == ["a0", "c0", "e0"]
