"""What is being done: runs, their work, what they could not take, their ledgers and rings."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from core.tables.ground import Micros, RowId, metadata

run = Table(
    "run",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("source_id", ForeignKey("source.id"), nullable=False, index=True),
    Column("state", String(32), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("request", Text, nullable=False, server_default=""),  # JSON: what a worker has to read, and how
    Column("requested_by", String(64), nullable=False, server_default=""),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("lease_token", String(32), nullable=False, server_default=""),  # of whoever works on it, else empty
    Column("beat", BigInteger, nullable=False, server_default="0"),  # grows while its holder lives
    Column("plan", Text, nullable=False, server_default=""),  # JSON: what applying it would do
    Column("plan_hash", String(64), nullable=False, server_default="", index=True),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("error_code", String(60), nullable=False, server_default=""),
    Column("error", Text, nullable=False, server_default=""),
    Column("due_at", Micros, nullable=True),  # of its schedule: nobody starts the same due run twice
    Column("queued_at", Micros, nullable=False, server_default="0"),
    Column("started_at", Micros, nullable=False),
    Column("finished_at", Micros, nullable=True),
    CheckConstraint(
        "state IN ('queued', 'planning', 'planned', 'running', 'succeeded', 'succeeded_with_quarantine', 'failed',"
        " 'cancelled', 'superseded')",
        name="state",
    ),
    UniqueConstraint("source_id", "due_at"),
    Index("ix_run_state", "state", "queued_at"),
)

work = Table(
    "work",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("change", String(10), nullable=False),
    Column("blob_sha", String(64), nullable=False),  # empty for a removal
    Column("state", String(20), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease_token", String(32), nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("embedded", Integer, nullable=False),
    Column("error_code", String(60), nullable=False),
    Column("error", Text, nullable=False),
    CheckConstraint(
        "state IN ('pending', 'running', 'committed', 'quarantined', 'cancelled', 'superseded')", name="state"
    ),
    Index("ix_work_run_state", "run_id", "state", "id"),
)

# What a run could not take, a file or a document, until somebody decides about it.
dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False, index=True),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("kind", String(10), nullable=False),  # a place of the source, or a document by its external id
    Column("place", Text, nullable=False),
    Column("change", String(10), nullable=False),
    Column("stage", String(20), nullable=False),
    Column("code", String(60), nullable=False),
    Column("reason", Text, nullable=False),
    Column("blob_sha", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes of the blob, 0 = not known
    Column("attempts", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("recorded_at", Micros, nullable=False),
    Column("settled_at", Micros, nullable=True),
    CheckConstraint("kind IN ('place', 'document')", name="kind"),
    CheckConstraint("state IN ('open', 'retried', 'ignored', 'resolved')", name="state"),
    Index("ix_dead_letter_place", "source_id", "place"),
    Index("ix_dead_letter_state", "state", "id"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False, index=True),
    Column("external_id", Text, nullable=False),  # the document the items went into, or empty
    Column("channel", Text, nullable=False),
    Column("bucket", String(12), nullable=False),
    Column("reason", String(60), nullable=False),
    Column("item_count", Integer, nullable=False),
)

# What was noticed in the documents that a run read: masked secrets, personal data, languages. Counts, never text.
quality = Table(
    "quality",
    metadata,
    Column("run_id", ForeignKey("run.id"), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("detail", String(60), primary_key=True),
    Column("count", Integer, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("sent_at", Micros, nullable=True),
    Index("ix_outbox_unsent", "sent_at", "id"),
)

# Whoever sends the same request twice, with a key of its own choice, is told the same run.
idempotency = Table(
    "idempotency",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("body_sha", String(64), nullable=False),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("at", Micros, nullable=False),
)
