"""A folder of Markdown and plain text, or one such file: a page each."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import quote

from core.settings import IngestSettings
from core.words import EVERYONE, OPEN_TO, Bucket, Document, Instant, digest_of
from ingest.errors import EntryUnreadableError, NotUtf8Error, RefusedError
from ingest.items import Entry, Found, Item, Refused, Skipped
from ingest.markup import clean, one_line
from ingest.sources.archive import Folder, sha_of_entries
from ingest.sources.markdown import Page, paragraphs, parse_markdown

MARKDOWN = (".md", ".markdown")
SUFFIXES = (*MARKDOWN, ".txt")
TITLE_CHARACTERS = 200
DATES = ("effective_date", "effective-date", "date")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TextFiles:
    """Pages of a folder; their external id is the path inside it, their uri that path percent-encoded (RFC 3986)."""

    kind: ClassVar[str] = "files"
    workspace: ClassVar[None] = None

    def __init__(self, place: Path, *, settings: IngestSettings, audience: tuple[str, ...] | None = None) -> None:
        self._folder = Folder(place, settings.max_file_bytes)
        self._limit = settings.max_file_bytes
        self._audience = audience or (EVERYONE,)

    def fingerprint(self) -> str:
        """SHA-256 over names and bytes of every file of a known type, and over the options."""
        names = [name for name in self._folder.names() if _known(name)]
        options = json.dumps([self._folder.unreadable(), self._audience, self._limit])
        return digest_of(self.kind, sha_of_entries(self._folder, names), options)

    def memberships(self) -> Iterable[tuple[str, str]]:
        """A folder knows nobody."""
        return ()

    def audience_of(self, external_id: str) -> tuple[str, ...] | None:  # noqa: ARG002 - one audience for every page
        """The one audience of every document."""
        return self._audience

    def read(self) -> Iterator[Item]:
        """One item for each file that is not hidden, by path, and one for each folder that cannot be read."""
        for folder, reason in self._folder.unreadable():
            place = clean(f"{folder}/")
            yield Refused(place, EntryUnreadableError.code, reason, doubts=place)
        for name in self._folder.names():
            try:
                yield self._item(name)
            except RefusedError as error:
                place = clean(name)
                entry = Entry("", place, "failed", error.code)
                yield Refused(place, error.code, error.message, (entry,), doubts=place)

    def _item(self, name: str) -> Item:
        if not _known(name) and not self._folder.leaves(name):
            return _skipped(clean(name), "filtered", "unsupported_type")
        text = _decoded(self._folder.read(name))
        if clean(name) != name:
            return _misnamed(name)
        page = parse_markdown(text) if _suffix(name) in MARKDOWN else Page("", {}, paragraphs(text))
        if not page.blocks:
            return _skipped(name, "filtered", "empty")
        return Found(self._document(name, page), (Entry("", name, "indexed", "page"),))

    def _document(self, name: str, page: Page) -> Document:
        stem = PurePosixPath(name).stem.replace("_", " ").replace("-", " ")
        return Document(
            external_id=name,
            kind="page",
            title=one_line(page.title, TITLE_CHARACTERS) or one_line(stem, TITLE_CHARACTERS),
            # A name may look like a scheme, a tag or a mention; percent-encoded it is a path and nothing else.
            uri=quote(name),
            audience=self._audience,
            blocks=page.blocks,
            author=one_line(page.properties.get("author", ""), TITLE_CHARACTERS),
            valid_from=next(filter(None, (_instant(page.properties.get(key, "")) for key in DATES)), None),
        )


def _known(name: str) -> bool:
    return _suffix(name) in SUFFIXES


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _skipped(name: str, bucket: Bucket, reason: str) -> Skipped:
    return Skipped((Entry("", name, bucket, reason),))


def _misnamed(name: str) -> Refused:
    """What cannot be an id. No document ever had that name, so none is in doubt."""
    place = clean(name)
    try:
        name.encode()
    except UnicodeEncodeError:
        code, reason = NotUtf8Error.code, "The file's name is not UTF-8."
    else:
        code, reason = "control_characters", "The file's name holds control characters."
    return Refused(place, code, reason, (Entry("", place, "failed", code),), doubts=None)


def _decoded(raw: bytes) -> str:
    try:
        return clean(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise NotUtf8Error(f"Byte {error.start} is not UTF-8.") from error


def _instant(text: str) -> Instant | None:
    """Microseconds of an ISO date or time, UTC unless it says otherwise; None for anything else."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = ((time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)
    return Instant(at) if 0 <= at < OPEN_TO else None
