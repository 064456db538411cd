"""A Slack export, as the zip that Slack writes or unpacked: https://slack.com/help/articles/220556107.

Read conversation by conversation; only the messages of one are in memory at a time, already rendered.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from core.settings import IngestSettings
from core.words import MICROS, Bucket, Instant, digest_of
from ingest.conversations import Conversation, Message, Permalink, documents_of
from ingest.errors import EntryUnreadableError, RefusedError, SourceUnreadableError
from ingest.formats.registry import VERSION
from ingest.items import Entry, Item, Refused, Skipped
from ingest.markup import clean
from ingest.options import AS_USUAL, SourceOptions
from ingest.sources.archive import Archive, Rooted, opened, sha_of_entries, sha_of_file
from ingest.sources.slack_canvases import CANVASES, COUNTED, PAGES, PREFIX, Canvases, audience_of, counted, pages_of
from ingest.sources.slack_directory import Directory, directory_of, export_roots, team_folders
from ingest.sources.slack_html import Html, html_in, sandbox_of
from ingest.sources.slack_layout import (
    day_files,
    host_of_files,
    listing_name,
    listings,
    records_of,
    root_of,
    unknown,
)
from ingest.sources.slack_messages import Dropped, read_message, stranger_in
from ingest.sources.slack_period import period_in
from ingest.sources.slack_records import exact_time, listed, short


class SlackExport:
    """The documents of one export. What an administrator has not allowed is counted and left out."""

    kind: ClassVar[str] = "slack-export"

    def __init__(
        self,
        place: Path,
        *,
        name: str,
        settings: IngestSettings,
        audience: tuple[str, ...] | None = None,
        options: SourceOptions = AS_USUAL,
    ) -> None:
        self._place = place
        self._name = name
        self._settings = settings
        self._audience = audience
        self._options = options

    @property
    def workspace(self) -> str:
        """The workspace's principal: its team id, else one made from the source's name. An organisation's is its id."""
        return self._directory.workspace

    @property
    def workspaces(self) -> tuple[str, ...]:
        """All workspaces that it speaks for, sorted: one, or an organisation with its workspaces."""
        return self._directory.workspaces

    @cached_property
    def covered(self) -> tuple[Instant, Instant] | None:
        """The time that it says anything about, as it was told or as Slack has named the file; None for all."""
        if self._options.covered:
            return self._options.covered
        if found := period_in((self._place.name,)):
            return found
        with opened(self._place, self._settings.max_file_bytes) as archive:
            return period_in(export_roots(archive.names()))

    def fingerprint(self) -> str:
        """SHA-256 over the zip, or over what is read of the folder, and over the options."""
        try:
            return digest_of(self.kind, self._content_sha(), self._name, *self._shaping())
        except OSError as error:
            raise SourceUnreadableError(f"{self._place} cannot be read: {error.strerror}.") from error

    def memberships(self) -> Iterable[tuple[str, str]]:
        """People of the workspace hold it; members of a private conversation hold that; guests hold only those."""
        return self._directory.holdings

    def audience_of(self, external_id: str) -> tuple[str, ...] | None:
        """The audience of the document's conversation; None if that is unlisted, ambiguous or not allowed."""
        if external_id.startswith(PREFIX):
            return self._canvas_readers.get(external_id.removeprefix(PREFIX))
        return self._readers(external_id.partition(":")[0])

    def read(self) -> Iterator[Item]:
        """Threads, sittings and everything left out, conversation by conversation in the order of their folders."""
        directory = self._directory
        with self._opened() as archive, sandbox_of(self._settings) as sandbox:
            html = html_in(sandbox)
            days = day_files(archive.names())
            yield from self._troubles(archive, days)
            address = self._address(archive, [name for names in days.values() for name in names])
            yield from self._beside_conversations(archive, address, html)
            for folder, names in self._by_conversation(days).items():
                conversation = directory.folders.get(folder)
                reason = self._reason_to_leave_out(folder)
                if conversation is None or reason:
                    yield from _left_out(archive, folder, names, reason=reason)
                else:
                    permalink = _permalink(address, directory.workspace)
                    yield from self._conversation(archive, self._for_audience(conversation), names, permalink, html)

    def _conversation(
        self, archive: Archive, conversation: Conversation, names: Sequence[str], permalink: Permalink, html: Html
    ) -> Iterator[Item]:
        messages: list[Message] = []
        dropped: list[tuple[str, Dropped]] = []
        strangers: dict[str, str] = {}
        directory = self._directory.seen_from(conversation, strangers)
        for day_file in names:
            try:
                day = listed(archive.read(day_file))
            except RefusedError as error:
                refused = _refused(day_file, error, doubts=f"{conversation.id}:")
                yield replace(refused, between=_around_day(day_file))
                continue
            for index, raw in enumerate(day):
                strangers |= stranger_in(raw, directory.users)
                result = read_message(raw, directory, bots=self._options.bots, html=html)
                if isinstance(result, Message):
                    messages.append(result)
                else:
                    dropped.append((result.ts or f"{day_file}#{index}", result))
        deleted = {result.deletes for _, result in dropped if result.deletes}
        yield from _skipped(conversation.folder, _dropped_lines(dropped, messages, deleted))
        kept = [message for message in messages if message.ts not in deleted]
        yield from documents_of(conversation, kept, gap_minutes=self._settings.sitting_gap_minutes, permalink=permalink)

    def _by_conversation(self, days: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Day files by folder; a conversation that has more than one folder has all of them in its first."""
        first: dict[str, str] = {}
        merged: dict[str, list[str]] = {}
        for folder, names in days.items():
            conversation = self._directory.folders.get(folder)
            home = first.setdefault(conversation.id, folder) if conversation else folder
            merged.setdefault(home, []).extend(names)
        return merged

    def _beside_conversations(self, archive: Archive, address: str, html: Html) -> Iterator[Item]:
        names = archive.names()
        yield from counted(archive, [name for name in names if listing_name(name) in COUNTED])
        canvases = Canvases(
            readers=self._readers,
            address=_canvas_address(address, self.workspace),
            users=self._directory.users,
            html=html,
        )
        pages = pages_of(names)
        for listing in (name for name in names if listing_name(name) == CANVASES):
            yield from canvases.read(archive, listing, pages)

    def _readers(self, channel_id: str) -> tuple[str, ...] | None:
        conversation = self._directory.folders.get(channel_id)
        if conversation is None or conversation.id != channel_id or self._reason_to_leave_out(channel_id):
            return None
        return self._for_audience(conversation).audience

    @cached_property
    def _canvas_readers(self) -> dict[str, tuple[str, ...]]:
        with self._opened() as archive:
            found = [
                record
                for listing in archive.names()
                if listing_name(listing) == CANVASES
                for record in records_of(archive, listing)
            ]
        return {
            short(canvas, "id"): readers
            for canvas in reversed(found)
            if (readers := audience_of(canvas, self._readers))
        }

    def _troubles(self, archive: Archive, days: Mapping[str, list[str]]) -> Iterator[Item]:
        """What is wrong with the archive itself, by the conversation that it leaves in doubt."""
        for folder, reason in archive.unreadable():
            yield _refused(f"{folder}/", EntryUnreadableError(reason), doubts=self._doubts(folder))
        for entry in archive.repeated():
            reason = "More than one entry has this name; the first was read."
            yield Refused(clean(entry), "duplicate_entry", reason, doubts=self._doubts(entry))
        refused = dict(archive.refused())
        for place, names in unknown(archive.names(), days).items():
            yield from (_refused(entry, refused[entry], doubts=None) for entry in names if entry in refused)
            if odd := [entry for entry in names if entry not in refused]:
                reason = f"{len(odd)} files in it are none that Slack writes, the first of them is {clean(odd[0])}."
                yield Refused(clean(place or odd[0]), "unexpected_entry", reason, doubts=None)

    def _doubts(self, entry: str) -> str | None:
        """The ids that a place of the archive may hold: its conversation's, or none if that has no documents."""
        root = root_of(entry)
        for folder in (entry.partition("/")[0], root + entry.removeprefix(root).partition("/")[0]):
            conversation = self._directory.folders.get(folder)
            if conversation is not None and not self._reason_to_leave_out(folder):
                return f"{conversation.id}:"
        return PREFIX if listing_name(entry) == CANVASES or entry.lower().endswith(PAGES) else None

    def _for_audience(self, conversation: Conversation) -> Conversation:
        return conversation if self._audience is None else replace(conversation, audience=self._audience)

    def _reason_to_leave_out(self, folder: str) -> str:
        conversation = self._directory.folders.get(folder)
        if conversation is None:
            return "ambiguous_conversation" if folder in self._directory.folders else "unlisted_conversation"
        if conversation.direct and not self._options.direct_messages:
            return "direct_messages_off"
        named = (conversation.name or conversation.id, conversation.folder, conversation.id)
        return "" if self._options.takes(*named) else "excluded_channel"

    def _address(self, archive: Archive, names: Iterable[str]) -> str:
        """The address of the workspace without a `/` at its end, empty where nothing tells it."""
        return (self._options.workspace_url or host_of_files(archive, names)).rstrip("/")

    @cached_property
    def _directory(self) -> Directory:
        with self._opened() as archive:
            present = archive.names()
            teams = team_folders(present)
            if "channels.json" not in present and not teams:
                # Every conversation would look as if it were gone.
                raise SourceUnreadableError(f"There is no channels.json in {self._place}.", hint="Export again.")
            roots = {prefix: listings(archive, prefix, present) for prefix in ("", *teams)}
        return directory_of(roots.pop(""), name=self._name, teams=roots)

    @contextmanager
    def _opened(self) -> Iterator[Archive]:
        with opened(self._place, self._settings.max_file_bytes) as archive:
            roots = export_roots(archive.names())
            if len(roots) > 1:
                raise SourceUnreadableError(f"{self._place} holds {len(roots)} exports.", hint="Give one of them.")
            yield Rooted(archive, roots[0] if roots else "")

    def _content_sha(self) -> str:
        if self._place.is_file():
            return sha_of_file(self._place)
        with self._opened() as archive:
            read = [name for name in archive.names() if name.lower().endswith((".json", *PAGES))]
            return digest_of(sha_of_entries(archive, read), json.dumps(archive.unreadable()))

    def _shaping(self) -> tuple[str, ...]:
        settings, options = self._settings, self._options
        return (
            json.dumps([self._audience, options.workspace_url, options.direct_messages, options.bots, self.covered]),
            json.dumps([options.include, options.exclude]),
            json.dumps([settings.sitting_gap_minutes, settings.max_file_bytes]),
            json.dumps([settings.parse_seconds, settings.parse_memory_mb, VERSION]),
        )


def _permalink(address: str, workspace: str) -> Permalink:
    if not address:
        return lambda channel, ts: f"https://app.slack.com/client/{workspace}/{channel}/p{ts.replace('.', '')}"
    return lambda channel, ts: f"{address}/archives/{channel}/p{ts.replace('.', '')}"


def _canvas_address(address: str, workspace: str) -> str:
    return f"{address or 'https://app.slack.com'}/docs/{workspace}"


def _left_out(archive: Archive, folder: str, names: Iterable[str], *, reason: str) -> Iterator[Item]:
    for name in names:
        try:
            day = listed(archive.read(name))
        except RefusedError as error:
            # What is left out has no documents that could be in doubt.
            yield _refused(name, error, doubts=None)
            continue
        times = [exact_time(raw.get("ts")) if isinstance(raw, dict) else None for raw in day]
        entries = (time[0] if time else f"{name}#{index}" for index, time in enumerate(times))
        yield from _skipped(folder, [(entry, "filtered", reason) for entry in entries])


def _dropped_lines(
    dropped: Iterable[tuple[str, Dropped]], messages: Iterable[Message], deleted: set[str]
) -> list[tuple[str, Bucket, str]]:
    lines = [(item, result.bucket, result.reason) for item, result in dropped]
    return lines + [(message.ts, "tombstoned", "deleted_later") for message in messages if message.ts in deleted]


def _around_day(name: str) -> tuple[Instant, Instant] | None:
    """The day that a day file is named after and the days beside it, whatever the time zone; None without a date."""
    found = re.search(r"(\d{4}-\d\d-\d\d)\.json$", name, re.IGNORECASE)
    try:
        day = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None
    except ValueError:
        day = None
    if day is None:
        return None
    first, last = day - timedelta(days=1), day + timedelta(days=2)
    return Instant(int(first.timestamp()) * MICROS), Instant(int(last.timestamp()) * MICROS)


def _refused(name: str, error: RefusedError, *, doubts: str | None) -> Refused:
    return Refused(clean(name), error.code, clean(error.message), doubts=doubts)


def _skipped(folder: str, lines: Sequence[tuple[str, Bucket, str]]) -> Iterator[Item]:
    if lines:
        yield Skipped(tuple(Entry(clean(folder), clean(item), bucket, reason) for item, bucket, reason in lines))
