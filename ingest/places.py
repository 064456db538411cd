"""Where the blocks of a document begin in its body: of this come the addresses of the parts of a chunk."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from core.anchors import anchor_line, distinct
from core.words import Block, Document

PAGE = "page="
LED_TO = "page"  # the kind of document in which a citation leads to a place; a conversation is opened as a whole


@dataclass(frozen=True, slots=True)
class Places:
    """For each block its anchor, and the offset of its part of the body where that matters; else no offsets."""

    anchors: tuple[str, ...]
    starts: tuple[int, ...] = ()

    @classmethod
    def of(cls, document: Document, parts: Iterable[str]) -> "Places":
        """`parts` are the blocks' parts of the body, which stand in lines of their own."""
        anchors = tuple(block.anchor for block in document.blocks)
        if document.kind != LED_TO or len(set(anchors)) == 1:
            return cls(anchors)
        return cls(anchors, (0, *accumulate(len(part) + 1 for part in parts)))

    def line(self, start: int, first: int, last: int) -> str:
        """The stored form of the anchors of a chunk that begins at `start` and shows these blocks."""
        if not self.starts:
            return anchor_line(((0, self.anchors[first]),))
        shown = range(first, last + 1)
        return anchor_line(distinct((max(self.starts[block] - start, 0), self.anchors[block]) for block in shown))


def page_of(block: Block) -> str:
    """The anchor of the block's page; empty where there are no pages."""
    return block.anchor if block.anchor.startswith(PAGE) else ""
