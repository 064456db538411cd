"""The inbox of questions from Slack; people beside keys as those who ask and rate."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATES = "'waiting', 'posting', 'done', 'failed', 'withdrawn'"


def upgrade() -> None:
    """Add the inbox, widen who asked and who rated."""
    narrow, wide = sa.String(length=16), sa.String(length=80)
    for name in ("answer", "feedback"):
        with op.batch_alter_table(name) as table:
            table.alter_column("key_id", existing_type=narrow, type_=wide, existing_nullable=False)
    op.create_table(
        "inbox",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("message", sa.String(length=80), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("line", sa.String(length=80), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("answer_id", sa.String(length=32), nullable=False),
        sa.Column("error_code", sa.String(length=60), nullable=False),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_inbox_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
        sa.UniqueConstraint("message", name=op.f("uq_inbox_message")),
    )
    op.create_index("ix_inbox_open", "inbox", ["state", "due_at"])
    op.create_index("ix_inbox_line", "inbox", ["line", "received_at"])
