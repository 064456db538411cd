"""Markdown and plain text as documents: what a page's front matter says of it, and its blocks."""

from pathlib import PurePosixPath

from core.words import Instant
from ingest.errors import NotUtf8Error
from ingest.formats.dates import instant_of
from ingest.formats.parsed import Parsed
from ingest.markup import clean
from ingest.sources.markdown import Page, paragraphs, parse_markdown

MARKDOWN = (".md", ".markdown")
DATES = ("effective_date", "effective-date", "date")


def parse(raw: bytes, name: str) -> list[Parsed]:
    """One page, none where there is no text; raises NotUtf8Error."""
    try:
        text = clean(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise NotUtf8Error(f"Byte {error.start} is not UTF-8.", hint="Save it as UTF-8.") from error
    is_markdown = PurePosixPath(name).suffix.lower() in MARKDOWN
    page = parse_markdown(text) if is_markdown else Page("", {}, paragraphs(text))
    if not page.blocks:
        return []
    author = page.properties.get("author", "")
    return [Parsed(blocks=page.blocks, title=page.title, author=author, valid_from=_valid_from(page))]


def _valid_from(page: Page) -> Instant | None:
    return next(filter(None, (instant_of(page.properties.get(key, "")) for key in DATES)), None)
