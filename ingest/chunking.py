"""Documents cut into chunks that fit the embedder, title and thread context included.

Whole blocks are packed greedily, so that what is appended to a document leaves its earlier chunks as they were and
their embeddings in the cache. A block is split only where it does not fit by itself; only there do chunks overlap.
No chunk ends with a heading or question that fits into the next one, where its sequel is.
A page that says more than a few lines begins a chunk, so that what is found leads to the page on which it stands.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise, takewhile

from core.errors import InvalidSettingError
from core.words import OPEN_FROM, Chunk, Document, Instant, chunk_id_of, digest_of
from ingest.markup import without_struck
from ingest.places import Places, page_of
from ingest.splitting import SEPARATORS, Tokenizer, pieces

PIPELINE_VERSION = "3"  # raise it when the same document would be cut or headed differently
HEADER_SHARE = 3  # a header longer than 1/3 of the budget is cut
OVERLAP_SHARE = 4  # an overlap longer than 1/4 of the budget is cut
SMALL_SHARE = 4  # a last chunk, or a page, smaller than 1/4 of the budget shares with a neighbour
CHARACTERS_PER_TOKEN = 5  # English has 4 to 5: a longer body will hardly fit as a whole, and that is not tried
LEADS = 2  # so many headings and questions at the end of a chunk go with what follows them
ASKING = re.compile(r"[?:]\W*$")
ASKING_CHARACTERS = 40  # at the end of a line: where a search that begins anew at each mark costs nothing
TITLED = re.compile(r"[*_]*[^\W\d_]")  # no item of a list
TITLE_WORDS = 10
SENTENCE_ENDS = (".", "!", ";", ",")


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """Token counts: what the embedder reads, what split blocks repeat, and how long a chunk should become."""

    max_tokens: int
    overlap: int = 20
    target: int | None = None  # None = as long as `max_tokens` allows


def pipeline_id(tokenizer_fingerprint: str, limits: ChunkLimits, sitting_gap: int) -> str:
    """Sixteen hex digits over everything that decides how a document is cut; part of every chunk id."""
    numbers = (limits.max_tokens, limits.overlap, limits.target or limits.max_tokens, sitting_gap)
    return digest_of(PIPELINE_VERSION, tokenizer_fingerprint, *map(str, numbers))[:16]


def body_of(document: Document) -> str:
    """The text that offsets of chunks refer to: the blocks in lines of their own, and a line for each new heading."""
    return "\n".join(part for _, part in _parts(document))


def chunk_document(
    document: Document, *, source: str, tokenizer: Tokenizer, limits: ChunkLimits, pipeline: str
) -> list[Chunk]:
    """The chunks of a document in the order of its body; none for a document without text.

    Each one's `indexed_text` has at most `max_tokens` tokens less the special ones, counted as a whole. Raises
    InvalidSettingError if that leaves no room.
    """
    body = body_of(document)
    if not body.strip():
        return []
    cutter = _Cutter(document=document, body=body, tokenizer=tokenizer, limits=limits)
    places = Places.of(document, (part for _, part in _parts(document)))
    sha = document.content_sha
    return [
        Chunk(
            id=chunk_id_of(source, document.external_id, sha, pipeline, ordinal),
            ordinal=ordinal,
            text=body[span.start : span.end],
            context=span.header,
            start=span.start,
            end=span.end,
            anchor=places.line(span.start, span.first, span.last),
            author=document.blocks[span.first].speaker or document.author,
            valid_from=_valid_from(document, span),
        )
        for ordinal, span in enumerate(cutter.spans())
    ]


@dataclass(frozen=True, slots=True)
class _Span:
    """A chunk to be: offsets into the body, and the first and last block it shows."""

    start: int
    end: int
    header: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is packed: a block, or a part of one that is too long. `lead` is where it begins with its overlap."""

    start: int
    end: int
    block: int
    above: tuple[str, ...]  # the headings that a chunk beginning here has to name
    tokens: int
    lead: int
    repeated: int = 0  # tokens of the overlap


@dataclass(slots=True)
class _Cutter:
    """The state of cutting one document."""

    document: Document
    body: str
    tokenizer: Tokenizer
    limits: ChunkLimits
    budget: int = 0
    target: int = 0
    overlap: int = 0
    starts: list[int] = field(default_factory=list)  # where each token of the body begins
    headers: dict[tuple[str, ...], str] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)  # tokens of headers

    def __post_init__(self) -> None:
        special = self.tokenizer.special
        self.budget = self.limits.max_tokens - special
        self.target = min(self.limits.target or self.limits.max_tokens, self.limits.max_tokens) - special
        self.overlap = min(self.limits.overlap, self.target // OVERLAP_SHARE)
        if self.target < HEADER_SHARE:
            raise InvalidSettingError(
                f"Chunks of {self.target} tokens are too short.", hint="Raise ingest.chunk_tokens."
            )

    def spans(self) -> Iterator[_Span]:
        """The chunks to be. A document that fits as a whole, as most threads do, is counted once."""
        if whole := self._whole():
            yield whole
            return
        self.starts = [start for start, _ in self.tokenizer.spans(self.body)]
        for pages in self._pages():
            for group in self._shared_out(self._packed(pages)):
                yield from self._fitting(group)

    def _whole(self) -> _Span | None:
        blocks = self.document.blocks
        if len(self.body) > self.target * CHARACTERS_PER_TOKEN or len(set(map(page_of, blocks))) > 1:
            return None
        first = next((index for index, (_, part) in enumerate(_parts(self.document)) if part.strip()), 0)
        # The first block's line shows all of its headings, so that the header needs none.
        span = _trimmed(self.body, _Span(0, len(self.body), self._header(()), first, len(blocks) - 1))
        return span if self._count(span) <= self.target else None

    def _count(self, span: _Span) -> int:
        text = self.body[span.start : span.end]
        return self.tokenizer.count(f"{span.header}\n{text}" if span.header else text)

    def _header(self, above: tuple[str, ...]) -> str:
        """Title, headings that the text itself does not show, and context: what is put in front of a chunk."""
        if above not in self.headers:
            document = self.document
            headings = " > ".join(part for part in above if part != document.title)
            context = document.context if document.context not in document.title else ""
            self.headers[above] = self._clipped("\n".join(filter(None, (document.title, headings, context))))
        return self.headers[above]

    def _clipped(self, header: str) -> str:
        room = self.target // HEADER_SHARE
        if len(header) <= room and header.isascii():  # no token is shorter than one character
            return header
        while header and self.tokenizer.count(header) > room:
            spans = self.tokenizer.spans(header)[:room]
            end = spans[-1][1] if spans else 0
            header = header[: min(end, len(header) - 1)].rstrip()
        return header

    def _opening(self, unit: _Unit) -> int:
        """Tokens that a chunk has before the text of its first unit: header and overlap."""
        header = self._header(unit.above)
        if header not in self.counted:
            self.counted[header] = self.tokenizer.count(f"{header}\n") if header else 0
        return self.counted[header] + unit.repeated

    def _tokens(self, start: int, end: int) -> int:
        """Tokens that begin in a part of the body. A line end counts with what follows it: some give it a token."""
        return bisect_left(self.starts, end) - bisect_left(self.starts, start - 1)

    def _units(self) -> Iterator[_Unit]:
        start = 0
        for index, (above, part) in enumerate(_parts(self.document)):
            end = start + len(part)
            if part.strip():
                yield from self._block_units(start, end, index, above)
            start = end + 1

    def _block_units(self, start: int, end: int, index: int, above: tuple[str, ...]) -> Iterator[_Unit]:
        unit = _Unit(start, end, index, above, self._tokens(start, end), start)
        room = self.target - self.target // HEADER_SHARE - 1
        if unit.tokens <= room or self._opening(unit) + unit.tokens <= self.budget:
            yield unit
        else:
            yield from self._parts_of(unit)

    def _parts_of(self, unit: _Unit) -> Iterator[_Unit]:
        rest = replace(unit, above=self.document.blocks[unit.block].heading)
        room = max(self.target - max(self._opening(unit), self._opening(rest)) - self.overlap, 1)
        before = start = unit.start
        for piece in pieces(self.body[unit.start : unit.end], room, self._known(unit), self.tokenizer):
            end = start + len(piece)
            tokens = self._tokens(start, end)
            if start == unit.start:
                yield replace(unit, end=end, tokens=tokens)
            else:
                lead, repeated = self._lead(before, start)
                yield replace(rest, start=start, end=end, tokens=tokens, lead=lead, repeated=repeated)
            before, start = start, end

    def _known(self, unit: _Unit) -> dict[str, int]:
        """Tokens of the lines and sentences that a splitter will ask for, read off those of the body."""
        text = self.body[unit.start : unit.end]
        known, ends = {text: unit.tokens}, {0, len(text)}
        for separator in SEPARATORS[:-1]:
            ends.update(match.end() for match in re.finditer(separator, text))
            for start, end in pairwise(sorted(ends)):
                known[text[start:end]] = self._tokens(unit.start + start, unit.start + end)
        return known

    def _lead(self, start: int, end: int) -> tuple[int, int]:
        """Where the overlap before `end` begins, at a word and after `start`, and its tokens."""
        nearest = bisect_left(self.starts, end) - self.overlap
        first = max(start, self.starts[max(nearest, 0)]) if self.overlap else end
        if first <= start or not self.body[first - 1].isspace():
            # At a word, and never the whole piece: then two chunks would begin at one place.
            first = next((at for at in range(max(first, start + 1), end) if self.body[at].isspace()), end)
        repeated = self.tokenizer.count(self.body[first:end])
        return (first, repeated) if repeated <= self.overlap else (end, 0)

    def _pages(self) -> list[list[_Unit]]:
        """The units page by page, those of a small page with the next; all together where there are no pages."""
        pages: list[list[_Unit]] = []
        for _, units in groupby(self._units(), key=lambda unit: page_of(self.document.blocks[unit.block])):
            if pages and sum(unit.tokens for unit in pages[-1]) * SMALL_SHARE < self.target:
                pages[-1].extend(units)
            else:
                pages.append(list(units))
        return pages

    def _packed(self, units: Iterable[_Unit]) -> list[list[_Unit]]:
        groups: list[list[_Unit]] = []
        size = self.target + 1
        for unit in units:
            if size + unit.tokens <= self.target:
                groups[-1].append(unit)
                size += unit.tokens
            else:
                groups.append([*self._carried(groups, unit), unit])
                size = self._size(groups[-1])
        return groups

    def _carried(self, groups: Sequence[list[_Unit]], unit: _Unit) -> list[_Unit]:
        """Headings and questions taken from the end of the last group, because their sequel is `unit`."""
        if not groups:
            return []
        group = groups[-1]
        at = len(group)
        while at > max(len(group) - LEADS, 1) and self._leads(group[at - 1]):
            at -= 1
        carried = group[at:]
        if sum(each.tokens for each in carried) * SMALL_SHARE > self.target:
            return []
        if not carried or self._size([*carried, unit]) > self.target:
            return []
        del group[at:]
        return carried

    def _leads(self, unit: _Unit) -> bool:
        """Whether it says little without what follows: a question, what ends in a colon, a page's line in bold."""
        line = self.body[unit.start : unit.end].rstrip().rpartition("\n")[2]
        is_said = bool(self.document.blocks[unit.block].speaker)
        return ASKING.search(line[-ASKING_CHARACTERS:]) is not None or (not is_said and _is_title(line))

    def _shared_out(self, groups: list[list[_Unit]]) -> list[list[_Unit]]:
        """The groups with a small last one evened out with its neighbour, as far as whole units allow."""
        if not groups[1:] or self._size(groups[-1]) * SMALL_SHARE >= self.target:
            return groups
        units = groups[-2] + groups[-1]

        def cost(at: int) -> tuple[bool, bool, int]:
            size = max(self._size(units[:at]), self._size(units[at:]))
            return size > self.target, self._leads(units[at - 1]), size

        best = min(range(1, len(units)), key=cost)
        return [*groups[:-2], units[:best], units[best:]]

    def _size(self, group: Sequence[_Unit]) -> int:
        return self._opening(group[0]) + sum(unit.tokens for unit in group)

    def _fitting(self, group: Sequence[_Unit]) -> Iterator[_Span]:
        """The group as one chunk, or as several if together it has more tokens than its parts promised."""
        first, last = group[0], group[-1]
        header = self._header(first.above)
        for start in dict.fromkeys((first.lead, first.start)):
            span = _trimmed(self.body, _Span(start, last.end, header, first.block, last.block))
            if span.start == span.end:
                return
            if self._count(span) <= self.budget:
                yield span
                return
        if len(group) > 1:
            half = len(group) // 2
            yield from self._fitting(group[:half])
            yield from self._fitting(group[half:])
        else:
            yield from self._shrunk(first)

    def _shrunk(self, unit: _Unit) -> Iterator[_Span]:
        """One unit that has to be cut after all, in halves; a single character that is too long stands alone."""
        middle = (unit.start + unit.end) // 2
        if middle == unit.start:
            yield _Span(unit.start, unit.end, "", unit.block, unit.block)
            return
        for start, end in ((unit.start, middle), (middle, unit.end)):
            yield from self._fitting((replace(unit, start=start, end=end, lead=start, repeated=0),))


def _parts(document: Document) -> Iterator[tuple[tuple[str, ...], str]]:
    """For each block the headings that its part of the body does not show, and that part: heading line and text.

    What its author has struck is no part of the text: out of its line nobody could tell that it no longer holds.
    """
    previous: tuple[str, ...] = ()
    for block, text in zip(document.blocks, without_struck([block.text for block in document.blocks]), strict=True):
        path = block.heading
        above = len(path) if path == previous else min(_common(previous, path), max(len(path) - 1, 0))
        line = " > ".join(path[above:])
        yield path[:above], f"{line}\n{text}" if line else text
        previous = path


def _common(path: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many leading headings two paths share."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(path, other, strict=False))
    return sum(1 for _ in same)


def _trimmed(body: str, span: _Span) -> _Span:
    text = body[span.start : span.end]
    start = span.start + len(text) - len(text.lstrip())
    return replace(span, start=start, end=max(start, span.start + len(text.rstrip())))


def _valid_from(document: Document, span: _Span) -> Instant:
    times = [block.at for block in document.blocks[span.first : span.last + 1] if block.at is not None]
    return max(times, default=document.valid_from if document.valid_from is not None else OPEN_FROM)


def _is_title(line: str) -> bool:
    """A short line that is no sentence and no item of a list."""
    words = line.split(maxsplit=TITLE_WORDS)
    return bool(TITLED.match(line)) and len(words) <= TITLE_WORDS and not line.endswith(SENTENCE_ENDS)
