"""Hits and their neighbouring chunks made into text that reads like the document, without repeated overlap."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.anchors import Anchors, distinct


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A chunk's place in its document's body: `text` is the body from character `start` up to `end`.

    `anchors` say where which part of it stands, by offsets into its own text.
    """

    ordinal: int
    start: int
    end: int
    text: str
    anchors: Anchors = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that was found."""

    document_id: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableText:
    """What is shown for one hit: `hit` is its index, `absorbed` are the later hits whose chunk it shows too.

    `anchors` say where which part of `text` stands.
    """

    hit: int
    absorbed: tuple[int, ...]
    ordinals: tuple[int, ...]
    text: str
    anchors: Anchors = ()


def merge_spans(spans: Sequence[Span]) -> str:
    """Join the body's text under the spans of one document, in its order: overlap once, a gap as one newline."""
    return "".join(f"{gap}{span.text[shown:]}" for gap, shown, span in _adding(spans))


def merge_anchors(spans: Sequence[Span]) -> Anchors:
    """The places of the parts of what `merge_spans` makes of the same spans."""
    found: list[tuple[int, str]] = []
    at = 0
    for gap, shown, span in _adding(spans):
        at += len(gap)
        found += ((at + max(offset - shown, 0), anchor) for offset, anchor in span.anchors)
        at += len(span.text) - shown
    return distinct(found)


def _adding(spans: Sequence[Span]) -> Iterator[tuple[str, int, Span]]:
    """In the body's order each span that adds text, what goes before it, and how much of it is there already."""
    reached: int | None = None
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if reached is None or span.start > reached:
            yield "" if reached is None else "\n", 0, span
        elif span.end > reached:
            yield "", reached - span.start, span
        else:
            continue
        reached = span.end


def readable_texts(hits: Sequence[Hit], neighbours: Mapping[str, Sequence[Span]], *, reach: int) -> list[ReadableText]:
    """One text per hit, best hit first, with the chunks up to `reach` places before and after it.

    `neighbours` holds by document id the spans that may be read; what is not there is left out. No chunk is shown
    twice: the earlier hit takes it, and a later hit whose own chunk is already shown is absorbed there.
    """
    shown: dict[tuple[str, int], int] = {}
    spans_of: dict[int, list[Span]] = {}
    absorbed: dict[int, list[int]] = {}
    for place, hit in enumerate(hits):
        holder = shown.get((hit.document_id, hit.span.ordinal))
        if holder is not None:
            absorbed[holder].append(place)
            continue
        absorbed[place] = []
        spans_of[place] = _window(hit, neighbours.get(hit.document_id, ()), reach, shown)
        shown |= {(hit.document_id, span.ordinal): place for span in spans_of[place]}
    return [
        ReadableText(
            hit=place,
            absorbed=tuple(absorbed[place]),
            ordinals=tuple(span.ordinal for span in spans),
            text=merge_spans(spans),
            anchors=merge_anchors(spans),
        )
        for place, spans in spans_of.items()
    ]


def _window(hit: Hit, around: Sequence[Span], reach: int, shown: Mapping[tuple[str, int], int]) -> list[Span]:
    """Give the hit's span and its readable neighbours that no earlier hit shows, by ordinal."""
    place = hit.span.ordinal
    near = {
        span.ordinal: span
        for span in around
        if abs(span.ordinal - place) <= reach and (hit.document_id, span.ordinal) not in shown
    }
    return [span for _, span in sorted((near | {place: hit.span}).items())]
