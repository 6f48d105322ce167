"""Programmes of a migration, their items, and the ledger that their bills go on in."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "migration_programmes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("planned_us", sa.BigInteger(), nullable=True),
        sa.Column("waved_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration_programmes")),
        sa.UniqueConstraint("name", name=op.f("uq_migration_programmes_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "migration_items",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("old_terminal_id", sa.String(length=10), nullable=False),
        sa.Column("new_terminal_id", sa.String(length=10), nullable=True),
        sa.Column("bearer", sa.String(length=16), nullable=False),
        sa.Column("because", sa.String(length=200), nullable=False),
        sa.Column("path", sa.String(length=24), nullable=False),
        sa.Column("wave", sa.SmallInteger(), nullable=True),
        sa.Column("due_day", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("deadline_us", sa.BigInteger(), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("open_for", sa.String(length=10), nullable=True),
        sa.ForeignKeyConstraint(
            ["programme_id"],
            ["migration_programmes.id"],
            name=op.f("fk_migration_items_programme_id_migration_programmes"),
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_migration_items_asset_id_assets")
        ),
        sa.ForeignKeyConstraint(
            ["old_terminal_id"],
            ["terminals.id"],
            name=op.f("fk_migration_items_old_terminal_id_terminals"),
        ),
        sa.ForeignKeyConstraint(
            ["new_terminal_id"],
            ["terminals.id"],
            name=op.f("fk_migration_items_new_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration_items")),
        sa.UniqueConstraint(
            "programme_id", "old_terminal_id", name=op.f("uq_migration_items_programme_id")
        ),
        sa.UniqueConstraint("open_for", name=op.f("uq_migration_items_open_for")),
    )
    op.create_index("ix_migration_items_asset_id", "migration_items", ["asset_id"])
    op.create_index("ix_migration_items_old_terminal_id", "migration_items", ["old_terminal_id"])
    op.create_index("ix_migration_items_new_terminal_id", "migration_items", ["new_terminal_id"])
    op.create_index("ix_migration_items_wave", "migration_items", ["programme_id", "wave"])
    op.create_index("ix_migration_items_state", "migration_items", ["programme_id", "state"])
    _ledger()
    _swaps()
    for statement in _guards(op.get_bind().dialect.name):
        op.execute(statement)


def _ledger() -> None:
    op.create_table(
        "evidence",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("previous", sa.LargeBinary(length=32), nullable=True),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=12), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column("asset_id", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("(id = 1) = (previous IS NULL)", name=op.f("ck_evidence_chain")),
        sa.CheckConstraint(
            "(key_id IS NULL) = (signature IS NULL)", name=op.f("ck_evidence_seal")
        ),
        sa.ForeignKeyConstraint(
            ["previous"], ["evidence.digest"], name=op.f("fk_evidence_previous_evidence")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        sa.UniqueConstraint("digest", name=op.f("uq_evidence_digest")),
        sa.UniqueConstraint("previous", name=op.f("uq_evidence_previous")),
    )
    op.create_index(op.f("ix_evidence_asset_id"), "evidence", ["asset_id"], unique=False)
    op.create_index(op.f("ix_evidence_item_id"), "evidence", ["item_id"], unique=False)
    op.create_table(
        "register_segments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("register", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("terminal_id", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("pair", sa.String(length=10), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=True),
        sa.Column("unit", sa.String(length=4), nullable=False),
        sa.Column("decimals", sa.SmallInteger(), nullable=False),
        sa.Column("modulus", sa.BigInteger(), nullable=True),
        sa.Column("clock_shift_s", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("first_raw", sa.BigInteger(), nullable=False),
        sa.Column("base_index", sa.BigInteger(), nullable=False),
        sa.Column("start_index", sa.BigInteger(), nullable=False),
        sa.Column("end_index", sa.BigInteger(), nullable=True),
        sa.Column("last_us", sa.BigInteger(), nullable=True),
        sa.Column("last_raw", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("item_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "evidence_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "closed_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.CheckConstraint(
            "(number = 0 AND previous IS NULL) OR (number > 0 AND previous = number - 1 AND previous IS NOT NULL)",
            name=op.f("ck_register_segments_chain"),
        ),
        sa.CheckConstraint(
            "(to_us IS NULL) = (end_index IS NULL) AND (to_us IS NULL) = (closed_by IS NULL) AND (to_us IS NULL) = (last_raw IS NULL) AND (to_us IS NULL) = (last_us IS NULL) AND (to_us IS NULL) = (total IS NULL)",
            name=op.f("ck_register_segments_closed"),
        ),
        sa.CheckConstraint(
            "decimals BETWEEN 0 AND 9 AND step >= 1", name=op.f("ck_register_segments_unit")
        ),
        sa.CheckConstraint(
            "end_index IS NULL OR end_index >= start_index",
            name=op.f("ck_register_segments_index"),
        ),
        sa.CheckConstraint("first_raw >= 0", name=op.f("ck_register_segments_raw")),
        sa.CheckConstraint("first_us <= from_us", name=op.f("ck_register_segments_first")),
        sa.CheckConstraint(
            "modulus IS NULL OR first_raw < modulus", name=op.f("ck_register_segments_modulus")
        ),
        sa.CheckConstraint(
            "to_us IS NULL OR to_us > from_us OR end_index = start_index",
            name=op.f("ck_register_segments_zero"),
        ),
        sa.CheckConstraint(
            "to_us IS NULL OR to_us >= from_us", name=op.f("ck_register_segments_time")
        ),
        sa.ForeignKeyConstraint(
            ["asset_id", "register", "previous", "from_us", "start_index"],
            [
                "register_segments.asset_id",
                "register_segments.register",
                "register_segments.number",
                "register_segments.to_us",
                "register_segments.end_index",
            ],
            name="fk_register_segments_chain",
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_register_segments_asset_id_assets")
        ),
        sa.ForeignKeyConstraint(
            ["closed_by"], ["evidence.id"], name=op.f("fk_register_segments_closed_by_evidence")
        ),
        sa.ForeignKeyConstraint(
            ["evidence_id"],
            ["evidence.id"],
            name=op.f("fk_register_segments_evidence_id_evidence"),
        ),
        sa.ForeignKeyConstraint(
            ["terminal_id"],
            ["terminals.id"],
            name=op.f("fk_register_segments_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_register_segments")),
        sa.UniqueConstraint(
            "asset_id", "register", "number", "to_us", "end_index", name="uq_register_segments_end"
        ),
        sa.UniqueConstraint("asset_id", "register", "number", name="uq_register_segments_number"),
    )
    op.create_index(
        op.f("ix_register_segments_terminal_id"),
        "register_segments",
        ["terminal_id"],
        unique=False,
    )
    op.create_index(
        "uq_register_segments_open",
        "register_segments",
        ["asset_id", "register"],
        unique=True,
        sqlite_where=sa.text("to_us IS NULL"),
        postgresql_where=sa.text("to_us IS NULL"),
    )
    op.create_table(
        "bill_freezes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_freezes")),
        sa.UniqueConstraint("to_us", name=op.f("uq_bill_freezes_to_us")),
    )
    op.create_table(
        "bill_lines",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("register", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=False),
        sa.Column("from_index", sa.BigInteger(), nullable=False),
        sa.Column("to_index", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("gap_us", sa.BigInteger(), nullable=False),
        sa.Column("policy_us", sa.BigInteger(), nullable=False),
        sa.Column("segment_no", sa.Integer(), nullable=False),
        sa.Column("read_us", sa.BigInteger(), nullable=False),
        sa.Column("read_raw", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("freeze_id", sa.Integer(), nullable=False),
        sa.Column(
            "evidence_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.CheckConstraint("(quality = 0) = (reason = '')", name=op.f("ck_bill_lines_reason")),
        sa.CheckConstraint(
            "(number = 0 AND previous IS NULL) OR (number > 0 AND previous = number - 1 AND previous IS NOT NULL)",
            name=op.f("ck_bill_lines_chain"),
        ),
        sa.CheckConstraint(
            "quality IN (0, 1) AND (quality = 1 OR gap_us <= policy_us)",
            name=op.f("ck_bill_lines_gap"),
        ),
        sa.CheckConstraint("to_index >= from_index", name=op.f("ck_bill_lines_index")),
        sa.CheckConstraint("to_us > from_us", name=op.f("ck_bill_lines_time")),
        sa.ForeignKeyConstraint(
            ["asset_id", "register", "previous", "from_us", "from_index"],
            [
                "bill_lines.asset_id",
                "bill_lines.register",
                "bill_lines.number",
                "bill_lines.to_us",
                "bill_lines.to_index",
            ],
            name="fk_bill_lines_chain",
        ),
        sa.ForeignKeyConstraint(
            ["asset_id", "register", "segment_no"],
            [
                "register_segments.asset_id",
                "register_segments.register",
                "register_segments.number",
            ],
            name="fk_bill_lines_segment",
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_bill_lines_asset_id_assets")
        ),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_bill_lines_evidence_id_evidence")
        ),
        sa.ForeignKeyConstraint(
            ["freeze_id"], ["bill_freezes.id"], name=op.f("fk_bill_lines_freeze_id_bill_freezes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_lines")),
        sa.UniqueConstraint("asset_id", "register", "from_us", name="uq_bill_lines_period"),
        sa.UniqueConstraint(
            "asset_id", "register", "number", "to_us", "to_index", name="uq_bill_lines_end"
        ),
        sa.UniqueConstraint("asset_id", "register", "number", name="uq_bill_lines_number"),
    )
    op.create_index(op.f("ix_bill_lines_evidence_id"), "bill_lines", ["evidence_id"], unique=False)
    op.create_index(op.f("ix_bill_lines_freeze_id"), "bill_lines", ["freeze_id"], unique=False)


def _swaps() -> None:
    op.create_table(
        "ledger_policies",
        sa.Column("programme_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dual_s", sa.Integer(), nullable=False),
        sa.Column("compared", sa.Integer(), nullable=False),
        sa.Column("gap_s", sa.Integer(), nullable=False),
        sa.Column("rollback_s", sa.Integer(), nullable=False),
        sa.Column("most_per_day", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("programme_id", name=op.f("pk_ledger_policies")),
    )
    op.create_table(
        "migration_swaps",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("register", sa.SmallInteger(), nullable=True),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("terminal_id", sa.String(length=10), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.String(length=4), nullable=True),
        sa.Column("decimals", sa.SmallInteger(), nullable=True),
        sa.Column("modulus", sa.BigInteger(), nullable=True),
        sa.Column("clock_shift_s", sa.Integer(), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("first_us", sa.BigInteger(), nullable=True),
        sa.Column("first_raw", sa.BigInteger(), nullable=True),
        sa.Column("first_index", sa.BigInteger(), nullable=True),
        sa.Column("old_raw", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=200), nullable=False),
        sa.Column("judged_us", sa.BigInteger(), nullable=True),
        sa.Column("open_for", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "mode IN ('beside', 'instead', 'same')", name=op.f("ck_migration_swaps_mode")
        ),
        sa.CheckConstraint(
            "(first_raw IS NULL) = (first_index IS NULL)"
            " AND (first_raw IS NULL) = (first_us IS NULL)",
            name=op.f("ck_migration_swaps_dials"),
        ),
        sa.CheckConstraint(
            "open_for IS NULL OR open_for = item_id", name=op.f("ck_migration_swaps_open")
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_migration_swaps_asset_id_assets")
        ),
        sa.ForeignKeyConstraint(
            ["terminal_id"],
            ["terminals.id"],
            name=op.f("fk_migration_swaps_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration_swaps")),
        sa.UniqueConstraint("open_for", "asset_id", name=op.f("uq_migration_swaps_open_for")),
    )
    op.create_index(
        op.f("ix_migration_swaps_asset_id"), "migration_swaps", ["asset_id"], unique=False
    )
    op.create_index(
        op.f("ix_migration_swaps_item_id"), "migration_swaps", ["item_id"], unique=False
    )
    op.create_table(
        "preflight_checks",
        sa.Column("item_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("said", sa.String(length=100), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("item_id", "name", name=op.f("pk_preflight_checks")),
    )
    op.create_table(
        "work_orders",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=True),
        sa.Column("done_us", sa.BigInteger(), nullable=True),
        sa.Column("photo", sa.String(length=500), nullable=False),
        sa.Column("photo_sha256", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "kind IN ('install', 'back', 'remove')", name=op.f("ck_work_orders_kind")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'started', 'done', 'void')", name=op.f("ck_work_orders_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_orders")),
    )
    op.create_index(op.f("ix_work_orders_item_id"), "work_orders", ["item_id"], unique=False)
    op.create_index(
        "uq_work_orders_open",
        "work_orders",
        ["item_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('open', 'started')"),
        postgresql_where=sa.text("state IN ('open', 'started')"),
    )
    op.create_table(
        "decommissioned",
        sa.Column("item_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("terminal_id", sa.String(length=10), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("iccid", sa.String(length=20), nullable=True),
        sa.Column("sim_confirmed_us", sa.BigInteger(), nullable=True),
        sa.Column("alias", sa.String(length=100), nullable=True),
        sa.Column("alias_confirmed_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.Integer(), nullable=False),
        sa.Column(
            "evidence_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["evidence_id"], ["evidence.id"], name=op.f("fk_decommissioned_evidence_id_evidence")
        ),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminals.id"], name=op.f("fk_decommissioned_terminal_id_terminals")
        ),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_decommissioned")),
    )
    op.create_index(op.f("ix_decommissioned_iccid"), "decommissioned", ["iccid"], unique=False)
    op.create_index(
        op.f("ix_decommissioned_terminal_id"), "decommissioned", ["terminal_id"], unique=False
    )


_NEVER = "{what} is on record: it is never changed"
# Of a segment only its end may be added, once.
_FIXED = (
    "asset_id", "register", "number", "terminal_id", "kind", "pair", "from_us", "unit",
    "decimals", "clock_shift_s", "step", "first_us", "first_raw", "base_index", "start_index",
    "evidence_id",
)  # fmt: skip
_CHANGED = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _FIXED)
_BILLED = (
    "EXISTS (SELECT 1 FROM bill_lines l WHERE l.asset_id = NEW.asset_id"
    " AND l.register = NEW.register AND (l.to_us > NEW.to_us OR l.to_index > NEW.end_index))"
)
# Another one follows it then: who closed the bill had not seen it.
_ENDED = (
    "SELECT 1 FROM register_segments s WHERE s.asset_id = NEW.asset_id"
    " AND s.register = NEW.register AND s.number = NEW.segment_no AND s.to_us < NEW.to_us"
)
# Table, name, event, condition, text.
_RULES = (
    ("evidence", "kept", "UPDATE", "1 = 1", _NEVER.format(what="evidence")),
    ("evidence", "stays", "DELETE", "1 = 1", _NEVER.format(what="evidence")),
    ("bill_lines", "kept", "UPDATE", "1 = 1", _NEVER.format(what="a bill line")),
    ("bill_lines", "stays", "DELETE", "1 = 1", _NEVER.format(what="a bill line")),
    ("register_segments", "stays", "DELETE", "1 = 1", _NEVER.format(what="a segment")),
    (
        "register_segments", "kept", "UPDATE",
        (f"OLD.to_us IS NOT NULL OR COALESCE(NEW.modulus, 0) <> COALESCE(OLD.modulus, 0)"
        f" OR {_CHANGED}"),
        "a segment is only ended, once",
    ),
    (
        "register_segments", "billed", "UPDATE", f"NEW.to_us IS NOT NULL AND {_BILLED}",
        "a segment does not end before what is billed",
    ),
    (
        "bill_lines", "late", "INSERT", f"EXISTS ({_ENDED})",
        "a bill line does not rest on a segment that had ended before",
    ),
)  # fmt: skip


def _names() -> list[str]:
    """Of all triggers."""
    return [f"{table}_{name}" for table, name, *_ in _RULES]


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
    for name in (
        "decommissioned", "work_orders", "preflight_checks", "migration_swaps", "ledger_policies",
        "bill_lines", "bill_freezes", "register_segments", "evidence",
    ):  # fmt: skip
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        for name in _names():
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("migration_items")
    op.drop_table("migration_programmes")
