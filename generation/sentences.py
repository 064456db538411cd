"""Where sentences begin and end in what people write: chat, handbooks, lists, tables, pages with hard line ends.

A sentence is a pair of character offsets, so that a quote is the author's own text and never a copy of it. Rules, not
a model: they read a line once, from left to right, and take time linear in its length.

Whoever speaks in a conversation (`Name: ` or `Name (edited): ` at the start of a line) belongs to the first sentence
of that line, as the key does in `key: value`: text alone cannot tell them apart, and with it the quote says whose word
it is. No sentence begins inside such a label.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

SpanOf = tuple[int, int]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEVER_LAST = _words(
    # What these stand in front of belongs to them.
    "mr mrs ms dr prof st sr rev gen col capt lt vs cf fig figs eq sec art para pp ext tel approx ca e.g i.e eg ie viz "
    "al bldg dept est incl excl min max bzw z.b d.h sog ggf u.a s.o bspw evtl zzgl nr p.ex"
)
SELDOM_LAST = _words(
    # These may end a sentence, and then a capital follows that is not the rest of a date.
    "a.m p.m am pm etc jr usw bros no vol jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur "
    "thurs fri sat sun"
)
PARTS_OF_NAMES = _words("u.s u.k u.n e.u u.s.a d.c inc ltd co corp")  # before a capital it is a name's
OPENERS = _words(
    "the a an this that these those it we you they i he she there in on at if when for from please our your all any "
    "no not as to with by after before and but so however"
)
CALENDAR = _words(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december gmt utc cet bst est pst"
)
LISTED_CHARACTERS = 320  # a line with marks of a list in it that is longer is a list
NESTED_CHARACTERS = 600  # from the opening of the outer list to that of the inner one
LABEL_WORDS = 6
LABEL_CHARACTERS = 60
HEADING_CHARACTERS = 80
WRAPPED_CHARACTERS = 60  # a line without a full stop that is at least this long was cut by its page's width
WRAPPED_BEFORE_SMALL = 40  # the same where the next line goes on with a small letter
LOOK_BACK = 40  # no abbreviation is longer

_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
# Both are tried only where a run of marks begins, and never give back what they took: linear for any text.
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"')\]}”’»*_`]*+(?=\s)|(?<![。！？｡．])[。！？｡．]++[」』”’）)】]*+"  # noqa: RUF001
)
_ITEM = re.compile(r"\s*(?:[-*+•–◦▪]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)])\s+")  # noqa: RUF001 - dashes people use
_LABEL = re.compile(r"\s*(?:[-*+•]\s+)?[^\s:?!|][^:?!|]{0,58}:\s")
_TERMINAL = re.compile(r"[.!?…。！？｡:;,][\"')\]}”’»*_`」』]*$")  # noqa: RUF001
_QUOTES = "\"')”’»"  # noqa: RUF001
_OPENING = "(\"'[“‘*_"  # noqa: RUF001
_HEADING = re.compile(r"\s{0,3}(#{1,6})\s")
_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")  # between a table's first row and the others
_INLINE = re.compile(r"(?<=\s)[•▪◦](?=\s)")
_FIRST = re.compile(r"(?<=:\s)(?:-|1[.)])(?=\s\S)")  # of a list in one line that needs the colon to be one
_NEXT = re.compile(r"(?<=\s)(?:-|\d{1,2}[.)])(?=\s[A-Z\d])")
_OPENS = re.compile(
    r"\b(?:following|follows|below|these)\b|\b(?:includ(?:es?|ing)|such as|like|not|false|are|for|to)[^\w.!?]*$",
    re.IGNORECASE,
)
TURNING = re.compile(
    r"\b(?:not|no|non|never|none|nor|neither|without|cannot|false|untrue|wrong|incorrect|myths?|misconceptions?|except"
    r"|exceptions?|exclu\w+|unless|only|avoid|mistakes?|forbidden|prohibited|banned|former(?:ly)?|obsolete|old|previous"
    r"|superseded|replaced|outdated|out[- ]of[- ]date|deprecated|expired|invalid|void|revoked|withdrawn|rejected"
    r"|cancell?ed|discontinued|bad|worst|rumou?rs?|fiction|fake|hypothetical|ineligible|dont'?s?)\b|n['’]ts?\b",  # noqa: RUF001
    re.IGNORECASE,
)
"""Words in a heading or before a list that turn what stands under them into something else or its opposite."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence by its offsets, and what stands above it.

    `context` holds the spans of the lines it is read under, outermost first: its heading, the line with a colon that
    opens its list, the first row of its table. `heading` is true for such a line itself, `row` for a table's row.
    `part` numbers the lines and paragraphs of the text, and `said` is true where one begins with a label and stands at
    the beginning of a line: an item within a line is said by whoever says that line. `lead_in` is
    the one of `context` without which an item of a list may be read as a claim that nobody made, `turned` the heading
    above it that takes back or limits what it says, `columns` the row of its table that names the cells.
    """

    start: int
    end: int
    context: tuple[SpanOf, ...] = ()
    heading: bool = False
    row: bool = False
    part: int = 0
    said: bool = False
    lead_in: SpanOf | None = None
    turned: SpanOf | None = None
    columns: SpanOf | None = None


def sentence_spans(text: str) -> list[SpanOf]:
    """Offsets (start, end) of the sentences in order: disjoint, stripped, together every character but white space."""
    return [span for start, end in _parts(text) for span in _spans_of(text, start, end)]


def sentences(text: str) -> list[Sentence]:
    """The same spans, each with the lines that it is read under."""
    found: list[Sentence] = []
    above = _Above()
    parts = list(_parts(text))
    for number, (start, end) in enumerate(parts):
        follows = number + 1 < len(parts)
        ruled = follows and _is_rule(text, *parts[number + 1])
        row = text[start] == "|" or ruled or (above.first_row is not None and text.find("|", start, end) >= 0)
        if ruled or not row:
            above.first_row = None
        inline = follows and _is_inline(text, end, parts[number + 1][0])
        heading = ruled or (follows and not row and not inline and _is_heading(text, start, end))
        labelled = is_said(text, (start, end))
        within = number > 0 and _is_inline(text, parts[number - 1][1], start)
        context = above.before(text, (start, end), heading=heading, row=row)
        lead_in = None if heading or row else above.lead_in(text, (start, end), said=labelled)
        said = labelled and not within
        found += [
            Sentence(first, last, context, heading, row, number, said, lead_in, above.turned, above.first_row)
            for first, last in _spans_of(text, start, end)
        ]
        listed = follows and _ITEM.match(text, *parts[number + 1]) is not None
        above.after(text, (start, end), heading=heading, row=row, listed=listed)
    return found


def is_said(text: str, span: SpanOf) -> bool:
    """Whether a label, who speaks or the key of a value, stands at the beginning of the span."""
    start, end = span
    return _label_end(text[start : min(start + 2 * LABEL_CHARACTERS, end)]) > 0


@dataclass(slots=True)
class _Above:
    """The lines that what comes next is read under."""

    heading: SpanOf | None = None
    opening: SpanOf | None = None  # a line that ends with a colon, while its list lasts
    opened: bool = False  # something stands under the opening already
    first_row: SpanOf | None = None
    turned: SpanOf | None = None
    level: int = 0  # of the heading that turns: the number of its marks
    bare: bool = False  # nothing stands under the last heading yet

    def before(self, text: str, part: SpanOf, *, heading: bool, row: bool) -> tuple[SpanOf, ...]:
        """What this part stands under; a heading stands under nothing."""
        listed = row or _ITEM.match(text, part[0], part[1]) is not None
        if self.opened and not listed:
            self.opening = None  # one paragraph after a colon is its continuation, a second one is not
        if heading and not row:
            self.heading = self.opening = None
        self.opened = True
        return tuple(span for span in (self.heading, self.opening, self.first_row) if span)

    def lead_in(self, text: str, part: SpanOf, *, said: bool) -> SpanOf | None:
        """What has to be read with this part: what opens its list, or a heading that does or says it is not so."""
        item = _ITEM.match(text, *part) is not None
        if self.opening:
            return self.opening if item or not said else None
        opens = item and self.heading and any(words.search(text, *self.heading) for words in (TURNING, _OPENS))
        return self.heading if opens else None

    def after(self, text: str, part: SpanOf, *, heading: bool, row: bool, listed: bool) -> None:
        """Take what this part is to those that follow; `listed` if the next one is an item of a list."""
        if not row:
            self._turn(text, part, heading=heading, listed=listed)
        if row:
            self.first_row = part if heading else self.first_row
        elif heading:
            self.heading = part
        elif text[part[1] - 1] == ":" or (listed and _opens_list(text, part)):
            last = _last_of(text, part)
            outer = self.opening if _ITEM.match(text, *part) else None
            nested = (outer[0], last[1]) if outer else last
            # What is opened further on is too far from the outermost opening to be read with it at all.
            self.opening = outer if outer and nested[1] - nested[0] > NESTED_CHARACTERS else nested
            self.opened = False

    def _turn(self, text: str, part: SpanOf, *, heading: bool, listed: bool) -> None:
        """Keep a heading that turns what stands under it, until one of its own rank; a line may be one as well."""
        line = heading or _is_called(text, *part)
        opens = not line and not listed and _is_called(text, *part, marks=":")
        marks = _HEADING.match(text, *part)
        level = len(marks[1]) if marks else 0
        # A line without marks has no rank: it stands under what has one, and under what it follows at once.
        below = self.level > 0 if not level else level > self.level > 0
        if line and not below and not (self.bare and not (level and self.level)):
            self.turned = None
        if (line or opens) and self.turned is None and TURNING.search(text, *part):
            self.turned, self.level = part, level
        self.bare = line or opens


def _is_inline(text: str, end: int, start: int) -> bool:
    """Whether the part that begins at `start` goes on in the line of the one before it."""
    return _LINE.fullmatch(text, end, start) is not None


def _opens_list(text: str, part: SpanOf) -> bool:
    """Whether what stands before a list is read with each of its items, though it has no colon."""
    start, end = _last_of(text, part)
    if _ITEM.match(text, *part):
        return False
    return not _TERMINAL.search(text, max(start, end - LOOK_BACK), end) or _leads_in(text, start, end)


def _leads_in(text: str, start: int, end: int) -> bool:
    said = text[start:end].rstrip()
    return said.endswith(":") or _OPENS.search(said) is not None


def _last_of(text: str, part: SpanOf) -> SpanOf:
    return _spans_of(text, *part)[-1]


def _is_heading(text: str, start: int, end: int) -> bool:
    """A short line without a full stop, a label or a mark of a list: what follows is read under it."""
    if _HEADING.match(text, start, end):
        return True
    return _is_short(text, start, end) and not _TERMINAL.search(text, max(start, end - LOOK_BACK), end)


def _is_called(text: str, start: int, end: int, marks: str = "?!") -> bool:
    """Whether a short line asks or calls out what follows, as a heading may."""
    return _is_short(text, start, end) and text[start:end].rstrip("*_ ").endswith(tuple(marks))


def _is_short(text: str, start: int, end: int) -> bool:
    if end - start > HEADING_CHARACTERS:
        return False
    line = text[start:end]
    return (
        "\n" not in line
        and line[0] != "|"
        and not line[0].islower()
        and not _ITEM.match(line)
        and not _label_end(line)
        and any(map(str.isalpha, line))
    )


def _is_rule(text: str, start: int, end: int) -> bool:
    return text.find("|", start, end) >= 0 and _RULE.fullmatch(text, start, end) is not None


def _parts(text: str) -> Iterator[SpanOf]:
    """Stripped lines, where those that only the width of a page has cut are one, and items of a list within are cut."""
    for start, end in _paragraphs(text):
        first = start
        for mark in _inline_cuts(text, start, end):
            if span := _stripped(text, first, mark):
                yield span
            first = mark
        if span := _stripped(text, first, end):
            yield span


def _inline_cuts(text: str, start: int, end: int) -> list[int]:
    """Where the items begin of a list that stands within a line, and where its last one ends."""
    marks = [match.start() for match in _INLINE.finditer(text, start, end)]
    if marks and not _ITEM.match(text, start, end) and end - start <= LISTED_CHARACTERS:
        marks = marks if _leads_in(text, start, marks[0]) else []  # the same marks may only set names apart
    if not marks and (first := _FIRST.search(text, start + 1, end)):
        marks = [first.start()]
        marks += [one.start() for one in _NEXT.finditer(text, first.end(), end) if one[0][-1] == first[0][-1]]
    return sorted({*marks, *(_item_end(text, one, after) for one, after in pairwise((*marks, end)))})


def _item_end(text: str, start: int, end: int) -> int:
    """Nothing but a full stop tells where a list in a line ends: what comes then may be the rest of a page."""
    goes_on = end - start <= LISTED_CHARACTERS and not text[start:end].rstrip().endswith(":")
    inner = _INLINE.match(text, end) or _NEXT.match(text, end)
    return end if goes_on and inner else next(_cuts(text, start, end), end)


def _paragraphs(text: str) -> Iterator[SpanOf]:
    """Stripped lines, where those that only the width of a page has cut are one."""
    start = end = last = -1  # of the open part, and where its last line begins
    for match in _LINE.finditer(text):
        line = _stripped(text, match.start(), match.end())
        if line is None:
            if start >= 0:
                yield start, end
            start = -1
        elif start >= 0 and _goes_on(text, (last, end), line):
            last, end = line
        else:
            if start >= 0:
                yield start, end
            (start, end), last = line, line[0]
    if start >= 0:
        yield start, end


def _stripped(text: str, start: int, end: int) -> SpanOf | None:
    line = text[start:end]
    kept = line.strip()
    if not kept:
        return None
    first = start + len(line) - len(line.lstrip())
    return first, first + len(kept)


def _goes_on(text: str, line: SpanOf, following: SpanOf) -> bool:
    """Whether the second line carries on the sentence of the first."""
    if "\n" in text[line[1] : following[0]].replace("\n", "", 1) or text[line[0]] in "|#":
        return False
    if text[line[1] - 1] == ":" or _TERMINAL.search(text, max(line[0], line[1] - LOOK_BACK), line[1]):
        return False
    head = text[following[0] : following[0] + 2 * LABEL_CHARACTERS].partition("\n")[0]
    if head[0] in "|#>" or _ITEM.match(head) or _label_end(head) or ("|" in head and text.find("|", *line) >= 0):
        return False
    length = line[1] - line[0]
    return length >= (WRAPPED_BEFORE_SMALL if head[0].islower() else WRAPPED_CHARACTERS)


def _label_end(line: str) -> int:
    """Where a label `Name: ` at the start of a line ends; 0 without one."""
    match = _LABEL.match(line)
    return match.end() if match and len(match[0].split()) <= LABEL_WORDS + 1 else 0


def _spans_of(text: str, start: int, end: int) -> list[SpanOf]:
    """The sentences of one part. What has neither letter nor digit (an emoji, a mark) stays with what it follows."""
    if text[start] == "|":
        return [(start, end)]
    spans: list[SpanOf] = []
    first = start
    for cut in (*_cuts(text, start, end), end):
        span = _stripped(text, first, cut)
        first = cut
        if span is None:
            continue
        if spans and not any(map(str.isalnum, text[span[0] : span[1]])):
            spans[-1] = (spans[-1][0], span[1])
        else:
            spans.append(span)
    return spans


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    head = text[start : start + 2 * LABEL_CHARACTERS].partition("\n")[0]
    item = _ITEM.match(head)
    opening = start + max(_label_end(head), item.end() if item else 0)
    for match in _END.finditer(text, opening, end):
        if match.end() < end and _ends(text, match.start(), match.end()):
            yield match.end()


def _ends(text: str, mark: int, after: int) -> bool:
    """Whether the marks from `mark` up to `after` end a sentence, by the words on both sides."""
    if text[mark] in "。！？｡．":  # noqa: RUF001
        return True
    following = text[after : after + LOOK_BACK].split(maxsplit=1)
    small = bool(following) and following[0][0].islower()
    if text[mark] in "!?":
        # A quoted question goes on: "Why?" she asked.
        return not (small and after - mark > 1 and text[after - 1] in _QUOTES)
    if small and after - mark > 1 and not text[mark:after].strip(".").isspace():
        # So does a quoted claim, in quotation marks, brackets or backticks: "… a year." is a myth.
        return False
    if text[mark] == "…" or text.startswith("..", mark):
        return not small
    before = text[max(mark - LOOK_BACK, 0) : mark].split()
    return _full_stop(before[-1] if before else "", following[0] if following else "")


def _full_stop(before: str, following: str) -> bool:
    """Whether the full stop between two words ends a sentence."""
    word = before.lstrip(_OPENING).lower()
    small = following[:1].islower()
    if word in NEVER_LAST:
        return False
    if word in SELDOM_LAST:
        next_word = following.strip(".,;:()").lower()
        return not (small or following[:1].isdigit() or next_word in CALENDAR)
    if word in PARTS_OF_NAMES:
        return following.strip(",").lower() in OPENERS and not small
    if word.isdigit() or len(word) == 1:
        # 2026. The …, but: item 2. of the list, J. Smith
        return not small and (word.isdigit() or not word.isalpha() or word == "i" or not following[:1].isupper())
    return True


def heading_text(text: str, context: Sequence[SpanOf]) -> str:
    """The lines that a sentence is read under, as one string: marks of headings and tables left out."""
    parts = (text[start:end].strip("#|>*_: \t").replace(" | ", ", ") for start, end in context)
    return " > ".join(filter(None, parts))
