"""Merging neighbouring chunks into readable text."""

from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from retrieval.passages import Hit, ReadableText, Span, merge_anchors, merge_spans, readable_texts

BODY = "One.\nTwo.\nThree.\nFour.\nFive.\nSix."
LINES = BODY.split("\n")


def span(ordinal: int, start: int, end: int, body: str = BODY) -> Span:
    return Span(ordinal=ordinal, start=start, end=end, text=body[start:end])


def line(ordinal: int) -> Span:
    start = sum(len(text) + 1 for text in LINES[:ordinal])
    return span(ordinal, start, start + len(LINES[ordinal]))


def found(ordinal: int, document_id: str = "doc") -> Hit:
    return Hit(document_id=document_id, span=line(ordinal))


NEIGHBOURS = {"doc": [line(ordinal) for ordinal in range(6)]}


def test_an_overlap_is_shown_once() -> None:
    assert merge_spans([span(0, 0, 9), span(1, 5, 16)]) == BODY[:16]


def test_chunks_with_only_their_separator_between_them_read_like_the_body() -> None:
    assert merge_spans([line(2), line(0), line(1)]) == "One.\nTwo.\nThree."


def test_chunks_that_touch_are_joined_without_anything() -> None:
    assert merge_spans([span(0, 0, 3), span(1, 3, 9)]) == BODY[:9]


def test_a_gap_becomes_one_newline() -> None:
    assert merge_spans([line(0), line(3)]) == "One.\nFour."


def test_a_chunk_inside_another_adds_nothing() -> None:
    assert merge_spans([span(0, 0, 16), span(1, 5, 9), span(2, 10, 22)]) == BODY[:22]


def test_nothing_merges_to_nothing() -> None:
    assert merge_spans([]) == ""


@given(data=st.data(), body=st.text("ab \n", max_size=60))
def test_however_a_body_is_cut_the_chunks_merge_to_the_body(data: st.DataObject, body: str) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(body)))) | {0, len(body)}
    edges = sorted(cuts)
    spans = []
    for ordinal, (start, end) in enumerate(pairwise(edges)):
        overlap = data.draw(st.integers(0, min(5, start)))
        separator = overlap == 0 and body[start : start + 1] == "\n" and start > 0
        spans.append(span(ordinal, start - overlap + separator, end, body))
    assert merge_spans(data.draw(st.permutations(spans))) == body


@given(data=st.data(), body=st.text("ab \n", max_size=60))
def test_wherever_chunks_are_cut_each_character_keeps_its_place(data: st.DataObject, body: str) -> None:
    pages = sorted(data.draw(st.sets(st.integers(1, 60), max_size=3)) | {0})
    edges = sorted(data.draw(st.sets(st.integers(0, len(body)))) | {0, len(body)})
    spans = []
    for ordinal, (start, end) in enumerate(pairwise(edges)):
        first = start - data.draw(st.integers(0, min(5, start)))
        anchors = tuple((max(page - first, 0), str(page)) for page in pages[bisect_right(pages, first) - 1 :])
        one = span(ordinal, first, end, body)
        spans.append(replace(one, anchors=tuple(place for place in anchors if place[0] < max(len(one.text), 1))))
    found = merge_anchors(spans)
    for offset in range(len(body)):
        place = found[bisect_right(found, offset, key=lambda one: one[0]) - 1][1]
        assert place == str(pages[bisect_right(pages, offset) - 1])


def test_a_page_that_is_shown_by_a_neighbour_only_has_its_place_behind_the_gap() -> None:
    spans = [replace(line(0), anchors=((0, "page=1"),)), replace(line(3), anchors=((0, "page=4"), (2, "page=5")))]
    assert (merge_spans(spans), merge_anchors(spans)) == (
        "One.\nFour.",
        ((0, "page=1"), (5, "page=4"), (7, "page=5")),
    )


@given(wanted=st.sets(st.integers(0, 5)))
def test_any_choice_of_lines_merges_to_those_lines(wanted: set[int]) -> None:
    assert merge_spans([line(ordinal) for ordinal in wanted]) == "\n".join(LINES[i] for i in sorted(wanted))


def test_a_hit_is_shown_with_the_chunks_around_it() -> None:
    texts = readable_texts([found(2)], NEIGHBOURS, reach=1)
    assert texts == [ReadableText(hit=0, absorbed=(), ordinals=(1, 2, 3), text="Two.\nThree.\nFour.")]


def test_a_neighbour_that_may_not_be_read_is_left_out() -> None:
    texts = readable_texts([found(2)], {"doc": [line(3), line(4)]}, reach=1)
    assert texts[0].text == "Three.\nFour."


def test_a_hit_without_neighbours_is_its_own_text() -> None:
    assert readable_texts([found(2)], {}, reach=1)[0].text == "Three."
    assert readable_texts([found(2)], NEIGHBOURS, reach=0)[0].text == "Three."


def test_a_later_hit_beside_an_earlier_one_is_absorbed() -> None:
    texts = readable_texts([found(2), found(3), found(5)], NEIGHBOURS, reach=1)
    assert [(text.hit, text.absorbed, text.ordinals) for text in texts] == [(0, (1,), (1, 2, 3)), (2, (), (4, 5))]


def test_neighbours_stay_within_their_document() -> None:
    texts = readable_texts([found(0), found(0, "other")], {"doc": NEIGHBOURS["doc"]}, reach=1)
    assert [text.text for text in texts] == ["One.\nTwo.", "One."]


@given(
    ordinals=st.lists(st.tuples(st.sampled_from(["doc", "other"]), st.integers(0, 5)), max_size=8),
    reach=st.integers(0, 3),
)
def test_every_hit_is_shown_and_no_chunk_twice(ordinals: list[tuple[str, int]], reach: int) -> None:
    hits = [found(ordinal, document_id) for document_id, ordinal in ordinals]
    texts = readable_texts(hits, {"doc": NEIGHBOURS["doc"], "other": NEIGHBOURS["doc"][:3]}, reach=reach)
    shown = [(hits[text.hit].document_id, ordinal) for text in texts for ordinal in text.ordinals]
    assert len(shown) == len(set(shown))
    assert set(ordinals) <= set(shown)
    assert sorted(place for text in texts for place in (text.hit, *text.absorbed)) == list(range(len(hits)))
