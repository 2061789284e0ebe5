"""Who a row belongs to: numbers to their owner at event time, customers that exist, persons without their numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import duckdb

from features.feeds.contracts import FEEDS
from features.feeds.landed.manifest import LandedFeed, Part
from features.feeds.landed.reading import newest_versions
from features.feeds.landing.parts import Writer
from features.feeds.landing.typing_rows import is_staged, staged_name
from features.feeds.schema import Feed, Link
from features.kit.home import Home
from features.kit.sql import column_types, parquet

_COMPUTED = {
    # A correlated EXISTS with `<>` and `<` answers wrongly in DuckDB 1.5.6; the window does not.
    "is_reissued": (
        "count(DISTINCT customer_id) OVER (PARTITION BY number ORDER BY valid_from, known_at, customer_id "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) > 1 AS is_reissued"
    )
}
"""Columns of a link that its feed does not have."""


def link_sql(link: Link, rows: str) -> str:
    """Returns SQL for the view of a personal feed that holds neither numbers nor names."""
    columns = ", ".join(_COMPUTED.get(name, name) for name in link.types)
    return f"SELECT {columns} FROM {rows} ORDER BY ALL"


def resolve_owners(connection: duckdb.DuckDBPyConnection, home: Home, feed: Feed, numbers: LandedFeed | None) -> None:
    """Replaces `number` by the `customer_id` that owned it at event time, in a feed's staged table.

    Ownership is half-open, `[valid_from, valid_until)`; the newest start wins. A number that nobody owned at that
    moment makes its row `number_without_owner`, so a re-issued number gives its new owner nothing of the old one's.
    """
    key = "number, customer_id, valid_from"
    owners = []
    if is_staged(connection, "numbers"):
        staged = staged_name(FEEDS["numbers"])
        until = "valid_until" if "valid_until" in column_types(connection, staged) else "CAST(NULL AS TIMESTAMP)"
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
            f"INSERT INTO owners SELECT {key}, valid_until FROM ({newest_versions(_scan(home, numbers))}) l "
            f"ANTI JOIN owners o ON o.number = l.number AND o.customer_id = l.customer_id "
            f"AND o.valid_from = l.valid_from"
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
    if is_staged(connection, "customers"):
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


def write_links(writer: Writer, landed: Mapping[str, LandedFeed], before: dict[str, Part]) -> dict[str, Part]:
    """Writes the links of landed personal feeds, and returns their parts; unchanged inputs keep their file."""
    derived: dict[str, Part] = {}
    for feed in FEEDS.values():
        if feed.link is None or feed.name not in landed:
            continue
        name = feed.link.name
        inputs = "|".join(part.path for part in landed[feed.name].parts)
        digest = hashlib.sha256(f"{name}|{inputs}".encode()).hexdigest()[:12]
        path = writer.home.feeds / name / f"all-{digest}.parquet"
        relative = path.relative_to(writer.home.root).as_posix()
        old = before.get(name)
        if old is not None and old.path == relative:
            derived[name] = old
            continue
        rows = writer.write_parquet(path, link_sql(feed.link, _scan(writer.home, landed[feed.name])))
        derived[name] = Part(path=relative, month="all", rows=rows)
    return derived


def _scan(home: Home, landed: LandedFeed) -> str:
    return parquet(home.root / part.path for part in landed.parts)
