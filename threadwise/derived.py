"""Checks of what is derived from the catalogue and of what lies beside it: engines, the registry, files.

A check that could meet somebody's unfinished work holds that somebody's lock, or leaves alone what is young.
"""

import json
import re
import shutil
import sqlite3
import struct
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.catalog import integrity, queue, sources, stored
from core.catalog.feeds import BATCH, last_change
from core.catalog.integrity import Generation
from core.database import Database, Session
from core.settings import IndexSettings
from features.engine_pair import engine_folder
from features.errors import SpaceMismatchError
from features.files import exclusive
from features.registry import REGISTRY_FILE
from features.vectors import VectorTable
from features.words import WordIndex
from features.words_schema import FORMAT
from threadwise.findings import Finding

APPLIED = "feast_applied"
YOUNG_SECONDS = 86_400.0
"""What is younger may be somebody's unfinished work; no plan and no upload takes as long."""

_FOOTER = struct.Struct("<II")
_MAGIC = 1337  # the last four bytes of every file of Tantivy's
_SEGMENT_FILES = (".term", ".idx", ".pos", ".store", ".fast", ".fieldnorm")
_DRAFTS = ("*.new", ".unfinished-*", ".*.unfinished", "engines/*/words/*.new")
_BLOB = re.compile(r"[0-9a-f]{64}")
_ENGINE = re.compile(r"(\d+)-(\d+)")


def words_folder(data_dir: Path, generation: Generation) -> Path:
    """Where the words of a generation are."""
    return engine_folder(data_dir, generation.id, generation.created_at) / "words"


def words(database: Database, data_dir: Path, generation: Generation) -> Iterator[Finding]:
    """The index of words as far as it says that it has followed; nobody feeds it meanwhile."""
    folder, place = words_folder(data_dir, generation), str(generation.id)
    if not (folder / "fed.json").exists():
        return  # the first search makes it
    with exclusive(folder / "lock", wait=True):
        try:
            fed = json.loads((folder / "fed.json").read_bytes())
            if fed["format"] != FORMAT:
                return  # of another version of this program: the next search makes it anew
            if not _is_readable(folder / fed["build"]):
                yield Finding("words_damaged", place)
                return
            index = WordIndex(folder, generation.id)
            index.refresh()
            with database.read() as session:
                integrity.hold_still(session)
                if not _says_the_same(session, index):
                    yield Finding("words_wrong", place)
        except (OSError, ValueError, KeyError, TypeError):  # Tantivy raises nothing but ValueError
            yield Finding("words_damaged", place)


def _says_the_same(session: Session, index: WordIndex) -> bool:
    if not 0 <= index.sequence <= last_change(session, index.generation_id):
        return False
    wanted, touched = stored.indexed_chunks(session, index.generation_id, after=index.sequence)
    return _indexed(index, wanted) == wanted and len(index) == len(wanted) + len(_indexed(index, touched))


def _indexed(index: WordIndex, chunk_ids: Collection[str]) -> dict[str, str]:
    ids = sorted(chunk_ids)
    found: dict[str, str] = {}
    for start in range(0, len(ids), BATCH):
        found |= index.text_shas(ids[start : start + BATCH])
    return found


def _is_readable(build: Path) -> bool:
    """Whether every file of the index is there and has the checksum that its own last bytes say."""
    for segment in json.loads((build / "meta.json").read_bytes())["segments"]:
        name = segment["segment_id"].replace("-", "")
        files = [build / f"{name}{suffix}" for suffix in _SEGMENT_FILES]
        if segment.get("deletes"):
            files.append(build / f"{name}.{segment['deletes']['opstamp']}.del")
        if not all(file.exists() and _has_checksum(file.read_bytes()) for file in files):
            return False
    return True


def _has_checksum(content: bytes) -> bool:
    if len(content) < _FOOTER.size:
        return False
    length, magic = _FOOTER.unpack(content[-_FOOTER.size :])
    end = len(content) - _FOOTER.size - length
    if magic != _MAGIC or end < 0:
        return False
    return bool(json.loads(content[end : -_FOOTER.size])["crc"] == zlib.crc32(content[:end]))


def vectors(session: Session, generation: Generation, settings: IndexSettings) -> Iterator[Finding]:
    """The vectors that a searching process would load: as many as there are live chunks with one."""
    table = VectorTable(generation.id, generation.space_id, settings)
    try:
        table.catch_up(session)
    except SpaceMismatchError:
        return  # said of the stored vector itself
    if len(table) != integrity.live_count(session, generation):
        yield Finding("vectors_wrong", str(generation.id))


def registry(session: Session, data_dir: Path) -> Iterator[Finding]:
    """The feature registry, once it was made."""
    if not (data_dir / APPLIED).exists():
        return
    is_there = _is_registry(data_dir / REGISTRY_FILE) if session.dialect.name == "sqlite" else None
    if is_there is False or (is_there is None and not integrity.has_registry(session)):
        yield Finding("registry_damaged", APPLIED)


def _is_registry(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
            [services] = connection.execute("SELECT count(*) FROM feature_services").fetchone()
    except sqlite3.Error:
        return False
    return bool(verdict == "ok" and services > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Litter:
    """Files that nothing needs: by place, what to delete."""

    data_dir: Path
    young_seconds: float = YOUNG_SECONDS

    def find(self, session: Session) -> dict[Finding, Path]:
        """Everything that may be deleted while no ingestion runs."""
        kept, buried = stored.kept_blobs(session), stored.buried_blobs(session)
        found = dict(self._blobs(kept, buried)) | dict(self._engines(integrity.standing(session)))
        return found | dict(self._uploads(session)) | dict(self._drafts())

    def _blobs(self, kept: set[str], buried: set[str]) -> Iterator[tuple[Finding, Path]]:
        for path in sorted((self.data_dir / "blobs").glob("??/*")):
            name = path.name
            if name in kept:
                continue
            if name in buried:
                yield Finding("deleted_blob_left", name), path
            elif self._is_old(path):
                kind = "blob_unused" if _BLOB.fullmatch(name) else "leftover"
                yield Finding(kind, name), path

    def _engines(self, generations: Collection[Generation]) -> Iterator[tuple[Finding, Path]]:
        standing = {(generation.id, generation.created_at) for generation in generations}
        for path in sorted((self.data_dir / "engines").glob("*")):
            named = _ENGINE.fullmatch(path.name)
            if named and (int(named[1]), int(named[2])) not in standing:
                yield Finding("engine_folder_unused", path.name), path

    def _uploads(self, session: Session) -> Iterator[tuple[Finding, Path]]:
        needed = {Path(path).parent for path in (*queue.open_paths(session), *sources.locations(session))}
        for path in sorted((self.data_dir.resolve() / "uploads").glob("*")):
            if path not in needed and self._is_old(path):
                yield Finding("upload_unused", path.name), path

    def _drafts(self) -> Iterator[tuple[Finding, Path]]:
        drafts = (found for draft in _DRAFTS for found in self.data_dir.glob(draft))
        for path in sorted(drafts):
            if self._is_old(path):
                yield Finding("leftover", str(path.relative_to(self.data_dir))), path

    def _is_old(self, path: Path) -> bool:
        try:
            return path.stat().st_mtime <= time.time() - self.young_seconds
        except FileNotFoundError:
            return False


def delete(path: Path) -> None:
    """Delete a file or a folder; what somebody else has deleted is no error."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
