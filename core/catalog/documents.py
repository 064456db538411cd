"""The commit of one document: its version, chunks, vectors, signals and change rows, in one transaction.

It is written for one generation. In the others that stand its old chunks end with it, and its new state is owed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from sqlalchemy import and_, bindparam, insert, select, update

from core import tables as t
from core.catalog import builds
from core.catalog.audiences import audience_id
from core.catalog.feeds import BATCH
from core.catalog.sequence import lock, record_changes, take
from core.catalog.signals import put_signal_rows, signal_row
from core.catalog.upsert import insert_missing, upsert
from core.database import Session
from core.errors import ThreadwiseError
from core.words import OPEN_FROM, OPEN_TO, Chunk, Document, Instant, document_id_of


class VectorMissingError(ThreadwiseError):
    """A vector that was stored when its document was prepared has been deleted meanwhile."""

    code = "vector_missing"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What planning compares a document with. `live` is false once it was removed."""

    content_sha: str
    blob_sha: str
    audience: frozenset[str]
    valid_from: int
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A document's new state, cut and embedded. `vectors` are those that were not stored yet, by text hash."""

    document: Document
    blob_sha: str
    chunks: Sequence[Chunk] = ()
    vectors: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a document goes: the source, the run that brings it, the generation and space it is written for.

    The run is empty where a stored version is made again for another generation.
    """

    source_id: int
    source: str
    run_id: str
    generation_id: int
    space_id: str


def known_documents(session: Session, source_id: int) -> dict[str, Known]:
    """Every document the catalogue has of one source, by external id."""
    c = t.document.c
    readers = _audiences(session, source_id)
    columns = (c.external_id, c.content_sha, c.blob_sha, c.audience_id, c.version_id, t.version.c.valid_from)
    versions = t.document.outerjoin(t.version, t.version.c.id == c.version_id)
    rows = session.execute(select(*columns).select_from(versions).where(c.source_id == source_id))
    return {
        row[0]: Known(
            content_sha=row[1],
            blob_sha=row[2],
            audience=readers[row[3]],
            valid_from=row[5] or OPEN_FROM,
            live=row[4] is not None,
        )
        for row in rows
    }


def _audiences(session: Session, source_id: int) -> dict[int, frozenset[str]]:
    p = t.audience_principal.c
    used = select(t.document.c.audience_id).where(t.document.c.source_id == source_id)
    members: defaultdict[int, set[str]] = defaultdict(set)
    for number, principal in session.execute(select(p.audience_id, p.principal).where(p.audience_id.in_(used))):
        members[number].add(principal)
    return defaultdict(frozenset, {number: frozenset(names) for number, names in members.items()})


def content_of(session: Session, source: str, external_id: str) -> str | None:
    """The content hash of a live document, or None."""
    c = t.document.c
    mine = and_(c.id == document_id_of(source, external_id), c.version_id.is_not(None))
    return session.execute(select(c.content_sha).where(mine)).scalar_one_or_none()


def cached_texts(session: Session, space_id: str, text_shas: Sequence[str]) -> frozenset[str]:
    """Those of these texts whose vectors are stored already."""
    found: set[str] = set()
    for start in range(0, len(text_shas), BATCH):
        where = and_(t.embedding.c.space_id == space_id, t.embedding.c.text_sha.in_(text_shas[start : start + BATCH]))
        found.update(row[0] for row in session.execute(select(t.embedding.c.text_sha).where(where)))
    return frozenset(found)


def commit_versions(session: Session, target: Target, batch: Sequence[NewVersion], *, now: Instant) -> None:
    """Make these states the live ones; their older versions' chunks leave the live engines with it.

    One statement for each table, however many documents share the transaction.
    """
    if not batch:
        return
    lock(session)
    numbers = [document_id_of(target.source, new.document.external_id) for new in batch]
    retired = _retire(session, target, dict(zip(numbers, batch, strict=True)), now)
    mine = retired.pop(target.generation_id, {})
    touched = [
        sorted({*mine.get(number, ()), *(c.id for c in new.chunks)}) for number, new in zip(numbers, batch, strict=True)
    ]
    # A version is numbered by the last change of its commit; a document without chunks takes a number too.
    places = [max(1, len(chunk_ids)) for chunk_ids in touched]
    first = take(session, sum(places))
    versions = [first + end - 1 for end in accumulate(places)]
    documents = _document_rows(session, target, batch, now)
    upsert(
        session,
        t.document,
        [row | {"version_id": number} for row, number in zip(documents, versions, strict=True)],
    )
    session.execute(
        insert(t.version),
        [_version_row(target, new, number, now) for new, number in zip(batch, versions, strict=True)],
    )
    changes = _change_rows(touched, places, first)
    _put_chunks(session, target, batch, versions=versions, changes=dict(changes), now=now)
    record_changes(session, target.generation_id, changes)
    _record_elsewhere(session, retired)
    others = [number for number in builds.standing(session) if number != target.generation_id]
    builds.owe(session, others, numbers)
    builds.forgive(session, [target.generation_id], numbers)
    _put_signals(session, target, batch, versions, now)


def commit_built(
    session: Session, target: Target, batch: Sequence[NewVersion], versions: Sequence[int], *, now: Instant
) -> None:
    """Write what was made of these live versions for a generation; what it had of these documents ends.

    The caller holds the lock of `sequence.lock` and has checked that the versions are still the live ones.
    """
    if not batch:
        return
    numbers = [document_id_of(target.source, new.document.external_id) for new in batch]
    wanted = {chunk.id for new in batch for chunk in new.chunks}
    before = [chunk_id for _, chunk_id, *_ in _live_chunks(session, [target.generation_id], numbers)]
    ended = [{"ended_in": target.generation_id, "ended_chunk": chunk_id, "ended_at": now} for chunk_id in before]
    _end(session, [row for row in ended if row["ended_chunk"] not in wanted])
    touched = sorted({*before, *wanted})
    first = take(session, max(1, len(touched)))
    changes = [(chunk_id, first + place) for place, chunk_id in enumerate(touched)]
    _put_chunks(session, target, batch, versions=versions, changes=dict(changes), now=now)
    record_changes(session, target.generation_id, changes)
    builds.forgive(session, [target.generation_id], numbers)


def commit_metadata(session: Session, target: Target, batch: Sequence[NewVersion], *, now: Instant) -> None:
    """Store new audiences or signals of documents whose content did not change: no version, no embedding."""
    if not batch:
        return
    lock(session)
    rows = _document_rows(session, target, batch, now)
    d = t.document.c
    numbers = [row["id"] for row in rows]
    before = dict(session.execute(select(d.id, d.audience_id).where(d.id.in_(numbers))).all())
    moved = [row["id"] for row in rows if row["audience_id"] != before[row["id"]]]
    _record_moved(session, moved)
    first = take(session, len(rows))
    upsert(session, t.document, rows)
    _put_signals(session, target, batch, range(first, first + len(rows)), now)


def narrow_audiences(session: Session, *, source: str, audiences: Mapping[str, Iterable[str]]) -> None:
    """Give documents (by external id) a smaller audience at once, whatever becomes of their new content later."""
    left: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for external_id, principals in audiences.items():
        left[tuple(sorted(principals))].append(document_id_of(source, external_id))
    if not left:
        return
    lock(session)
    for readers, numbers in sorted(left.items()):
        row = {"audience_id": audience_id(session, readers)}
        for start in range(0, len(numbers), BATCH):
            some = numbers[start : start + BATCH]
            session.execute(update(t.document).where(t.document.c.id.in_(some)).values(row))
    _record_moved(session, [number for numbers in left.values() for number in numbers])


def commit_removals(session: Session, target: Target, external_ids: Sequence[str], *, now: Instant) -> None:
    """Hide documents that their source no longer has. Their history stays; from this commit on nobody reads them."""
    if not external_ids:
        return
    lock(session)
    numbers = [document_id_of(target.source, external_id) for external_id in external_ids]
    gone = update(t.document).where(t.document.c.id.in_(numbers))
    session.execute(gone.values(version_id=None, recorded_at=now))
    retired = _retire(session, target, dict.fromkeys(numbers), now)
    _record_elsewhere(session, retired)
    builds.forgive(session, builds.standing(session), numbers)


def _record_moved(session: Session, document_ids: Sequence[str]) -> None:
    """Tell the engines of every generation that what they filter these documents by has changed."""
    found: defaultdict[int, dict[str, list[str]]] = defaultdict(dict)
    generations = builds.standing(session)
    for start in range(0, len(document_ids), BATCH):
        for number, chunk_id, *_ in _live_chunks(session, generations, document_ids[start : start + BATCH]):
            found[number].setdefault("", []).append(chunk_id)
    _record_elsewhere(session, found)


def _record_elsewhere(session: Session, touched: Mapping[int, Mapping[str, Sequence[str]]]) -> None:
    """One change row for each chunk, given by generation and document."""
    rows = [
        (number, chunk_id) for number, found in sorted(touched.items()) for ids in found.values() for chunk_id in ids
    ]
    first = take(session, len(rows)) if rows else 0
    changes: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for place, (number, chunk_id) in enumerate(sorted(rows)):
        changes[number].append((chunk_id, first + place))
    for number, mine in changes.items():
        record_changes(session, number, mine)


def _document_rows(session: Session, target: Target, batch: Sequence[NewVersion], now: Instant) -> list[dict[str, Any]]:
    audiences = {key: audience_id(session, key) for key in sorted({new.document.audience for new in batch})}
    return [
        {
            "id": document_id_of(target.source, new.document.external_id),
            "source_id": target.source_id,
            "external_id": new.document.external_id,
            "kind": new.document.kind,
            "title": new.document.title,
            "uri": new.document.uri,
            "audience_id": audiences[new.document.audience],
            "content_sha": new.document.content_sha,
            "blob_sha": new.blob_sha,
            "language": new.document.language,
            "recorded_at": now,
        }
        for new in batch
    ]


def _version_row(target: Target, new: NewVersion, number: int, now: Instant) -> dict[str, Any]:
    document = new.document
    return {
        "id": number,
        "document_id": document_id_of(target.source, document.external_id),
        "content_sha": document.content_sha,
        "blob_sha": new.blob_sha,
        "valid_from": document.valid_from or _newest(document) or OPEN_FROM,
        "recorded_at": now,
        "run_id": target.run_id,
    }


def _change_rows(touched: Sequence[Sequence[str]], places: Sequence[int], first: int) -> list[tuple[str, int]]:
    """(chunk id, change number), each document's chunks within the numbers that were taken for it."""
    starts = [first, *(first + end for end in accumulate(places))]
    return [
        (chunk_id, start + place)
        for start, chunk_ids in zip(starts, touched, strict=False)
        for place, chunk_id in enumerate(chunk_ids)
    ]


def _newest(document: Document) -> Instant | None:
    return max((block.at for block in document.blocks if block.at is not None), default=None)


def _retire(
    session: Session, target: Target, successors: Mapping[str, NewVersion | None], now: Instant
) -> dict[int, dict[str, list[str]]]:
    """End the validity of the documents' live chunks in every generation; their ids by generation and document id."""
    ended: list[dict[str, Any]] = []
    retired: defaultdict[int, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    generations = {*builds.standing(session), target.generation_id}
    for number, chunk_id, document_id, text_sha, valid_from in _live_chunks(session, generations, list(successors)):
        new = successors[document_id]
        standing = {(chunk.text_sha, chunk.valid_from) for chunk in new.chunks} if new else set()
        at = (_newest(new.document) if new else None) or now
        # What the new version repeats word for word was replaced, not ended: its interval becomes empty.
        end = valid_from if (text_sha, valid_from) in standing else max(valid_from, at)
        ended.append({"ended_in": number, "ended_chunk": chunk_id, "ended_at": end})
        retired[number][document_id].append(chunk_id)
    _end(session, ended)
    return {number: dict(found) for number, found in retired.items()}


def _end(session: Session, ended: Sequence[Mapping[str, Any]]) -> None:
    if ended:
        one = (t.chunk.c.generation_id == bindparam("ended_in")) & (t.chunk.c.id == bindparam("ended_chunk"))
        session.execute(
            update(t.chunk).where(one).values(live=False, valid_to=bindparam("ended_at")), [dict(row) for row in ended]
        )


def _live_chunks(session: Session, generation_ids: Iterable[int], document_ids: Sequence[str]) -> list[Any]:
    c = t.chunk.c
    mine = and_(c.document_id.in_(document_ids), c.generation_id.in_(sorted(generation_ids)), c.live)
    columns = (c.generation_id, c.id, c.document_id, c.text_sha, c.valid_from)
    return list(session.execute(select(*columns).where(mine).order_by(c.generation_id, c.id)))


def _put_chunks(
    session: Session,
    target: Target,
    batch: Sequence[NewVersion],
    *,
    versions: Sequence[int],
    changes: Mapping[str, int],
    now: Instant,
) -> None:
    rows: list[dict[str, Any]] = []
    vectors: dict[str, bytes] = {}
    for new, version in zip(batch, versions, strict=True):
        place = {
            "generation_id": target.generation_id,
            "document_id": document_id_of(target.source, new.document.external_id),
            "version_id": version,
            "recorded_at": now,
        }
        rows += [_chunk_row(chunk, changes[chunk.id]) | place for chunk in new.chunks]
        vectors |= new.vectors
    _require_vectors(session, target.space_id, {row["text_sha"] for row in rows} - vectors.keys())
    if rows:
        upsert(session, t.chunk, rows)
    made = [{"text_sha": sha, "space_id": target.space_id, "vector": raw} for sha, raw in sorted(vectors.items())]
    insert_missing(session, t.embedding, made)


def _require_vectors(session: Session, space_id: str, text_shas: set[str]) -> None:
    """Nobody searches for a chunk without its vector: the work is done again instead."""
    missing = text_shas - cached_texts(session, space_id, sorted(text_shas))
    if missing:
        raise VectorMissingError(f"{len(missing)} stored vectors were deleted meanwhile.", hint="It is tried again.")


def _chunk_row(chunk: Chunk, row_version: int) -> dict[str, Any]:
    return {
        "id": chunk.id,
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "context": chunk.context,
        "text_sha": chunk.text_sha,
        "start": chunk.start,
        "end": chunk.end,
        "anchor": chunk.anchor,
        "author": chunk.author,
        "valid_from": chunk.valid_from,
        "valid_to": OPEN_TO,
        "live": True,
        "row_version": row_version,
    }


def _put_signals(
    session: Session, target: Target, batch: Sequence[NewVersion], versions: Sequence[int], now: Instant
) -> None:
    rows = [
        signal_row(
            document_id_of(target.source, new.document.external_id),
            new.document.signals,
            length=sum(len(block.text) for block in new.document.blocks),
            recorded_at=now,
            row_version=version,
        )
        for new, version in zip(batch, versions, strict=True)
    ]
    put_signal_rows(session, rows)
