"""PDF through PDFium: the text of each page as paragraphs under headings, each with the anchor `page=7`."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from statistics import median

import pypdfium2  # type: ignore[import-untyped]
from pypdfium2 import raw as pdfium

from core.words import Instant
from ingest.formats.dates import instant_at
from ingest.formats.layout import HYPHEN, Line, paragraphs, running_lines, sentences_whole
from ingest.formats.outline import MAX_CHARACTERS, Outline
from ingest.formats.parsed import (
    DocumentTooLargeError,
    EncryptedDocumentError,
    NoTextError,
    Parsed,
    UnreadableDocumentError,
)
from ingest.markup import clean, one_line

MAX_PAGES = 20_000
BOOKMARKS = 10_000
TITLE_CHARACTERS = 200
HEADING_CHARACTERS = 120
LARGER = 1.15  # than the body's letters: a heading
LEVELS = 6
LINE_END = re.compile(f"\r\n|(?<={HYPHEN})")  # PDFium makes HYPHEN of a hyphen together with the end of its line
CUT_WORD = re.compile(rf"(?<![\w-])[\w-]*+{HYPHEN}[\w{HYPHEN}-]*")
NO_TITLE = re.compile(
    r"untitled.*|.*\.(?:docx?|pptx?|xlsx?|pdf|indd|rtf|odt|tex)|(?:slide|document) ?\d*", re.IGNORECASE
)
NO_AUTHOR = frozenset({"python-docx", "administrator", "admin", "user", "unknown", "author"})
DATE = re.compile(r"D?:?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+-])(\d\d)'?(\d\d)?|Z)?")
END = re.compile(r"[.;,:!?]$")

Pages = list[list[Line]]


def parse(raw: bytes, name: str) -> list[Parsed]:  # noqa: ARG001 - every parser is told the file's name
    """One document; raises EncryptedDocumentError, NoTextError, DocumentTooLargeError or UnreadableDocumentError."""
    _forget_last_error()
    try:
        with closing(pypdfium2.PdfDocument(raw)) as document:
            pages = _pages(document)
            bookmarks = _bookmarks(document)
            properties = document.get_metadata_dict()
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise EncryptedDocumentError("The PDF opens with a password only.", hint="Save it without one.") from error
        raise UnreadableDocumentError("It is no whole PDF.", hint="Open the file and save it anew.") from error
    dropped = running_lines(pages)
    pages = [[line for place, line in enumerate(page) if (n, place) not in dropped] for n, page in enumerate(pages)]
    if not any(pages):
        raise NoTextError(
            "The PDF holds no text, only pictures of it.", hint="Recognise its letters (OCR) and save it."
        )
    outline = Outline(title=_title(properties.get("Title", "")))
    _read(pages, bookmarks, outline)
    author = one_line(properties.get("Author", ""), TITLE_CHARACTERS)
    return [
        Parsed(
            blocks=outline.finished(),
            title=one_line(outline.title or outline.first_heading, TITLE_CHARACTERS),
            author="" if author.lower() in NO_AUTHOR else author,
            modified=_instant(properties.get("ModDate", "")) or _instant(properties.get("CreationDate", "")),
        )
    ]


def _forget_last_error() -> None:
    """PDFium may fail without saying why, and then still says why it failed the time before."""
    with suppress(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(b"-")


def _pages(document: pypdfium2.PdfDocument) -> Pages:
    if len(document) > MAX_PAGES:
        raise DocumentTooLargeError(f"{len(document)} pages are more than the {MAX_PAGES} allowed.")
    pages: Pages = []
    characters = 0
    for number in range(len(document)):
        with closing(document[number]) as page, closing(page.get_textpage()) as text:
            characters += text.count_chars()
            if characters > MAX_CHARACTERS:
                raise DocumentTooLargeError(f"Its text has more than {MAX_CHARACTERS} characters.")
            pages.append(list(_lines(text)))
    return pages


def _lines(page: pypdfium2.PdfTextPage) -> Iterator[Line]:
    """The lines of a page in PDFium's order, which is that of its columns as a rule."""
    text, at, last = page.get_text_range(), 0, page.count_chars() - 1
    for end, following in [*(found.span() for found in LINE_END.finditer(text)), (len(text), len(text))]:
        whole = text[at:end]
        shown = whole.strip()
        if shown:
            start = at + len(whole) - len(whole.lstrip())
            left, bottom, _, top = page.get_charbox(_index(page, start, last), loose=True)
            right = page.get_charbox(_index(page, at + len(whole.rstrip()) - 1, last), loose=True)[2]
            yield Line(shown, left, right, bottom, top)
        at = following


def _index(page: pypdfium2.PdfTextPage, place: int, last: int) -> int:
    """Where a letter of the text stands among the page's glyphs."""
    return min(max(int(pdfium.FPDFText_GetCharIndexFromTextIndex(page, place)), 0), last)


def _bookmarks(document: pypdfium2.PdfDocument) -> dict[tuple[int, str], int]:
    """Levels (1 = outermost) by page and text."""
    found: dict[tuple[int, str], int] = {}
    for item in islice(document.get_toc(), BOOKMARKS):
        target = item.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            found.setdefault((page, _bare(item.get_title())), item.level + 1)
    return found


def _bare(text: str) -> str:
    return " ".join(text.split()).casefold()


def _title(text: str) -> str:
    title = one_line(text, TITLE_CHARACTERS).removeprefix("Microsoft Word - ").removeprefix("PowerPoint Presentation")
    return "" if NO_TITLE.fullmatch(title) else title


def _instant(text: str) -> Instant | None:
    """Microseconds of a date such as D:20230306135720-08'00', UTC unless it says otherwise; None for anything else."""
    match = DATE.match(text)
    if match is None:
        return None
    parts = (int(part or default) for part, default in zip(match.groups()[:6], "011000", strict=True))
    try:
        moment = datetime(next(parts), next(parts), next(parts), next(parts), next(parts), next(parts), tzinfo=UTC)
    except ValueError:
        return None
    ahead = timedelta(hours=int(match[8] or 0), minutes=int(match[9] or 0))
    try:
        return instant_at(moment + ahead if match[7] == "-" else moment - ahead)
    except OverflowError:
        return None


def _hyphens_undone(pages: Pages) -> Callable[[str], str]:
    """Makes a word that was cut at the end of a line whole, its own hyphen kept where the document writes it."""
    known = {word for page in pages for line in page for word in re.findall(r"[\w-]+", line.text.lower())}

    def undone(text: str) -> str:
        return CUT_WORD.sub(lambda match: _mended(match[0], known), text) if HYPHEN in text else text

    return undone


def _mended(word: str, known: set[str]) -> str:
    kept, joined = word.replace(HYPHEN, "-"), word.replace(HYPHEN, "")
    behind = word.rpartition(HYPHEN)[2]
    if not behind or kept.lower() in known:
        return kept
    return joined if joined.lower() in known or behind[:1].islower() else kept


def _read(pages: Pages, bookmarks: dict[tuple[int, str], int], outline: Outline) -> None:
    body = _body(pages)
    pitch = _pitch(pages)
    levels = _levels(pages, bookmarks, body)
    whole = _hyphens_undone(pages)
    if all((0, line) in levels for line in pages[0]):  # a cover
        cover = " ".join(part.text for part in paragraphs(pages[0], [1] * len(pages[0]), pitch))
        outline.title = outline.title or one_line(whole(cover), TITLE_CHARACTERS)
        pages = [[], *pages[1:]]
    read = [
        list(paragraphs(page, [levels.get((number, line), 0) for line in page], pitch))
        for number, page in enumerate(pages)
    ]
    for number, parts in enumerate(sentences_whole(read)):
        for part in parts:
            if part.level:
                outline.open(part.level, one_line(whole(part.text), 2 * HEADING_CHARACTERS), f"page={number + 1}")
            else:
                outline.add(clean(whole(part.text)), f"page={number + 1}")


def _body(pages: Pages) -> float:
    """The size in which most letters are set."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page:
            sizes[line.size] += len(line.text)
    return max(sizes, key=lambda size: (sizes[size], -size))


def _pitch(pages: Pages) -> float:
    """The usual way from one line to the next, in units of a letter's size."""
    steps = [
        (above.bottom - below.bottom) / below.size
        for page in pages[:500]
        for above, below in pairwise(page)
        if above.size == below.size and 0 < above.bottom - below.bottom < 4 * below.size
    ]
    return median(steps) if steps else 1.2


def _levels(pages: Pages, bookmarks: dict[tuple[int, str], int], body: float) -> dict[tuple[int, Line], int]:
    """Which lines are headings: those that the bookmarks name, else those set in larger letters than the body."""
    named = {
        (number, line): min(bookmarks[number, _bare(line.text)], LEVELS)
        for number, page in enumerate(pages)
        for line in page
        if (number, _bare(line.text)) in bookmarks
    }
    if named:
        return named
    large = [(number, line) for number, page in enumerate(pages) for line in page if _is_heading(line, body)]
    sizes = sorted({line.size for _, line in large}, reverse=True)
    return {(number, line): min(sizes.index(line.size) + 1, LEVELS) for number, line in large}


def _is_heading(line: Line, body: float) -> bool:
    text = line.text
    short = len(text) <= HEADING_CHARACTERS and any(map(str.isalpha, text))
    return short and line.size >= LARGER * body and not END.search(text)
