"""Hits and their neighbouring chunks made into text that reads like the document, without repeated overlap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A chunk's place in its document's body: `text` is the body from character `start` up to `end`."""

    ordinal: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that was found."""

    document_id: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadableText:
    """What is shown for one hit: `hit` is its index, `absorbed` are the later hits whose chunk it shows too."""

    hit: int
    absorbed: tuple[int, ...]
    ordinals: tuple[int, ...]
    text: str


def merge_spans(spans: Sequence[Span]) -> str:
    """Join the body's text under the spans of one document, in its order: overlap once, a gap as one newline."""
    pieces: list[str] = []
    reached: int | None = None
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if reached is None or span.start > reached:
            pieces.append(span.text if reached is None else f"\n{span.text}")
            reached = span.end
        elif span.end > reached:
            pieces.append(span.text[reached - span.start :])
            reached = span.end
    return "".join(pieces)


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
