"""The first state of the operational database."""

from __future__ import annotations

from alembic import op

from serving.database.tables import all_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes every table."""
    all_tables().create_all(op.get_bind())
