"""Daily reads, exceptions, held readings; bills that were exported."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_SEALED = (
    "EXISTS (SELECT 1 FROM bill_exports e WHERE e.id = NEW.export_id AND e.digest IS NOT NULL)"
)
# Table, name, event, condition, text.
_RULES = (
    ("daily_reads", "kept", "UPDATE", "1 = 1", "a daily read is never changed, only revised"),
    ("daily_reads", "stays", "DELETE", "1 = 1", "a daily read is never changed, only revised"),
    (
        "bill_exports", "kept", "UPDATE",
        ("OLD.digest IS NOT NULL OR NEW.scope <> OLD.scope OR NEW.number <> OLD.number"
         " OR NEW.from_us <> OLD.from_us OR NEW.to_us <> OLD.to_us"),
        "an export is only sealed, once",
    ),
    ("bill_exports", "stays", "DELETE", "1 = 1", "an export is never changed"),
    ("bill_export_pages", "kept", "UPDATE", "1 = 1", "an export is never changed"),
    ("bill_export_pages", "stays", "DELETE", "1 = 1", "an export is never changed"),
    ("bill_export_pages", "sealed", "INSERT", _SEALED, "an export is never changed"),
    ("bill_shares", "kept", "UPDATE", "1 = 1", "an export is never changed"),
    ("bill_shares", "stays", "DELETE", "1 = 1", "an export is never changed"),
    ("bill_shares", "sealed", "INSERT", _SEALED, "an export is never changed"),
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "metering_policies",
        sa.Column("register", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("spike_times", sa.Integer(), nullable=False),
        sa.Column("spike_floor", sa.BigInteger(), nullable=False),
        sa.Column("most_per_day", sa.BigInteger(), nullable=False),
        sa.Column("zero_days", sa.Integer(), nullable=False),
        sa.Column("missing_days", sa.Integer(), nullable=False),
        sa.Column("profile_days", sa.Integer(), nullable=False),
        sa.Column("estimate_days", sa.Integer(), nullable=False),
        sa.Column("replace_days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("register", name=op.f("pk_metering_policies")),
    )
    op.create_table(
        "bill_exports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=True),
        sa.Column("estimated", sa.Integer(), nullable=True),
        sa.Column("corrections", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column(
            "evidence_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "(digest IS NULL) = (evidence_id IS NULL) AND (digest IS NULL) = (row_count IS NULL) AND (digest IS NULL) = (estimated IS NULL) AND (digest IS NULL) = (corrections IS NULL)",
            name=op.f("ck_bill_exports_sealed"),
        ),
        sa.CheckConstraint(
            "(number = 0 AND previous IS NULL) OR (number > 0 AND previous = number - 1 AND previous IS NOT NULL)",
            name=op.f("ck_bill_exports_chain"),
        ),
        sa.CheckConstraint("to_us > from_us", name=op.f("ck_bill_exports_time")),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_bill_exports_evidence_id_evidence")
        ),
        sa.ForeignKeyConstraint(
            ["scope", "previous", "from_us"],
            ["bill_exports.scope", "bill_exports.number", "bill_exports.to_us"],
            name="fk_bill_exports_chain",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_exports")),
        sa.UniqueConstraint("scope", "number", "to_us", name="uq_bill_exports_end"),
        sa.UniqueConstraint("scope", "number", name="uq_bill_exports_number"),
    )
    op.create_table(
        "bill_export_pages",
        sa.Column("export_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["export_id"],
            ["bill_exports.id"],
            name=op.f("fk_bill_export_pages_export_id_bill_exports"),
        ),
        sa.PrimaryKeyConstraint("export_id", "number", name=op.f("pk_bill_export_pages")),
    )
    op.create_table(
        "metering_exceptions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("register", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=6), nullable=False),
        sa.Column("first_day", sa.Integer(), nullable=False),
        sa.Column("last_day", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("opened_us", sa.BigInteger(), nullable=False),
        sa.Column("closed_us", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("open_for", sa.String(length=40), nullable=True),
        sa.CheckConstraint(
            "(state = 'closed') = (open_for IS NULL) AND (state = 'closed') = (outcome <> '') AND (state = 'closed') = (closed_us IS NOT NULL)",
            name=op.f("ck_metering_exceptions_closed"),
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_metering_exceptions_asset_id_assets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metering_exceptions")),
        sa.UniqueConstraint("open_for", name="uq_metering_exceptions_open_for"),
    )
    op.create_index(
        "ix_metering_exceptions_asset_id",
        "metering_exceptions",
        ["asset_id", "register"],
        unique=False,
    )
    op.create_index(
        "ix_metering_exceptions_state", "metering_exceptions", ["state", "id"], unique=False
    )
    op.create_table(
        "daily_reads",
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("register", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("at_index", sa.BigInteger(), nullable=False),
        sa.Column("stands", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=8), nullable=False),
        sa.Column("segment_no", sa.Integer(), nullable=False),
        sa.Column("read_us", sa.BigInteger(), nullable=False),
        sa.Column("read_raw", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "quality IN (0, 1) AND (quality = 0) = (reason = '') AND (quality = 0) = (method = 'read')",
            name=op.f("ck_daily_reads_reason"),
        ),
        sa.CheckConstraint(
            "at_index >= stands AND (quality = 1 OR at_index = stands)",
            name=op.f("ck_daily_reads_index"),
        ),
        sa.CheckConstraint("revision >= 0", name=op.f("ck_daily_reads_revision")),
        sa.ForeignKeyConstraint(
            ["asset_id", "register", "segment_no"],
            [
                "register_segments.asset_id",
                "register_segments.register",
                "register_segments.number",
            ],
            name="fk_daily_reads_segment",
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_daily_reads_asset_id_assets")
        ),
        sa.PrimaryKeyConstraint(
            "asset_id", "register", "day", "revision", name=op.f("pk_daily_reads")
        ),
    )
    op.create_index(
        "ix_daily_reads_estimated",
        "daily_reads",
        ["asset_id", "register", "day"],
        unique=False,
        sqlite_where=sa.text("quality = 1"),
        postgresql_where=sa.text("quality = 1"),
    )
    op.create_table(
        "held_reads",
        sa.Column(
            "reading_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("exception_id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("register", sa.SmallInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("raw", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_held_reads_asset_id_assets")
        ),
        sa.ForeignKeyConstraint(
            ["exception_id"],
            ["metering_exceptions.id"],
            name=op.f("fk_held_reads_exception_id_metering_exceptions"),
        ),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_held_reads")),
    )
    op.create_index(op.f("ix_held_reads_asset_id"), "held_reads", ["asset_id"], unique=False)
    op.create_index(
        op.f("ix_held_reads_exception_id"), "held_reads", ["exception_id"], unique=False
    )
    op.create_table(
        "bill_shares",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("export_id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("from_index", sa.BigInteger(), nullable=False),
        sa.Column("to_index", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("read_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('usage', 'correction', 'carried')", name=op.f("ck_bill_shares_kind")
        ),
        sa.ForeignKeyConstraint(
            ["export_id"], ["bill_exports.id"], name=op.f("fk_bill_shares_export_id_bill_exports")
        ),
        sa.ForeignKeyConstraint(
            ["line_id"], ["bill_lines.id"], name=op.f("fk_bill_shares_line_id_bill_lines")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_shares")),
        sa.UniqueConstraint("export_id", "line_id", "kind", name="uq_bill_shares_kind"),
    )
    op.create_index(op.f("ix_bill_shares_export_id"), "bill_shares", ["export_id"], unique=False)
    op.create_index(op.f("ix_bill_shares_line_id"), "bill_shares", ["line_id"], unique=False)
    op.create_index(
        "uq_bill_shares_usage",
        "bill_shares",
        ["line_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'usage'"),
        postgresql_where=sa.text("kind = 'usage'"),
    )
    op.create_index(
        "ix_readings_clock_off",
        "readings",
        ["asset_id", "received_us"],
        unique=False,
        sqlite_where=sa.text("clock_off = 1"),
        postgresql_where=sa.text("clock_off"),
    )
    for statement in _guards(op.get_bind().dialect.name):
        op.execute(statement)


def _guards(dialect: str) -> list[str]:
    """The statements that make them."""
    made = []
    for table, name, when, condition, text in _RULES:
        if dialect == "sqlite":
            made.append(
                f"CREATE TRIGGER IF NOT EXISTS {table}_{name} BEFORE {when} ON {table}"
                f" WHEN {condition}"
                f" BEGIN SELECT RAISE(ABORT, '{text}'); END"
            )
        else:
            made += [
                (
                    f"CREATE OR REPLACE FUNCTION {table}_{name}() RETURNS trigger AS $$"
                    f" BEGIN IF {condition}"
                    f" THEN RAISE EXCEPTION '{text}'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
                ),
                (
                    f"CREATE OR REPLACE TRIGGER {table}_{name} BEFORE {when} ON {table}"
                    f" FOR EACH ROW EXECUTE FUNCTION {table}_{name}()"
                ),
            ]
    return made


def downgrade() -> None:
    op.drop_index(
        "ix_readings_clock_off",
        table_name="readings",
        sqlite_where=sa.text("clock_off = 1"),
        postgresql_where=sa.text("clock_off"),
    )
    op.drop_index(
        "uq_bill_shares_usage",
        table_name="bill_shares",
        sqlite_where=sa.text("kind = 'usage'"),
        postgresql_where=sa.text("kind = 'usage'"),
    )
    op.drop_index(op.f("ix_bill_shares_line_id"), table_name="bill_shares")
    op.drop_index(op.f("ix_bill_shares_export_id"), table_name="bill_shares")
    op.drop_table("bill_shares")
    op.drop_index(op.f("ix_held_reads_exception_id"), table_name="held_reads")
    op.drop_index(op.f("ix_held_reads_asset_id"), table_name="held_reads")
    op.drop_table("held_reads")
    op.drop_index(
        "ix_daily_reads_estimated",
        table_name="daily_reads",
        sqlite_where=sa.text("quality = 1"),
        postgresql_where=sa.text("quality = 1"),
    )
    op.drop_table("daily_reads")
    op.drop_index("ix_metering_exceptions_state", table_name="metering_exceptions")
    op.drop_index("ix_metering_exceptions_asset_id", table_name="metering_exceptions")
    op.drop_table("metering_exceptions")
    op.drop_table("bill_export_pages")
    op.drop_table("bill_exports")
    op.drop_table("metering_policies")
    if op.get_bind().dialect.name == "postgresql":
        for table, name, *_ in _RULES:
            op.execute(f"DROP FUNCTION {table}_{name}()")
