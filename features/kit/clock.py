"""All time arithmetic of the system, with a worked example beside each step.

Instants are UTC and whole seconds. Dates are the operator's civil dates: the as-of date D means the instant
D 00:00 in the operator's time zone, and only what was known strictly before that instant counts.
Every window is half-open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

DEFAULT_TIME_ZONE = "Asia/Shanghai"


def utc_now() -> datetime:
    """Returns the present instant in UTC, whole seconds. For run records only, never inside a feature."""
    return datetime.now(UTC).replace(microsecond=0)


def instant_of(day: date, time_zone: str = DEFAULT_TIME_ZONE, at: time = time(0)) -> datetime:
    """Returns the UTC instant at which a civil date begins (or reaches the time `at`).

    Example: 2026-06-01 in Asia/Shanghai begins at 2026-05-31 16:00 UTC, so an event at 2026-06-01 07:59 local
    time (2026-05-31 23:59 UTC) is after the as-of date 2026-06-01 although UTC still shows the day before.
    """
    return datetime.combine(day, at, ZoneInfo(time_zone)).astimezone(UTC)


def civil_date(instant: datetime, time_zone: str = DEFAULT_TIME_ZONE) -> date:
    """Returns the operator's date at an instant. Example: 2026-05-31 16:00 UTC is 2026-06-01 in Asia/Shanghai."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


@lru_cache(maxsize=8)
def offset_changes(time_zone: str) -> tuple[tuple[datetime, int], ...]:
    """Returns (since when in naive UTC, seconds ahead of UTC), one entry per change of a zone's clocks, 1900 to 2100.

    Example: Europe/Berlin changes from 3600 to 7200 at 2026-03-29 01:00 UTC; the last of Asia/Shanghai is of 1991.
    """
    zone, weeks = ZoneInfo(time_zone), _weeks()
    offsets = [_seconds(zone.utcoffset(week)) for week in weeks]
    found = [(weeks[0], offsets[0])]
    for (week, old), (_, new) in pairwise(zip(weeks, offsets, strict=True)):
        if old == new:
            continue
        low, high = (week.replace(tzinfo=UTC) + timedelta(days=days) for days in (-2, 9))
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
            is_old = _seconds(middle.astimezone(zone).utcoffset()) == old
            low, high = (middle, high) if is_old else (low, middle)
        found.append((high.replace(tzinfo=None), new))
    return tuple(found)


@lru_cache(maxsize=1)
def _weeks() -> tuple[datetime, ...]:
    """Returns the first moment of every seventh day; no zone has changed its clocks and back within so short a time."""
    return tuple(datetime(1900, 1, 1) + timedelta(days=7 * week) for week in range(10_488))  # noqa: DTZ001 - any clock


def _seconds(offset: timedelta | None) -> int:
    return int(offset.total_seconds()) if offset else 0


@dataclass(frozen=True)
class DateWindow:
    """A half-open window of civil dates `[start, end)`."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """Returns the number of days in the window."""
        return (self.end - self.start).days


def label_window(as_of: date, lead_days: int, horizon_days: int) -> DateWindow:
    """Returns `[as_of + lead, as_of + lead + horizon)`.

    Example: as-of 2026-03-10, lead 3, horizon 30 counts the events of 2026-03-13 up to and including 2026-04-11.
    """
    start = as_of + timedelta(days=lead_days)
    return DateWindow(start, start + timedelta(days=horizon_days))


def look_back(as_of: date, days: int) -> DateWindow:
    """Returns the feature window `[as_of - days, as_of)`. Example: 7 days before 2026-06-08 start on 2026-06-01."""
    return DateWindow(as_of - timedelta(days=days), as_of)


def embargo_days(lead_days: int, horizon_days: int, label_delay_days: int) -> int:
    """Returns the smallest gap between a training and a test as-of date that keeps test labels out of training.

    Example: churn with lead 0, horizon 30 and label delay 30 needs 60 days: a row of 2026-01-01 is surely labelled
    on 2026-03-02, so the first test as-of date is 2026-03-02 or later.
    """
    return lead_days + horizon_days + label_delay_days


def last_labelled(known_until: date, lead_days: int, horizon_days: int, label_delay_days: int) -> date:
    """Returns the last as-of date whose label is surely known on `known_until` (see `embargo_days`)."""
    return known_until - timedelta(days=embargo_days(lead_days, horizon_days, label_delay_days))


def as_of_grid(first: date, last: date, every_days: int) -> list[date]:
    """Returns as-of dates from `last` backwards in steps, oldest first, none before `first`.

    A step that is not near a month walks through the days of the month, as daily lists do.
    Example: last 2026-06-01, step 17, first 2026-04-20 gives 2026-04-28, 2026-05-15, 2026-06-01.
    """
    count = (last - first).days // every_days
    return [last - timedelta(days=every_days * k) for k in range(count, -1, -1)] if last >= first else []


def month_start(day: date) -> date:
    """Returns the first day of the month. Example: 2026-02-17 gives 2026-02-01."""
    return day.replace(day=1)


def add_months(day: date, months: int) -> date:
    """Returns the first day of the month `months` away. Example: 2026-01-31 plus 1 gives 2026-02-01."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def months_between(start: date, end: date) -> Iterator[date]:
    """Yields the first day of every month that overlaps `[start, end)`."""
    month = month_start(start)
    while month < end:
        yield month
        month = add_months(month, 1)
