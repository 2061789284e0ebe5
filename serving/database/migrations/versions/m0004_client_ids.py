"""A campaign tool's contact ids belong to its API key and customer: `owner` and `client_id` of a contact.

What was reported before has no known key: it keeps its id if it has landed or is a line's report, and gets an id of
its own if it waits.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the columns, and takes waiting contacts out of the namespace of lines and of the operator."""
    op.add_column("outreach_contacts", sa.Column("owner", sa.String(length=100), nullable=True))
    op.add_column("outreach_contacts", sa.Column("client_id", sa.String(length=100), nullable=True))
    op.create_index(op.f("ix_outreach_contacts_client_id"), "outreach_contacts", ["client_id"], unique=False)
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT contact_id, customer_id, landed_at FROM outreach_contacts c WHERE NOT EXISTS (SELECT 1 "
            "FROM outreach_lines l JOIN outreach_attempts a ON a.line_id = l.line_id "
            "WHERE l.line_id = c.contact_id AND l.customer_id = c.customer_id)"
        )
    ).all()
    for contact_id, customer_id, landed_at in rows:
        digest = hashlib.sha256(f"\x00{customer_id}\x00{contact_id}".encode()).hexdigest()[:12]
        own = contact_id if landed_at is not None else f"{contact_id[:87]}@{digest}"
        connection.execute(
            sa.text("UPDATE outreach_contacts SET client_id = contact_id, contact_id = :own WHERE contact_id = :old"),
            {"own": own, "old": contact_id},
        )
