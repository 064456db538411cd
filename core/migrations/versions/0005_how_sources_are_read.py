"""How each source is read, whose principals it speaks for, and what was noticed in it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns and tables; every source is read once more, because its documents are cleaned now."""
    op.add_column("source", sa.Column("options", sa.Text(), nullable=False, server_default=""))
    op.add_column("document", sa.Column("language", sa.String(length=8), nullable=False, server_default=""))
    op.create_table(
        "workspace",
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("source_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_workspace_source_id")),
        sa.PrimaryKeyConstraint("principal", name=op.f("pk_workspace")),
    )
    op.create_index(op.f("ix_workspace_source_id"), "workspace", ["source_id"])
    op.execute("INSERT INTO workspace (principal, source_id) SELECT workspace, id FROM source WHERE workspace <> ''")
    op.create_table(
        "quality",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.String(length=60), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_quality_run_id")),
        sa.PrimaryKeyConstraint("run_id", "kind", "detail", name=op.f("pk_quality")),
    )
    op.execute("UPDATE source SET fingerprint = ''")
