"""Every version of every event, and from when to when it was the one that was known.

A delivery is merged into what landed before: byte-equal repeats vanish, a changed row becomes a new version, and each
version's `superseded_at` is the knowledge time of its successor or of its removal. Knowledge times never change once
landed, so a correction known after D leaves what was known on D as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from features.feeds.landed.shape import Shape, event_id_sql
from features.feeds.schema import Column
from features.kit.clock import add_months, instant_of
from features.kit.sql import quoted, row_count, timestamp

CONFLICT = "conflicting_duplicate"


def is_kept_apart(column: Column) -> bool:
    """Tells whether a column's values lie in the personal folder (`free_text`) and not in the feed's months."""
    return column.is_free_text


def select_incoming(shape: Shape, staged: str, available: set[str], arrived_at: datetime, where: str) -> str:
    """Returns SQL for staged rows in stored columns; absent contract columns are NULL."""
    selected = list(shape.owner)
    if shape.stores_event_id:
        selected.append("event_id" if "event_id" in available else f"{event_id_sql(shape.feed)} AS event_id")
    selected += [
        "event_at",
        "known_at",
        "superseded_at" if "superseded_at" in available else "CAST(NULL AS TIMESTAMP) AS superseded_at",
        f"{timestamp(arrived_at)} AS arrived_at",
    ]
    selected += [
        quoted(column.name)
        if column.name in available and not is_kept_apart(column)
        else f"CAST(NULL AS {column.sql_type}) AS {quoted(column.name)}"
        for column in shape.feed.columns
    ]
    return f"SELECT {', '.join(selected)}, _file, _row FROM {staged} WHERE {where}"


@dataclass(frozen=True)
class Merged:
    """The outcome of one merge."""

    relation: str  # the table with all versions; `_state` is 0 for untouched rows, 1 for new or newly superseded ones
    repeated: int  # incoming rows that were known already
    changed_months: tuple[str, ...]  # months with at least one touched row
    conflicts: int  # refused incoming rows, to be found in the table `conflicts`


def merge(
    connection: duckdb.DuckDBPyConnection,
    shape: Shape,
    *,
    removed_at: datetime,
    moves_conflicts: bool,
    keeps_confirmations: bool,
) -> Merged:
    """Merges the table `incoming` into the table `landed` (both in stored columns) and leaves `merged`.

    `incoming` also has `_file` and `_row`. Rows that share event and knowledge time but differ are a conflict: within
    one delivery all of them are refused (table `conflicts`); against a landed version the incoming one becomes known
    on arrival if `moves_conflicts`, else it is the newer of the two.

    `removed_at` is when rows absent from a re-delivered period became known to be gone, naive UTC. `moves_conflicts` is
    false where deliveries carry their own order. `keeps_confirmations` keeps a row that only repeats its predecessor at
    a later knowledge time; needed where the source itself says when it knew: a version between the two may still be on
    its way.
    """
    key = ", ".join(quoted(name) for name in shape.identity)
    content = f"hash({', '.join(quoted(name) for name in shape.content)})"
    same_key = " AND ".join(f"i.{quoted(name)} = l.{quoted(name)}" for name in shape.identity)
    removal = timestamp(removed_at)
    run = connection.execute
    incoming = row_count(connection, "incoming")
    run(
        f"CREATE OR REPLACE TEMP TABLE repeated_keys AS SELECT {key}, known_at, count(DISTINCT {content}) AS contents "
        f"FROM incoming GROUP BY ALL HAVING count(*) > 1"
    )
    same_moment = f"{same_key} AND i.known_at = l.known_at"
    run(
        f"CREATE OR REPLACE TEMP TABLE conflicts AS SELECT i.* FROM incoming i "
        f"SEMI JOIN (SELECT * FROM repeated_keys WHERE contents > 1) l ON {same_moment}"
    )
    conflicts = row_count(connection, "conflicts")
    run(
        f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT DISTINCT {shape.columns} FROM incoming i "
        f"ANTI JOIN (SELECT * FROM repeated_keys WHERE contents > 1) l ON {same_moment}"
    )
    run(
        f"CREATE OR REPLACE TEMP TABLE known AS "
        f"SELECT *, {content} AS _content, 0 AS _state, false AS _weak FROM landed"
    )
    weak = str(not keeps_confirmations).lower()
    run(
        f"CREATE OR REPLACE TEMP TABLE added AS "
        f"SELECT *, {content} AS _content, 1 AS _state, {weak} AS _weak FROM fresh"
    )
    run(f"DELETE FROM added i USING known l WHERE {same_moment} AND i._content = l._content")
    if moves_conflicts:
        run(
            f"UPDATE added i SET known_at = i.arrived_at, _weak = true FROM known l WHERE {same_moment} "
            f"AND i.arrived_at > i.known_at"
        )
    versions = (
        f"SELECT *, lag(_content) OVER w AS _before, lag(superseded_at) OVER w AS _gone "
        f"FROM (SELECT * FROM known UNION ALL SELECT * FROM added) "
        f"WINDOW w AS (PARTITION BY {key} ORDER BY known_at, _state, superseded_at NULLS LAST)"
    )
    run(
        f"CREATE OR REPLACE TEMP TABLE kept AS SELECT * EXCLUDE (_before, _gone) FROM ({versions}) "
        f"WHERE NOT _weak OR _before IS NULL OR _before <> _content OR (_gone IS NOT NULL AND _gone <= known_at)"
    )
    gone = "CAST(NULL AS TIMESTAMP)"
    if shape.replaces_period:
        period = shape.period_of("event_at")
        gone = (
            f"CASE WHEN {period} IN (SELECT {period} FROM incoming) "
            f"AND ({key}) NOT IN (SELECT ({key}) FROM incoming) "
            f"AND coalesce(superseded_at > {removal}, true) THEN greatest(known_at, {removal}) END"
        )
    run(
        f"CREATE OR REPLACE TEMP TABLE merged AS "
        f"SELECT * EXCLUDE (_content, _weak, _until) REPLACE (_until AS superseded_at, "
        f"CASE WHEN _until IS DISTINCT FROM superseded_at THEN 1 ELSE _state END AS _state) "
        f"FROM (SELECT *, least(superseded_at, lead(known_at) OVER w, {gone}) AS _until FROM kept "
        f"WINDOW w AS (PARTITION BY {key} ORDER BY known_at, _state, superseded_at NULLS LAST))"
    )
    months = run(
        f"SELECT DISTINCT {shape.month_of('event_at')} AS month FROM merged WHERE _state = 1 ORDER BY month"
    ).fetchall()
    added = row_count(connection, "merged") - row_count(connection, "landed")
    return Merged("merged", incoming - conflicts - added, tuple(str(row[0]) for row in months), conflicts)


def within_month(month: str, zone: str) -> str:
    """Returns the SQL condition for events of a civil month "2026-05"."""
    start = date.fromisoformat(f"{month}-01")
    first, last = (timestamp(instant_of(day, zone)) for day in (start, add_months(start, 1)))
    return f"event_at >= {first} AND event_at < {last}"
