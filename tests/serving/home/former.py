"""What turns a ledger of today into one of the former release, whose newest migration is 0002."""

from __future__ import annotations

from collections.abc import Iterator

from serving.database.migrations.versions.m0005_changes import TELLING


def former_release(dialect: str) -> Iterator[str]:
    """Yields the statements that take the migrations after 0002 back, on `sqlite` or `postgresql`."""
    for table in TELLING:
        if dialect == "postgresql":
            yield f"DROP FUNCTION {table}_changed() CASCADE"
        else:
            yield from (f"DROP TRIGGER {table}_{event}" for event in ("insert", "update", "delete"))
    yield "DROP TABLE outreach_changes"
    yield "DROP INDEX ix_outreach_contacts_client_id"
    yield "ALTER TABLE outreach_contacts DROP COLUMN client_id"
    yield "ALTER TABLE outreach_contacts DROP COLUMN owner"
    yield "DROP TABLE home"
    yield "UPDATE alembic_version SET version_num = '0002'"
