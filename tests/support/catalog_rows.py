"""Writes documents, chunks and vectors straight into the tables, for tests of what reads them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, select, update

from core import tables as t
from core.catalog.audiences import audience_id
from core.catalog.sequence import record_changes, take
from core.catalog.upsert import insert_missing, upsert
from core.database import Database, Session
from core.words import OPEN_FROM, OPEN_TO, Space, digest_of
from tests.support.databases import url_of

RUN = "0" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One chunk with all that engines know of it; each row of another `document` makes that document too."""

    name: str
    text: str
    vector: NDArray[np.float32]
    document: str = ""
    audience: tuple[str, ...] = ("everyone",)
    source: str = "handbook"
    kind: str = "page"
    author: str = ""
    valid_from: int = OPEN_FROM
    valid_to: int = OPEN_TO
    signals: dict[str, int] = field(default_factory=dict)

    @property
    def chunk_id(self) -> str:
        return digest_of("chunk", self.name)[:32]

    @property
    def document_id(self) -> str:
        return digest_of("document", self.document or self.name)[:32]


def space_of(dimension: int, model: str = "toy") -> Space:
    return Space(model=model, revision="1", runtime="none", dimension=dimension, max_tokens=256)


def create(folder: Path) -> Database:
    """The empty catalogue of this data folder."""
    database = Database(url_of(folder))
    if database.is_sqlite:  # quicker than its migrations; a server's database has been copied with all its tables
        t.metadata.create_all(database.engine)
    return database


def start_generation(database: Database, space: Space, pipeline: str = "p1") -> int:
    """A new generation over `space`, made the live one."""
    with database.write() as session:
        insert_missing(session, t.space, [{"id": space.id, "description": json.dumps(asdict(space))}])
        row = {"pipeline": pipeline, "space_id": space.id, "created_at": 1}
        number = int(session.execute(insert(t.generation).values(row).returning(t.generation.c.id)).scalar_one())
        upsert(session, t.live_generation, [{"id": 1, "generation_id": number}])
    return number


def write(database: Database, generation: int, space: Space, rows: Sequence[Row]) -> None:
    """Insert the rows, or replace those of the same name, with one change row each."""
    with database.write() as session:
        sources = {name: _source(session, name) for name in {row.source for row in rows}}
        audiences = {who: audience_id(session, who) for who in {row.audience for row in rows}}
        versions = _documents(session, rows, sources, audiences)
        first = take(session, len(rows))
        vectors = {_sha(row): np.ascontiguousarray(row.vector, "<f4").tobytes() for row in rows}
        upsert(session, t.embedding, [{"text_sha": s, "space_id": space.id, "vector": v} for s, v in vectors.items()])
        chunks = [
            _chunk(row, generation) | {"version_id": versions[row.document_id], "row_version": first + place}
            for place, row in enumerate(rows)
        ]
        upsert(session, t.chunk, chunks)
        record_changes(session, generation, [(row.chunk_id, first + place) for place, row in enumerate(rows)])
        signals = [_signals(row, first) for row in rows if row.signals]
        if signals:
            upsert(session, t.document_signals, signals)


def remove(database: Database, generation: int, chunk_ids: Sequence[str]) -> None:
    """The chunks are no longer live."""
    with database.write() as session:
        session.execute(update(t.chunk).where(t.chunk.c.id.in_(chunk_ids)).values(live=False))
        first = take(session, len(chunk_ids))
        record_changes(session, generation, [(chunk_id, first + n) for n, chunk_id in enumerate(chunk_ids)])


def audience_of(database: Database, *principals: str) -> int:
    """The number of the audience of exactly these principals."""
    with database.write() as session:
        return audience_id(session, principals)


def unit_vectors(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """Random vectors of length 1, float32 (count, dimension)."""
    drawn = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def _sha(row: Row) -> str:
    return hashlib.sha256(row.text.encode()).hexdigest()


def _source(session: Session, name: str) -> int:
    values = {"name": name, "kind": "files", "workspace": "", "fingerprint": "", "created_at": 1}
    values |= {"location": "", "audience": ""}
    insert_missing(session, t.source, [values])
    number = int(session.execute(select(t.source.c.id).where(t.source.c.name == name)).scalar_one())
    run = {"id": RUN, "source_id": number, "state": "succeeded", "fingerprint": "", "unchanged": 0, "started_at": 1}
    insert_missing(session, t.run, [run])
    return number


def _documents(
    session: Session, rows: Sequence[Row], sources: dict[str, int], audiences: dict[tuple[str, ...], int]
) -> dict[str, int]:
    documents = {
        row.document_id: {
            "id": row.document_id,
            "source_id": sources[row.source],
            "external_id": row.document or row.name,
            "kind": row.kind,
            "title": row.document or row.name,
            "uri": "",
            "audience_id": audiences[row.audience],
            "version_id": None,
            "content_sha": "",
            "blob_sha": "",
            "recorded_at": 1,
        }
        for row in rows
    }
    upsert(session, t.document, list(documents.values()))
    start = {"content_sha": "", "blob_sha": "", "valid_from": 0, "recorded_at": 1, "run_id": RUN}
    made = insert(t.version).returning(t.version.c.document_id, t.version.c.id)
    made_rows = session.execute(made, [start | {"document_id": number} for number in documents])
    versions: dict[str, int] = {row[0]: row[1] for row in made_rows}
    for number, version in versions.items():
        session.execute(update(t.document).where(t.document.c.id == number).values(version_id=version))
    return versions


def _chunk(row: Row, generation: int) -> dict[str, object]:
    return {
        "generation_id": generation,
        "id": row.chunk_id,
        "document_id": row.document_id,
        "ordinal": 0,
        "text": row.text,
        "context": "",
        "text_sha": _sha(row),
        "start": 0,
        "end": len(row.text),
        "anchor": "",
        "author": row.author,
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "live": True,
        "recorded_at": 1,
    }


def _signals(row: Row, version: int) -> dict[str, object]:
    empty = {"last_activity": None, "replies": 0, "reactions": 0, "people": 0, "resolved": 0, "official": 0}
    stored = empty | {"length": len(row.text)} | row.signals
    flags = {name: bool(stored[name]) for name in ("resolved", "official")}
    return stored | flags | {"document_id": row.document_id, "event_timestamp": version, "row_version": version}
