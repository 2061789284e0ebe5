"""From landed feeds to staged rows: what was known, how far back, and every time as whole days before the as-of date.

This is the only place where an as-of date meets a row. A staged row keeps its feed's columns and gains

    days_ago              civil days from the event to the as-of date, 1 = yesterday; only rows with days_ago >= 1
    civil_hour            hour of the operator's clock, for feeds of instants
    days_since_<column>   the same as days_ago for every instant and date column; negative = still to come
    is_this_month         whether the event lies in the calendar month of D (none does when D is a 1st)

so nothing behind it needs a date: the expressions of the features compile once for all as-of dates.

Worked example: D = 2026-06-08 in Asia/Shanghai begins at 2026-06-07 16:00 UTC. A call at 2026-06-08 07:59 local time
is 2026-06-07 23:59 UTC: its civil date is D, days_ago = 0, and the row is left out although UTC shows the day before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from features.feeds.contracts import FEEDS, LINKS
from features.feeds.schema import Column, Grain, Kind
from features.kit.clock import instant_of, month_start, offset_changes
from features.kit.sql import timestamp
from features.portraits.dimensions.windows import LOOK_BACK_DAYS

_DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1)
_FIRST_YEAR, _LAST_YEAR = 2000, 2050

_IBIS_TYPES = {
    "VARCHAR": "string",
    "BIGINT": "int64",
    "DOUBLE": "float64",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp(6)",
    "DATE": "date",
}


@dataclass(frozen=True)
class Moment:
    """The moment at which we pretend to stand.

    Attributes:
        as_of: The as-of date D.
        time_zone: The operator's zone, in which D begins.
    """

    as_of: date
    time_zone: str

    @property
    def instant(self) -> datetime:
        """Returns the UTC instant at which D begins."""
        return instant_of(self.as_of, self.time_zone)


@dataclass(frozen=True)
class Staged:
    """One staged table.

    Attributes:
        name: The table's name after `staged_`.
        feed: The feed (or link view) that it reads.
        days: How many days back it reads; None reads all history.
    """

    name: str
    feed: str
    days: int | None = None


_YEAR = 400
STAGED: dict[str, Staged] = {
    staged.name: staged
    for staged in (
        *(Staged(name, name) for name in ("customers", "subscriptions", "fixed_services", "terminations")),
        *(Staged(name, name) for name in ("attributes", "plans", "packs", "network_faults", *LINKS)),
        *(Staged(name, name, _YEAR) for name in ("bills", "port_requests", "roaming_sessions", "tickets")),
        *(Staged(name, name, LOOK_BACK_DAYS) for name in ("usage_daily", "pack_orders", "hotline_calls")),
        *(Staged(name, name, LOOK_BACK_DAYS) for name in ("channel_contacts", "surveys", "contacts", "outcomes")),
        Staged("usage_monthly", "usage_monthly", LOOK_BACK_DAYS + 60),
        Staged("network_experience", "network_experience", 90),
        Staged("month_days", "usage_daily", 31),
    )
}
"""What the portrait reads. Open tickets and trips of last year need more than the longest window."""


def columns_of(feed: str, attributes: Sequence[Column] = ()) -> tuple[Column, ...]:
    """Returns a feed's columns besides the common ones; declared attributes for `attributes`."""
    if feed in LINKS:
        return LINKS[feed].columns
    return tuple(attributes) if feed == "attributes" else FEEDS[feed].columns


def landed_types(feed: str, attributes: Sequence[Column] = ()) -> dict[str, str]:
    """Returns the DuckDB type of every column of a landed feed that the portrait may read."""
    if feed in LINKS:
        return LINKS[feed].types
    own = {column.name: column.sql_type for column in columns_of(feed, attributes)}
    times = {"known_at": "TIMESTAMP", "superseded_at": "TIMESTAMP"}
    contract = FEEDS[feed]
    owner = {} if contract.reference else {"customer_id": "VARCHAR"}
    identity = {"event_id": "VARCHAR"} if contract.grain is Grain.INSTANT else {}
    return {**owner, **identity, "event_at": "TIMESTAMP", **own, **times}


def ibis_table(name: str, types: dict[str, str]) -> Any:
    """Returns an unbound Ibis table with DuckDB column types."""
    import ibis

    return ibis.table({column: _IBIS_TYPES[sql] for column, sql in types.items()}, name=name)


def known_sql(as_known: str, staged: Staged, moment: Moment) -> str:
    """Returns SQL for the known rows within reach: events of `[D - days, D)`.

    Args:
        as_known: The feeds' own query for what was known on D.
        staged: Which rows are wanted.
        moment: The moment of D.
    """
    if staged.feed in LINKS:
        return as_known
    return f"SELECT * FROM ({as_known}) AS known WHERE {within_reach(staged, moment)}"


def within_reach(staged: Staged, moment: Moment) -> str:
    """Returns the SQL condition for the events that a staged table reads on a date."""
    bounds = f"event_at < {timestamp(moment.instant)}"
    if staged.days is not None:
        begin = instant_of(moment.as_of - timedelta(days=staged.days), moment.time_zone)
        bounds += f" AND event_at >= {timestamp(begin)}"
    return bounds


def moment_sql(moment: Moment) -> str:
    """Returns SQL for the one row of `moment`, the only date that the staged rows are joined with."""
    today = (moment.as_of - _EPOCH).days
    elapsed = (moment.as_of - month_start(moment.as_of)).days
    return (
        f"SELECT DATE '{moment.as_of}' AS as_of, CAST({today} AS BIGINT) AS today, "
        f"CAST({elapsed} AS BIGINT) AS month_days_elapsed"
    )


def stage(staged: Staged, time_zone: str, attributes: Sequence[Column] = ()) -> Any:
    """Returns the staged rows of `known_<name>` at the moment in the table `moment`, as an Ibis expression."""
    types = landed_types(staged.feed, attributes)
    times = [column for column in columns_of(staged.feed, attributes) if column.is_time]
    now = ibis_table("moment", {"as_of": "DATE", "today": "BIGINT", "month_days_elapsed": "BIGINT"})
    rows = ibis_table(f"known_{staged.name}", types).cross_join(now)
    new = {
        f"days_since_{column.name}": rows.as_of.delta(rows[column.name], unit="day").cast("int64")
        if column.kind is Kind.DATE
        else rows.today - _civil_seconds(rows[column.name], time_zone) // _DAY_SECONDS
        for column in times
    }
    if "event_at" in types:
        seconds = _civil_seconds(rows.event_at, time_zone)
        new["days_ago"] = rows.today - seconds // _DAY_SECONDS
        new["is_this_month"] = new["days_ago"] <= rows.month_days_elapsed
        if "event_id" in types:
            new["civil_hour"] = seconds % _DAY_SECONDS // 3600
    return rows.select(*types, **new)


def _civil_seconds(column: Any, time_zone: str) -> Any:
    """Returns whole seconds since 1970-01-01 00:00 of the operator's clock."""
    import ibis

    known = offset_changes(time_zone)
    changes = [change for change in known if _FIRST_YEAR <= change[0].year < _LAST_YEAR]
    offset = ibis.literal(next(ahead for since, ahead in reversed(known) if since.year < _FIRST_YEAR), "int64")
    if changes:
        newest_first = changes[::-1]
        branches = [
            (column >= ibis.timestamp(since), ibis.literal(seconds, "int64")) for since, seconds in newest_first
        ]
        offset = ibis.cases(*branches, else_=offset)
    return column.epoch_seconds().cast("int64") + offset
