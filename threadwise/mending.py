"""Repairs of what an inspection found: in the catalogue, from the blobs, by embedding again, by building again."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.blobs import BlobStore
from core.catalog import integrity, mending
from core.catalog.feeds import BATCH
from core.catalog.sequence import lock
from core.clock import Clock
from core.database import Database
from core.errors import BlobDamagedError
from core.words import Document
from features.errors import SpaceMismatchError
from features.files import exclusive
from ingest.prepare import DocumentEmbedder
from threadwise import derived
from threadwise.checks import audience_in, text_sha
from threadwise.derived import Litter
from threadwise.findings import KINDS, Finding
from threadwise.rebuilding import Rebuilding

EMBEDDED_AT_ONCE = 64

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """Mends one installation. `embedder_of` gives the embedder of a space, or raises `SpaceMismatchError`.

    `purge` goes on with deletions that are not whole.
    """

    database: Database
    blobs: BlobStore
    data_dir: Path
    rebuilding: Rebuilding
    litter: Litter
    embedder_of: Callable[[str], DocumentEmbedder]
    purge: Callable[[], object]
    clock: Clock

    def mend(self, findings: Sequence[Finding]) -> None:
        """Do what each kind's repair says; a later inspection tells what it helped."""
        places: defaultdict[str, list[str]] = defaultdict(list)
        for finding in findings:
            places[finding.kind].append(finding.place)
        for kind in KINDS:  # what others stand on comes first
            if kind in places:
                self._repairs[kind](places[kind])
        if not _GRAVES.isdisjoint(places):
            self.purge()
        self._clear([finding for finding in findings if finding.kind in _FILES])

    @property
    def _repairs(self) -> Mapping[str, Callable[[Sequence[str]], None]]:
        own: dict[str, Callable[[Sequence[str]], None]] = {
            "signals_missing": self._put_signals,
            "audience_wrong": self._restore_audiences,
            "embedding_missing": self._embed_missing,
            "embedding_damaged": self._embed_damaged,
            "embedding_unused": self._forget_embeddings,
            "words_damaged": self._rebuild_words,
            "words_wrong": self._rebuild_words,
            "registry_damaged": self._rebuild_features,
        }
        return dict.fromkeys(KINDS, _nothing) | {kind: self._by_catalogue(kind) for kind in mending.REPAIRS} | own

    def _by_catalogue(self, kind: str) -> Callable[[Sequence[str]], None]:
        def repair(places: Sequence[str]) -> None:
            for start in range(0, len(places), BATCH):
                with self.database.write() as session:
                    mending.REPAIRS[kind](session, places[start : start + BATCH], self.clock())

        return repair

    def _put_signals(self, places: Sequence[str]) -> None:
        for start in range(0, len(places), BATCH):
            with self.database.write() as session:
                lock(session)  # no commit comes between reading a blob and writing what it says
                shas = mending.blobs_of(session, places[start : start + BATCH])
                found = {number: Document.from_canonical(raw) for number, raw in self._read(shas)}
                mending.put_signals(session, found, self.clock())

    def _restore_audiences(self, places: Sequence[str]) -> None:
        for place in places:
            with self.database.write() as session:
                shas = mending.blobs_of_audience(session, int(place))
                readers = (audience_in(raw) for _, raw in self._read(dict.fromkeys(shas, "")))
                mending.restore_audience(session, int(place), readers)

    def _read(self, shas: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """Blobs that are whole, by the key of their hash, or by the hash where that is the key."""
        for key, sha in shas.items():
            try:
                yield key, self.blobs.get(sha or key)
            except BlobDamagedError:
                continue

    def _embed_missing(self, places: Sequence[str]) -> None:
        with self.database.read() as session:
            wanted = mending.text_shas_of(session, places)
        for space, shas in wanted.items():
            self._embed(space, sorted(shas))

    def _embed_damaged(self, places: Sequence[str]) -> None:
        for space, shas in _by_space(places):
            self._embed(space, shas)
            # What no chunk has cannot be embedded again and is not needed.
            with self.database.write() as session:
                mending.delete_embeddings(session, space, shas)

    def _embed(self, space: str, shas: Sequence[str]) -> None:
        try:
            embedder = self.embedder_of(space)
        except SpaceMismatchError as error:
            log.warning("not_embedded", space=space, code=error.code)
            return
        with self.database.read() as session:
            found = dict(mending.texts_to_embed(session, space, shas))
        texts = [(sha, said) for sha, said in sorted(found.items()) if text_sha(said) == sha]
        for start in range(0, len(texts), EMBEDDED_AT_ONCE):
            some = texts[start : start + EMBEDDED_AT_ONCE]
            rows = embedder.embed_documents([said for _, said in some]).astype("<f4", copy=False)
            vectors = {sha: row.tobytes() for (sha, _), row in zip(some, rows, strict=True)}
            with self.database.write() as session:
                mending.replace_embeddings(session, space, vectors)

    def _forget_embeddings(self, places: Sequence[str]) -> None:
        for space, shas in _by_space(places):
            with self.database.write() as session:
                mending.delete_embeddings(session, space, shas)

    def _rebuild_words(self, places: Sequence[str]) -> None:
        with self.database.read() as session:
            generations = [one for one in integrity.standing(session) if str(one.id) in places]
        for generation in generations:
            self.rebuilding.words(generation)

    def _rebuild_features(self, _places: Sequence[str]) -> None:
        self.rebuilding.features()

    def _clear(self, findings: Sequence[Finding]) -> None:
        """Delete what still nobody needs, while nobody ingests: a plan keeps blobs before it refers to them."""
        if not findings:
            return
        with self._nobody_ingests() as quiet:
            if not quiet:
                return
            with self.database.read() as session:
                still = self.litter.find(session)
            for finding in findings:
                if finding in still:
                    derived.delete(still[finding])

    @contextmanager
    def _nobody_ingests(self) -> Iterator[bool]:
        with ExitStack() as held:
            locks = sorted((self.data_dir / "locks").glob("source-*.lock"))
            yield all(held.enter_context(exclusive(path, wait=False)) for path in locks)


_GRAVES = frozenset({"deleted_readable", "deleted_left"})
_FILES = frozenset({"deleted_blob_left", "blob_unused", "leftover", "engine_folder_unused", "upload_unused"})


def _nothing(_places: Sequence[str]) -> None:
    """What is not mended here: files are cleared together, and some things only a person can mend."""


def _by_space(places: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for place in places:
        space, _, sha = place.partition("/")
        found[space].append(sha)
    yield from sorted(found.items())
