"""The inventory of old terminals, their networks' last days, and what a survey measured."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sunsets",
        sa.Column("operator", sa.String(length=16), nullable=False),
        sa.Column("bearer", sa.String(length=8), nullable=False),
        sa.Column("area", sa.String(length=12), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("operator", "bearer", "area", name=op.f("pk_sunsets")),
    )
    op.create_table(
        "tac_models",
        sa.Column("tac", sa.String(length=8), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("bearers", sa.String(length=40), nullable=False),
        sa.Column("module", sa.String(length=8), nullable=False),
        sa.Column("configured_by", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("tac", name=op.f("pk_tac_models")),
    )
    op.create_table(
        "coverage",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("operator", sa.String(length=16), nullable=False),
        sa.Column("bearer", sa.String(length=8), nullable=False),
        sa.Column("ecl", sa.SmallInteger(), nullable=True),
        sa.Column("rsrp_dbm", sa.SmallInteger(), nullable=True),
        sa.Column("snr_db", sa.SmallInteger(), nullable=True),
        sa.Column("cell", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=10), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("radius_m", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.String(length=6), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_coverage_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "operator", "bearer", name=op.f("pk_coverage")),
    )
    op.create_table(
        "inventory_faults",
        sa.Column("terminal_id", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["terminal_id"],
            ["terminals.id"],
            name=op.f("fk_inventory_faults_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint("terminal_id", "code", name=op.f("pk_inventory_faults")),
    )
    op.create_table(
        "legacy_terminals",
        sa.Column("terminal_id", sa.String(length=10), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=40), nullable=True),
        sa.Column("msisdn", sa.String(length=15), nullable=False),
        sa.Column("operator", sa.String(length=16), nullable=False),
        sa.Column("bearer", sa.String(length=8), nullable=False),
        sa.Column("capable", sa.String(length=40), nullable=False),
        sa.Column("power", sa.String(length=8), nullable=False),
        sa.Column("mobility", sa.String(length=8), nullable=False),
        sa.Column("voice", sa.String(length=3), nullable=False),
        sa.Column("bytes_day", sa.BigInteger(), nullable=True),
        sa.Column("reports_day", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.BigInteger(), nullable=True),
        sa.Column("rate_kbit", sa.Integer(), nullable=True),
        sa.Column("sim", sa.String(length=8), nullable=False),
        sa.Column("sim_bearers", sa.String(length=40), nullable=False),
        sa.Column("sim_lock", sa.String(length=8), nullable=False),
        sa.Column("site_state", sa.String(length=8), nullable=False),
        sa.Column("access", sa.String(length=40), nullable=False),
        sa.Column("unit", sa.String(length=8), nullable=False),
        sa.Column("decimals", sa.SmallInteger(), nullable=True),
        sa.Column("digits", sa.SmallInteger(), nullable=True),
        sa.Column("first_index", sa.String(length=20), nullable=False),
        sa.Column("index_us", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("imported_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["terminal_id"],
            ["terminals.id"],
            name=op.f("fk_legacy_terminals_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint("terminal_id", name=op.f("pk_legacy_terminals")),
        sa.UniqueConstraint("number", name=op.f("uq_legacy_terminals_number")),
        sa.UniqueConstraint("protocol", "address", name=op.f("uq_legacy_terminals_protocol")),
    )
    op.create_table(
        "radio_samples",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("latitude_e7", sa.Integer(), nullable=True),
        sa.Column("longitude_e7", sa.Integer(), nullable=True),
        sa.Column("operator", sa.String(length=16), nullable=False),
        sa.Column("bearer", sa.String(length=8), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=True),
        sa.Column("cell", sa.String(length=20), nullable=False),
        sa.Column("rsrp_dbm", sa.SmallInteger(), nullable=True),
        sa.Column("snr_db", sa.SmallInteger(), nullable=True),
        sa.Column("ecl", sa.SmallInteger(), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_radio_samples_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radio_samples")),
        sa.UniqueConstraint("digest", name=op.f("uq_radio_samples_digest")),
    )
    op.create_index("ix_radio_samples_site", "radio_samples", ["site_id"], unique=False)
    op.create_index(
        "ix_radio_samples_where", "radio_samples", ["latitude_e7", "longitude_e7"], unique=False
    )


def downgrade() -> None:
    op.drop_table("radio_samples")
    op.drop_table("legacy_terminals")
    op.drop_table("inventory_faults")
    op.drop_table("coverage")
    op.drop_table("tac_models")
    op.drop_table("sunsets")
