"""Canvases of a Slack export, and the listings in which it says what is no conversation.

Slack writes the address of a canvas and seldom its text. One with a text is a document for those who read a
conversation that it is shared in; everything else is counted and left out.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from core.words import Block, Document, Instant, Signals
from ingest.errors import RefusedError
from ingest.items import Entry, Found, Item, Refused, Skipped
from ingest.markup import clean, one_line
from ingest.sources.archive import Archive
from ingest.sources.markdown import paragraphs
from ingest.sources.slack_files import GONE, TEXTS, TITLE_CHARACTERS
from ingest.sources.slack_html import Html
from ingest.sources.slack_records import Record, exact_time, listed, record, short, string, strings

CANVASES = "canvases.json"
COUNTED = {
    "integration_logs.json": "integration_log",
    "lists.json": "list",
    "huddle_transcripts.json": "huddle_transcript",
    "content_flags.json": "content_flag",
}
PREFIX = "canvas:"
PAGES = (".html", ".htm")
SHARED_IN = ("channels", "groups", "ims", "mpims")
CHANGED = ("updated", "edited", "date_update", "timestamp", "created")

Readers = Callable[[str], tuple[str, ...] | None]
"""The audience of a conversation by its id, None where it is unlisted or left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvases:
    """The canvases of one export. `address` begins their links, `users` are names by id, `html` reads them."""

    readers: Readers
    address: str
    users: Mapping[str, str]
    html: Html

    def read(self, archive: Archive, listing: str, pages: Mapping[str, str]) -> Iterator[Item]:
        """Every canvas of a listing, in exactly one entry each; `pages` are the names of pages by canvas."""
        try:
            raws = listed(archive.read(listing))
        except RefusedError as error:
            yield Refused(clean(listing), error.code, clean(error.message), doubts=PREFIX)
            return
        seen: set[str] = set()
        for index, raw in enumerate(raws):
            canvas = raw if isinstance(raw, dict) else {}
            canvas_id = short(canvas, "id")
            item = canvas_id or f"{listing}#{index}"
            if canvas_id in seen:
                yield Skipped((Entry("", item, "duplicate", "same_canvas"),))
                continue
            seen.add(canvas_id)
            yield self._canvas(archive, canvas, item, pages.get(canvas_id, ""))

    def _canvas(self, archive: Archive, canvas: Record, item: str, page: str) -> Item:
        if not short(canvas, "id"):
            return Skipped((Entry("", item, "failed", "malformed_canvas"),))
        if string(canvas, "mode") in GONE or canvas.get("is_deleted"):
            return Skipped((Entry("", item, "tombstoned", "canvas_deleted"),))
        audience = audience_of(canvas, self.readers)
        if not audience:
            return Skipped((Entry("", item, "filtered", "canvas_without_readers"),))
        try:
            blocks = self._blocks(canvas, archive.read(page) if page else b"")
        except RefusedError as error:
            entry = Entry("", item, "failed", error.code)
            return Refused(clean(page) or item, error.code, clean(error.message), (entry,), doubts=f"{PREFIX}{item}")
        if not blocks:
            return Skipped((Entry("", item, "filtered", "canvas_without_text"),))
        return Found(self._document(canvas, audience, blocks), (Entry("", item, "indexed", "canvas"),))

    def _document(self, canvas: Record, audience: tuple[str, ...], blocks: tuple[Block, ...]) -> Document:
        at = _changed(canvas)
        title = one_line(string(canvas, "title") or string(canvas, "name"), TITLE_CHARACTERS) or "Canvas"
        return Document(
            external_id=f"{PREFIX}{short(canvas, 'id')}",
            kind="canvas",
            title=title,
            uri=f"{self.address}/{short(canvas, 'id')}",
            audience=audience,
            blocks=tuple(replace(block, anchor="", at=at) for block in blocks),
            author=self.users.get(short(canvas, "user"), ""),
            signals=Signals(last_activity=at, people=1),
        )

    def _blocks(self, canvas: Record, page: bytes) -> tuple[Block, ...]:
        if page:
            return self.html(page)
        for key in ("content", "html", *TEXTS):
            if written := string(canvas, key):
                is_plain = key in ("plain_text", "preview_plain_text")
                if blocks := paragraphs(clean(written)) if is_plain else self.html(written):
                    return blocks
        return ()


def audience_of(canvas: Record, readers: Readers) -> tuple[str, ...]:
    """Everybody who reads a conversation that it is shared in; empty if nobody does."""
    shares = record(canvas, "shares")
    shared = {channel for key in ("public", "private") for channel in record(shares, key)}
    shared |= {channel for key in SHARED_IN for channel in strings(canvas, key)}
    return tuple(sorted({reader for channel in shared for reader in readers(channel) or ()}))


def pages_of(names: Iterable[str]) -> dict[str, str]:
    """The pages of an archive by every part of their names that may be the id of a canvas."""
    found: dict[str, str] = {}
    for entry in names:
        if entry.lower().endswith(PAGES):
            for part in re.split(r"[/._\- ]", entry):
                if re.fullmatch(r"F[A-Z0-9]{5,20}", part):
                    found.setdefault(part, entry)
    return found


def counted(archive: Archive, names: Iterable[str]) -> Iterator[Item]:
    """One entry for every line of the listings that hold nothing anybody said."""
    for entry in names:
        reason = COUNTED[entry.rpartition("/")[2]]
        try:
            lines = len(listed(archive.read(entry)))
        except RefusedError as error:
            yield Refused(clean(entry), error.code, clean(error.message), doubts=None)
            continue
        if lines:
            yield Skipped(tuple(Entry("", f"{clean(entry)}#{index}", "filtered", reason) for index in range(lines)))


def _changed(canvas: Record) -> Instant | None:
    return next((time[1] for key in CHANGED if (time := exact_time(canvas.get(key)))), None)
