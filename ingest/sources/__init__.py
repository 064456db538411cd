"""The kinds of sources and the door that picks one for a path."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from core.settings import IngestSettings
from core.words import OPEN_TO, Instant
from ingest.errors import EmptyAudienceError, SourceNotFoundError, SourceUnreadableError, UnknownKindError
from ingest.items import Entry, Found, Item, Refused, Skipped, Source
from ingest.options import AS_USUAL, SourceOptions
from ingest.sources.archive import Folder, opened
from ingest.sources.beir import CORPUS, QUERIES, BeirCorpus
from ingest.sources.files import SUFFIXES, Files
from ingest.sources.slack_directory import export_roots
from ingest.sources.slack_export import SlackExport
from ingest.sources.zipped import ZIP_TROUBLES

__all__ = ["KINDS", "Entry", "Found", "Item", "Refused", "Skipped", "Source", "detect_kind", "open_source"]

KINDS = ("slack-export", "files", "beir")


def open_source(
    path: Path | str,
    kind: str | None = None,
    *,
    name: str,
    settings: IngestSettings,
    audience: Iterable[str] | None = None,
    options: SourceOptions = AS_USUAL,
    now: Instant = OPEN_TO,
) -> Source:
    """The source at `path`, its kind detected unless given.

    `audience` replaces the audience of every document. A file that was changed later than `now`, as it says, is not
    believed.
    Raises SourceNotFoundError, SourceUnreadableError, UnknownKindError or EmptyAudienceError.
    """
    place = Path(path)
    if not place.exists():
        raise SourceNotFoundError(f"There is nothing at {place}.", hint="Check the path; relative ones start here.")
    if not place.is_file() and not place.is_dir():
        raise UnknownKindError(f"{place} is neither a file nor a folder.", hint="Give a file or a folder.")
    readers = None if audience is None else tuple(sorted(set(audience)))
    if readers == ():
        raise EmptyAudienceError("The audience names nobody.", hint="Name a principal, or leave the option out.")
    found = kind or detect_kind(place)
    if found == "slack-export":
        return SlackExport(place, name=name, settings=settings, audience=readers, options=options)
    if found == "files":
        return Files(place, settings=settings, audience=readers, options=options, now=now)
    if found == "beir":
        return BeirCorpus(place, settings=settings, audience=readers)
    raise UnknownKindError(f"There is no kind of source called {found!r}.", hint=f"Use one of: {', '.join(KINDS)}.")


def detect_kind(place: Path) -> str:
    """The kind that an existing path looks like; raises SourceUnreadableError or UnknownKindError."""
    try:
        return _kind_of_folder(place) if place.is_dir() else _kind_of_file(place)
    except ZIP_TROUBLES as error:
        raise SourceUnreadableError(f"{place} cannot be read: {error}.", hint="Check that it is whole.") from error


def _kind_of_folder(place: Path) -> str:
    names = Folder(place, max_bytes=0).names()
    if _holds_export(place, names):
        return "slack-export"
    return "beir" if {CORPUS, QUERIES} <= set(names) else "files"


def _holds_export(place: Path, names: Iterable[str]) -> bool:
    """Whether one export is among the names; private messages must never be taken for pages, so two are refused."""
    roots = export_roots(names)
    if len(roots) > 1:
        found = ", ".join(root.rstrip("/") for root in roots)
        raise UnknownKindError(f"{place} holds more than one Slack export: {found}.", hint="Name the folder of one.")
    return bool(roots)


def _kind_of_file(place: Path) -> str:
    suffix = place.suffix.lower()
    if suffix in SUFFIXES:
        return "files"  # Word, slides and sheets are zips too
    if zipfile.is_zipfile(place):
        with opened(place, max_bytes=0) as archive:
            names = archive.names()
        if _holds_export(place, names):
            return "slack-export"
        if suffix == ".zip":
            return "files"
    if suffix == ".zip":
        raise SourceUnreadableError(f"{place} is not a whole zip file.", hint="Download or copy it again.")
    if suffix == ".jsonl":
        return "beir"
    raise UnknownKindError(
        f"{place} is no kind of source that is known.",
        hint=f"Give a Slack export, a folder or zip of documents, or a file ending in {', '.join(SUFFIXES)}.",
    )
