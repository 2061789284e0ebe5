"""Reports that landing refuses are set aside: `held_reason` says why, `dropped_at` that nobody will mend them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the two columns to contacts and attempts."""
    for table in ("outreach_contacts", "outreach_attempts"):
        op.add_column(table, sa.Column("held_reason", sa.String(length=200), nullable=True))
        op.add_column(table, sa.Column("dropped_at", sa.DateTime(), nullable=True))
