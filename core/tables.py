"""The tables of the catalogue. Only code that writes a table adds it; migrations create it.

Times are microseconds (see `core.words`). Ids that answers and links may refer to are hashes; the others are numbers.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# SQLite numbers rows by itself only when the key's type is spelled INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")
Micros = BigInteger

source = Table(
    "source",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("workspace", String(64), nullable=False),
    Column("location", Text, nullable=False),  # the path that was ingested last
    Column("audience", Text, nullable=False),  # JSON list of principals that replace what the source says, or empty
    Column("fingerprint", String(64), nullable=False),  # of the content that was last ingested whole, or empty
    Column("every_minutes", Integer, nullable=False, server_default="0"),  # how often it is read again, 0 = when asked
    Column("created_at", Micros, nullable=False),
)

audience = Table(
    "audience",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
)

audience_principal = Table(
    "audience_principal",
    metadata,
    Column("principal", String(200), primary_key=True),
    Column("audience_id", ForeignKey("audience.id"), primary_key=True),
)

membership = Table(
    "membership",
    metadata,
    Column("principal", String(200), primary_key=True),
    Column("holds", String(200), primary_key=True),
    Column("source_id", ForeignKey("source.id"), primary_key=True),
)

space = Table(
    "space",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("description", Text, nullable=False),
)

generation = Table(
    "generation",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("pipeline", String(64), nullable=False),
    Column("space_id", ForeignKey("space.id"), nullable=False),
    Column("created_at", Micros, nullable=False),
)

live_generation = Table(
    "live_generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation_id", ForeignKey("generation.id"), nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

document = Table(
    "document",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("audience_id", ForeignKey("audience.id"), nullable=False),
    Column("version_id", BigInteger, nullable=True),  # the live version; empty once the document is removed
    Column("content_sha", String(64), nullable=False),
    Column("blob_sha", String(64), nullable=False),
    Column("recorded_at", Micros, nullable=False),
    UniqueConstraint("source_id", "external_id"),
)

version = Table(
    "version",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("document_id", ForeignKey("document.id"), nullable=False, index=True),
    Column("content_sha", String(64), nullable=False),
    Column("blob_sha", String(64), nullable=False),
    Column("valid_from", Micros, nullable=False),
    Column("recorded_at", Micros, nullable=False),
    Column("run_id", ForeignKey("run.id"), nullable=False),
)

chunk = Table(
    "chunk",
    metadata,
    Column("generation_id", ForeignKey("generation.id"), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("document_id", ForeignKey("document.id"), nullable=False),
    Column("version_id", ForeignKey("version.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("text_sha", String(64), nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("anchor", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("valid_from", Micros, nullable=False),
    Column("valid_to", Micros, nullable=False),
    Column("live", Boolean, nullable=False),  # false once superseded: then only questions about the past read it
    Column("recorded_at", Micros, nullable=False),
    Column("row_version", BigInteger, nullable=False),
    Index("ix_chunk_document", "document_id", "generation_id", "ordinal"),
    Index("ix_chunk_text_sha", "text_sha"),
)

embedding = Table(
    "embedding",
    metadata,
    Column("text_sha", String(64), primary_key=True),
    Column("space_id", ForeignKey("space.id"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32, little endian
)

change = Table(
    "change",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("generation_id", ForeignKey("generation.id"), nullable=False),
    Column("chunk_id", String(32), nullable=False),
    Index("ix_change_generation", "generation_id", "seq"),
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

document_signals = Table(
    "document_signals",
    metadata,
    Column("document_id", ForeignKey("document.id"), primary_key=True),
    Column("last_activity", Micros, nullable=True),
    Column("replies", Integer, nullable=False),
    Column("reactions", Integer, nullable=False),
    Column("people", Integer, nullable=False),
    Column("resolved", Boolean, nullable=False),
    Column("official", Boolean, nullable=False),
    Column("length", Integer, nullable=False),
    Column("event_timestamp", Micros, nullable=False),
    Column("row_version", BigInteger, nullable=False),
)

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
    Column("lease_token", String(32), nullable=False, server_default=""),
    Column("lease_until", Micros, nullable=False, server_default="0"),
    Column("rung_at", Micros, nullable=False, server_default="0"),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("error_code", String(60), nullable=False, server_default=""),
    Column("error", Text, nullable=False, server_default=""),
    Column("due_at", Micros, nullable=True),  # of its schedule: nobody starts the same due run twice
    Column("queued_at", Micros, nullable=False, server_default="0"),
    Column("started_at", Micros, nullable=False),
    Column("finished_at", Micros, nullable=True),
    CheckConstraint(
        "state IN ('queued', 'planning', 'running', 'succeeded', 'succeeded_with_quarantine', 'failed', 'cancelled',"
        " 'superseded')",
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
    Column("lease_until", Micros, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("embedded", Integer, nullable=False),
    Column("error_code", String(60), nullable=False),
    Column("error", Text, nullable=False),
    CheckConstraint(
        "state IN ('pending', 'running', 'committed', 'quarantined', 'cancelled', 'superseded')", name="state"
    ),
    Index("ix_work_run_state", "run_id", "state", "id"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False, index=True),
    Column("place", Text, nullable=False),
    Column("code", String(60), nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded_at", Micros, nullable=False),
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

outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("run_id", ForeignKey("run.id"), nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("sent_at", Micros, nullable=True),
    Index("ix_outbox_unsent", "sent_at", "id"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the secret, which is stored nowhere
    Column("scopes", Text, nullable=False),  # JSON list
    Column("principals", Text, nullable=False),  # JSON list
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=True),
    Column("revoked_at", Micros, nullable=True),
    Column("last_used_at", Micros, nullable=True),
)

audit = Table(
    "audit",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", Micros, nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("act", String(60), nullable=False),
    Column("target", Text, nullable=False),
    Column("outcome", String(60), nullable=False),
)

answer = Table(
    "answer",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("asked_at", Micros, nullable=False),
    Column("key_id", String(80), nullable=False),  # of the key that asked, or the principal of somebody in Slack
    Column("principals", Text, nullable=False),  # JSON list: who asked
    Column("question", Text, nullable=False),
    Column("status", String(10), nullable=False),
    Column("text", Text, nullable=False),
    Column("citations", Text, nullable=False),  # JSON list
    Column("generation_id", Integer, nullable=True),
    Column("model", String(200), nullable=False),
    Column("template", String(60), nullable=False),
    Column("trace", Text, nullable=False),  # JSON: chunks with scores, tokens, raw output, times
    CheckConstraint("status IN ('answered', 'quoted', 'declined')", name="status"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("answer_id", ForeignKey("answer.id"), primary_key=True),
    Column("key_id", String(80), primary_key=True),
    Column("value", Integer, nullable=False),
    Column("comment", Text, nullable=False),
    Column("at", Micros, nullable=False),
    CheckConstraint("value IN (-1, 1)", name="value"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", String(200), primary_key=True),  # the sender's own id of the event
    Column("message", String(80), nullable=True, unique=True),  # several events may be about one message
    Column("kind", String(20), nullable=False),
    Column("line", String(80), nullable=False),  # entries of one line are worked one after the other
    Column("payload", Text, nullable=False),  # JSON
    Column("state", String(10), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease_token", String(32), nullable=False),
    Column("lease_until", Micros, nullable=False),
    Column("due_at", Micros, nullable=False),
    Column("received_at", Micros, nullable=False),
    Column("answer_id", String(32), nullable=False),
    Column("error_code", String(60), nullable=False),
    CheckConstraint("state IN ('waiting', 'posting', 'done', 'failed', 'withdrawn')", name="state"),
    Index("ix_inbox_open", "state", "due_at"),
    Index("ix_inbox_line", "line", "received_at"),
)
