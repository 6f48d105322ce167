"""Releases, their bytes, deltas between them, and whose signatures count."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "releases",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("board", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("image", sa.LargeBinary(length=8), nullable=True),
        sa.Column("sbom", sa.Text(), nullable=False),
        sa.Column("added_us", sa.BigInteger(), nullable=False),
        sa.Column("promoted_us", sa.BigInteger(), nullable=True),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_releases")),
    )
    op.create_index("ix_releases_image", "releases", ["image"])
    op.create_table(
        "release_artifacts",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_release_artifacts")),
    )
    op.create_table(
        "release_deltas",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("base", sa.LargeBinary(length=8), nullable=False),
        sa.Column("base_sequence", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("patch", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sequence"], ["releases.sequence"], name=op.f("fk_release_deltas_sequence_releases")
        ),
        sa.ForeignKeyConstraint(
            ["base_sequence"],
            ["releases.sequence"],
            name=op.f("fk_release_deltas_base_sequence_releases"),
        ),
        sa.PrimaryKeyConstraint("sequence", "base", name=op.f("pk_release_deltas")),
    )
    op.create_index("ix_release_deltas_state", "release_deltas", ["state", "sequence"])
    op.create_table(
        "release_trust",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("added_us", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_release_trust")),
    )


def downgrade() -> None:
    op.drop_table("release_trust")
    op.drop_table("release_deltas")
    op.drop_table("release_artifacts")
    op.drop_table("releases")
