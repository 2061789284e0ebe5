"""Windows and recency of features: how a span of days becomes a condition.

A staged row (see `staging.py`) has `days_ago`: civil days between the event and the as-of date. The as-of date D
itself is 0 and is never seen; yesterday is 1. The window of n days is half-open, `[D - n, D)`, which is
`1 <= days_ago <= n`. Example: D = 2026-06-08, n = 7 keeps 2026-06-01 (7 days ago) up to 2026-06-07 (1 day ago).

Everything here stays in whole numbers; a ratio is one float64 division at the very end, so that the value is the
same on one thread and on two.
"""

from __future__ import annotations

from typing import Any

LOOK_BACK_DAYS = 180
"""The longest window; feeds of events are read no further back, except where `staging.py` says so."""


def within(rows: Any, days: int, where: Any = None) -> Any:
    """Returns the condition that a row lies in `[D - days, D)`, and `where` holds if given."""
    inside = rows.days_ago <= days
    return inside if where is None else inside & where.fill_null(False)  # Spark counts unknown alone as unknown, not 0


def count(rows: Any, days: int, where: Any = None) -> Any:
    """Returns the number of rows in the window."""
    return rows.count(where=within(rows, days, where))


def days_with(rows: Any, days: int, where: Any = None) -> Any:
    """Returns the number of different days in the window that have a row."""
    return rows.days_ago.nunique(where=within(rows, days, where))


def total(rows: Any, column: str, days: int, where: Any = None) -> Any:
    """Returns the whole-number sum of a column over the window: 0 without rows there, NULL if it is never filled."""
    zero_if_known = rows[column].sum() * 0
    return rows[column].sum(where=within(rows, days, where)).fill_null(zero_if_known)


def recency(rows: Any, where: Any = None) -> Any:
    """Returns the days since the newest row; NULL without one."""
    return rows.days_ago.min(where=where)


def ratio(part: Any, whole: Any) -> Any:
    """Returns part / whole as one float64 division; NULL where the whole is 0."""
    return part.cast("float64") / whole.nullif(0).cast("float64")


def trend(rows: Any, column: str, short: int, long: int) -> Any:
    """Returns the daily mean of the short window over that of the long one: 1 is steady, 0.5 is half of before.

    Only known days are counted: those from the customer's first row on, up to the newest day that the feed holds of
    anybody (`newest_day`). NULL if the customer has no row from before the short window, so nothing to compare with.
    Example: steady use since 40 days, known up to 2 days ago, is (6u / 6) / (29u / 29) = 1 for 7 and 30 days.
    """
    import ibis

    first, newest = rows.days_ago.max(), rows.newest_day.max()
    short_days, long_days = (ibis.greatest(ibis.least(first, days) - newest + 1, 0) for days in (short, long))
    value = ratio(total(rows, column, short) * long_days, total(rows, column, long) * short_days)
    return ibis.ifelse(first > short, value, None)


def deviation(rows: Any, column: str, days: int) -> Any:
    """Returns the standard deviation over the rows of the window: sqrt(n * sum(x^2) - sum(x)^2) / n."""
    inside = within(rows, days)
    number = rows[column].count(where=inside)  # a day that was delivered without this column says nothing
    squares = (rows[column] * rows[column]).sum(where=inside)
    plain = rows[column].sum(where=inside)
    spread = (number * squares - plain * plain).cast("float64").sqrt()
    return spread / number.nullif(0).cast("float64")
