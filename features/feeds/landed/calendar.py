"""The feed calendar: what arrived of each feed in each month, and what is missing or unlike the months before.

A month's rows are the events of that civil month that are known now. Every comparison is by rows a day, so that
February is no loss. A month that began before the deliveries did is shown and compared with nothing.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from features.feeds.contracts import FEEDS
from features.feeds.landed.reading import Feeds, known_before, newest_versions
from features.feeds.mapping.expectations import Expectations
from features.feeds.schema import Grain
from features.feeds.times import to_local
from features.kit.clock import add_months, instant_of, month_start
from features.kit.sql import quoted, timestamp

MONTHS_SHOWN = 4
USUAL_MONTHS = 3
CHANCE = 4.0
"""Counts scatter by about the root of their size; a difference within so many such roots may be chance."""

KNOWN_SHARE = 0.5
"""With fewer of a month's rows known on the as-of date, its portraits would look like those of the month before."""


@dataclass(frozen=True)
class Cell:
    """One feed in one month."""

    feed: str
    period: str  # the month, "2026-06"
    rows: int  # events of the month, each in its newest version
    arrived_at: datetime | None  # when the first of them arrived, UTC; None without rows
    last_arrived_at: datetime | None  # when the newest of them arrived: late rows and corrections come later
    quarantined: int  # refused rows of the month
    change: float | None = None  # rows a day against the month before, as a share; None if there was none
    cities_missing: tuple[str, ...] = ()  # cities whose rows fell below the declared share of their usual month
    days_missing: int = 0  # days without a row, of a feed that usually has rows every day
    is_due: bool = True  # whether the month should have arrived, by what the mapping says of late feeds


@dataclass(frozen=True)
class Problem:
    """Why a month may not be published."""

    code: str  # `not_delivered`, `feed_missing`, `cities_missing`, `rows_changed`, `days_missing` or `known_too_late`
    feed: str  # the feed, or "" where it is all of them
    detail: str  # one sentence with the figures


@dataclass(frozen=True)
class FeedCalendar:
    """The months up to one month, and what is wrong with that one."""

    period: str
    periods: tuple[str, ...]  # the months shown, oldest first
    cells: tuple[Cell, ...]  # one per feed and month
    problems: tuple[Problem, ...]  # empty if the month may be published
    notes: tuple[str, ...]  # what could not be looked at

    def of(self, feed: str, period: str) -> Cell:
        """Returns one cell. Raises KeyError if the calendar has no such feed or month."""
        for cell in self.cells:
            if (cell.feed, cell.period) == (feed, period):
                return cell
        raise KeyError((feed, period))

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        content = asdict(self)
        for cell in content["cells"]:
            for name in ("arrived_at", "last_arrived_at"):
                cell[name] = cell[name].replace(tzinfo=UTC).isoformat() if cell[name] else None
        return {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}


@dataclass(frozen=True)
class _Count:
    """What one feed has of one month."""

    rows: int
    known: int
    days: int
    first: datetime | None
    last: datetime | None
    by_city: dict[str, int]


_NOTHING = _Count(0, 0, 0, None, None, {})


def feed_calendar(
    feeds: Feeds, expected: Expectations, month: date, *, mapped: frozenset[str], threads: int = 1
) -> FeedCalendar:
    """Returns the calendar up to a month.

    `expected` is what the source mapping expects of a month, `month` its first day, and `mapped` the mapping's feeds.
    """
    begun = month_start(feeds.first_day())
    depth = MONTHS_SHOWN + max((expectation.months_late for expectation in expected.feeds.values()), default=0)
    months = [add_months(month, -back) for back in range(depth - 1, -1, -1)]
    months = [start for start in months if start >= begun] or [month]
    cells: list[Cell] = []
    problems: list[Problem] = []
    notes: list[str] = []
    if feeds.latest_as_of() < add_months(month, 1):
        detail = f"the feeds are complete up to {feeds.latest_as_of()}, the month ends on {add_months(month, 1)}"
        problems.append(Problem("not_delivered", "", detail))
    with feeds.connect(threads=threads, personal=True) as connection:
        has_cities = _create_cities(connection)
        if not has_cities:
            notes.append("no city or province is delivered, so lost cities cannot be seen")
        for name in (name for name in FEEDS if name in mapped and not FEEDS[name].reference):
            counted = _counts(connection, feeds, name, months, has_cities=has_cities)
            is_whole = begun == feeds.first_day() and not FEEDS[name].is_state
            whole = [start for start in months if start > begun or (start == begun and is_whole)]
            row = _Row(feeds, name, expected, months, whole, counted)
            cells += [row.cell(start) for start in months[-MONTHS_SHOWN:]]
            problems += row.problems()
    shown = tuple(_name(start) for start in months[-MONTHS_SHOWN:])
    return FeedCalendar(_name(month), shown, tuple(cells), tuple(problems), tuple(notes))


def _name(month: date) -> str:
    return month.strftime("%Y-%m")


def _days_of(month: date) -> int:
    return (add_months(month, 1) - month).days


def _create_cities(connection: duckdb.DuckDBPyConnection) -> bool:
    """Creates the table of each customer's newest city, else province, and tells whether there is any."""
    connection.execute(
        "CREATE TABLE cities AS SELECT customer_id, arg_max(coalesce(city, province), (event_at, known_at)) AS city "
        f"FROM ({newest_versions('customers')}) GROUP BY ALL HAVING city IS NOT NULL"
    )
    return connection.execute("SELECT 1 FROM cities LIMIT 1").fetchone() is not None


def _counts(
    connection: duckdb.DuckDBPyConnection, feeds: Feeds, name: str, months: list[date], *, has_cities: bool
) -> dict[date, _Count]:
    """Returns what a feed has of each month, each event in its newest version."""
    if not feeds.has(name):
        return {}
    zone = feeds.operator.time_zone
    start, end = (instant_of(day, zone) for day in (months[0], add_months(months[-1], 1)))
    within = f"event_at >= {timestamp(start)} AND event_at < {timestamp(end)}"
    local_day = f"CAST({to_local('event_at', zone)} AS DATE)"
    city = "c.city" if has_cities else "NULL"
    rows = connection.execute(
        f"SELECT CAST(date_trunc('month', day) AS DATE), city, sum(n), min(first), max(last), list(DISTINCT day), "
        "sum(known) FROM ("
        f"SELECT {local_day} AS day, {city} AS city, count(*) AS n, min(arrived_at) AS first, max(arrived_at) AS last, "
        f"count(*) FILTER ({known_before(end)}) AS known "
        f"FROM ({newest_versions(quoted(name))}) f {'LEFT JOIN cities c USING (customer_id)' if has_cities else ''} "
        f"WHERE {within} GROUP BY ALL) GROUP BY ALL"
    ).fetchall()
    found: dict[date, _Count] = {}
    for month in months:
        mine = [row for row in rows if row[0] == month]
        if mine:
            found[month] = _Count(
                rows=sum(int(row[2]) for row in mine),
                known=sum(int(row[6]) for row in mine),
                days=len({day for row in mine for day in row[5]}),
                first=min(row[3] for row in mine),
                last=max(row[4] for row in mine),
                by_city={str(row[1]): int(row[2]) for row in mine if row[1] is not None},
            )
    return found


@dataclass(frozen=True)
class _Row:
    """One feed's line of the calendar."""

    feeds: Feeds
    name: str
    expected: Expectations
    months: list[date]
    whole: list[date]
    counted: dict[date, _Count]

    def cell(self, month: date) -> Cell:
        """Returns the cell of one month."""
        now = self.counted.get(month, _NOTHING)
        landed = self.feeds.manifest.feeds.get(self.name)
        refused = sum(of_file.get(_name(month), 0) for of_file in landed.refused.values()) if landed else 0
        last = add_months(month, -1)
        before = self.counted.get(last) if last in self.whole else None
        is_daily = FEEDS[self.name].grain is Grain.DAY and before is not None and before.days == _days_of(last)
        wanted = self.expected.of(self.name)
        is_due = month <= add_months(self.months[-1], -wanted.months_late)
        return Cell(
            feed=self.name,
            period=_name(month),
            rows=now.rows,
            arrived_at=now.first,
            last_arrived_at=now.last,
            quarantined=refused,
            change=round(now.rows / _likely(before, last, month) - 1, 4) if before and is_due else None,
            cities_missing=self._cities_missing(month) if now.rows and is_due and wanted.cities else (),
            days_missing=_days_of(month) - now.days if now.rows and is_due and is_daily else 0,
            is_due=is_due,
        )

    def _before(self, month: date) -> list[date]:
        return [earlier for earlier in self.whole if earlier < month][-USUAL_MONTHS:]

    def _cities_missing(self, month: date) -> tuple[str, ...]:
        usual = [self.counted.get(earlier, _NOTHING).by_city for earlier in self._before(month)]
        now, missing = self.counted[month].by_city, []
        for city in sorted({city for counts in usual for city in counts}):
            typical = statistics.median(counts.get(city, 0) for counts in usual)
            if typical >= self.expected.min_city_rows and now.get(city, 0) < self.expected.min_city_share * typical:
                missing.append(city)
        return tuple(missing)

    def problems(self) -> list[Problem]:
        """Returns what is wrong with the newest month that is due."""
        wanted = self.expected.of(self.name)
        month = add_months(self.months[-1], -wanted.months_late)
        if month not in self.months:
            return []
        cell, before, contract = self.cell(month), self._before(month), FEEDS[self.name]
        if not cell.rows:
            usually = bool(before) and all(earlier in self.counted for earlier in before)
            is_event = not (contract.is_state or contract.is_own)
            if wanted.required is True or (wanted.required is None and usually and is_event):
                return [Problem("feed_missing", self.name, f"no row of {cell.period}")]
            return []
        found = []
        if cell.cities_missing:
            lost = ", ".join(cell.cities_missing)
            found.append(Problem("cities_missing", self.name, f"{cell.period} lacks {lost}"))
        if cell.days_missing:
            found.append(Problem("days_missing", self.name, f"{cell.days_missing} days of {cell.period} have no row"))
        now = self.counted[month]
        if now.known < KNOWN_SHARE * now.rows and not contract.is_own:
            detail = f"{now.known:,} of {now.rows:,} rows of {cell.period} were known when the month's run looks back"
            found.append(Problem("known_too_late", self.name, f"{detail}; declare `deliveries.on_time_days`"))
        last, limit = add_months(month, -1), wanted.max_change_share or self.expected.max_change_share
        if cell.change is not None and not contract.is_own:
            likely = _likely(self.counted[last], last, month)
            factor = max(cell.rows, likely) / min(cell.rows, likely)
            if factor > 1 + limit and abs(cell.rows - likely) > CHANCE * (cell.rows + likely) ** 0.5:
                detail = f"{cell.rows:,} rows in {cell.period} after {self.counted[last].rows:,} the month before"
                why = f"{detail} ({cell.change:+.0%} a day); declared is at most {limit:.0%}"
                found.append(Problem("rows_changed", self.name, why))
        return found


def _likely(before: _Count, last: date, month: date) -> float:
    """Returns a month's rows if there are as many a day as the month before. Example: 280 in February, 310 in March."""
    return before.rows * _days_of(month) / _days_of(last)
