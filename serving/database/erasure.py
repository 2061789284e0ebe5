"""Takes one person out of what the database keeps for proof: given answers and the audit trail; then no page is free.

An audit entry stays, without the name: the identifiers in it become `erased`, and the chain is made again from there.
The entry that records the erasure holds the hash that the chain ended with before, so whoever kept that hash
elsewhere can still tell this redaction from a forgery.
"""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Engine, select, text
from sqlalchemy.exc import OperationalError

from features.erasure.rewriting import ERASED, compact_sqlite, mentions
from features.kit.errors import NotReadyError
from features.kit.home import Home
from serving.database.audit import record, redact
from serving.database.session import writing
from serving.database.tables import all_tables
from serving.database.tables_access import IdempotencyRow


def erase(engine: Engine, names: frozenset[str], *, actor: str, receipt_id: str) -> dict[str, int]:
    """Replaces a person's identifiers in answers and audit, and records the erasure; returns the rows changed."""
    pattern = mentions(names)
    with writing(engine) as session:
        answers = 0
        for row in session.scalars(select(IdempotencyRow)):
            cleaned = pattern.sub(ERASED, row.answer.decode()).encode()
            if cleaned != row.answer:
                row.answer, answers = cleaned, answers + 1
        found = redact(session, pattern)
        record(session, actor=actor, action="person.erase", subject=receipt_id, detail=asdict(found))
    return {name: count for name, count in (("answers", answers), ("audit", found.entries)) if count}


def compact(home: Home, engine: Engine) -> None:
    """Rewrites the database without free pages, so that no deleted row can be read back.

    Raises:
        NotReadyError: If another process keeps the file, or a table of the server, busy.
    """
    if engine.dialect.name == "postgresql":
        try:
            _compact_postgresql(engine)
        except OperationalError as error:
            raise NotReadyError(
                f"the database cannot be compacted ({str(error.orig).splitlines()[0]})",
                remedy="run the same command again in a moment",
            ) from None
        return
    engine.dispose()
    compact_sqlite(home.operations)


def _compact_postgresql(engine: Engine) -> None:
    """Forgets the planner's samples of our tables, which hold values of deleted rows, and rewrites the tables.

    ANALYZE keeps the samples of a table that has become empty; giving a column the type that it has removes them.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name, table in sorted(all_tables().tables.items()):
            types = [(one.name, one.type.compile(engine.dialect)) for one in table.columns]
            again = ", ".join(f'ALTER COLUMN "{column}" TYPE {kind}' for column, kind in types)
            connection.execute(text(f'ALTER TABLE "{name}" {again}'))
            connection.execute(text(f'VACUUM (FULL, ANALYZE) "{name}"'))
        connection.execute(text("VACUUM (FULL) pg_catalog.pg_statistic"))  # skipped, with a notice, if not ours
