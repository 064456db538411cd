"""What is known: sources, who may read, documents with their versions and chunks, generations."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.tables.ground import Micros, RowId, metadata

source = Table(
    "source",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("workspace", String(64), nullable=False),
    Column("location", Text, nullable=False),  # the path that was ingested last
    Column("audience", Text, nullable=False),  # JSON list of principals that replace what the source says, or empty
    Column("options", Text, nullable=False, server_default=""),  # JSON: how it is read where that is not as usual
    Column("fingerprint", String(64), nullable=False),  # of the content that was last ingested whole, or empty
    Column("every_minutes", Integer, nullable=False, server_default="0"),  # how often it is read again, 0 = when asked
    Column("paused", String(20), nullable=False, server_default=""),  # why none of its runs is taken, empty = they are
    Column("served", BigInteger, nullable=False, server_default="0"),  # grows; whoever has the smallest is next
    Column("created_at", Micros, nullable=False),
)

# Whose principals a source speaks for: one workspace, or all of an organisation that has several.
workspace = Table(
    "workspace",
    metadata,
    Column("principal", String(64), primary_key=True),
    Column("source_id", ForeignKey("source.id"), nullable=False, index=True),
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
    Column("state", String(12), nullable=False, server_default="active"),
    Column("recipe", Text, nullable=False, server_default=""),  # JSON: what its documents are cut and embedded with
    Column("lease_token", String(32), nullable=False, server_default=""),
    Column("beat", BigInteger, nullable=False, server_default="0"),
    Column("settled_at", Micros, nullable=True),  # when it reached its present state
    Column("error", Text, nullable=False, server_default=""),
    CheckConstraint(
        "state IN ('building', 'ready', 'active', 'retired', 'failed', 'cancelled', 'deleted')", name="state"
    ),
)

# What a generation that readers do not see has still to do, so that it holds every document's live version.
build = Table(
    "build",
    metadata,
    Column("generation_id", ForeignKey("generation.id"), primary_key=True),
    Column("document_id", ForeignKey("document.id"), primary_key=True),
    Column("state", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease_token", String(32), nullable=False),
    Column("error_code", String(60), nullable=False),
    Column("error", Text, nullable=False),
    CheckConstraint("state IN ('pending', 'running', 'done', 'quarantined')", name="state"),
    Index("ix_build_state", "generation_id", "state"),
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
    Column("language", String(8), nullable=False, server_default=""),  # ISO 639-1, empty = not known
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

# What may never come back: a document by its id, a person by a hash of the principal.
tombstone = Table(
    "tombstone",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("key", String(64), nullable=False),
    Column("source_id", ForeignKey("source.id"), nullable=True),
    Column("external_id", Text, nullable=False),  # empty for a person
    Column("reason", Text, nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("at", Micros, nullable=False),
    Column("purged_at", Micros, nullable=True),
    Column("receipts", Text, nullable=False),  # JSON: by store what was removed and what a second look found left
    CheckConstraint("kind IN ('document', 'person')", name="kind"),
    UniqueConstraint("kind", "key"),
)
