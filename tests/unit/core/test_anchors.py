"""Where the parts of a text stand, and how that is stored."""

from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.anchors import Anchors, anchor_line, anchors_of, distinct
from core.words import Passage

NAMES = st.text("ab:=7-%", max_size=6)
LATER = st.lists(st.tuples(st.integers(1, 99), NAMES), max_size=6, unique_by=lambda place: place[0]).map(sorted)
PLACED: st.SearchStrategy[Anchors] = st.builds(lambda first, later: ((0, first), *later), NAMES, LATER)


@pytest.mark.parametrize(
    ("anchors", "line"),
    [
        (((0, "page=7"),), "page=7"),
        (((0, "page=7"), (212, "page=8")), "page=7 212:page=8"),
        (((0, ""), (9, "carry-over")), " 9:carry-over"),
        (((0, "a"), (9, "")), "a 9:"),
        (((0, ""),), ""),
    ],
)
def test_places_are_stored_as_one_line(anchors: Anchors, line: str) -> None:
    assert (anchor_line(anchors), anchors_of(line)) == (line, anchors)


@given(PLACED)
def test_what_is_stored_is_read_again(anchors: Anchors) -> None:
    assert anchors_of(anchor_line(anchors)) == anchors


def test_white_space_in_an_anchor_is_written_as_in_an_address() -> None:
    assert anchors_of(anchor_line(((0, "a b"), (3, "c\td")))) == ((0, "a%20b"), (3, "c%20d"))


@given(PLACED, st.integers(0, 100))
def test_leaving_out_what_changes_nothing_moves_no_place(anchors: Anchors, offset: int) -> None:
    def at(found: Anchors) -> str:
        return found[bisect_right(found, offset, key=lambda place: place[0]) - 1][1]

    fewer = distinct(anchors)
    assert at(fewer) == at(anchors)
    assert all(one[1] != two[1] for one, two in pairwise(fewer))


def test_of_two_places_at_one_offset_the_last_counts() -> None:
    assert distinct([(0, "a"), (4, "b"), (4, "c")]) == ((0, "a"), (4, "c"))


def test_a_passage_knows_the_address_of_each_of_its_characters() -> None:
    passage = Passage(
        chunk_id="c",
        document_id="d",
        external_id="e",
        source="s",
        title="t",
        uri="a.pdf#page=2",
        text="One.\nTwo.",
        score=1.0,
        signals={},
        places=((0, "a.pdf#page=1"), (5, "a.pdf#page=2")),
    )
    assert [passage.uri_at(offset)[-1] for offset in (0, 4, 5, 8)] == ["1", "1", "2", "2"]
