"""Of whom the ledger has heard since when: whoever keeps the contact policy in memory asks for these persons alone.

The database writes it by itself, whichever process or hand changes contacts, claims or refusals. One row a person or
subscription; the numbers never go back, and in PostgreSQL a lock makes them follow the order of the commits.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TELLING = {
    "outreach_contacts": (("person_id",), ("person_id", "contact_id", "action", "day")),
    "outreach_claim_days": (("person_id",), ("person_id", "day")),
    "outreach_refusals": (
        ("person_id", "customer_id"),
        ("code", "person_id", "customer_id", "action", "ticket_id", "starts_on", "ends_on"),
    ),
}
"""Table -> the columns that name whom a row is about, and those that the policy reads."""
_LOCK = 0x1A51648


def upgrade() -> None:
    """Makes the table and what writes it."""
    op.create_table(
        "outreach_changes",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_outreach_changes")),
    )
    op.create_index(op.f("ix_outreach_changes_number"), "outreach_changes", ["number"], unique=False)
    make = _postgresql if op.get_bind().dialect.name == "postgresql" else _sqlite
    for table, (names, read) in TELLING.items():
        make(table, names, read)


def _insert(names: list[str]) -> str:
    every = " UNION ".join(f"SELECT {name} AS name" for name in names)
    return (
        "INSERT INTO outreach_changes (name, number) "
        f"SELECT name, (SELECT coalesce(max(number), 0) + 1 FROM outreach_changes) FROM ({every}) AS named "
        "WHERE name IS NOT NULL ON CONFLICT (name) DO UPDATE SET number = excluded.number"
    )


def _sqlite(table: str, names: tuple[str, ...], read: tuple[str, ...]) -> None:
    for event, rows in (("INSERT", ("NEW",)), (f"UPDATE OF {', '.join(read)}", ("OLD", "NEW")), ("DELETE", ("OLD",))):
        told = _insert([f"{row}.{name}" for row in rows for name in names])
        op.execute(f"CREATE TRIGGER {table}_{event[:6].lower()} AFTER {event} ON {table} BEGIN {told}; END")


def _postgresql(table: str, names: tuple[str, ...], read: tuple[str, ...]) -> None:
    same = " AND ".join(f"OLD.{name} IS NOT DISTINCT FROM NEW.{name}" for name in read)
    old, new = (_insert([f"{row}.{name}" for name in names]) for row in ("OLD", "NEW"))
    op.execute(
        f"CREATE FUNCTION {table}_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'UPDATE' THEN IF {same} THEN RETURN NULL; END IF; END IF; "
        f"PERFORM pg_advisory_xact_lock({_LOCK}); "
        f"IF TG_OP <> 'INSERT' THEN {old}; END IF; "
        f"IF TG_OP <> 'DELETE' THEN {new}; END IF; "
        "RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_changed AFTER INSERT OR UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_changed()"
    )
