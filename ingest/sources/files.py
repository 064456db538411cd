"""Documents in files: a folder or a zip of them, or one by itself."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import quote

from core.settings import IngestSettings
from core.words import EVERYONE, OPEN_TO, Document, Instant, digest_of
from ingest.errors import EntryUnreadableError, NotUtf8Error, RefusedError
from ingest.formats.parsed import Parsed
from ingest.formats.registry import SUFFIXES, VERSION, documents_of, format_of, sandbox_for
from ingest.formats.sandbox import Sandbox
from ingest.items import Entry, Found, Item, Refused, Skipped
from ingest.markup import clean, one_line
from ingest.options import AS_USUAL, SourceOptions
from ingest.sources import sidecar
from ingest.sources.archive import Archive, Folder, opened, sha_of_entries
from ingest.sources.sidecar import NOTHING, Sidecar, parse_sidecar
from ingest.sources.zipped import NAME_BYTES, UnsafeNameError

__all__ = ["SUFFIXES", "Files"]

TITLE_CHARACTERS = 200
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Files:
    """Documents of a place; the id of one is its path there, with `#` and its part where a file holds several.

    Its uri is that id percent-encoded (RFC 3986). A file that says it was changed later than `now` is not believed.
    """

    kind: ClassVar[str] = "files"
    workspace: ClassVar[None] = None
    workspaces: ClassVar[tuple[str, ...]] = ()
    covered: ClassVar[None] = None

    def __init__(
        self,
        place: Path,
        *,
        settings: IngestSettings,
        audience: tuple[str, ...] | None = None,
        options: SourceOptions = AS_USUAL,
        now: Instant = OPEN_TO,
    ) -> None:
        self._place = place
        self._settings = settings
        self._audience = audience or (EVERYONE,)
        self._options = options
        self._now = now

    def fingerprint(self) -> str:
        """SHA-256 over every name, the bytes of every file that would be read, and what shapes the result."""
        limits = self._settings.model_dump(include={"max_file_bytes", "parse_seconds", "parse_memory_mb"})
        with self._opened() as archive:
            names = archive.names()
            known = _sidecars(names) | {name for name in names if format_of(name)}
            # What is left out has a line in the ledger too.
            troubles = [names, archive.unreadable(), archive.repeated()]
            shape = json.dumps([self._audience, limits, self._options.as_json(), troubles, VERSION, SUFFIXES])
            return digest_of(self.kind, sha_of_entries(archive, sorted(filter(self._takes, known))), shape)

    def memberships(self) -> Iterable[tuple[str, str]]:
        """A folder knows nobody."""
        return ()

    def audience_of(self, external_id: str) -> tuple[str, ...] | None:  # noqa: ARG002 - one audience for every page
        """The one audience of every document."""
        return self._audience

    def read(self) -> Iterator[Item]:
        """One item for each document of a file, by path, and one for what cannot be read."""
        with self._opened() as archive:
            yield from _troubles(archive)
            names = archive.names()
            with self._sandbox(names) as sandbox:
                refused = frozenset(name for name, _ in archive.refused())
                place = _Place(archive, sandbox, _sidecars(names), refused)
                for name in names:
                    if name not in place.sidecars:
                        yield from self._items(name, place)

    @contextmanager
    def _opened(self) -> Iterator[Archive]:
        limit = self._settings.max_file_bytes
        if self._place.is_dir():
            yield Folder(self._place, limit)
        elif self._place.suffix.lower() == ".zip":
            with opened(self._place, limit) as archive:
                yield archive
        else:
            yield _Single(self._place, limit)

    def _sandbox(self, names: Iterable[str]) -> Sandbox:
        return sandbox_for(
            filter(self._takes, names),
            parse_seconds=self._settings.parse_seconds,
            parse_memory_mb=self._settings.parse_memory_mb,
        )

    def _takes(self, name: str) -> bool:
        name = name.removesuffix(sidecar.SUFFIX)
        return self._options.takes(name, PurePosixPath(name).name)

    def _items(self, name: str, place: "_Place") -> Iterator[Item]:
        if not self._takes(name):
            yield Skipped((Entry("", clean(name), "filtered", "excluded_file"),))
            return
        try:
            raw = place.bytes_of(name)
            if raw is None:
                yield Skipped((Entry("", clean(name), "filtered", "unsupported_type"),))
                return
            if trouble := _misnamed(name):
                yield trouble
                return
            said = place.said_of(name)
            found = documents_of(raw, name, place.sandbox)
        except RefusedError as error:
            yield _refused(name, error)
            return
        if not found:
            yield Skipped((Entry("", name, "filtered", "empty"),))
        for parsed in found:
            yield self._item(name, parsed, said)

    def _item(self, name: str, parsed: Parsed, said: Sidecar) -> Item:
        external_id = f"{name}#{parsed.part}" if parsed.part else name
        if parsed.trouble:
            entry = Entry("", external_id, "failed", parsed.trouble)
            reason = parsed.reason or "This part of the file cannot be read."
            return Refused(external_id, parsed.trouble, reason, (entry,), doubts=external_id)
        if not parsed.blocks:
            return Skipped((Entry("", external_id, "filtered", "empty"),))
        return Found(self._document(name, parsed, said), (Entry("", external_id, "indexed", parsed.kind),))

    def _document(self, name: str, parsed: Parsed, said: Sidecar) -> Document:
        stem = PurePosixPath(name).stem.replace("_", " ").replace("-", " ")
        titles = (parsed.title, said.title, stem) if parsed.part else (said.title, parsed.title, stem)
        return Document(
            external_id=f"{name}#{parsed.part}" if parsed.part else name,
            kind=parsed.kind,
            title=next(filter(None, (one_line(title, TITLE_CHARACTERS) for title in titles)), ""),
            # A name may look like a scheme, a tag or a mention; percent-encoded it is a path and nothing else.
            uri=f"{quote(name)}#{quote(parsed.part)}" if parsed.part else quote(name),
            audience=self._audience,
            blocks=parsed.blocks,
            author=one_line(said.author or parsed.author, TITLE_CHARACTERS),
            context=parsed.context,
            valid_from=self._valid_from(parsed, said),
        )

    def _valid_from(self, parsed: Parsed, said: Sidecar) -> Instant | None:
        modified = parsed.modified if parsed.modified is not None and parsed.modified <= self._now else None
        return next((at for at in (said.effective_date, parsed.valid_from, modified) if at is not None), None)


@dataclass(frozen=True, slots=True)
class _Place:
    """An open place, while it is read."""

    archive: Archive
    sandbox: Sandbox
    sidecars: frozenset[str]
    refused: frozenset[str]

    def bytes_of(self, name: str) -> bytes | None:
        """None for a file that nobody reads; raises the RefusedError of one that nobody may read."""
        if format_of(name) is None or name.endswith(sidecar.SUFFIX):
            leaves = isinstance(self.archive, Folder) and self.archive.leaves(name)
            if not leaves and name not in self.refused:
                return None
        return self.archive.read(name)

    def said_of(self, name: str) -> Sidecar:
        """What is said beside a file; raises BrokenSidecarError, or the RefusedError of a sidecar nobody may read."""
        beside = name + sidecar.SUFFIX
        return parse_sidecar(self.archive.read(beside)) if beside in self.sidecars else NOTHING


class _Single(Folder):
    """One file by itself, and what is said beside it."""

    def __init__(self, place: Path, max_bytes: int) -> None:
        super().__init__(place.parent, max_bytes)
        self._name = place.name

    def names(self) -> tuple[str, ...]:
        """The file, and its sidecar where there is one."""
        beside = self._name + sidecar.SUFFIX
        return (self._name, beside) if (self._root / beside).is_file() else (self._name,)

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Nobody asked for what else lies in the folder."""
        return ()


def _sidecars(names: Iterable[str]) -> frozenset[str]:
    """The names of those that speak of another of the names."""
    known = set(names)
    named = (name for name in known if name.endswith(sidecar.SUFFIX))
    return frozenset(name for name in named if name.removesuffix(sidecar.SUFFIX) in known)


def _troubles(archive: Archive) -> Iterator[Refused]:
    """What is wrong with the place itself."""
    for folder, reason in archive.unreadable():
        yield Refused(clean(f"{folder}/"), EntryUnreadableError.code, reason, doubts=f"{folder}/")
    for name in archive.repeated():
        reason = "More than one entry has this name; the first was read."
        yield Refused(clean(name), "duplicate_entry", reason, doubts=name)


def _refused(name: str, error: RefusedError) -> Refused:
    place = clean(name)
    return Refused(place, error.code, error.message, (Entry("", place, "failed", error.code),), doubts=name)


def _misnamed(name: str) -> Refused | None:
    """What cannot be an id. No document ever had that name, so none is in doubt."""
    try:
        name.encode()
    except UnicodeEncodeError:
        code, reason = NotUtf8Error.code, "The file's name is not UTF-8."
    else:
        if len(name.encode()) > NAME_BYTES:
            code, reason = UnsafeNameError.code, f"The name is longer than {NAME_BYTES} bytes."
        elif CONTROL.search(name):
            code, reason = "control_characters", "The file's name holds control characters."
        else:
            return None
    place = clean(name)
    return Refused(place, code, reason, (Entry("", place, "failed", code),), doubts=None)
