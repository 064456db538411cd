"""The scalar features of documents: written in the document's own commit, read by the feature store."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import select

from core import tables as t
from core.catalog.upsert import upsert
from core.database import Session
from core.words import Signals

SIGNAL_COLUMNS = ("last_activity", "replies", "reactions", "people", "resolved", "official", "length")


def signal_row(
    document_id: str, signals: Signals, *, length: int, recorded_at: int, row_version: int
) -> dict[str, object]:
    """A complete row of `document_signals`."""
    return asdict(signals) | {
        "document_id": document_id,
        "length": length,
        "event_timestamp": recorded_at,
        "row_version": row_version,
    }


def put_signal_rows(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    """Store complete rows; an older `row_version` never overwrites a newer one."""
    if rows:
        upsert(session, t.document_signals, rows, keep_newer="row_version")


def signal_rows(session: Session, document_ids: Sequence[str], columns: Sequence[str]) -> dict[str, tuple[object, ...]]:
    """The asked columns by document id, in one statement; unknown documents are absent."""
    wanted = [t.document_signals.c[name] for name in columns]
    statement = select(t.document_signals.c.document_id, *wanted).where(
        t.document_signals.c.document_id.in_(document_ids)
    )
    return {row[0]: tuple(row[1:]) for row in session.execute(statement).all()}
