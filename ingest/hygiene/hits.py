"""Places in a text that must not be kept, and the text without them."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

PART = "\0"  # between the parts of one text; cannot stand in clean text


_CUT = re.compile(r"(?<![^\s\"'`(<=:,\0])(?P<v>[^\s\0…]{5,200}+)…(?=\0|\Z)")


class Hit(NamedTuple):
    """Characters `start` to before `end` of a text, and what kind of thing stands there."""

    start: int
    end: int
    kind: str


def disjoint(hits: Iterable[Hit]) -> list[Hit]:
    """The hits in the order of the text; those that overlap are one, named by the first."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
        elif hit.end > kept[-1].end:
            kept[-1] = Hit(kept[-1].start, hit.end, kept[-1].kind)
    return kept


def masked(text: str, hits: Sequence[Hit], wording: str) -> str:
    """The text with `wording` (in which `{}` is the kind) for each of the disjoint hits; parts stay parts."""
    pieces: list[str] = []
    reached = 0
    for hit in hits:
        inside = PART * text.count(PART, hit.start, hit.end)
        pieces += (text[reached : hit.start], wording.format(hit.kind.replace("_", " ")), inside)
        reached = hit.end
    return "".join((*pieces, text[reached:]))


def with_beginnings(text: str, hits: list[Hit]) -> list[Hit]:
    """The hits, and the parts' ends that were cut short with `…` in the midst of something that is among them."""
    if not hits or "…" not in text:
        return hits
    found = {text[hit.start : hit.end]: hit.kind for hit in hits}
    cut: list[Hit] = []
    for match in _CUT.finditer(text):
        kind = next((kind for value, kind in found.items() if value.startswith(match["v"])), None)
        cut += [] if kind is None else [Hit(*match.span("v"), kind)]
    return disjoint([*hits, *cut])
