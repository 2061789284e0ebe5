"""A small history for labels and cohorts: tables in, one DuckDB connection with every feed's columns out."""

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from features.feeds.contracts import FEEDS
from training.history import History

ZONE = "Asia/Shanghai"
COMMON = {"event_id": "VARCHAR", "customer_id": "VARCHAR", "event_at": "TIMESTAMP", "known_at": "TIMESTAMP",
          "superseded_at": "TIMESTAMP"}  # fmt: skip

World = Callable[..., History]


@pytest.fixture
def world() -> Iterator[World]:
    """Returns a function from `feed=[{column: value}, ...]` to a history; an absent column is NULL."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def build(*, snapshot: bool = False, **feeds: list[dict[str, Any]]) -> History:
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        opened.append(connection)
        for name, rows in feeds.items():
            columns = COMMON | {column.name: column.sql_type for column in FEEDS[name].columns}
            definition = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            connection.execute(f"CREATE TABLE {name} ({definition})")
            for number, row in enumerate(rows):
                full = {"event_id": str(number), "known_at": row.get("event_at", "2020-01-01")} | row
                marks = ", ".join("?" for _ in full)
                connection.execute(f"INSERT INTO {name} ({', '.join(full)}) VALUES ({marks})", list(full.values()))
        return History(connection, frozenset(feeds), ZONE, snapshot=snapshot)

    yield build
    for connection in opened:
        connection.close()
