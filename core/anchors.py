"""Where the parts of a chunk stand in their document, and how that is stored: as one line of text.

`page=7` where all of a chunk stands there; `page=7 212:page=8` where page 8 begins with its character 212. An anchor is
what an address of that place ends with, empty for the document as a whole; it holds no white space.
"""

import re
from collections.abc import Iterable
from itertools import groupby

Anchors = tuple[tuple[int, str], ...]
"""Offsets into a text, ascending, each with the anchor of what stands from there on."""

_WHITE = re.compile(r"\s")


def distinct(found: Iterable[tuple[int, str]]) -> Anchors:
    """The same places without those that change nothing; `found` ascends, and of one offset the last counts."""
    last_of_each = dict(found).items()
    return tuple(next(same) for _, same in groupby(last_of_each, key=lambda place: place[1]))


def anchor_line(anchors: Anchors) -> str:
    """The stored form of places of which the first is offset 0."""
    whole = ((offset, _WHITE.sub("%20", anchor)) for offset, anchor in anchors)
    return " ".join(f"{offset}:{anchor}" if offset else anchor for offset, anchor in whole)


def anchors_of(line: str) -> Anchors:
    """The inverse of `anchor_line`."""
    first, *later = line.split(" ")
    placed = (one.partition(":") for one in later)
    return ((0, first), *((int(offset), anchor) for offset, _, anchor in placed))
