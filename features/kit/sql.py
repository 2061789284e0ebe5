"""Pieces of SQL that are written in one way: names quoted, values as literals, instants, the newest row of a group.

A value goes into a statement as a bound parameter; where a statement takes none (a view, a path, a COPY), `literal` or
`timestamp` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def quoted(name: str) -> str:
    """Returns an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | Path) -> str:
    """Returns an SQL string. Example: O'Neil gives 'O''Neil'."""
    return "'" + str(value).replace("'", "''") + "'"


def literals(values: Iterable[str | Path]) -> str:
    """Returns SQL strings with commas between them, as IN (...) and lists take them."""
    return ", ".join(literal(value) for value in values)


def timestamp(moment: datetime) -> str:
    """Returns the SQL instant, in whole seconds of UTC; a naive moment is UTC already."""
    utc = moment if moment.tzinfo is None else moment.astimezone(UTC)
    return f"TIMESTAMP '{utc:%Y-%m-%d %H:%M:%S}'"


def parquet(paths: Iterable[str | Path], *options: str) -> str:
    """Returns the scan of Parquet files, with options such as `union_by_name=true`."""
    return f"read_parquet({', '.join([f'[{literals(paths)}]', *options])})"


def newest(by: str, order: str = "event_at DESC, known_at DESC") -> str:
    """Returns the clause that keeps one row of each group: the first in the order, by default the newest as known."""
    return f"QUALIFY row_number() OVER (PARTITION BY {by} ORDER BY {order}) = 1"


def column_types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Returns column -> type of a table, a view or a SELECT, in order."""
    rows = connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {relation})").fetchall()
    return {str(name): str(kind) for name, kind in rows}


def row_count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Returns the number of rows of a table, or of a table with a condition: `bills WHERE total > 0`."""
    row = connection.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return int(row[0]) if row else 0
