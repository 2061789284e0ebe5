"""MLflow keeps absolute paths; in a home that was moved or copied they become those of its own folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit


def follow_folder(database: Path) -> int:
    """Makes a database whose folder was moved or copied name the folder it lies in; returns the values changed.

    Where it lay before is read from its experiments, whose artifacts lie in `artifacts/<name>` beside it.
    """
    if not database.exists():
        return 0
    here = database.parent.resolve()
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
            return 0
        before = {
            location.removesuffix(f"/artifacts/{name}")
            for name, location in connection.execute("SELECT name, artifact_location FROM experiments")
            if location and location.endswith(f"/artifacts/{name}")
        } - {here.as_uri()}
        if not before:
            return 0
        connection.execute("BEGIN IMMEDIATE")
        renamed = {old: here.as_uri() for old in before} | {unquote(urlsplit(old).path): str(here) for old in before}
        changed = sum(_rename(connection, old, new) for old, new in sorted(renamed.items()))
        connection.execute("COMMIT")
    return changed


def _rename(connection: sqlite3.Connection, old: str, new: str) -> int:
    """Replaces a folder at the beginning of every text of every table."""
    changed = 0
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (table,) in tables.fetchall():
        for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                changed += connection.execute(
                    f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) WHERE substr("{column}", 1, ?) = ?',
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                ).rowcount
    return changed
