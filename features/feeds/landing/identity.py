"""Who a row belongs to: numbers to their owner at event time, customers that exist, persons without their numbers."""

from __future__ import annotations

import hashlib

import duckdb

from features.feeds.contracts import FEEDS, Feed
from features.feeds.conversion import literal
from features.feeds.landed.manifest import LandedFeed, Part
from features.feeds.landing.parts import Writer
from features.feeds.landing.typing_rows import staged_name
from features.kit.home import Home

_PERSON_LINKS = """
    SELECT customer_id, person_id, account_id, role, valid_from, valid_until, is_deceased, known_at, superseded_at
    FROM {rows} ORDER BY ALL
"""
# A correlated EXISTS with `<>` and `<` answers wrongly in DuckDB 1.5.6; the window does not.
_NUMBER_FLAGS = """
    SELECT customer_id, valid_from, valid_until, ported_in_on, ported_out_on, is_verified,
        count(DISTINCT customer_id) OVER (
            PARTITION BY number ORDER BY valid_from, known_at, customer_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) > 1 AS is_reissued,
        known_at, superseded_at
    FROM {rows} ORDER BY ALL
"""
LINKS = {"persons": ("person_links", _PERSON_LINKS), "numbers": ("number_flags", _NUMBER_FLAGS)}
"""Personal feed -> the view made from it that holds neither numbers nor names."""


def resolve_owners(connection: duckdb.DuckDBPyConnection, home: Home, feed: Feed, numbers: LandedFeed | None) -> None:
    """Replaces `number` by the `customer_id` that owned it at event time, in a feed's staged table.

    Ownership is half-open, `[valid_from, valid_until)`; the newest start wins. A number that nobody owned at that
    moment makes its row `number_without_owner`, so a re-issued number gives its new owner nothing of the old one's.
    """
    key = "number, customer_id, valid_from"
    owners = []
    if _exists(connection, "numbers"):
        staged = staged_name(FEEDS["numbers"])
        until = "valid_until" if "valid_until" in _columns(connection, staged) else "CAST(NULL AS TIMESTAMP)"
        owners.append(
            f"SELECT {key}, last(until ORDER BY known_at) AS valid_until FROM "
            f"(SELECT {key}, {{'at': {until}}} AS until, known_at FROM {staged} WHERE _reason IS NULL) GROUP BY ALL"
        )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE owners (number VARCHAR, customer_id VARCHAR, valid_from TIMESTAMP, "
        "valid_until TIMESTAMP)"
    )
    for select in owners:
        connection.execute(f"INSERT INTO owners SELECT {key}, valid_until['at'] FROM ({select})")
    if numbers is not None:
        connection.execute(
            f"INSERT INTO owners SELECT {key}, valid_until FROM {_scan(home, numbers)} l "
            f"ANTI JOIN owners o ON o.number = l.number AND o.customer_id = l.customer_id "
            f"AND o.valid_from = l.valid_from WHERE l.superseded_at IS NULL"
        )
    table = staged_name(feed)
    owner = "CASE WHEN o.valid_until IS NULL OR s.event_at < o.valid_until THEN o.customer_id END"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE resolved AS SELECT {owner} AS customer_id, s.* EXCLUDE (number) REPLACE ("
        f"CASE WHEN _reason IS NULL AND ({owner}) IS NULL THEN 'number_without_owner:number' ELSE _reason END AS "
        f"_reason, CASE WHEN _reason IS NULL AND ({owner}) IS NULL THEN CAST(to_json(struct_pack(number := s.number, "
        f"event_at := s.event_at)) AS VARCHAR) ELSE _content END AS _content) FROM {table} s "
        f"ASOF LEFT JOIN (SELECT number, valid_from, min(customer_id) AS customer_id, "
        f"arg_min(valid_until, customer_id) AS valid_until FROM owners GROUP BY ALL) o "
        f"ON s.number = o.number AND s.event_at >= o.valid_from"
    )
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"CREATE TABLE {table} AS FROM resolved")
    connection.execute("DROP TABLE resolved")


def refuse_unknown_customers(
    connection: duckdb.DuckDBPyConnection, home: Home, feed: Feed, customers: LandedFeed | None
) -> None:
    """Refuses staged rows of customers that the feed `customers` has never named."""
    known = []
    if _exists(connection, "customers"):
        known.append(f"SELECT customer_id FROM {staged_name(FEEDS['customers'])} WHERE _reason IS NULL")
    if customers is not None:
        known.append(f"SELECT customer_id FROM {_scan(home, customers)}")
    every = " UNION ALL ".join(known)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE known_customers AS SELECT DISTINCT customer_id FROM ({every})")
    connection.execute(
        f"UPDATE {staged_name(feed)} SET _reason = 'unknown_customer:customer_id', _content = CAST(to_json(struct_pack("
        f"customer_id := customer_id, event_at := event_at)) AS VARCHAR) "
        f"WHERE _reason IS NULL AND customer_id NOT IN (SELECT customer_id FROM known_customers)"
    )


def write_links(writer: Writer, personal: dict[str, LandedFeed], before: dict[str, Part]) -> dict[str, Part]:
    """Writes the views without numbers and names, and returns their parts; unchanged inputs keep their file."""
    derived: dict[str, Part] = {}
    for feed, landed in personal.items():
        name, select = LINKS[feed]
        inputs = "|".join(part.path for part in landed.parts)
        digest = hashlib.sha256(f"{name}|{inputs}".encode()).hexdigest()[:12]
        path = writer.home.feeds / name / f"all-{digest}.parquet"
        relative = path.relative_to(writer.home.root).as_posix()
        old = before.get(name)
        if old is not None and old.path == relative:
            derived[name] = old
            continue
        rows = writer.write_parquet(path, select.replace("{rows}", _scan(writer.home, landed)))
        derived[name] = Part(path=relative, month="all", rows=rows)
    return derived


def _exists(connection: duckdb.DuckDBPyConnection, feed: str) -> bool:
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [f"staged__{feed}"]
    ).fetchone()
    return bool(found and found[0])


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    return {str(row[0]) for row in connection.execute(f"SELECT column_name FROM (DESCRIBE {table})").fetchall()}


def _scan(home: Home, landed: LandedFeed) -> str:
    return f"read_parquet([{', '.join(literal(str(home.root / part.path)) for part in landed.parts)}])"
