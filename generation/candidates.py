"""The sentences of passages that might be quoted, each with what it cannot be understood without."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.words import Passage
from generation.asking import Asked, is_question, terms
from generation.claims import is_vacuous, run_in, single_words
from generation.sentences import TURNING, Sentence, SpanOf, heading_text, is_said, sentences

LEAD_IN = 0.75  # how much of a question the sentences are that lead to it
NEARBY = 0.5  # what a word of the question counts that stands not in the sentence but in what it is read under
JOINED = 1  # sentences before and after one that refer to each other and are quoted together
JOINED_CHARACTERS = 320
QUOTE_CHARACTERS = 400  # what is longer is text without full stops: nobody knows where its claims end
LONG_CHARACTERS = 600  # the same for one sentence that has its full stop, and for an item with what opens its list
SHORT_WORDS = 4  # a sentence with fewer content words says little by itself
ENDS = ".!?…。！？｡"  # noqa: RUF001

_MARK = re.compile(r"(?:[-*+•–◦▪]|\d{1,3}[.)]|#{1,6})\s+(?=\S)")  # noqa: RUF001 - dashes people use
_CALLED = re.compile(r"(?:#[^\s:]+|direct message|group message): ")
_ASKED = re.compile(
    r"(?:why|how|what (?:if|happens|should|do|can)|if|is|are|do|does|did|can|could|may|will|should|must)\b.*\?\s*$",
    re.IGNORECASE,
)
_FOLLOWS = re.compile(r"(?:It|They|This|These|That|Those|He|She|Its|Their|Otherwise|However|Then|Also)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A sentence that might be quoted, with what was found out about it without a model."""

    passage: int
    sentence: Sentence
    text: str
    above: str  # title and the lines it is read under
    overlap: float  # share of the question's content words in it; those nearby count less
    extent: SpanOf  # what is quoted: the sentence with those that it cannot be understood without
    asks: float  # 1 for a question, `LEAD_IN` for what stands before it in the same message
    later: float  # in a conversation: how far down it is said, in [0, 1]
    type_missing: bool  # a number, a time, a person or a place is asked for, and there is none
    short: bool
    vacuous: bool  # it tells that there is something to say and not what


def candidates(asked: Asked, passages: Sequence[Passage]) -> list[Candidate]:
    """Every sentence of the passages that could be quoted, in reading order; headings and rules of tables cannot."""
    return [one for number, passage in enumerate(passages) for one in _of_passage(asked, number, passage)]


def _of_passage(asked: Asked, number: int, passage: Passage) -> Iterator[Candidate]:
    text, title = passage.text, terms(passage.title)
    found, singles = sentences(text), single_words(text)
    talk, turned = _is_conversation(found), _turning_title(passage.title, found)
    # Who asks says before the question what it is about; what comes after it in one message may well be the answer.
    asking = {one.part: one.start for one in found if talk and is_question(text[one.start : one.end])}
    before: frozenset[str] = frozenset()
    for place, sentence in enumerate(found):
        extent = _extent(text, found, place)
        words = terms(text[sentence.start : sentence.end])
        nearby, before = title | before | terms(heading_text(text, sentence.context)), words
        if extent is None or not words or sentence.heading or turned not in _plainly(text[slice(*extent)]):
            continue
        heading = 0 if talk or sentence.row or _speaker(text, found, place) else run_in(text[slice(*extent)], singles)
        first = sentence.start + heading if extent[0] == sentence.start else sentence.start
        leads = _leads(found, place)
        own = text[slice(*extent)] if leads else text[first : sentence.end]
        above = heading_text(text, (*sentence.context, (sentence.start, first)))
        words = terms(own)
        share = asked.share(words)
        yield Candidate(
            passage=number,
            sentence=sentence,
            text=own,
            above=" > ".join(filter(None, (passage.title, above))),
            overlap=share + NEARBY * (asked.share(words | nearby | terms(above)) - share),
            extent=_trimmed(text, extent, heading),
            asks=1.0 if is_question(own) else LEAD_IN * (sentence.start < asking.get(sentence.part, 0)),
            later=place / len(found) if talk else 0.0,
            type_missing=asked.misses(own),
            short=len(words) < SHORT_WORDS,
            vacuous=not leads and is_vacuous(own),
        )


def _trimmed(text: str, extent: SpanOf, heading: int) -> SpanOf:
    """What is quoted without the mark of a list in front of it, and without a heading in front."""
    start, end = extent[0] + heading, extent[1]
    mark = _MARK.match(text, start, end)
    return mark.end() if mark else start, end


def _extent(text: str, found: Sequence[Sentence], place: int) -> SpanOf | None:
    """What has to be quoted for one sentence to mean what it means where it stands; None if that is too long.

    A part of it could be quoted only where what is left out changes nothing, and no rule can tell where that is.
    """
    sentence = found[place]
    extent = _row(found, place) if sentence.row else _within(text, found, place)
    first = _speaker(text, found, place)
    if extent is None or (sentence.turned is None and first is None):
        return extent
    starts = (extent[0], *(span[0] for span in (sentence.turned, first) if span))
    return _bounded(min(starts), extent[1], LONG_CHARACTERS)


def _row(found: Sequence[Sentence], place: int) -> SpanOf | None:
    """A row of a table from the one that names its columns; None without that: nobody knows what its cells are."""
    row, last = found[place], place
    while last + 1 < len(found) and found[last + 1].part == row.part:
        last += 1
    return _bounded(row.columns[0], found[last].end, QUOTE_CHARACTERS) if row.columns else None


def _speaker(text: str, found: Sequence[Sentence], place: int) -> SpanOf | None:
    """Where the line begins in which somebody says something that looks as if somebody else did; None otherwise."""
    sentence, first = found[place], place
    if not found[0].said or not is_said(text, (sentence.start, sentence.end)):
        return None
    while first and not (found[first].said and found[first - 1].part != found[first].part):
        first -= 1
    return (found[first].start, found[first].end) if first != place else None


def _within(text: str, found: Sequence[Sentence], place: int) -> SpanOf | None:
    """What has to be quoted by how the sentence stands among those around it."""
    sentence = found[place]
    if sentence.lead_in:
        start, end = _opening(text, found, place), _joined(text, found, place)[1]
        return _bounded(start, end, LONG_CHARACTERS) or _bounded(start, sentence.end, LONG_CHARACTERS)
    if _leads(found, place):
        start = _opening(text, found, place + 1)
        return _bounded(start, _items_end(found, place, start), LONG_CHARACTERS)
    if text[sentence.end - 1] == ":":
        return None
    start, end = _joined(text, found, place)
    ended = (start, end) == (sentence.start, sentence.end) and text[end - 1] in ENDS
    return _bounded(start, end, LONG_CHARACTERS if ended else QUOTE_CHARACTERS)


def _bounded(start: int, end: int, limit: int) -> SpanOf | None:
    return (start, end) if end - start <= limit else None


def _leads(found: Sequence[Sentence], place: int) -> bool:
    """Whether the next sentence is the first of those that are read under this one."""
    sentence = found[place]
    return place + 1 < len(found) and found[place + 1].lead_in == (sentence.start, sentence.end)


def _opening(text: str, found: Sequence[Sentence], place: int) -> int:
    """Where the lead-in of a sentence begins, or the sentence before it that it refers back to or that announces it."""
    lead = found[place].lead_in or (found[place].start, found[place].end)
    first = bisect_right(found, lead[0], key=lambda one: one.start) - 1
    back = first and _belongs(text, found[first - 1], found[first])
    longer = found[first - 1].start if back else found[first].start
    return longer if found[place].end - longer <= QUOTE_CHARACTERS else found[first].start


def _items_end(found: Sequence[Sentence], place: int, start: int) -> int:
    """The end of the last item under a lead-in that can be quoted with it, at least that of the first."""
    lead, last = found[place + 1].lead_in, place + 1
    while last + 1 < len(found) and found[last + 1].lead_in == lead and found[last + 1].end - start <= QUOTE_CHARACTERS:
        last += 1
    return found[last].end


def _joined(text: str, found: Sequence[Sentence], place: int) -> SpanOf:
    """From the sentence that this one refers back to, up to the one that carries it on, within one line."""
    first = last = place
    while first and place - first < JOINED and _joins(text, found[first - 1], found[first]):
        first -= 1
    while last + 1 < len(found) and last - place < JOINED and _joins(text, found[last], found[last + 1]):
        last += 1
    start, end = found[first].start, found[last].end
    return (start, end) if end - start <= JOINED_CHARACTERS else (found[place].start, found[place].end)


def _joins(text: str, sentence: Sentence, following: Sentence) -> bool:
    return sentence.part == following.part and _FOLLOWS.match(text, following.start, following.end) is not None


def _belongs(text: str, sentence: Sentence, lead_in: Sentence) -> bool:
    announced = sentence.part == lead_in.part and is_vacuous(text[sentence.start : sentence.end])
    return announced or _joins(text, sentence, lead_in)


def _turning_title(title: str, found: Sequence[Sentence]) -> str:
    """The title as what every quote has to show, where it turns what stands under it; empty if it does not.

    The title of a conversation is the beginning of its first message, and one that asks how or whether leaves the
    answer to the text.
    """
    message = _CALLED.match(title) and any(one.said for one in found)
    return "" if message or not TURNING.search(title) or _ASKED.match(title) else _plainly(title)


def _plainly(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_conversation(found: Sequence[Sentence]) -> bool:
    """Whether people talk: the first line and another one begin with a name, or with what looks like one."""
    said = {one.part for one in found if one.said}
    return len(said) > 1 and found[0].part in said
