"""The words of one generation: a Tantivy index in a folder that all processes of a machine share.

Whoever holds the folder's lock feeds the index from the change rows; everybody else searches what is there. The
folder is a view of the catalogue: what is missing, damaged or of another format is built again from SQL.
"""

import json
import shutil
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import structlog
import tantivy
from numpy.typing import NDArray
from tantivy import Occur, Query

from core.catalog import feeds
from core.database import Database, Session
from features import words_schema as schema
from features.files import exclusive, write_whole
from features.filters import PassageFilter

log = structlog.get_logger()

BUILD_HEAP = 50_000_000
FEED_HEAP = 15_000_000  # Tantivy's smallest
STALE_SHARE = 0.2
STALE_FEW = 1_000


@dataclass(frozen=True, slots=True)
class Fed:
    """What the folder holds, written after Tantivy's commit: so a crash between them only repeats work.

    `stale` counts deletions since the build: Tantivy's statistics still count what it deleted.
    """

    format: str
    generation: int
    build: str
    sequence: int
    stale: int


@dataclass(frozen=True, slots=True)
class _Open:
    fed: Fed
    stamp: tuple[int, int]
    index: tantivy.Index
    searcher: tantivy.Searcher


class WordIndex:
    """BM25 over one generation. Thread-safe, and safe beside other processes on the same folder."""

    def __init__(self, folder: Path, generation_id: int) -> None:
        self._folder = folder
        self.generation_id = generation_id
        self._sidecar = folder / "fed.json"
        self._analyzer = schema.analyzer()
        self._schema = schema.schema()
        self._opening = threading.Lock()
        self._open: _Open | None = None
        self._hopeless = ""  # the build after which no other is tried, because the last one did not help

    @property
    def sequence(self) -> int:
        """The newest change that searches see; -1 while there is no index."""
        opened = self._open
        return -1 if opened is None else opened.fed.sequence

    def __len__(self) -> int:
        opened = self._open
        return 0 if opened is None else int(opened.searcher.num_docs)

    def feed(self, database: Database) -> bool:
        """Bring the index up to date unless somebody else is doing so; whether this call did it.

        A disk that is full or damaged is logged: questions are then answered from what is there.
        """
        done = False
        try:
            with exclusive(self._folder / "lock", wait=False) as held, database.read() as session:
                if held:
                    self._follow(session)
                    done = True
        except (OSError, ValueError):  # Tantivy raises nothing but ValueError
            log.exception("words_not_fed", generation=self.generation_id)
        self.refresh()
        return done

    def rebuild(self, database: Database) -> None:
        """Build the index again from the catalogue; searches use the old one until it is ready."""
        with exclusive(self._folder / "lock", wait=True), database.read() as session:
            self._build(session)
        self.refresh()

    def repair(self, database: Database) -> bool:
        """Replace a build that cannot be searched, unless somebody did or it is hopeless; whether to search again."""
        opened = self._open
        broken = "" if opened is None else opened.fed.build
        if opened is not None and broken == self._hopeless:
            return False
        try:
            with exclusive(self._folder / "lock", wait=True), database.read() as session:
                fed = self._stored()
                if fed is None or fed.build == broken:
                    self._build(session)
        except (OSError, ValueError):
            log.exception("words_not_rebuilt", generation=self.generation_id)
            self._hopeless = broken
            return False
        self.refresh()
        return True

    def despair(self) -> None:
        """Search the present build as it is: another one has just not helped."""
        opened = self._open
        self._hopeless = "" if opened is None else opened.fed.build

    def refresh(self) -> None:
        """See what was fed since, by whichever process. Costs one stat() when nothing was."""
        stamp = self._stamp()
        if stamp is None or (self._open is not None and self._open.stamp == stamp):
            return
        with self._opening:
            fed = self._stored()
            if fed is None:
                return
            try:
                self._open = self._opened(fed, stamp)
            except (OSError, ValueError) as error:  # a feeder replaced the folder just now, or will repair it
                log.warning("words_not_opened", build=fed.build, error=str(error))

    def search(self, question: str, k: int, passage_filter: PassageFilter) -> tuple[list[str], NDArray[np.float32]]:
        """Chunk ids and BM25 scores of the k best passages that share a word with the question."""
        opened = self._open
        terms = self._analyzer.analyze(question)
        if opened is None or not terms or passage_filter.matches_nothing:
            return [], np.empty(0, dtype=np.float32)
        words = Query.boolean_query(schema.term_clauses(self._schema, opened.searcher, terms))
        clauses = schema.filter_clauses(self._schema, passage_filter)
        found = _hits(opened.searcher, Query.boolean_query([(Occur.Must, words), *clauses]), k)
        return [chunk_id for _, chunk_id in found], np.array([score for score, _ in found], dtype=np.float32)

    def scores(self, question: str, chunk_ids: Sequence[str]) -> NDArray[np.float32]:
        """BM25 scores (n,) of exactly these chunks; 0 without a common word, or for a chunk that is not here."""
        opened = self._open
        terms = self._analyzer.analyze(question)
        if opened is None or not terms or not chunk_ids:
            return np.zeros(len(chunk_ids), dtype=np.float32)
        clauses = schema.term_clauses(self._schema, opened.searcher, terms)
        mine = schema.any_of(self._schema, "chunk_id", chunk_ids)
        found = {
            key: score for score, key in _hits(opened.searcher, Query.boolean_query([mine, *clauses]), len(chunk_ids))
        }
        return np.array([found.get(chunk_id, 0.0) for chunk_id in chunk_ids], dtype=np.float32)

    def text_shas(self, chunk_ids: Sequence[str]) -> dict[str, str]:
        """The hash of the text that is indexed for each of these chunks; others are absent."""
        opened = self._open
        if opened is None or not chunk_ids:
            return {}
        _, mine = schema.any_of(self._schema, "chunk_id", chunk_ids)
        hits = opened.searcher.search(mine, len(chunk_ids), count=False).hits
        stored = [opened.searcher.doc(address) for _, address in hits]
        return {str(found.get_first("chunk_id")): str(found.get_first("text_sha")) for found in stored}

    def _follow(self, session: Session) -> None:
        fed = self._stored()
        index = None if fed is None else self._usable(fed)
        newest = feeds.last_change(session, self.generation_id)
        if fed is None or index is None or fed.sequence > newest:
            self._build(session)
        elif fed.sequence < newest:
            try:
                self._apply(session, index, fed)
            except ValueError as error:
                log.warning("words_damaged", build=fed.build, error=str(error))
                self._build(session)

    def _apply(self, session: Session, index: tantivy.Index, fed: Fed) -> None:
        newest, touched = feeds.changed_chunks(session, self.generation_id, fed.sequence)
        searcher = index.searcher()
        stale = fed.stale + sum(searcher.doc_freq("chunk_id", chunk_id) for chunk_id in touched)
        if stale > max(STALE_FEW, STALE_SHARE * searcher.num_docs):
            self._build(session)
            return
        writer = index.writer(FEED_HEAP, 1)
        for chunk_id in touched:
            writer.delete_documents_by_term("chunk_id", chunk_id)
        for row in feeds.words_rows(session, self.generation_id, touched):
            writer.add_document(schema.document(row))
        writer.commit()
        writer.wait_merging_threads()
        self._store(fed.build, newest, stale)

    def _build(self, session: Session) -> None:
        build = uuid4().hex
        newest = feeds.last_change(session, self.generation_id)
        (self._folder / build).mkdir(parents=True)
        index = tantivy.Index(self._schema, path=str(self._folder / build))
        schema.register(index)
        writer = index.writer(BUILD_HEAP, 1)
        for row in feeds.words_rows(session, self.generation_id):
            writer.add_document(schema.document(row))
        writer.commit()
        writer.wait_merging_threads()
        self._store(build, newest, 0)
        for other in self._folder.iterdir():
            if other.is_dir() and other.name != build:
                shutil.rmtree(other)  # who still searches it keeps its files until they are let go

    def _usable(self, fed: Fed) -> tantivy.Index | None:
        if (fed.format, fed.generation) != (schema.FORMAT, self.generation_id):
            return None
        try:
            return _opened_index(self._folder / fed.build)
        except (OSError, ValueError) as error:
            log.warning("words_damaged", build=fed.build, error=str(error))
            return None

    def _opened(self, fed: Fed, stamp: tuple[int, int]) -> _Open:
        before = self._open
        if before is not None and before.fed.build == fed.build:
            before.index.reload()
            return _Open(fed, stamp, before.index, before.index.searcher())
        index = _opened_index(self._folder / fed.build)
        return _Open(fed, stamp, index, index.searcher())

    def _stored(self) -> Fed | None:
        try:
            return Fed(**json.loads(self._sidecar.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            log.warning("words_sidecar_damaged", error=str(error))
            return None

    def _store(self, build: str, sequence: int, stale: int) -> None:
        fed = Fed(schema.FORMAT, self.generation_id, build, sequence, stale)
        write_whole(self._sidecar, json.dumps(asdict(fed)).encode())

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = self._sidecar.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns


def _opened_index(folder: Path) -> tantivy.Index:
    index = tantivy.Index.open(str(folder))
    schema.register(index)
    index.reload()
    return index


def _hits(searcher: tantivy.Searcher, query: Query, k: int) -> list[tuple[float, str]]:
    """Scores and chunk ids, best first; equal scores by chunk id."""
    hits = searcher.search(query, k, count=False).hits
    found = [(float(score), str(searcher.doc(address).get_first("chunk_id"))) for score, address in hits]
    return sorted(found, key=lambda hit: (-hit[0], hit[1]))
