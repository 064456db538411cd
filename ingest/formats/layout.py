"""Paragraphs out of the lines of pages: where they stand says what belongs together. Pure and linear."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MARKER = re.compile(r"(?:[•●▪■◦○‣·\u2013\u2014*-]|[\uf000-\uf0ff]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+(?=\S)")
BULLET = re.compile(r"[•●▪■◦○‣·*\uf000-\uf0ff]\s+")
SENTENCE_END = re.compile(r"[.!?:;][\"'\u201d\u2019)]?$")
TITLES = r"(?<!\bM[rs])(?<!\bMrs)(?<!\bDr)(?<!\bProf)"  # their full stop ends nothing
FIRST_SENTENCE = re.compile(rf".*?{TITLES}[.!?][\"'\u201d\u2019)]*(?=\s+[^\sa-z]|$)", re.DOTALL)
HYPHEN = "\ufffe"  # at the end of a line: the word may go on in the next one
CUT_WORD = re.compile(rf"(?<=[^\W\d_])[-\u00ad\u2010{HYPHEN}]$")
GOES_ON = re.compile(
    r"[Tt]he|an?|of|to|by|for|with|without|and|or|not?|is|are|was|were|has|must|may|shall|will|can|should|in|into|on|at"
    r"|from|than|as|that|which|whose|if|when|per|between|their|its|our|your"
)
GOES_ON_WORDS = 6  # with fewer it may be a heading in the body's letters: who we are
ABBREVIATION = frozenset({"Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "e.g.", "i.e.", "vs."})
BEFORE_NUMBER = frozenset({"No.", "Nos.", "Nr.", "Art.", "Fig.", "Sec.", "p.", "pp."})
PAGE_NUMBER = re.compile(r"(?:page )?\W{0,3}\d{1,5}\W{0,3}(?:(?:of )?\d{1,5}\W{0,3})?", re.IGNORECASE)
CUT_CHARACTERS = 400  # what goes on for longer than this is no sentence
NUMBER = re.compile(r"\d+")
WIDER = 1.35  # than the usual way to the next line: a new paragraph
SHORT = 0.8  # of the column's width: the last line of a paragraph
EDGE = 2  # lines at the top and at the bottom of a page that may run through the document
EDGE_CHARACTERS = 120
RUNNING_PAGES = 3
RUNNING_SHARE = 0.6


class Line(NamedTuple):
    """A line of a page: its text, and the box of its letters in points from the page's lower left corner."""

    text: str
    left: float
    right: float
    bottom: float
    top: float

    @property
    def size(self) -> float:
        """The height of its letters, to half a point."""
        return round(2 * (self.top - self.bottom)) / 2


class Part(NamedTuple):
    """A paragraph, or a heading of a level from 1."""

    text: str
    level: int


def paragraphs(lines: Sequence[Line], levels: Sequence[int], pitch: float) -> Iterator[Part]:
    """The lines of one page joined; `levels` is 0 for text, `pitch` the usual way to the next line in letter sizes."""
    width = max((line.right for line in lines), default=0.0)
    gathered: list[Line] = []
    level = 0
    for line, its_level in zip(lines, levels, strict=True):
        if gathered and (its_level != level or _begins(gathered[-1], line, pitch, width)):
            yield Part(_joined(gathered), level)
            gathered = []
        gathered.append(line)
        level = its_level
    if gathered:
        yield Part(_joined(gathered), level)


def sentences_whole(pages: Sequence[Sequence[Part]]) -> list[list[Part]]:
    """The paragraphs of each page, with a sentence that runs over the end of a page as a whole where it begins.

    No page gives away all that it says. A word that the end of the page cuts has HYPHEN where it was cut.
    """
    whole = [list(parts) for parts in pages]
    before: list[Part] = []
    for parts in filter(None, whole):
        end = _end_of_sentence(before[-1], parts[0]) if before else ""
        if end and (len(parts) > 1 or end != parts[0].text):
            before[-1] = before[-1]._replace(text=_gone_on(before[-1].text, end))
            rest = parts[0].text[len(end) :].lstrip()
            parts[:1] = [parts[0]._replace(text=rest)] if rest else []
        before = parts
    return whole


def _end_of_sentence(above: Part, below: Part) -> str:
    """What the first paragraph of a page has of the last sentence of the page before; empty if that had ended."""
    if above.level or below.level or any(PAGE_NUMBER.fullmatch(part.text) for part in (above, below)):
        return ""
    if MARKER.match(below.text) or not _goes_on(above.text, below.text):
        return ""
    end = FIRST_SENTENCE.match(below.text)
    text = end[0] if end else below.text
    return text if len(text) <= CUT_CHARACTERS else ""


def _goes_on(above: str, below: str) -> bool:
    """Whether a sentence goes on: in a small letter, or because its last word ends none."""
    last = above.rpartition(" ")[2].lstrip("([\"'\u201c\u2018")
    if last in ABBREVIATION or (last in BEFORE_NUMBER and below[:1].isdigit()):
        return True
    if SENTENCE_END.search(above):
        return False
    long = len(above.split(maxsplit=GOES_ON_WORDS - 1)) == GOES_ON_WORDS
    return below[:1].islower() or (long and bool(GOES_ON.fullmatch(last)))


def _gone_on(above: str, end: str) -> str:
    cut = CUT_WORD.search(above) if end[:1].islower() else None
    return f"{above[: cut.start()]}{HYPHEN}{end}" if cut else f"{above} {end}"


def running_lines(pages: Sequence[Sequence[Line]]) -> set[tuple[int, int]]:
    """(page, place) of the headers, footers and page numbers: what stands at the edge of most pages."""
    found = [(number, place, _keys(number, page[place])) for number, page in enumerate(pages) for place in _edges(page)]
    counts = Counter(key for _, _, keys in found for key in keys)
    least = max(RUNNING_PAGES, RUNNING_SHARE * sum(1 for page in pages if page))
    running = {(number, place) for number, place, keys in found if any(counts[key] >= least for key in keys)}
    numbers = _page_numbers(pages, least)
    dropped = Counter(number for number, _ in running | numbers)
    # Where nothing else stands on a page, it is what the page says; a number of its own says nothing.
    return numbers | {(number, place) for number, place in running if dropped[number] < len(pages[number])}


def _page_numbers(pages: Sequence[Sequence[Line]], least: float) -> set[tuple[int, int]]:
    """The lines at an edge that are numbers and no more, and count along with the pages at one height."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for number, page in enumerate(pages):
        for place in _edges(page):
            counted = NUMBER.search(page[place].text) if PAGE_NUMBER.fullmatch(page[place].text) else None
            if counted:
                found[number, place] = (int(counted[0]) - number, round(page[place].bottom))
    counts = Counter(key for _, key in {(number, key) for (number, _), key in found.items()})

    def is_one(number: int, key: tuple[int, int]) -> bool:
        own = key[0] == 1
        return counts[key] >= (2 if own else least) or (own and len(pages[number]) == 1)

    return {(number, place) for (number, place), key in found.items() if is_one(number, key)}


def _edges(page: Sequence[Line]) -> list[int]:
    by_height = sorted(range(len(page)), key=lambda place: -page[place].bottom)
    return [place for place in {*by_height[:EDGE], *by_height[-EDGE:]} if len(page[place].text) <= EDGE_CHARACTERS]


def _keys(number: int, line: Line) -> set[str]:
    """A line by its text, and by its text with its first number as the distance to the page's own."""
    counted = NUMBER.sub(lambda match: f"#{int(match[0][:9]) - number}", line.text, count=1)
    return {line.text, f"{line.size} {counted}"}


def _begins(above: Line, line: Line, pitch: float, width: float) -> bool:
    """Whether a line begins a paragraph."""
    if MARKER.match(line.text) or above.size != line.size:
        return True
    step = above.bottom - line.bottom
    if abs(step) < line.size / 2:
        return False  # side by side: cells of a row
    if step < 0:
        return bool(SENTENCE_END.search(above.text)) or not line.text[:1].islower()  # the top of the next column
    if step > WIDER * pitch * line.size:
        return True
    return above.right < SHORT * width and bool(SENTENCE_END.search(above.text) or line.text[:1].isupper())


def _joined(lines: Sequence[Line]) -> str:
    text = " ".join(line.text for line in lines).replace(f"{HYPHEN} ", HYPHEN)
    return BULLET.sub("- ", text, count=1) if BULLET.match(text) else text
