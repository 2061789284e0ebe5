"""The first state of the operational database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes every table."""
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("province", sa.String(length=100), nullable=True),
        sa.Column("city", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
    )
    op.create_table(
        "audit",
        sa.Column("entry_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_subject"), "audit", ["subject"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("owner", "key", name=op.f("uq_idempotency_keys_owner_key")),
    )
    op.create_table(
        "outreach_claim_days",
        sa.Column("person_id", sa.String(length=100), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("line_id", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "day", name=op.f("pk_outreach_claim_days")),
    )
    op.create_index(op.f("ix_outreach_claim_days_line_id"), "outreach_claim_days", ["line_id"], unique=False)
    op.create_table(
        "outreach_contacts",
        sa.Column("contact_id", sa.String(length=100), nullable=False),
        sa.Column("customer_id", sa.String(length=100), nullable=False),
        sa.Column("person_id", sa.String(length=100), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=True),
        sa.Column("campaign", sa.String(length=100), nullable=True),
        sa.Column("reported_at", sa.DateTime(), nullable=False),
        sa.Column("landed_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_outreach_contacts")),
    )
    op.create_index(op.f("ix_outreach_contacts_landed_at"), "outreach_contacts", ["landed_at"], unique=False)
    op.create_index(op.f("ix_outreach_contacts_person_id"), "outreach_contacts", ["person_id"], unique=False)
    op.create_table(
        "outreach_handovers",
        sa.Column("handover_id", sa.String(length=20), nullable=False),
        sa.Column("list_id", sa.String(length=20), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("removed_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("handover_id", name=op.f("pk_outreach_handovers")),
    )
    op.create_table(
        "outreach_lines",
        sa.Column("line_id", sa.String(length=12), nullable=False),
        sa.Column("person_id", sa.String(length=100), nullable=False),
        sa.Column("customer_id", sa.String(length=100), nullable=False),
        sa.Column("province", sa.String(length=100), nullable=True),
        sa.Column("city", sa.String(length=100), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("team", sa.String(length=40), nullable=False),
        sa.Column("skill", sa.String(length=40), nullable=False),
        sa.Column("drawn_on", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("closed_code", sa.String(length=40), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=True),
        sa.Column("agent", sa.String(length=60), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("line_id", name=op.f("pk_outreach_lines")),
    )
    op.create_index(op.f("ix_outreach_lines_customer_id"), "outreach_lines", ["customer_id"], unique=False)
    op.create_index(op.f("ix_outreach_lines_person_id"), "outreach_lines", ["person_id"], unique=False)
    op.create_index(
        op.f("ix_outreach_lines_status_valid_until"), "outreach_lines", ["status", "valid_until"], unique=False
    )
    op.create_table(
        "outreach_lists",
        sa.Column("list_id", sa.String(length=20), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=2), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("released_at", sa.DateTime(), nullable=True),
        sa.Column("files", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", name=op.f("pk_outreach_lists")),
        sa.UniqueConstraint("owner", "key", name=op.f("uq_outreach_lists_owner_key")),
    )
    op.create_index(op.f("ix_outreach_lists_as_of"), "outreach_lists", ["as_of"], unique=False)
    op.create_table(
        "outreach_refusals",
        sa.Column("refusal_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.String(length=100), nullable=True),
        sa.Column("customer_id", sa.String(length=100), nullable=True),
        sa.Column("action", sa.String(length=40), nullable=True),
        sa.Column("ticket_id", sa.String(length=100), nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("refusal_id", name=op.f("pk_outreach_refusals")),
        sa.UniqueConstraint("source", "code", name=op.f("uq_outreach_refusals_source_code")),
    )
    op.create_index(op.f("ix_outreach_refusals_customer_id"), "outreach_refusals", ["customer_id"], unique=False)
    op.create_index(op.f("ix_outreach_refusals_person_id"), "outreach_refusals", ["person_id"], unique=False)
    op.create_table(
        "outreach_attempts",
        sa.Column("attempt_id", sa.String(length=20), nullable=False),
        sa.Column("line_id", sa.String(length=12), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("disposition", sa.String(length=20), nullable=False),
        sa.Column("order_reference", sa.String(length=100), nullable=True),
        sa.Column("ticket_id", sa.String(length=100), nullable=True),
        sa.Column("next_at", sa.DateTime(), nullable=True),
        sa.Column("agent", sa.String(length=60), nullable=True),
        sa.Column("reported_at", sa.DateTime(), nullable=False),
        sa.Column("landed_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["line_id"], ["outreach_lines.line_id"], name=op.f("fk_outreach_attempts_line_id_outreach_lines")
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_outreach_attempts")),
        sa.UniqueConstraint("line_id", "ordinal", name=op.f("uq_outreach_attempts_line_id_ordinal")),
    )
    op.create_index(op.f("ix_outreach_attempts_landed_at"), "outreach_attempts", ["landed_at"], unique=False)
    op.create_index(op.f("ix_outreach_attempts_line_id"), "outreach_attempts", ["line_id"], unique=False)
    op.create_table(
        "outreach_list_lines",
        sa.Column("list_id", sa.String(length=20), nullable=False),
        sa.Column("line_id", sa.String(length=12), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("is_carried", sa.Boolean(), nullable=False),
        sa.Column("withdrawn_code", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(
            ["line_id"], ["outreach_lines.line_id"], name=op.f("fk_outreach_list_lines_line_id_outreach_lines")
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["outreach_lists.list_id"], name=op.f("fk_outreach_list_lines_list_id_outreach_lists")
        ),
        sa.PrimaryKeyConstraint("list_id", "line_id", name=op.f("pk_outreach_list_lines")),
        sa.UniqueConstraint("line_id", "day", name=op.f("uq_outreach_list_lines_line_id_day")),
    )
