"""Leases by heartbeat, plans, pauses, dead letters, generations that are built, tombstones; ended rows stay ended."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

RUN_STATES = (
    "'queued', 'planning', 'planned', 'running', 'succeeded', 'succeeded_with_quarantine', 'failed', 'cancelled',"
    " 'superseded'"
)
RUN_STEPS = (
    ("queued", "planning", "cancelled", "failed", "superseded"),
    ("planning", "queued", "planned", "running", "succeeded", "cancelled", "failed", "superseded"),
    ("planned", "running", "cancelled", "superseded"),
    ("running", "succeeded", "succeeded_with_quarantine", "cancelled", "failed", "superseded"),
)
WORK_STEPS = (
    ("pending", "running", "quarantined", "cancelled", "superseded"),
    ("running", "pending", "committed", "quarantined", "cancelled", "superseded"),
)
GENERATION_STATES = "'building', 'ready', 'active', 'retired', 'failed', 'cancelled', 'deleted'"
GENERATION_STEPS = (
    ("building", "ready", "failed", "cancelled"),
    ("ready", "building", "active", "cancelled", "failed"),
    ("active", "retired"),
    ("retired", "active", "deleted"),
    ("failed", "deleted"),
    ("cancelled", "deleted"),
)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Change the tables of runs and generations, add the new ones, and guard every step of a state."""
    _change_tables()
    # Who said what is known from now on only: everything has to be read once more, which embeds nothing anew.
    op.execute("UPDATE source SET fingerprint = ''")
    _free_runs()
    _add_letters()
    _add_tables()
    for table, steps in (("run", RUN_STEPS), ("work", WORK_STEPS), ("generation", GENERATION_STEPS)):
        _guard(table, steps)


def _change_tables() -> None:
    with op.batch_alter_table("source") as table:
        table.add_column(sa.Column("paused", sa.String(length=20), nullable=False, server_default=""))
        table.add_column(sa.Column("served", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("generation") as table:
        table.add_column(sa.Column("state", sa.String(length=12), nullable=False, server_default="active"))
        table.add_column(sa.Column("recipe", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("lease_token", sa.String(length=32), nullable=False, server_default=""))
        table.add_column(sa.Column("beat", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("settled_at", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("error", sa.Text(), nullable=False, server_default=""))
        table.create_check_constraint(op.f("ck_generation_state"), f"state IN ({GENERATION_STATES})")
    with op.batch_alter_table("run") as table:
        table.drop_column("lease_until")
        table.drop_column("rung_at")
        table.add_column(sa.Column("beat", sa.BigInteger(), nullable=False, server_default="0"))
        table.add_column(sa.Column("plan", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("plan_hash", sa.String(length=64), nullable=False, server_default=""))
        table.drop_constraint(op.f("ck_run_state"), type_="check")
        table.create_check_constraint(op.f("ck_run_state"), f"state IN ({RUN_STATES})")
        table.create_index(op.f("ix_run_plan_hash"), ["plan_hash"])
    with op.batch_alter_table("work") as table:
        table.drop_column("lease_until")


def _free_runs() -> None:
    """Nobody works while the schema changes: what was in hand waits, also that of runs which no worker took before."""
    op.execute("UPDATE work SET state = 'pending', lease_token = '' WHERE state = 'running'")
    op.execute(
        "UPDATE run SET state = 'superseded', finished_at = started_at WHERE state = 'planning' AND queued_at = 0"
    )
    op.execute("UPDATE run SET state = 'queued' WHERE state = 'planning'")
    op.execute("UPDATE run SET queued_at = started_at WHERE state = 'running' AND queued_at = 0")
    op.execute("UPDATE run SET lease_token = ''")


def _add_letters() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("source_id", ROW_ID, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("change", sa.String(length=10), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("blob_sha", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('place', 'document')", name=op.f("ck_dead_letter_kind")),
        sa.CheckConstraint("state IN ('open', 'retried', 'ignored', 'resolved')", name=op.f("ck_dead_letter_state")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_dead_letter_run_id")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_dead_letter_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
    )
    op.create_index(op.f("ix_dead_letter_run_id"), "dead_letter", ["run_id"])
    op.create_index("ix_dead_letter_place", "dead_letter", ["source_id", "place"])
    op.create_index("ix_dead_letter_state", "dead_letter", ["state", "id"])
    op.execute(
        "INSERT INTO dead_letter (run_id, source_id, kind, place, change, stage, code, reason, blob_sha, size,"
        " attempts, state, recorded_at) SELECT q.run_id, r.source_id, 'place', q.place, '', 'read', q.code, q.reason,"
        " '', 0, 1, 'open', q.recorded_at FROM quarantine q JOIN run r ON r.id = q.run_id"
    )
    op.execute(
        "INSERT INTO dead_letter (run_id, source_id, kind, place, change, stage, code, reason, blob_sha, size,"
        " attempts, state, recorded_at) SELECT w.run_id, r.source_id, 'document', w.external_id, w.change, '',"
        " w.error_code, w.error, w.blob_sha, 0, w.attempt, 'open', coalesce(r.finished_at, r.started_at)"
        " FROM work w JOIN run r ON r.id = w.run_id WHERE w.state = 'quarantined'"
    )
    # What an older run could not take was tried again by the newest one of its source, or is not there any more.
    op.execute(
        "DELETE FROM dead_letter WHERE EXISTS (SELECT 1 FROM run r JOIN run later ON later.source_id = r.source_id"
        " WHERE r.id = dead_letter.run_id AND later.started_at > r.started_at"
        " AND later.state IN ('running', 'succeeded', 'succeeded_with_quarantine'))"
    )
    op.drop_table("quarantine")


def _add_tables() -> None:
    op.create_table(
        "build",
        sa.Column("generation_id", ROW_ID, nullable=False),
        sa.Column("document_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=False),
        sa.Column("error_code", sa.String(length=60), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'running', 'done', 'quarantined')", name=op.f("ck_build_state")),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], name=op.f("fk_build_document_id")),
        sa.ForeignKeyConstraint(["generation_id"], ["generation.id"], name=op.f("fk_build_generation_id")),
        sa.PrimaryKeyConstraint("generation_id", "document_id", name=op.f("pk_build")),
    )
    op.create_index("ix_build_state", "build", ["generation_id", "state"])
    op.create_table(
        "idempotency",
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("body_sha", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_idempotency_run_id")),
        sa.PrimaryKeyConstraint("key_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "tombstone",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("source_id", ROW_ID, nullable=True),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("purged_at", sa.BigInteger(), nullable=True),
        sa.Column("receipts", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('document', 'person')", name=op.f("ck_tombstone_kind")),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name=op.f("fk_tombstone_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstone")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_tombstone_kind")),
    )


def _guard(table: str, steps: tuple[tuple[str, ...], ...]) -> None:
    """Refuse every step of a state that is not listed: what has ended stays as it ended."""
    listed = ", ".join(f"'{first}>{later}'" for first, *rest in steps for later in rest)
    condition = f"OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ({listed})"
    refusal = f"a {table} does not go from that state to this one"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {table}_steps BEFORE UPDATE OF state ON {table} WHEN {condition}"
            f" BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {table}_steps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE EXCEPTION '{refusal}' USING ERRCODE = 'check_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_steps BEFORE UPDATE OF state ON {table} FOR EACH ROW WHEN ({condition})"
        f" EXECUTE FUNCTION {table}_steps()"
    )
