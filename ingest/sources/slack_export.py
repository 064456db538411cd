"""A Slack export, as the zip that Slack writes or unpacked: https://slack.com/help/articles/220556107.

Read conversation by conversation; only the messages of one are in memory at a time, already rendered.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from core.errors import InvalidSettingError
from core.settings import IngestSettings
from core.words import Bucket, Instant, digest_of
from ingest.conversations import Conversation, Message, Permalink, documents_of
from ingest.errors import BrokenJsonError, EntryUnreadableError, RefusedError, SourceUnreadableError
from ingest.items import Entry, Item, Refused, Skipped
from ingest.markup import clean
from ingest.sources.archive import Archive, Rooted, opened, sha_of_entries, sha_of_file
from ingest.sources.slack_directory import LISTINGS, Directory, Record, directory_of, export_roots
from ingest.sources.slack_messages import Dropped, exact_time, read_message

DAY_FILE = re.compile(r"(?P<folder>[^/]+)/[^/]+\.json", re.IGNORECASE)
WORKSPACE_URL = re.compile(r"https://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/?", re.ASCII | re.IGNORECASE)
# Only Slack's own key counts: inside a message's text the quotation marks would be escaped.
PERMALINK = re.compile(rb'"permalink"\s*:\s*"https:\\?/\\?/([a-z0-9.-]{1,80}\.slack\.com)[\\/"]')


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
        workspace_url: str | None = None,
        direct_messages: bool = False,
    ) -> None:
        self._place = place
        self._name = name
        self._settings = settings
        self._audience = audience
        if workspace_url and not WORKSPACE_URL.fullmatch(workspace_url):
            raise InvalidSettingError(
                f"{workspace_url!r} is not the address of a workspace.",
                hint="It reads https://acme.slack.com, without a path.",
            )
        self._workspace_url = workspace_url
        self._direct_messages = direct_messages

    @property
    def workspace(self) -> str:
        """The workspace's principal: its team id, else one made from the source's name."""
        return self._directory.workspace

    def fingerprint(self) -> str:
        """SHA-256 over the zip, or over every JSON file of the folder, and over the options."""
        try:
            return digest_of(self.kind, self._content_sha(), self._name, *self._options())
        except OSError as error:
            raise SourceUnreadableError(f"{self._place} cannot be read: {error.strerror}.") from error

    def memberships(self) -> Iterable[tuple[str, str]]:
        """People of the workspace hold it; members of a private conversation hold that; guests hold only those."""
        return self._directory.holdings

    def audience_of(self, external_id: str) -> tuple[str, ...] | None:
        """The audience of the document's conversation; None if that is unlisted, ambiguous or not allowed."""
        channel_id = external_id.partition(":")[0]
        conversation = self._directory.folders.get(channel_id)
        if conversation is None or conversation.id != channel_id or self._reason_to_leave_out(channel_id):
            return None
        return self._for_audience(conversation).audience

    def read(self) -> Iterator[Item]:
        """Threads, sittings and everything left out, conversation by conversation in the order of their folders."""
        directory = self._directory
        with self._opened() as archive:
            yield from self._troubles(archive)
            days = _day_files(archive.names())
            permalink = self._permalink(archive, [name for names in days.values() for name in names])
            for folder, names in days.items():
                conversation = directory.folders.get(folder)
                reason = self._reason_to_leave_out(folder)
                if conversation is None or reason:
                    yield from _left_out(archive, folder, names, reason=reason)
                else:
                    yield from self._conversation(archive, self._for_audience(conversation), names, permalink)

    def _conversation(
        self, archive: Archive, conversation: Conversation, names: Sequence[str], permalink: Permalink
    ) -> Iterator[Item]:
        messages: list[Message] = []
        dropped: list[tuple[str, Dropped]] = []
        for name in names:
            try:
                day = _parsed_list(archive.read(name))
            except RefusedError as error:
                yield replace(_refused(name, error, doubts=f"{conversation.id}:"), between=_around_day(name))
                continue
            for index, raw in enumerate(day):
                result = read_message(raw, self._directory)
                if isinstance(result, Message):
                    messages.append(result)
                else:
                    dropped.append((result.ts or f"{name}#{index}", result))
        deleted = {result.deletes for _, result in dropped if result.deletes}
        yield from _skipped(conversation.folder, _dropped_lines(dropped, messages, deleted))
        kept = [message for message in messages if message.ts not in deleted]
        yield from documents_of(conversation, kept, gap_minutes=self._settings.sitting_gap_minutes, permalink=permalink)

    def _troubles(self, archive: Archive) -> Iterator[Item]:
        """What is wrong with the archive itself, by the conversation that it leaves in doubt."""
        for folder, reason in archive.unreadable():
            yield _refused(f"{folder}/", EntryUnreadableError(reason), doubts=self._doubts(folder))
        for name in archive.repeated():
            reason = "More than one entry has this name; the first was read."
            yield Refused(clean(name), "duplicate_entry", reason, doubts=self._doubts(name))
        odd: dict[str, list[str]] = {}
        for name in archive.names():
            folder = name.partition("/")[0]
            if folder != name and not DAY_FILE.fullmatch(name) and self._directory.folders.get(folder):
                odd.setdefault(folder, []).append(name)
        for folder, names in odd.items():
            reason = f"{len(names)} files in it hold no messages, the first of them is {clean(names[0])}."
            yield Refused(clean(f"{folder}/"), "unexpected_entry", reason, doubts=None)

    def _doubts(self, name: str) -> str | None:
        """The ids that a place of the archive may hold: its conversation's, or none if that has no documents."""
        folder = name.partition("/")[0]
        conversation = self._directory.folders.get(folder)
        return None if conversation is None or self._reason_to_leave_out(folder) else f"{conversation.id}:"

    def _for_audience(self, conversation: Conversation) -> Conversation:
        return conversation if self._audience is None else replace(conversation, audience=self._audience)

    def _reason_to_leave_out(self, folder: str) -> str:
        conversation = self._directory.folders.get(folder)
        if conversation is None:
            return "ambiguous_conversation" if folder in self._directory.folders else "unlisted_conversation"
        return "direct_messages_off" if conversation.direct and not self._direct_messages else ""

    def _permalink(self, archive: Archive, names: Iterable[str]) -> Permalink:
        workspace = self._directory.workspace
        base = self._workspace_url or _host_of_files(archive, names)
        if not base:
            return lambda channel, ts: f"https://app.slack.com/client/{workspace}/{channel}/p{ts.replace('.', '')}"
        address = base.rstrip("/")
        return lambda channel, ts: f"{address}/archives/{channel}/p{ts.replace('.', '')}"

    @cached_property
    def _directory(self) -> Directory:
        with self._opened() as archive:
            present = set(archive.names())
            if "channels.json" not in present:
                # Every conversation would look as if it were gone.
                raise SourceUnreadableError(f"There is no channels.json in {self._place}.", hint="Export again.")
            if twice := sorted({*LISTINGS} & {*archive.repeated()}):
                raise SourceUnreadableError(f"The export holds {twice[0]} twice.", hint="Export again.")
            listings = {name: _listing(archive, name) for name in LISTINGS if name in present}
        return directory_of(listings, name=self._name)

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
            content = sha_of_entries(archive, [name for name in archive.names() if name.lower().endswith(".json")])
            return digest_of(content, json.dumps(archive.unreadable()))

    def _options(self) -> tuple[str, ...]:
        settings = self._settings
        return (
            json.dumps([self._audience, self._workspace_url, self._direct_messages]),
            json.dumps([settings.sitting_gap_minutes, settings.max_file_bytes]),
        )


def _listing(archive: Archive, name: str) -> list[Record]:
    """A listing that cannot be read ends everything: without it every conversation would look deleted."""
    try:
        return [record for record in _parsed_list(archive.read(name)) if isinstance(record, dict)]
    except RefusedError as error:
        raise SourceUnreadableError(f"{name} cannot be read: {error.message}", hint="Export again.") from error


def _parsed_list(raw: bytes) -> list[object]:
    try:
        # Numbers with a point stay text: a timestamp that some tool wrote as a number keeps its digits.
        parsed = json.loads(raw, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise BrokenJsonError(f"It is not JSON: {type(error).__name__}.") from error
    if not isinstance(parsed, list):
        raise BrokenJsonError("It is not a list.")
    return parsed


def _day_files(names: Iterable[str]) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for name in names:
        if match := DAY_FILE.fullmatch(name):
            days.setdefault(match["folder"], []).append(name)
    return days


def _left_out(archive: Archive, folder: str, names: Iterable[str], *, reason: str) -> Iterator[Item]:
    for name in names:
        try:
            day = _parsed_list(archive.read(name))
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
    return Instant(int(first.timestamp()) * 1_000_000), Instant(int(last.timestamp()) * 1_000_000)


def _refused(name: str, error: RefusedError, *, doubts: str | None) -> Refused:
    return Refused(clean(name), error.code, clean(error.message), doubts=doubts)


def _skipped(folder: str, lines: Sequence[tuple[str, Bucket, str]]) -> Iterator[Item]:
    if lines:
        yield Skipped(tuple(Entry(clean(folder), clean(item), bucket, reason) for item, bucket, reason in lines))


def _host_of_files(archive: Archive, names: Iterable[str]) -> str:
    """The address of the workspace, as most of Slack's links to files have it; empty where no file was shared."""
    hosts: Counter[str] = Counter()
    for name in names:
        try:
            hosts.update(host.decode() for host in PERMALINK.findall(archive.read(name)))
        except RefusedError:
            continue  # the reader of messages reports it
    hosts.pop("files.slack.com", None)
    host = min(hosts, key=lambda host: (-hosts[host], host), default="")
    return f"https://{host}" if host else ""
