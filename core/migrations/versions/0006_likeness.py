"""Which documents say nearly the same."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; the next runs fill them, also for what was brought before."""
    op.create_table(
        "likeness",
        sa.Column("document_id", sa.String(length=32), nullable=False),
        sa.Column("content_sha", sa.String(length=64), nullable=False),
        sa.Column("method", sa.Integer(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name=op.f("fk_likeness_document_id")),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_likeness")),
    )
    op.create_table(
        "likeness_band",
        sa.Column("hash", sa.BigInteger(), nullable=False),
        sa.Column("document_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["likeness.document_id"], name=op.f("fk_likeness_band_document_id")),
        sa.PrimaryKeyConstraint("hash", "document_id", name=op.f("pk_likeness_band")),
    )
    op.create_index(op.f("ix_likeness_band_document_id"), "likeness_band", ["document_id"])
    op.create_table(
        "near_duplicate",
        sa.Column("document_id", sa.String(length=32), nullable=False),
        sa.Column("twin_id", sa.String(length=32), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("document_id < twin_id", name=op.f("ck_near_duplicate_ordered")),
        sa.ForeignKeyConstraint(["document_id"], ["likeness.document_id"], name=op.f("fk_near_duplicate_document_id")),
        sa.ForeignKeyConstraint(["twin_id"], ["likeness.document_id"], name=op.f("fk_near_duplicate_twin_id")),
        sa.PrimaryKeyConstraint("document_id", "twin_id", name=op.f("pk_near_duplicate")),
    )
    op.create_index(op.f("ix_near_duplicate_twin_id"), "near_duplicate", ["twin_id"])
