"""Blocks under their headings, whatever order they come in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.words import Block
from ingest.formats import outline
from ingest.formats.outline import Outline, text_of
from ingest.formats.parsed import DocumentTooLargeError

Step = tuple[int, str]  # the level of a heading, or 0 for a paragraph; and what it says

NAMES = st.sampled_from(["", "A", "B", "A b", "a-1", "Ä?"])
STEPS = st.lists(st.tuples(st.integers(0, 4), NAMES), max_size=12)


def read(steps: list[Step], title: str = "") -> tuple[Outline, tuple[Block, ...]]:
    found = Outline(title=title)
    for place, (level, name) in enumerate(steps):
        if level:
            found.open(level, name)
        else:
            found.add(f"text {place}")
    return found, found.finished()


def path_to(steps: list[Step], place: int) -> tuple[str, ...]:
    """What stands above a paragraph, read upwards: each heading that no other of its level or above it follows."""
    above: list[str] = []
    least = 9
    for level, name in reversed(steps[:place]):
        if 0 < level < least:
            least = level
            above[:0] = [name] if name else []
    return tuple(above)


@given(steps=STEPS)
def test_each_paragraph_stands_once_in_its_order_under_the_headings_above_it(steps: list[Step]) -> None:
    _, blocks = read(steps, title="none of them")
    paragraphs = [(f"text {place}", path_to(steps, place)) for place, (level, _) in enumerate(steps) if not level]
    assert [(block.text, block.heading) for block in blocks if block.text.startswith("text ")] == paragraphs


@given(steps=STEPS, title=st.sampled_from(["", "A"]))
def test_no_heading_is_lost(steps: list[Step], title: str) -> None:
    found, blocks = read(steps, title)
    shown = {name for block in blocks for name in (block.text, *block.heading)} | {found.title}
    assert shown >= {name for level, name in steps if level and name}


@given(names=st.lists(NAMES.filter(bool), max_size=12))
def test_no_two_headings_have_the_same_anchor(names: list[str]) -> None:
    _, blocks = read([(2, name) for name in names])
    assert [block.text for block in blocks] == names
    assert len({block.anchor for block in blocks}) == len(names)


def test_anchors_are_those_that_github_gives() -> None:
    _, blocks = read([(2, name) for name in ("Fees & Terms", "A", "A", "A-1", "A")])
    assert [block.anchor for block in blocks] == ["fees--terms", "a", "a-1", "a-1-1", "a-2"]


@given(steps=STEPS)
def test_a_title_is_the_one_known_before_or_a_first_heading_of_level_one_which_is_not_repeated(
    steps: list[Step],
) -> None:
    found, blocks = read(steps)
    first = next(((level, name) for level, name in steps if level and name), (0, ""))
    assert found.title == (first[1] if first[0] == 1 else "")
    assert found.first_heading == first[1]
    known, under = read(steps, title="known")
    assert known.title == "known"
    assert [block.text for block in under if block.text.startswith("text ")] == [
        block.text for block in blocks if block.text.startswith("text ")
    ]


@given(steps=STEPS)
def test_a_heading_stands_by_itself_only_where_nothing_is_below_it(steps: list[Step]) -> None:
    named = [step for step in steps if step[1]]
    _, blocks = read(named, title="none of them")
    ends = [*named, (1, "end")]
    alone = [name for (level, name), (after, _) in pairwise(ends) if level and 0 < after <= level]
    assert sorted(block.text for block in blocks if not block.text.startswith("text ")) == sorted(alone)


@given(levels=st.lists(st.integers(0, 4), max_size=12))
def test_the_text_of_a_piece_has_every_line_in_its_order(levels: list[int]) -> None:
    found = Outline(is_piece=True)
    lines = [f"line {place}" for place in range(len(levels))]
    for level, line in zip(levels, lines, strict=True):
        if level:
            found.open(level, line)
        else:
            found.add(line)
    assert text_of(found.finished()) == "\n".join(lines)
    assert found.title == ""


def test_a_text_beyond_the_limit_is_refused_and_white_space_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "MAX_CHARACTERS", 10)
    found = Outline()
    found.add(" " * 100)
    found.add("x" * 10, "page=1")
    assert found.finished() == (Block(text="x" * 10, anchor="page=1"),)
    with pytest.raises(DocumentTooLargeError):
        found.add("x")
