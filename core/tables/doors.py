"""What the doors keep: keys, acts, answers, what people think of them, and what came from Slack."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, Text

from core.tables.ground import Micros, RowId, metadata

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
