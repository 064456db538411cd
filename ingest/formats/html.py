"""HTML through Lexbor and an allow-list: what a reader of the page would see, as blocks under its headings."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from core.words import Instant
from ingest.formats.dates import instant_of
from ingest.formats.hidden import hides
from ingest.formats.outline import Outline
from ingest.formats.parsed import DocumentTooLargeError, Parsed
from ingest.markup import clean, one_line

TITLE_CHARACTERS = 200
NAME_CHARACTERS = 80  # of a column
MAX_DEPTH = 512  # where browsers stop too; the time of the parser grows with the square of it
HEADINGS = {f"h{level}": level for level in range(1, 7)}
LISTS = frozenset({"ul", "ol", "menu"})
BLOCK_NAMES = """
address article aside blockquote body caption center dd details dialog div dl document dt fieldset figcaption figure
footer form header hgroup hr html legend li main p pre search section summary table tbody td tfoot th thead tr
"""
INLINE_NAMES = """
a abbr acronym b bdi bdo big br cite code control data dfn em font i ins kbd label lnk mark nobr q rp rt ruby samp
small span strong sub sup time tt u var wbr
"""
NEVER_DEEP_NAMES = """
area base br col embed hr img input link meta source track wbr
p li dt dd option optgroup tr td th thead tbody tfoot colgroup rp rt
"""
BLOCKS = LISTS | frozenset(BLOCK_NAMES.split())
INLINE = frozenset(INLINE_NAMES.split())
NEVER_DEEP = frozenset(NEVER_DEEP_NAMES.split())  # empty ones, and those that the next of their kind closes
SECTIONS = frozenset({"section", "article", "div", "main"})
TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>\0]*+)")
CHARSET = re.compile(rb"""<meta[^>]{0,500}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.-]{1,40})""", re.IGNORECASE)
SPACE = re.compile(r"[ \t\r\n\f]+")
AROUND_BREAK = re.compile(r" *\n *")
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
EFFECTIVE = ("effective-date", "effective_date", "dcterms.valid", "dc.date.valid", "date", "dcterms.date")
MODIFIED = ("article:modified_time", "dcterms.modified", "last-modified", "og:updated_time", "revised")
TABLE_BLOCK_CHARACTERS = 2_000


def parse(raw: bytes, name: str) -> list[Parsed]:
    """One page, or a piece where it has no name; none where it shows no text. Raises DocumentTooLargeError."""
    page = read(decoded(raw), is_piece=not name)
    return [page] if page.blocks else []


def read(text: str, *, is_piece: bool = False) -> Parsed:
    """A page, or a piece of one that has no title, out of text that is decoded; raises DocumentTooLargeError."""
    if _depth(text) > MAX_DEPTH:
        raise DocumentTooLargeError(f"Its elements lie more than {MAX_DEPTH} deep in each other.")
    tree = LexborHTMLParser(text)
    said = dict(_metadata(tree))
    title = None if is_piece else tree.css_first("head > title")
    reader = _Reader(Outline(title=one_line(title.text(), TITLE_CHARACTERS) if title else "", is_piece=is_piece))
    if tree.body is not None:
        _walk(tree.body, reader)
    return Parsed(
        blocks=reader.outline.finished(),
        title="" if is_piece else one_line(reader.outline.title or reader.outline.first_heading, TITLE_CHARACTERS),
        author=one_line(said.get("author", ""), TITLE_CHARACTERS),
        valid_from=_first_date(said, EFFECTIVE),
        modified=_first_date(said, MODIFIED),
    )


def decoded(raw: bytes) -> str:
    """The text by its byte order mark, by what the page says of itself, or by what it looks like."""
    for mark, encoding in BOMS:
        if raw.startswith(mark):
            return clean(raw[len(mark) :].decode(encoding, "replace"))
    said = CHARSET.search(raw, 0, 4096)
    for encoding in (said[1].decode() if said else "utf-8", "utf-8"):
        try:
            return clean(raw.decode(encoding))
        except (LookupError, ValueError):
            continue
    return clean(raw.decode("cp1252", "replace"))


def _depth(text: str) -> int:
    """An upper bound of how deep elements lie in each other."""
    counts: Counter[str] = Counter()
    depth = deepest = 0
    for tag in TAG.finditer(text):
        name = tag[2].lower()
        if name in NEVER_DEEP:
            continue
        if not tag[1]:
            counts[name] += 1
            depth += 1
            deepest = max(deepest, depth)
        elif counts[name]:
            counts[name] -= 1
            depth -= 1
    return deepest


def _metadata(tree: LexborHTMLParser) -> Iterator[tuple[str, str]]:
    for meta in tree.css("meta"):
        attributes = meta.attributes
        name = attributes.get("name") or attributes.get("property") or attributes.get("http-equiv")
        if name:
            yield name.lower(), attributes.get("content") or ""


def _first_date(said: Mapping[str, str], names: tuple[str, ...]) -> Instant | None:
    return next(filter(None, (instant_of(said.get(name, "")) for name in names)), None)


def _walk(top: LexborNode, reader: "_Reader") -> None:
    """Every node in order, however deep: without recursion."""
    open_nodes: list[LexborNode] = []
    node: LexborNode | None = top
    while node is not None:
        child = node.child if reader.enter(node) else None
        if child is not None:
            open_nodes.append(node)
            node = child
            continue
        reader.leave(node)
        while node.next is None and open_nodes:
            node = open_nodes.pop()
            reader.leave(node)
        node = node.next if open_nodes else None


@dataclass(slots=True)
class _List:
    ordered: bool
    count: int = 0
    fresh: bool = True  # nothing of the present item was written yet


@dataclass(slots=True)
class _Reader:
    """The state of one pass over the nodes."""

    outline: Outline
    text: list[str] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # of the list at hand
    rows: list[list[str]] | None = None  # of the table at hand
    has_header: bool = False
    literal: int = 0  # how many <pre> are open
    skipped: bool = False
    anchor: str | None = None

    def enter(self, node: LexborNode) -> bool:
        """Take in what begins here; false where what is inside is not to be read."""
        tag = node.tag or ""
        self.skipped = False
        if tag == "-text":
            self._take(node.text_content or "")
            return False
        if not _is_read(tag, node.attributes):
            self.skipped = True
            return False
        self._begin(tag, node)
        return True

    def leave(self, node: LexborNode) -> None:
        """Close what ends here."""
        tag = node.tag or ""
        if self.skipped or tag == "-text":
            self.skipped = False
        elif tag in HEADINGS:
            self._heading(HEADINGS[tag])
        elif tag in LISTS and self.lists:
            self._end_list()
        elif tag == "table" and self.rows is not None:
            self._end_table()
        elif tag == "pre" and self.literal:
            self._flush()
            self.literal -= 1
        elif tag in BLOCKS:
            self._flush()

    def _begin(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self.text.append("\n")
            return
        if tag in BLOCKS or tag in HEADINGS:
            self._flush()
        if tag in HEADINGS or tag in SECTIONS or tag == "a":
            self._note_anchor(tag, node)
        if tag in LISTS:
            self.lists.append(_List(tag == "ol"))
        elif tag == "li" and self.lists:
            self.lists[-1].count += 1
            self.lists[-1].fresh = True
        elif tag == "pre":
            self.literal += 1
        elif tag in {"table", "tr", "td", "th"}:
            self._begin_cells(tag, node)

    def _begin_cells(self, tag: str, node: LexborNode) -> None:
        if tag == "table":
            self._begin_table(node)
        elif self.rows is None:
            return
        elif tag == "tr":
            self.rows.append([])
        elif self.rows:
            self.has_header |= tag == "th" and len(self.rows) == 1
            self.rows[-1].append("")

    def _begin_table(self, node: LexborNode) -> None:
        """A table with headings or tables in it is there for the layout: its cells are blocks like any other."""
        if self.rows is None and not _is_layout(node):
            self._end_lines()
            self.rows, self.has_header = [], False

    def _note_anchor(self, tag: str, node: LexborNode) -> None:
        """What the next heading can be found by: its own id, that of its section, or a link target within it."""
        found = node.attributes.get("id") or (node.attributes.get("name") if tag == "a" else None)
        if found and (tag != "a" or self.anchor is None):
            self.anchor = "%20".join(clean(found[:TITLE_CHARACTERS]).split()) or None

    def _take(self, text: str) -> None:
        self.text.append(text if self.literal else SPACE.sub(" ", text))

    def _gathered(self) -> str:
        text = "".join(self.text)
        self.text.clear()
        if self.literal:
            return clean(text).strip("\n").rstrip()
        return AROUND_BREAK.sub("\n", re.sub(r" {2,}", " ", clean(text))).strip()

    def _flush(self) -> None:
        text = self._gathered() if self.text else ""
        if not text:
            return
        self.anchor = None
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {' '.join(text.split())}".strip()
        elif self.lists:
            self._line(text)
        else:
            self.outline.add(text)

    def _line(self, text: str) -> None:
        current = self.lists[-1]
        indent = "  " * (min(len(self.lists), 20) - 1)
        mark = (f"{current.count}. " if current.ordered else "- ") if current.fresh else "  "
        current.fresh = False
        self.lines.append(f"{indent}{mark}{text}")

    def _heading(self, level: int) -> None:
        text = one_line(self._gathered(), TITLE_CHARACTERS)
        if self.rows is None:
            self._end_lines()
            self.outline.open(level, text, self.anchor)
        self.anchor = None

    def _end_list(self) -> None:
        self._flush()
        self.lists.pop()
        if not self.lists and self.rows is None:
            self._end_lines()

    def _end_lines(self) -> None:
        if self.lines:
            self.outline.add("\n".join(self.lines))
        self.lines.clear()

    def _end_table(self) -> None:
        self._flush()
        rows = [row for row in self.rows or () if any(row)]
        self.rows = None
        lines: list[str] = []
        for line in _table_lines(rows, has_header=self.has_header):
            if lines and sum(map(len, lines)) + len(line) > TABLE_BLOCK_CHARACTERS:
                self.outline.add("\n".join(lines))
                lines = []
            lines.append(line)
        self.outline.add("\n".join(lines))


def _is_layout(table: LexborNode) -> bool:
    inner = table.css("h1,h2,h3,h4,h5,h6,table")  # finds the table itself, too
    return table.attributes.get("role") == "presentation" or any(node.mem_id != table.mem_id for node in inner[:2])


def _table_lines(rows: list[list[str]], *, has_header: bool) -> Iterator[str]:
    # Each row repeats them: a long one would let the text grow with the square of the page.
    names = [one_line(name, NAME_CHARACTERS) for name in rows[0]] if has_header and len(rows) > 1 else []
    for row in rows[1 if names else 0 :]:
        if names and len(row) <= len(names):
            cells = zip(names, row, strict=False)
            yield " | ".join(f"{name}: {cell}" if name else cell for name, cell in cells if cell)
        else:
            yield " | ".join(row)


def _is_read(tag: str, attributes: Mapping[str, str | None]) -> bool:
    """Whether an element is one that shows text: a known one or a page's own, and not hidden."""
    known = tag in BLOCKS or tag in INLINE or tag in HEADINGS or "-" in tag[1:] or ":" in tag
    return known and not hides(tag, attributes)
