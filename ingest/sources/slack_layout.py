"""Where in the archive of a Slack export what lies: listings, the messages of a day, and what is neither."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ingest.errors import RefusedError, SourceUnreadableError
from ingest.sources.archive import Archive
from ingest.sources.slack_canvases import CANVASES, COUNTED, pages_of
from ingest.sources.slack_directory import READ_WHERE_PRESENT, USERS, team_folders
from ingest.sources.slack_people import brief
from ingest.sources.slack_records import Record, listed
from ingest.strict_json import elements

DAY_FILE = re.compile(r"(?P<folder>[^/]+)/[^/]+\.json", re.IGNORECASE)
TEAM_DAY_FILE = re.compile(r"(?P<folder>(?:teams/[^/]+/)?[^/]+)/[^/]+\.json", re.IGNORECASE)
ROOT = re.compile(r"(?:teams/[^/]+/)?")
# Only Slack's own key counts: inside a message's text the quotation marks would be escaped.
PERMALINK = re.compile(rb'"permalink"\s*:\s*"https:\\?/\\?/([a-z0-9.-]{1,80}\.slack\.com)[\\/"]')


def listings(archive: Archive, prefix: str, present: Iterable[str]) -> dict[str, list[Record]]:
    """The listings of one root by file name; raises SourceUnreadableError for one that cannot be read or is repeated.

    Without it every conversation would look deleted.
    """
    repeated = set(archive.repeated())
    found: dict[str, list[Record]] = {}
    for listing in sorted(
        {*READ_WHERE_PRESENT} & {name.removeprefix(prefix) for name in present if name.startswith(prefix)}
    ):
        if prefix + listing in repeated:
            raise SourceUnreadableError(f"The export holds {prefix}{listing} twice.", hint="Export again.")
        try:
            found[listing] = _records(archive.read(prefix + listing), of_people=listing in USERS)
        except RefusedError as error:
            raise SourceUnreadableError(
                f"{prefix}{listing} cannot be read: {error.message}", hint="Export again."
            ) from error
    return found


def _records(raw: bytes, *, of_people: bool) -> list[Record]:
    """The records of a listing; of people, who may be very many, only what is read of them."""
    if of_people:
        return [brief(person) for person in elements(raw) if isinstance(person, dict)]
    return [record for record in listed(raw) if isinstance(record, dict)]


def records_of(archive: Archive, listing: str) -> list[Record]:
    """The records of a listing that nobody has to have; none where it cannot be read, which `read` reports."""
    try:
        return [record for record in listed(archive.read(listing)) if isinstance(record, dict)]
    except RefusedError:
        return []


def listing_name(entry: str) -> str:
    """The name of a file at the top of an export or of one of its workspaces, empty for what lies deeper."""
    rest = entry.removeprefix(root_of(entry))
    return "" if "/" in rest else rest


def root_of(entry: str) -> str:
    """The folder of the workspace that an entry lies in, empty where there is only one."""
    match = ROOT.match(entry)
    return match[0] if match else ""


def day_files(names: Sequence[str]) -> dict[str, list[str]]:
    """The files that hold messages, by the folder that they lie in."""
    pattern = TEAM_DAY_FILE if team_folders(names) else DAY_FILE
    days: dict[str, list[str]] = {}
    for name in names:
        if match := pattern.fullmatch(name):
            days.setdefault(match["folder"], []).append(name)
    return days


def unknown(names: Iterable[str], days: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """What is neither a day file nor a listing nor a canvas, by the folder that it lies in."""
    read = {name for found in days.values() for name in found} | set(pages_of(names).values())
    known = {*READ_WHERE_PRESENT, *COUNTED, CANVASES}
    odd: dict[str, list[str]] = {}
    for name in names:
        if name not in read and listing_name(name) not in known:
            folder, slash, _ = name.partition("/")
            odd.setdefault(folder + slash if slash else "", []).append(name)
    return odd


def host_of_files(archive: Archive, names: Iterable[str]) -> str:
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
