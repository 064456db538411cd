"""A corpus in BEIR form (https://github.com/beir-cellar/beir): one JSON object with `_id`, `title`, `text` a line."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from core.settings import IngestSettings
from core.words import EVERYONE, Document, digest_of
from ingest.errors import BrokenJsonError, FileTooLargeError, RefusedError, SourceUnreadableError
from ingest.items import Entry, Found, Item, Refused, Skipped
from ingest.markup import clean, one_line
from ingest.sources.archive import sha_of_file
from ingest.sources.markdown import paragraphs

CORPUS = "corpus.jsonl"
QUERIES = "queries.jsonl"  # stands beside it; a corpus file alone may be anything
NAME_CHARACTERS = 500


class BeirCorpus:
    """The documents of one corpus file, a page for each line; streamed, so its size as a whole is not limited."""

    kind: ClassVar[str] = "beir"
    workspace: ClassVar[None] = None
    workspaces: ClassVar[tuple[str, ...]] = ()
    covered: ClassVar[None] = None

    def __init__(self, place: Path, *, settings: IngestSettings, audience: tuple[str, ...] | None = None) -> None:
        self._path = place / CORPUS if place.is_dir() else place
        self._limit = settings.max_file_bytes
        self._audience = audience or (EVERYONE,)
        if not self._path.is_file():
            raise SourceUnreadableError(f"There is no {CORPUS} in {place}.", hint="Give the folder that holds it.")

    def fingerprint(self) -> str:
        """SHA-256 over the corpus and the options."""
        return digest_of(self.kind, sha_of_file(self._path), json.dumps([self._audience, self._limit]))

    def memberships(self) -> Iterable[tuple[str, str]]:
        """A corpus knows nobody."""
        return ()

    def audience_of(self, external_id: str) -> tuple[str, ...] | None:  # noqa: ARG002 - one audience for every page
        """The one audience of every document."""
        return self._audience

    def read(self) -> Iterator[Item]:
        """One item for each line that is not blank."""
        seen: set[str] = set()
        for number, line in enumerate(self._lines(), start=1):
            if not line.strip():
                continue
            place = f"{self._path.name}:{number}"
            try:
                yield self._item(line, seen)
            except RefusedError as error:
                yield Refused(place, error.code, error.message, (Entry("", place, "failed", error.code),))

    def _lines(self) -> Iterator[bytes]:
        """Lines, of which one that is too long is cut just past the limit."""
        with self._path.open("rb") as stream:
            while line := stream.readline(self._limit + 1):
                rest = line
                while not rest.endswith(b"\n") and (rest := stream.readline(self._limit + 1)):
                    pass
                yield line

    def _item(self, line: bytes, seen: set[str]) -> Item:
        if len(line) > self._limit:
            raise FileTooLargeError(f"The line is longer than the {self._limit} bytes allowed.")
        record = _record(line)
        name, title, text = (clean(str(record.get(key) or "")) for key in ("_id", "title", "text"))
        if not name.strip():
            raise BrokenJsonError("The document has no `_id`.")
        if name in seen:
            return Skipped((Entry("", name, "duplicate", "same_id"),))
        seen.add(name)
        if not (title.strip() or text.strip()):
            return Skipped((Entry("", name, "filtered", "empty"),))
        return Found(self._document(name, title, text), (Entry("", name, "indexed", "page"),))

    def _document(self, name: str, title: str, text: str) -> Document:
        return Document(
            external_id=name,
            kind="page",
            title=one_line(title, NAME_CHARACTERS),
            uri=quote(name),
            audience=self._audience,
            blocks=paragraphs(text) or paragraphs(title),
        )


def _record(line: bytes) -> dict[str, object]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenJsonError(f"The line is not JSON: {type(error).__name__}.") from error
    if not isinstance(record, dict):
        raise BrokenJsonError("The line is not a JSON object.")
    return record
