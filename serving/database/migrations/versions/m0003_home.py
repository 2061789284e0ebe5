"""The database says which home it belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "home",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("home_id", sa.String(length=16), nullable=False),
        sa.Column("database_id", sa.String(length=16), nullable=False),
        sa.Column("lives_at", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.CheckConstraint("slot = 1", name=op.f("ck_home_one_row")),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_home")),
    )
