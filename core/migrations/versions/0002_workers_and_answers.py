"""Runs that workers take from a queue; keys, audit, answers and feedback."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RUN_STATES = "'queued', 'planning', 'running', 'succeeded', 'succeeded_with_quarantine', 'failed', 'cancelled'"
WORK_STATES = "'pending', 'running', 'committed', 'quarantined', 'cancelled', 'superseded'"


def upgrade() -> None:
    """Widen runs and their work, add the new tables."""
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    with op.batch_alter_table("source") as table:
        table.add_column(sa.Column("every_minutes", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("run") as table:
        table.add_column(sa.Column("request", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("requested_by", sa.String(length=64), nullable=False, server_default=""))
        table.add_column(sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("lease_token", sa.String(length=32), nullable=False, server_default=""))
        table.add_column(sa.Column("lease_until", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("rung_at", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("error_code", sa.String(length=60), nullable=False, server_default=""))
        table.add_column(sa.Column("error", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("due_at", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("queued_at", sa.BigInteger(), nullable=False, server_default="0"))
        table.drop_constraint(op.f("ck_run_state"), type_="check")
        table.create_check_constraint(op.f("ck_run_state"), f"state IN ({RUN_STATES}, 'superseded')")
        table.create_unique_constraint(op.f("uq_run_source_id"), ["source_id", "due_at"])
        table.create_index("ix_run_state", ["state", "queued_at"])
    with op.batch_alter_table("work") as table:
        table.drop_constraint(op.f("ck_work_state"), type_="check")
        table.create_check_constraint(op.f("ck_work_state"), f"state IN ({WORK_STATES})")
    op.create_table(
        "outbox",
        sa.Column("id", row_id, nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_outbox_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_unsent", "outbox", ["sent_at", "id"])
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("principals", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
    )
    op.create_table(
        "audit",
        sa.Column("id", row_id, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("act", sa.String(length=60), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "answer",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("principals", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("citations", sa.Text(), nullable=False),
        sa.Column("generation_id", sa.Integer(), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("template", sa.String(length=60), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.CheckConstraint("status IN ('answered', 'quoted', 'declined')", name=op.f("ck_answer_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer")),
    )
    op.create_table(
        "feedback",
        sa.Column("answer_id", sa.String(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("value IN (-1, 1)", name=op.f("ck_feedback_value")),
        sa.ForeignKeyConstraint(["answer_id"], ["answer.id"], name=op.f("fk_feedback_answer_id")),
        sa.PrimaryKeyConstraint("answer_id", "key_id", name=op.f("pk_feedback")),
    )
