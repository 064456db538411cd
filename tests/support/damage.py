"""Damage to a healthy installation: each kind breaks one thing at a place that a seeded draw chooses."""

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import tantivy
from sqlalchemy import Table, delete, func, insert, select, update

from core import tables as t
from core.catalog import integrity, tombstones
from core.catalog.tombstones import Burial
from core.database import Session
from core.words import OPEN_TO, Instant
from features import words_schema
from threadwise.derived import words_folder
from threadwise.runtime import Threadwise

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Damage:
    """How something is broken, and the kind of finding that says so."""

    found_as: str
    do: Callable[[Threadwise, random.Random], None]


def _drawn(session: Session, draw: random.Random, statement: object) -> object:
    return draw.choice(sorted(session.execute(statement).scalars().all()))  # type: ignore[call-overload]


def live_chunk(session: Session, draw: random.Random) -> str:
    return str(_drawn(session, draw, select(t.chunk.c.id).where(t.chunk.c.live)))


def live_document(session: Session, draw: random.Random) -> str:
    return str(_drawn(session, draw, select(t.document.c.id).where(t.document.c.version_id.is_not(None))))


def _blob(threadwise: Threadwise, draw: random.Random) -> Path:
    with threadwise.database.read() as session:
        number = live_document(session, draw)
        sha = session.execute(select(t.document.c.blob_sha).where(t.document.c.id == number)).scalar_one()
    return threadwise.blobs.folder / str(sha)[:2] / str(sha)


def lose_blob(threadwise: Threadwise, draw: random.Random) -> None:
    _blob(threadwise, draw).unlink()


def flip_blob(threadwise: Threadwise, draw: random.Random) -> None:
    path = _blob(threadwise, draw)
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def orphan_blob(threadwise: Threadwise, draw: random.Random) -> None:
    sha = threadwise.blobs.put(draw.randbytes(50))
    _age(threadwise.blobs.folder / sha[:2] / sha)


def unfinished_blob(threadwise: Threadwise, draw: random.Random) -> None:
    path = threadwise.blobs.folder / "ab" / f".{'ab' * 32}.{draw.randrange(1000)}.1"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(b"half of")
    _age(path)


def forgotten_upload(threadwise: Threadwise, draw: random.Random) -> None:
    folder = threadwise.uploads / f"upload{draw.randrange(1000)}"
    folder.mkdir(parents=True)
    (folder / "export.zip").write_bytes(b"PK")
    _age(folder)


def forgotten_engine(threadwise: Threadwise, draw: random.Random) -> None:
    folder = threadwise.settings.data_dir / "engines" / f"{draw.randrange(100, 999)}-1" / "words"
    folder.mkdir(parents=True)


def _age(path: Path) -> None:
    old = path.stat().st_mtime - 2 * DAY
    os.utime(path, (old, old))


def _text_sha(session: Session, draw: random.Random) -> str:
    chunk = live_chunk(session, draw)
    return str(session.execute(select(t.chunk.c.text_sha).where(t.chunk.c.id == chunk, t.chunk.c.live)).scalar_one())


def lose_embedding(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        session.execute(delete(t.embedding).where(t.embedding.c.text_sha == _text_sha(session, draw)))


def corrupt_embedding(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        mine = t.embedding.c.text_sha == _text_sha(session, draw)
        raw = bytes(session.execute(select(t.embedding.c.vector).where(mine)).scalar_one())
        half = len(raw) // 2
        broken = draw.choice(
            [raw[:-4], raw[:half] + bytes(len(raw) - half), b"\xff" * len(raw), draw.randbytes(len(raw))]
        )
        session.execute(update(t.embedding).where(mine).values(vector=broken))


def orphan_embedding(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        space, raw = session.execute(select(t.embedding.c.space_id, t.embedding.c.vector).limit(1)).one()
        row = {"text_sha": draw.randbytes(32).hex(), "space_id": space, "vector": raw}
        session.execute(insert(t.embedding).values(row))


def lose_chunk(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        session.execute(delete(t.chunk).where(t.chunk.c.id == live_chunk(session, draw)))


def change_chunk_text(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        mine = t.chunk.c.id == live_chunk(session, draw)
        session.execute(update(t.chunk).where(mine).values(text=t.chunk.c.text + " not"))


def change_chunk_order(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        mine = t.chunk.c.id == live_chunk(session, draw)
        session.execute(update(t.chunk).where(mine).values(ordinal=t.chunk.c.ordinal + 7))


def turn_interval(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        mine = t.chunk.c.id == live_chunk(session, draw)
        session.execute(update(t.chunk).where(mine).values(valid_to=t.chunk.c.valid_from - 1))


def revive_old_version(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        old = select(t.chunk.c.id).join(t.document, t.document.c.id == t.chunk.c.document_id)
        superseded = t.document.c.version_id != t.chunk.c.version_id
        chunk = _drawn(session, draw, old.where(~t.chunk.c.live, superseded))
        session.execute(update(t.chunk).where(t.chunk.c.id == chunk).values(live=True, valid_to=OPEN_TO))


def misname_version(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        mine = t.document.c.id == live_document(session, draw)
        session.execute(update(t.document).where(mine).values(version_id=t.document.c.version_id + 1_000_000))


def lose_signals(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        mine = t.document_signals.c.document_id == live_document(session, draw)
        session.execute(delete(t.document_signals).where(mine))


def lose_changes(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        session.execute(delete(t.change).where(t.change.c.chunk_id == live_chunk(session, draw)))


def lower_counter(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        lower = update(t.counter).where(t.counter.c.name == "change")
        session.execute(lower.values(value=t.counter.c.value - draw.randint(1, 5)))


def retire_what_is_live(threadwise: Threadwise, _draw: random.Random) -> None:
    with threadwise.database.write() as session:
        session.execute(update(t.generation).where(t.generation.c.state == "active").values(state="retired"))


def revive_deleted(threadwise: Threadwise, draw: random.Random) -> None:
    """Bury a document as a deletion does, then let it come back as an import that knows no tombstones would."""
    with threadwise.database.write() as session:
        number = live_document(session, draw)
        name, source = session.execute(
            select(t.document.c.external_id, t.source.c.name).join(t.source).where(t.document.c.id == number)
        ).one()
        tombstones.bury(session, Burial(kind="document", key=number, source=source, external_id=name, at=Instant(1)))
        tombstones.hide(session, [number], removed=True)
        session.execute(update(t.chunk).where(t.chunk.c.document_id == number).values(live=True, valid_to=OPEN_TO))


def lose_ledger_line(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        worked = select(t.work.c.external_id).where(t.work.c.run_id == t.ledger.c.run_id, t.work.c.change != "removed")
        lines = select(t.ledger.c.id).where(t.ledger.c.external_id.in_(worked))
        session.execute(delete(t.ledger).where(t.ledger.c.id == _drawn(session, draw, lines)))


def leave_work(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        number = _drawn(session, draw, select(t.work.c.id).where(t.work.c.change != "removed"))
        row = dict(session.execute(select(t.work).where(t.work.c.id == number)).mappings().one())
        session.execute(insert(t.work).values({**row, "id": _next(session, t.work), "state": "pending"}))


def widen_audience(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.write() as session:
        number = _drawn(session, draw, select(t.document.c.audience_id).where(t.document.c.version_id.is_not(None)))
        row = {"audience_id": number, "principal": f"T9/U{draw.randrange(1000)}"}
        session.execute(insert(t.audience_principal).values(row))


def _next(session: Session, table: Table) -> int:
    return int(session.execute(select(func.max(table.c.id))).scalar_one()) + 1_000_000


def _build(threadwise: Threadwise) -> Path:
    with threadwise.database.read() as session:
        [generation] = integrity.standing(session)
    folder = words_folder(threadwise.settings.data_dir, generation)
    [build] = [path for path in folder.iterdir() if path.is_dir()]
    return build


def _segment_file(threadwise: Threadwise, draw: random.Random) -> Path:
    files = [path for path in _build(threadwise).iterdir() if path.suffix in (".idx", ".store", ".term")]
    return draw.choice(sorted(files))


def truncate_words(threadwise: Threadwise, draw: random.Random) -> None:
    path = draw.choice(
        sorted(path for path in _build(threadwise).glob("*.*") if path.suffix in (".idx", ".store", ".term"))
    )
    _replace(path, path.read_bytes()[: path.stat().st_size // 2])


def flip_words(threadwise: Threadwise, draw: random.Random) -> None:
    path = draw.choice(
        sorted(path for path in _build(threadwise).glob("*.*") if path.suffix in (".idx", ".store", ".term"))
    )
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content) // 2)] ^= 0xFF
    _replace(path, bytes(content))


def _replace(path: Path, content: bytes) -> None:
    """Under the same name, another file: a process that has the old one mapped would die of its being cut off."""
    damaged = path.with_name("damaged")
    damaged.write_bytes(content)
    damaged.replace(path)


def lose_word_document(threadwise: Threadwise, draw: random.Random) -> None:
    with threadwise.database.read() as session:
        chunk = live_chunk(session, draw)
    index = tantivy.Index.open(str(_build(threadwise)))
    words_schema.register(index)
    writer = index.writer(15_000_000, 1)
    writer.delete_documents_by_term("chunk_id", chunk)
    writer.commit()
    writer.wait_merging_threads()


DAMAGES: Mapping[str, Damage] = {
    "blob lost": Damage("blob_damaged", lose_blob),
    "blob altered": Damage("blob_damaged", flip_blob),
    "blob of nobody": Damage("blob_unused", orphan_blob),
    "blob half written": Damage("leftover", unfinished_blob),
    "upload of nobody": Damage("upload_unused", forgotten_upload),
    "engine of nobody": Damage("engine_folder_unused", forgotten_engine),
    "vector lost": Damage("embedding_missing", lose_embedding),
    "vector corrupted": Damage("embedding_damaged", corrupt_embedding),
    "vector of nobody": Damage("embedding_unused", orphan_embedding),
    "chunk lost": Damage("chunks_missing", lose_chunk),
    "chunk reworded": Damage("chunk_damaged", change_chunk_text),
    "chunk renumbered": Damage("chunk_damaged", change_chunk_order),
    "interval turned": Damage("interval_wrong", turn_interval),
    "second live version": Damage("superseded_live", revive_old_version),
    "version misnamed": Damage("version_wrong", misname_version),
    "signals lost": Damage("signals_missing", lose_signals),
    "changes lost": Damage("change_missing", lose_changes),
    "counter behind": Damage("counter_behind", lower_counter),
    "pointer to a retired generation": Damage("pointer_wrong", retire_what_is_live),
    "deleted document came back": Damage("deleted_readable", revive_deleted),
    "ledger line lost": Damage("ledger_line_lost", lose_ledger_line),
    "work of an ended run": Damage("work_left", leave_work),
    "audience widened": Damage("audience_wrong", widen_audience),
    "words truncated": Damage("words_damaged", truncate_words),
    "words altered": Damage("words_damaged", flip_words),
    "words lack a chunk": Damage("words_wrong", lose_word_document),
}
