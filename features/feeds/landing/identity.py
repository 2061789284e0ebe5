"""Who a row belongs to: numbers to their owner at event time, customers that exist, persons without their numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import duckdb

from features.feeds.contracts import FEEDS
from features.feeds.landed.manifest import LandedFeed, Part
from features.feeds.landing.parts import Writer
from features.feeds.landing.typing_rows import is_staged, staged_name
from features.feeds.schema import Feed, Link
from features.kit.home import Home
from features.kit.sql import column_types, parquet
from features.kit.values.identifiers import phone_number_sql

_COMPUTED = {
    # a correlated EXISTS with `<>` and `<` answers wrongly in DuckDB 1.5.6; the window does not.
    "is_reissued": (
        f"count(DISTINCT customer_id) OVER (PARTITION BY {phone_number_sql('number')} "
        "ORDER BY valid_from, known_at, customer_id "
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

    The owner is the one of what was known of the number: a row whose owner was learnt later is known from then on, and
    where the operator learnt that it had been somebody else's, the row becomes two versions. Example: a call of 03-02,
    and on 03-05 it is known that the number changed hands on 03-01: until 03-05 the call is the old owner's.
    """
    _read_owners(connection, home, numbers)
    table, key = staged_name(feed), _identity(connection, feed, number=True)
    connection.execute(
        # `following`: when a newer version of the row itself is known; owners from then on are that version's.
        f"CREATE OR REPLACE TEMP TABLE asked AS SELECT rowid AS place, number, event_at, known_at, min(known_at) OVER ("
        f"PARTITION BY {key} ORDER BY known_at RANGE BETWEEN INTERVAL 1 MICROSECOND FOLLOWING AND UNBOUNDED FOLLOWING) "
        f"AS following FROM {table} WHERE _reason IS NULL"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE owned AS WITH moments AS ("
        "SELECT a.*, e.since, greatest(a.known_at, e.since) AS moment FROM asked a JOIN epochs e "
        "ON a.number = e.number AND (e.until IS NULL OR e.until > a.known_at) "
        "AND (e.since <= a.known_at OR a.following IS NULL OR e.since < a.following)), "
        "held AS (SELECT place, moment, following, "
        "CASE WHEN b.valid_until IS NULL OR event_at < b.valid_until THEN b.customer_id END AS customer_id "
        "FROM moments m ASOF LEFT JOIN believed b "
        "ON m.number = b.number AND m.since = b.since AND m.event_at >= b.valid_from), "
        "changes AS (SELECT * FROM held WINDOW own AS (PARTITION BY place ORDER BY moment) "
        "QUALIFY row_number() OVER own = 1 OR customer_id IS DISTINCT FROM lag(customer_id) OVER own) "
        "SELECT place, moment, customer_id, coalesce(lead(moment) OVER own, following) AS superseded_at "
        "FROM changes WINDOW own AS (PARTITION BY place ORDER BY moment) QUALIFY customer_id IS NOT NULL"
    )
    nobody = "s._reason IS NULL AND o.place IS NULL"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE resolved AS SELECT o.customer_id, s.* EXCLUDE (number) REPLACE ("
        f"coalesce(o.moment, s.known_at) AS known_at, "
        f"CASE WHEN {nobody} THEN 'number_without_owner:number' ELSE s._reason END AS _reason, "
        f"CASE WHEN {nobody} THEN CAST(to_json(struct_pack(number := s.number, event_at := s.event_at)) AS VARCHAR) "
        f"ELSE s._content END AS _content), o.superseded_at FROM {table} s LEFT JOIN owned o ON s.rowid = o.place"
    )
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"CREATE TABLE {table} AS FROM resolved")
    connection.execute("DROP TABLE resolved")


def _read_owners(connection: duckdb.DuckDBPyConnection, home: Home, numbers: LandedFeed | None) -> None:
    """Makes `epochs`, the spans in which knowledge of a number stood still, and `believed`, its owners in each."""
    known = []
    if numbers is not None:
        known.append(
            f"SELECT {phone_number_sql('number')} AS number, customer_id, valid_from, valid_until, known_at, "
            f"superseded_at FROM {_scan(home, numbers)}"  # an earlier release landed them as they were delivered
        )
    if is_staged(connection, "numbers"):
        staged = staged_name(FEEDS["numbers"])
        until = "valid_until" if "valid_until" in column_types(connection, staged) else "CAST(NULL AS TIMESTAMP)"
        known.append(
            f"SELECT number, customer_id, valid_from, {until} AS valid_until, known_at, "
            f"CAST(NULL AS TIMESTAMP) AS superseded_at FROM {staged} WHERE _reason IS NULL"
        )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE owners AS SELECT number, customer_id, valid_from, valid_until, known_at, "
        f"least(superseded_at, lead(known_at) OVER (PARTITION BY number, customer_id, valid_from ORDER BY known_at)) "
        f"AS superseded_at FROM ({' UNION ALL '.join(known)})"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE epochs AS "
        "SELECT number, since, lead(since) OVER (PARTITION BY number ORDER BY since) AS until FROM ("
        "SELECT number, known_at AS since FROM owners UNION "
        "SELECT number, superseded_at FROM owners WHERE superseded_at IS NOT NULL)"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE believed AS SELECT number, since, valid_from, min(customer_id) AS customer_id, "
        "arg_min(valid_until, customer_id) AS valid_until FROM owners JOIN epochs USING (number) "
        "WHERE known_at <= since AND (superseded_at IS NULL OR superseded_at > since) GROUP BY ALL"
    )


def _identity(connection: duckdb.DuckDBPyConnection, feed: Feed, *, number: bool = False) -> str:
    """Returns the columns that identify an event of a staged table; its number where the owner is still to be found."""
    if is_staged(connection, feed.name, "event_id"):
        return "event_id"
    return ", ".join("number" if number and name == "customer_id" else name for name in feed.key)


def admit_known_customers(
    connection: duckdb.DuckDBPyConnection, home: Home, feed: Feed, customers: LandedFeed | None
) -> None:
    """Refuses staged rows of customers that the feed `customers` has never named; a row is known no sooner than those.

    So a customer who becomes known later changes nothing that was known before. Of the versions of a row that were
    known by then the newest stays.
    """
    known = []
    if is_staged(connection, "customers"):
        known.append(f"SELECT customer_id, known_at FROM {staged_name(FEEDS['customers'])} WHERE _reason IS NULL")
    if customers is not None:
        known.append(f"SELECT customer_id, known_at FROM {_scan(home, customers)}")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE known_customers AS SELECT customer_id, min(known_at) AS since "
        f"FROM ({' UNION ALL '.join(known)}) GROUP BY customer_id"
    )
    table = staged_name(feed)
    connection.execute(
        f"UPDATE {table} SET _reason = 'unknown_customer:customer_id', _content = CAST(to_json(struct_pack("
        f"customer_id := customer_id, event_at := event_at)) AS VARCHAR) "
        f"WHERE _reason IS NULL AND customer_id NOT IN (SELECT customer_id FROM known_customers)"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE early AS SELECT s.rowid AS place, c.since, s.known_at < max(s.known_at) OVER ("
        f"PARTITION BY {_identity(connection, feed)}) AS is_outdated FROM {table} s "
        f"JOIN known_customers c USING (customer_id) WHERE s._reason IS NULL AND s.known_at <= c.since"
    )
    connection.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT place FROM early WHERE is_outdated)")
    connection.execute(
        f"UPDATE {table} s SET known_at = e.since FROM early e WHERE s.rowid = e.place AND s.known_at < e.since"
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
