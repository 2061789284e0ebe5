"""Many dates in one pass over a large feed: what `sums.py` asks for, added up per customer for each as-of date.

The rows are read once, a range of customers at a time, with a mark per date on which a row counts: as known then, and
within reach. The marks are the rule of `features.feeds.landed.reading` itself, asked once for each date, so a row that
was late or corrected counts on the dates on which it was known and on no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from threading import Lock
from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.feeds.landed.reading import Feeds, known_before
from features.kit.sql import literal, quoted
from features.portraits.build.compute import Plan
from features.portraits.build.sums import EVER, Sums
from features.portraits.sources import staging
from features.portraits.sources.engines import DuckDBEngine
from features.portraits.sources.staging import STAGED, Moment, Staged

ROWS_AT_ONCE = 1_000_000
"""Rows of a range of customers: some 200 MB at the peak, whatever the size of the base."""
MOST_DATES = 60
"""Dates of a pass: each has one bit of a row's mark."""
CELLS_AT_ONCE = 1_500_000
"""Customers times dates of a pass: some 500 MB of sums that wait for their date."""
_NONE = np.iinfo(np.int64).max


class Passes:
    """The sums of a build's dates, added up for as many dates at once as memory allows, when the first is asked for."""

    def __init__(self, feeds: Feeds, plan: Plan, days: Sequence[date], customers: int, threads: int) -> None:
        self._feeds, self._plan, self._threads = feeds, plan, threads
        self._left = list(days)
        self._ready: dict[date, dict[str, pa.Table]] = {}
        self._size = max(1, min(MOST_DATES, CELLS_AT_ONCE // max(1, customers)))
        self._lock = Lock()

    def of(self, day: date) -> dict[str, pa.Table]:
        """Returns source -> the table of sums of a date, once; sources that are not added up are left out."""
        with self._lock:
            if day not in self._ready:
                together = [day, *(other for other in self._left if other != day)][: self._size]
                self._ready |= added_up(self._feeds, self._plan, together, threads=self._threads)
                self._left = [other for other in self._left if other not in together]
            return self._ready.pop(day)


def added_up(feeds: Feeds, plan: Plan, days: Sequence[date], *, threads: int = 1) -> dict[date, dict[str, pa.Table]]:
    """Returns, for each date, source -> its table of sums: customer_id, newest_day and the outputs."""
    found: dict[date, dict[str, pa.Table]] = {day: {} for day in days}
    with feeds.connect(threads=threads) as connection:
        engine = DuckDBEngine(connection)
        for name in plan.sums:
            if feeds.has(STAGED[name].feed) and feeds.has("customers"):
                tables = _source(engine, feeds, plan, name, days)
                for day, table in zip(days, tables, strict=False):
                    found[day][name] = table.append_column("newest_day", pa.array(_newest(table), pa.int64()))
    return found


def _newest(table: pa.Table) -> Any:
    return np.full(table.num_rows, pc.min(table["newest"]).as_py() or 0)


def _source(engine: DuckDBEngine, feeds: Feeds, plan: Plan, name: str, days: Sequence[date]) -> list[pa.Table]:
    """Returns the sums of a source, one table a date; none if its numbers are too large to be added in 64 bits."""
    staged, sums, zone = STAGED[name], plan.sums[name], feeds.operator.time_zone
    moments = [Moment(day, zone) for day in days]
    last = max(moments, key=lambda moment: moment.as_of)
    reach = (last.as_of - min(days)).days + (staged.days or 0)
    engine.keep("moment", staging.moment_sql(last))
    within = staging.within_reach(Staged(name, staged.feed, reach), last)
    engine.view(f"known_{name}", f"SELECT * FROM {quoted(staged.feed)} WHERE {within}")
    engine.view(f"staged_{name}", plan.staged[name])
    engine.view(f"rows_{name}", sums["prepared"])
    marks = " + ".join(
        f"CASE WHEN {known_before(moment.instant)} AND {staging.within_reach(staged, moment)} "
        f"THEN CAST({1 << place} AS BIGINT) ELSE 0 END"
        for place, moment in enumerate(moments)
    )
    narrow = ", ".join(f"CAST({column} AS TINYINT) AS {column}" for column in sums["flags"])
    rows = (
        "SELECT * EXCLUDE (event_at, known_at, superseded_at) "
        f"REPLACE (CAST(days_ago AS INTEGER) AS days_ago, {narrow}), {marks} AS marks FROM ({sums['rows']})"
    )
    parts: list[list[pa.Table]] = [[] for _ in days]
    for condition in _ranges(engine, feeds.manifest.feeds[staged.feed].rows):
        selected = f"SELECT * FROM ({rows}) WHERE marks <> 0 AND {condition}"
        block = _Block(engine.arrow(selected), sums, staged.days or reach)
        if block.is_too_large:
            return []
        for place, day in enumerate(days):
            parts[place].append(block.added(1 << place, (last.as_of - day).days, engine, name))
    return [pa.concat_tables(each) for each in parts]


def _ranges(engine: DuckDBEngine, rows: int) -> Iterator[str]:
    """Yields conditions that part all customers into ranges of some `ROWS_AT_ONCE` rows; files are sorted by them."""
    number = rows // ROWS_AT_ONCE + 1
    firsts = engine.arrow(
        f"SELECT min(customer_id) AS first FROM (SELECT customer_id, ntile({number}) OVER (ORDER BY customer_id) "
        "AS part FROM (SELECT DISTINCT customer_id FROM customers)) GROUP BY part ORDER BY 1"
    )
    starts = firsts.column("first").to_pylist()[1:]
    for low, high in zip([None, *starts], [*starts, None], strict=True):
        bounds = [f"customer_id >= {literal(low)}"] if low else []
        bounds += [f"customer_id < {literal(high)}"] if high else []
        yield " AND ".join(bounds) or "true"


class _Block:
    """The rows of a range of customers as columns of whole numbers."""

    def __init__(self, table: pa.Table, sums: Sums, reach: int) -> None:
        self._sums = sums
        # the files are sorted: far fewer runs than rows
        runs = pc.run_end_encode(table["customer_id"].combine_chunks())
        ids = runs.values.dictionary_encode()
        lengths = np.diff(runs.run_ends.to_numpy(), prepend=0)
        self._ids = ids.dictionary
        self._codes = np.repeat(ids.indices.to_numpy(), lengths)
        names = [name for name in table.column_names if name != "customer_id"]
        self._columns = {name: table[name].combine_chunks().to_numpy(zero_copy_only=False) for name in names}
        # the last edge takes every row, also one that no sum asks for: beyond it the next customer's places begin
        self._edges = sorted({EVER, *(edge for _, how, _, edge in sums["outputs"] if how == "add")})
        self._span_of = np.searchsorted(self._edges, np.arange(reach + 2)).astype(np.int32)
        self._rows, self._places = np.empty(table.num_rows, np.int64), np.empty(table.num_rows, np.int32)

    @property
    def is_too_large(self) -> bool:
        """Tells whether a sum over all rows could leave 64 bits."""
        limit = _NONE // max(1, len(self._codes))
        return any(
            len(each) and max(int(each.max()), -int(each.min())) > limit
            for name, each in self._columns.items()
            if name[0] == "c"
        )

    def added(self, bit: int, shift: int, engine: DuckDBEngine, name: str) -> pa.Table:
        """Returns the sums of one date: whose mark, how many days it lies before the date of `days_ago`."""
        columns, number, width = self._columns, len(self._ids), len(self._edges)
        ago = columns["days_ago"]
        count = _place(columns["marks"], bit, ago, shift, self._span_of, self._codes, width, self._rows, self._places)
        rows, places = self._rows[:count], self._places[:count]
        totals: dict[str, Any] = {}
        found: dict[str, Any] = {}

        def least(column: Any, limits: Any) -> Any:
            out = np.full(number, _NONE)
            _least(rows, self._codes, ago, shift, column, limits, out)
            return out

        ones = np.ones(number, np.int64)
        for output, how, column, edge in self._sums["outputs"]:
            if how == "add":
                if column not in totals:
                    out = np.zeros(number * width, np.int64)
                    _add(rows, places, columns[column], out)
                    totals[column] = out.reshape(number, width).cumsum(axis=1)
                found[output] = totals[column][:, self._edges.index(edge)]
            elif how == "least":
                found[output] = least(columns[column], ones)
            elif how == "most":
                out = np.zeros(number, np.int64)
                _most(rows, self._codes, ago, shift, columns[column], out)
                found[output] = np.where(out == 0, _NONE, out)
        if self._sums["usual"]:
            engine.adopt(f"sums_{name}", pa.table(found))
            needs = engine.arrow(self._sums["needs"])
            each = [
                least(columns[column], pc.fill_null(needs[column].cast(pa.int64()), int(_NONE)).to_numpy())
                for column in self._sums["usual"]
            ]
            found[next(output[0] for output in self._sums["outputs"] if output[1] == "usual")] = np.minimum.reduce(each)
        newest = least(np.ones(len(self._codes), np.int8), ones)
        there = newest != _NONE
        arrays = {output: pa.array(value[there], mask=value[there] == _NONE) for output, value in found.items()}
        return pa.table({"customer_id": self._ids.filter(pa.array(there)), "newest": newest[there], **arrays})


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return numba.njit(cache=True, nogil=True)(function)


@_compiled
def _place(
    marks: Any, bit: int, ago: Any, shift: int, span_of: Any, codes: Any, width: int, rows: Any, places: Any
) -> int:
    """Writes the rows that count on a date, and for each the place of its customer and span; returns how many."""
    count = 0
    for row in range(len(marks)):
        if marks[row] & bit:
            rows[count] = row
            places[count] = codes[row] * width + span_of[ago[row] - shift]
            count += 1
    return count


@_compiled
def _add(rows: Any, places: Any, values: Any, out: Any) -> None:
    """Adds a column up by place."""
    for each in range(len(rows)):
        out[places[each]] += values[rows[each]]


@_compiled
def _least(rows: Any, codes: Any, ago: Any, shift: int, values: Any, limits: Any, out: Any) -> None:
    """Writes each customer's fewest days ago of a row whose value is at least the customer's limit."""
    for row in rows:
        code = codes[row]
        if values[row] >= limits[code] and ago[row] - shift < out[code]:
            out[code] = ago[row] - shift


@_compiled
def _most(rows: Any, codes: Any, ago: Any, shift: int, values: Any, out: Any) -> None:
    """Writes each customer's most days ago of a row whose value is 1."""
    for row in rows:
        if values[row] == 1:
            out[codes[row]] = max(out[codes[row]], ago[row] - shift)
