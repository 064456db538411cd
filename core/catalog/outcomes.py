"""What became of each file that a run looked at, for sources that are read file by file."""

from collections import Counter
from collections.abc import Container, Iterator
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, or_, select

from core import tables as t
from core.database import Session

OF_FILES = "files"
"""The kind of source whose ledger has a line for each file, or each part of one that is a document by itself."""


def of_files(session: Session, run_id: str) -> list[dict[str, Any]]:
    """A row for each file, by name; none for a source of another kind.

    `bucket`, `reason` and `items` are those of its line in the ledger: no bucket for what is gone, no item for what
    could not even be counted. `change` is added, changed, removed or unchanged, empty for what reached no document.
    `documents` is how many documents it is about: of what failed, those of earlier runs that still stand unchanged.
    """
    r, s = t.run.c, t.source.c
    if session.execute(select(s.kind).join(t.run, r.source_id == s.id).where(r.id == run_id)).scalar() != OF_FILES:
        return []
    works = _works(session, run_id)
    rows = [_row(*line, works.get(line[0])) for line in _lines(session, run_id)]
    named = {row["file"] for row in rows}
    rows += [_shape(name, change="removed") for name, work in works.items() if _is_gone(work) and name not in named]
    letters = {name: code for name, code in _refused(session, run_id).items() if name not in named}
    rows += [_shape(name, bucket="failed", reason=code) for name, code in letters.items()]
    _tell_what_stands(session, run_id, rows)
    return sorted(rows, key=lambda row: (row["file"], row["bucket"]))


Work = tuple[str, str, str]  # change, state, code of its error


def _lines(session: Session, run_id: str) -> list[tuple[str, str, str, int]]:
    line = t.ledger.c
    counted = select(line.external_id, line.bucket, line.reason, line.item_count)
    of = _detailed(session, run_id)
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(counted.where(line.run_id == of))]


def _detailed(session: Session, run_id: str) -> str:
    """The run itself; where it found its source as it was, the one that it was so after."""
    r, line, this = t.run.c, t.ledger.c, t.run.alias().c
    names = exists().where(line.run_id == r.id, line.external_id != "")
    same = and_(r.source_id == this.source_id, r.fingerprint == this.fingerprint, r.fingerprint != "")
    before = and_(same, r.state == "succeeded", r.finished_at <= this.finished_at)
    wanted = select(r.id).where(this.id == run_id, names, or_(r.id == run_id, before))
    newest = wanted.order_by(case((r.id == run_id, 0), else_=1), r.finished_at.desc()).limit(1)
    return session.execute(newest).scalar() or run_id


def _works(session: Session, run_id: str) -> dict[str, Work]:
    w = t.work.c
    found = session.execute(select(w.external_id, w.change, w.state, w.error_code).where(w.run_id == run_id))
    return {name: (change, state, code) for name, change, state, code in found}


def _refused(session: Session, run_id: str) -> dict[str, str]:
    letter = t.dead_letter.c
    found = select(letter.place, letter.code).where(letter.run_id == run_id, letter.kind == "place")
    return {row[0]: row[1] for row in session.execute(found)}


def _tell_what_stands(session: Session, run_id: str, rows: list[dict[str, Any]]) -> None:
    """Nothing new was read of what failed, so its former documents are still answered from: say how many."""
    failed = {row["file"]: row for row in rows if row["bucket"] == "failed" and not row["change"]}
    if not failed:
        return
    told = {row["file"] for row in rows if row["bucket"] != "failed" or row["change"]}
    places = (_place_of(name, failed) for name in _standing(session, run_id) if name not in told)
    for place, count in Counter(filter(None, places)).items():
        failed[place] |= {"change": "unchanged", "documents": count}


def _standing(session: Session, run_id: str) -> Iterator[str]:
    """The external ids of live documents of its source that were there when the run ended."""
    r, d, v = t.run.c, t.document.c, t.version.c
    then: ColumnElement[bool] = or_(r.finished_at.is_(None), v.recorded_at <= r.finished_at)
    there = exists().where(v.document_id == d.id, then).correlate(t.document, t.run)
    live = (
        select(d.external_id).join(t.run, r.source_id == d.source_id).where(r.id == run_id, d.version_id.is_not(None))
    )
    return (row[0] for row in session.execute(live.where(there)))


def _place_of(name: str, places: Container[str]) -> str:
    """The narrowest of the places that a document lies in: itself, its file or a folder; empty if none."""
    if name in places:
        return name
    ends = [place for place, sign in enumerate(name) if sign in "#/"]
    around = (name[:end] if name[end] == "#" else name[: end + 1] for end in reversed(ends))
    return next((place for place in around if place in places), "")


def _is_gone(work: Work) -> bool:
    return work[0] == "removed" and work[1] in ("pending", "running", "committed")


def _row(name: str, bucket: str, reason: str, items: int, work: Work | None) -> dict[str, Any]:
    change, state, code = work or ("unchanged" if bucket == "indexed" else "", "", "")
    if state in ("quarantined", "cancelled", "superseded"):
        change = ""
    return _shape(name, bucket=bucket, reason=code or reason, change=change, items=items)


def _shape(name: str, *, bucket: str = "", reason: str = "", change: str = "", items: int = 0) -> dict[str, Any]:
    documents = int(bucket == "indexed" and change != "")
    row = {"file": name, "bucket": bucket, "reason": reason, "change": change}
    return row | {"items": items, "documents": documents}
