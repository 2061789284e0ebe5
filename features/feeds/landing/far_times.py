"""Times far off: what they stand for by a column's contract, and what is refused; days on which too many rows fall.

Many systems fill a date that they do not know with 1900-01-01 or 1970-01-01, and an end that is not agreed with
9999-12-31 or `infinity`. By `when` in the contract such a time is NULL ("unknown", "always", "no end") or refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from features.feeds.schema import Column, Feed, Kind, When
from features.feeds.times import to_local
from features.kit.clock import civil_date, instant_of
from features.kit.sql import column_types, literal, quoted, timestamp

if TYPE_CHECKING:
    import duckdb

STAND_INS = tuple(map(date.fromisoformat, ("1899-12-30", "1899-12-31", "1900-01-01", "1969-12-31", "1970-01-01")))
"""The zero days of spreadsheets, databases and clocks (1969-12-31 west of Greenwich): nobody's history is that old."""

NO_END = date(2099, 1, 1)
"""An end from this day on is no end: 2099-12-31, 2999-12-31, 9999-12-31, infinity."""

_LOW, _HIGH = date(1900, 1, 1), date(2101, 1, 1)
_MANY = 20  # rows on one day
_SHARE = 0.05  # of the rows with a value
_TIMES = 5  # as many as on the next day
_RECENT_DAYS = 31  # activity may well fall on the newest days


def _at(column: Column, day: date, zone: str) -> str:
    """Returns SQL of the beginning of a day as the column's kind holds it."""
    return f"DATE '{day}'" if column.kind is Kind.DATE else timestamp(instant_of(day, zone))


def _in_future(column: Column, value: str, latest: datetime, zone: str) -> str:
    """Returns SQL of whether a time lies after the delivery; one day of grace, since clocks differ."""
    until = latest + timedelta(days=1)
    day = civil_date(until.replace(tzinfo=UTC), zone)
    return f"{value} > " + (f"DATE '{day}'" if column.kind is Kind.DATE else timestamp(until))


def _is_stand_in(column: Column, value: str, zone: str) -> str:
    instants = [] if column.kind is Kind.DATE else [f"TIMESTAMP '{day}'" for day in STAND_INS]
    days = ", ".join([*instants, *(_at(column, day, zone) for day in STAND_INS)])
    return f"({value} IN ({days}) OR ({value} < {_at(column, _LOW, zone)} AND NOT isfinite({value})))"


def unknown(column: Column, value: str, latest: datetime, zone: str) -> str:
    """Returns SQL of whether a time stands for "unknown", or an empty string if the contract gives no such meaning."""
    if not column.is_time or column.required:
        return ""
    tests = [_is_stand_in(column, value, zone)]
    if column.when is When.PAST_OR_UNKNOWN:
        tests.append(_in_future(column, value, latest, zone))
    return f"({' OR '.join(tests)})"


def meant(column: Column, value: str, latest: datetime, zone: str) -> str:
    """Returns SQL of what a value means: NULL for a time that stands for "unknown" or "no end"."""
    nothing = [test for test in (unknown(column, value, latest, zone),) if test]
    if column.when is When.END:
        nothing.append(f"{value} >= {_at(column, NO_END, zone)}")
    return f"CASE WHEN {' OR '.join(nothing)} THEN NULL ELSE {value} END" if nothing else value


def refusals(column: Column, value: str, latest: datetime, zone: str) -> Iterator[str]:
    """Yields the cases of a time that is refused: out of range, in the future, or a stand-in where a time is needed."""
    if not column.is_time:
        return
    low, high = (_at(column, day, zone) for day in (_LOW, _HIGH))
    yield f"WHEN {value} < {low} OR {value} >= {high} THEN {literal(f'not_between_1900_and_2100:{column.name}')}"
    if column.when is When.PAST:
        test = _in_future(column, value, latest, zone)
        yield f"WHEN {test} THEN {literal(f'in_the_future:{column.name}')}"
    if column.required and column.when is not When.START:
        yield f"WHEN {_is_stand_in(column, value, zone)} THEN {literal(f'stand_in:{column.name}')}"


def piled_up(
    connection: duckdb.DuckDBPyConnection, feed: Feed, table: str, latest: datetime, zone: str
) -> dict[str, str]:
    """Returns column -> a sentence on the one day of the past on which far more rows fall than on any other.

    Such a day often stands for "unknown" or for the start of a system. Catalogues are left out.
    """
    found: dict[str, str] = {}
    present = column_types(connection, table)
    recent = latest - timedelta(days=_RECENT_DAYS)
    for column in () if feed.reference else feed.columns:
        if column.when in (When.ANY, When.END) or column.name not in present:
            continue
        day = quoted(column.name) if column.kind is Kind.DATE else to_local(quoted(column.name), zone)
        rows = connection.execute(
            f"SELECT CAST({day} AS DATE) AS day, count(*) AS n, sum(n) OVER () AS filled FROM {table} "
            f"WHERE _reason IS NULL AND {quoted(column.name)} IS NOT NULL GROUP BY day ORDER BY n DESC, day LIMIT 2"
        ).fetchall()
        if not rows:
            continue
        top, filled = rows[0], int(rows[0][2])
        second = int(rows[1][1]) if len(rows) > 1 else 0
        if top[1] >= max(_MANY, _SHARE * filled, _TIMES * second) and top[0] < recent.date():
            found[column.name] = f"{top[1]:,} of {filled:,} rows ({top[1] / filled:.1%}) fall on {top[0]}"
    return found
