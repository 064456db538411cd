"""Repairs of what `core.catalog.integrity` finds. Each looks again at what it changes: a late one does no harm."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sqlalchemy import and_, case, delete, func, insert, select, update

from core import tables as t
from core.catalog.feeds import BATCH
from core.catalog.integrity import ENDED
from core.catalog.sequence import count_up, current, lock, record_changes, take
from core.catalog.signals import put_signal_rows, signal_row
from core.catalog.tombstones import hide
from core.catalog.upsert import insert_missing, upsert
from core.database import Session
from core.words import OPEN_TO, Document, Instant, digest_of

Repair = Callable[[Session, Sequence[str], Instant], None]
"""Mends the given places of one kind, in the caller's transaction."""


def repoint(session: Session, _places: Sequence[str], _now: Instant) -> None:
    """Let readers see the active generation; without one, what they see becomes it."""
    g = t.generation.c
    lock(session)
    pointed = session.execute(select(t.live_generation.c.generation_id)).scalar_one_or_none()
    active = set(session.execute(select(g.id).where(g.state == "active")).scalars())
    if pointed in active:
        session.execute(update(t.generation).where(g.state == "active", g.id != pointed).values(state="retired"))
    elif len(active) == 1:
        upsert(session, t.live_generation, [{"id": 1, "generation_id": active.pop()}])
    elif not active:
        session.execute(
            update(t.generation).where(g.id == pointed, g.state.in_(("ready", "retired"))).values(state="active")
        )


def retire_superseded(session: Session, places: Sequence[str], now: Instant) -> None:
    """End chunks that are live and belong to no live version."""
    c, d = t.chunk.c, t.document.c
    right = select(d.id).where(d.id == c.document_id, d.version_id == c.version_id).exists()
    lock(session)
    for number, chunk_ids in _by_generation(places):
        wrong = and_(c.generation_id == number, c.id.in_(chunk_ids), c.live, ~right)
        end = case((c.valid_from > now, c.valid_from), else_=now)
        session.execute(update(t.chunk).where(wrong).values(live=False, valid_to=end))
        _tell(session, number, chunk_ids)


def retire_damaged(session: Session, places: Sequence[str], now: Instant) -> None:
    """End chunks whose text or id is not what it was, and let their documents be brought again."""
    c = t.chunk.c
    lock(session)
    for number, chunk_ids in _by_generation(places):
        mine = and_(c.generation_id == number, c.id.in_(chunk_ids), c.live)
        owners = list(session.execute(select(c.document_id).where(mine).distinct()).scalars())
        session.execute(update(t.chunk).where(mine).values(live=False, valid_to=c.valid_from))
        _tell(session, number, chunk_ids)
        bring_again(session, [f"{number}/{owner}" for owner in owners], now)


def bring_again(session: Session, places: Sequence[str], _now: Instant) -> None:
    """Let the next run of their source take these documents (`generation/document`, or the id alone) as changed.

    What a generation lacks that readers do not see is built again there.
    """
    d = t.document.c
    live = session.execute(select(t.live_generation.c.generation_id)).scalar_one_or_none()
    for place in places:
        number, _, document_id = place.rpartition("/")
        if number and int(number) != live:
            row = {"generation_id": int(number), "document_id": document_id, "state": "pending", "attempt": 0}
            upsert(session, t.build, [row | {"lease_token": "", "error_code": "", "error": ""}])
            continue
        session.execute(update(t.document).where(d.id == document_id).values(content_sha="", blob_sha=""))
        owner = select(d.source_id).where(d.id == document_id).scalar_subquery()
        session.execute(update(t.source).where(t.source.c.id == owner).values(fingerprint=""))


def close_intervals(session: Session, places: Sequence[str], _now: Instant) -> None:
    """Let a chunk that ends before it begins never have held, or hold still if it is live."""
    c = t.chunk.c
    for number, chunk_ids in _by_generation(places):
        mine = and_(c.generation_id == number, c.id.in_(chunk_ids), c.valid_from > c.valid_to)
        end = case((c.live, OPEN_TO), else_=c.valid_from)
        session.execute(update(t.chunk).where(mine).values(valid_to=end))
        _tell(session, number, chunk_ids)


def tell_again(session: Session, places: Sequence[str], _now: Instant) -> None:
    """Record that these chunks changed: the engines look at them once more."""
    for number, chunk_ids in _by_generation(places):
        _tell(session, number, chunk_ids)


def hide_deleted(session: Session, places: Sequence[str], now: Instant) -> None:
    """Take away whatever came back of deleted documents, and let their purge go over them once more."""
    c, b = t.chunk.c, t.tombstone.c
    lock(session)
    hide(session, places, removed=True)
    for document_id in places:
        rows = session.execute(select(c.generation_id, c.id).where(c.document_id == document_id)).all()
        session.execute(delete(t.chunk).where(c.document_id == document_id))
        tell_again(session, [f"{number}/{chunk_id}" for number, chunk_id in rows], now)
        session.execute(update(t.tombstone).where(b.kind == "document", b.key == document_id).values(purged_at=None))


def raise_counter(session: Session, _places: Sequence[str], _now: Instant) -> None:
    """Put the counter of changes where the newest of them is."""
    lock(session)
    newest = session.execute(select(func.coalesce(func.max(t.change.c.seq), 0))).scalar_one()
    version = session.execute(select(func.coalesce(func.max(t.version.c.id), 0))).scalar_one()
    count_up(session, "change", max(0, newest - current(session), version - current(session)))


def close_work(session: Session, places: Sequence[str], _now: Instant) -> None:
    """Close what ended runs left open."""
    w, r = t.work.c, t.run.c
    ended = select(r.id).where(r.state.in_(ENDED))
    mine = and_(w.id.in_(list(map(int, places))), w.state.in_(("pending", "running")), w.run_id.in_(ended))
    session.execute(update(t.work).where(mine).values(state="superseded"))


def note_lost_lines(session: Session, places: Sequence[str], _now: Instant) -> None:
    """Say in the ledger that a line of unknown count was lost; the source's next run counts everything anew."""
    w = t.work.c
    rows = session.execute(select(w.run_id, w.external_id).where(w.id.in_(list(map(int, places))))).all()
    line = {"channel": "", "bucket": "failed", "reason": "line_lost", "item_count": 0}
    if rows:
        session.execute(insert(t.ledger), [{"run_id": run, "external_id": name} | line for run, name in rows])
    sources = select(t.run.c.source_id).where(t.run.c.id.in_({run for run, _ in rows}))
    session.execute(update(t.source).where(t.source.c.id.in_(sources)).values(fingerprint=""))


def forget_blobs(session: Session, places: Sequence[str], now: Instant) -> None:
    """Let versions do without a canonical form that is lost (`version/7`); a live `document/…` is brought again."""
    bring_again(session, [_named(place, "document") for place in places if place.startswith("document/")], now)
    numbers = [int(_named(place, "version")) for place in places if place.startswith("version/")]
    for start in range(0, len(numbers), BATCH):
        mine = t.version.c.id.in_(numbers[start : start + BATCH])
        session.execute(update(t.version).where(mine).values(blob_sha=""))


def choose_version(session: Session, places: Sequence[str], now: Instant) -> None:
    """Point documents to the newest version of their content; one that has none is brought again."""
    d, v = t.document.c, t.version.c
    lock(session)
    for document_id in places:
        same = and_(v.document_id == d.id, v.content_sha == d.content_sha)
        found = session.execute(select(func.max(v.id)).join(t.document, same).where(d.id == document_id)).scalar()
        if found is None:
            bring_again(session, [document_id], now)
        else:
            session.execute(update(t.document).where(d.id == document_id).values(version_id=found))


def put_signals(session: Session, found: Mapping[str, Document], now: Instant) -> None:
    """Write the signals of documents (by id) anew."""
    first = take(session, max(1, len(found)))
    rows = [
        signal_row(
            number,
            document.signals,
            length=sum(len(block.text) for block in document.blocks),
            recorded_at=now,
            row_version=first + place,
        )
        for place, (number, document) in enumerate(sorted(found.items()))
    ]
    put_signal_rows(session, rows)


def blobs_of(session: Session, document_ids: Sequence[str]) -> dict[str, str]:
    """The blob hash of each of these documents."""
    d = t.document.c
    rows: dict[str, str] = {}
    for start in range(0, len(document_ids), BATCH):
        some = select(d.id, d.blob_sha).where(d.id.in_(document_ids[start : start + BATCH]))
        rows.update((row[0], row[1]) for row in session.execute(some))
    return rows


def blobs_of_audience(session: Session, number: int) -> list[str]:
    """Blob hashes of live documents that this audience may read."""
    d = t.document.c
    rows = select(d.blob_sha).where(d.audience_id == number, d.version_id.is_not(None)).order_by(d.id)
    return list(session.execute(rows).scalars())


def restore_audience(session: Session, number: int, candidates: Iterable[Sequence[str]]) -> bool:
    """Give an audience the principals it was made for, if one of these sets is that; whether one was."""
    wanted = session.execute(select(t.audience.c.digest).where(t.audience.c.id == number)).scalar_one()
    for principals in candidates:
        if digest_of(*sorted(set(principals))) == wanted:
            p = t.audience_principal.c
            session.execute(delete(t.audience_principal).where(p.audience_id == number))
            rows = [{"principal": name, "audience_id": number} for name in sorted(set(principals))]
            insert_missing(session, t.audience_principal, rows)
            return True
    return False


def texts_to_embed(session: Session, space_id: str, text_shas: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(text hash, indexed text) of these texts, from a chunk of this space that has each of them."""
    c = t.chunk.c
    for start in range(0, len(text_shas), BATCH):
        some = c.text_sha.in_(text_shas[start : start + BATCH])
        rows = select(c.text_sha, c.context, c.text).join(t.generation, t.generation.c.id == c.generation_id)
        found = session.execute(rows.where(some, t.generation.c.space_id == space_id))
        yield from {sha: f"{context}\n{said}" if context else said for sha, context, said in found}.items()


def text_shas_of(session: Session, places: Sequence[str]) -> dict[str, set[str]]:
    """The text hashes of chunks (`generation/chunk`), by the space of their generation."""
    c, g = t.chunk.c, t.generation.c
    found: defaultdict[str, set[str]] = defaultdict(set)
    for number, chunk_ids in _by_generation(places):
        rows = select(g.space_id, c.text_sha).join(t.generation, g.id == c.generation_id)
        for space_id, sha in session.execute(rows.where(c.generation_id == number, c.id.in_(chunk_ids))):
            found[space_id].add(sha)
    return found


def replace_embeddings(session: Session, space_id: str, vectors: Mapping[str, bytes]) -> None:
    """Store these vectors (float32, little endian) by text hash; every live chunk of such a text changes."""
    c, g = t.chunk.c, t.generation.c
    rows = [{"text_sha": sha, "space_id": space_id, "vector": raw} for sha, raw in sorted(vectors.items())]
    if not rows:
        return
    upsert(session, t.embedding, rows)
    shas = sorted(vectors)
    for start in range(0, len(shas), BATCH):
        sharing = select(c.generation_id, c.id).join(t.generation, g.id == c.generation_id)
        mine = and_(g.space_id == space_id, c.live, c.text_sha.in_(shas[start : start + BATCH]))
        places = [f"{number}/{chunk_id}" for number, chunk_id in session.execute(sharing.where(mine))]
        for number, chunk_ids in _by_generation(places):
            _tell(session, number, chunk_ids)


def delete_embeddings(session: Session, space_id: str, text_shas: Sequence[str]) -> None:
    """Forget vectors that no chunk has."""
    c, e, g = t.chunk.c, t.embedding.c, t.generation.c
    used = select(c.id).where(c.text_sha == e.text_sha, g.id == c.generation_id, g.space_id == space_id).exists()
    for start in range(0, len(text_shas), BATCH):
        some = e.text_sha.in_(text_shas[start : start + BATCH])
        session.execute(delete(t.embedding).where(e.space_id == space_id, some, ~used))


def _named(place: str, what: str) -> str:
    return place.removeprefix(f"{what}/")


def _tell(session: Session, generation_id: int, chunk_ids: Sequence[str]) -> None:
    first = take(session, len(chunk_ids))
    record_changes(session, generation_id, [(chunk_id, first + n) for n, chunk_id in enumerate(sorted(chunk_ids))])


def _by_generation(places: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The chunk ids of places spelled `generation/chunk`, some of one generation at a time."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for place in places:
        number, _, chunk_id = place.partition("/")
        found[int(number)].append(chunk_id)
    for generation_id, chunk_ids in sorted(found.items()):
        for start in range(0, len(chunk_ids), BATCH):
            yield generation_id, chunk_ids[start : start + BATCH]


REPAIRS: Mapping[str, Repair] = {
    "pointer_wrong": repoint,
    "version_wrong": choose_version,
    "deleted_readable": hide_deleted,
    "deleted_left": hide_deleted,
    "superseded_live": retire_superseded,
    "interval_wrong": close_intervals,
    "change_missing": tell_again,
    "counter_behind": raise_counter,
    "work_left": close_work,
    "ledger_line_lost": note_lost_lines,
    "chunk_damaged": retire_damaged,
    "chunks_missing": bring_again,
    "blob_damaged": forget_blobs,
}
"""What is mended within the catalogue alone, by the kind of the finding."""
