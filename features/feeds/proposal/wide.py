"""Wide months: one row a customer with a column per month (`bill_6 .. bill_9`, `data_m1`, `202406_amount`).

They become the monthly feeds by one SELECT with a row a month; the year that no header says is a person's to write.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from features.feeds.contracts import FEEDS
from features.feeds.mapping.sources import UNDECIDED
from features.feeds.proposal.feeds import FeedPlan
from features.feeds.proposal.matching import fits
from features.feeds.proposal.seen.columns import ColumnLook
from features.feeds.proposal.seen.views import View
from features.feeds.proposal.selects import expression, unit_for
from features.feeds.proposal.words import Words, unit_of
from features.feeds.schema import Column, Feed

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = "|".join(f"{name}[a-z]*" if name != "may" else name for name in _NAMES)
_EDGE = r"(?:^|(?<=[^a-z0-9]))"
_DATED = re.compile(r"(?<!\d)(20\d{2})[-_./年]?(0[1-9]|1[0-2]|[1-9](?=月))(?!\d)月?")
_NAMED = re.compile(rf"{_EDGE}({_NAME})(?![a-z])[-_ ]?((?:20)?\d{{2}})?(?!\d)")
_COUNTED = re.compile(r"(?:[_ -]|(?<=[^\d\W]))(?:m|month|mth)[_ ]?(-?\d{1,2})$|(?<!\d)(\d{1,2})月|[_ ](\d{1,2})$")
_LEAST_COUNTED = 3
_LEAST_MEANING = 0.6  # a word that is most of the stem


@dataclass(frozen=True)
class _Cell:
    """One column that holds one month of something."""

    look: ColumnLook
    stem: str  # its header without the month
    month: int  # months since the year 0 where the year is known, else the number or the calendar month
    is_dated: bool  # whether the year is known


@dataclass(frozen=True)
class Wide:
    """What a view of wide months gives."""

    plans: tuple[FeedPlan, ...] = ()  # the monthly feeds
    read: dict[str, str] = field(default_factory=dict)  # column -> the feed that reads it, in words
    start: str = ""  # SQL of the first day of the first month
    end: str = ""  # SQL of the day after the last month


NOT_WIDE = Wide()


def wide_plans(view: View, words: Words) -> Wide:
    """Returns the monthly feeds in a view of wide months.

    Columns whose stem means nothing in a monthly feed stay what they are. Nothing is returned without a customer.
    """
    cells = list(_cells(view)) if view.customer or view.is_by_row else []
    dated = [cell for cell in cells if cell.is_dated]
    cells = dated or _over_new_year([cell for cell in cells if not cell.is_dated])
    by_stem: dict[str, list[_Cell]] = {}
    for cell in cells:
        by_stem.setdefault(cell.stem, []).append(cell)
    least = 2 if dated else _LEAST_COUNTED
    series = {stem: found for stem, found in by_stem.items() if len({cell.month for cell in found}) >= least}
    taken: dict[str, dict[str, list[_Cell]]] = {}
    for name in ("bills", "usage_monthly"):
        columns = _columns_of(FEEDS[name], series, words)
        if columns and (name != "bills" or "total" in columns):
            taken[name] = columns
            series = {stem: found for stem, found in series.items() if found not in columns.values()}
    months = sorted({cell.month for one in taken.values() for found in one.values() for cell in found})
    if not months:
        return NOT_WIDE
    year, month = divmod(months[0], 12)
    start = f"DATE '{year:04}-{month + 1:02}-01'" if dated else f"DATE '{UNDECIDED}'"
    plans = tuple(_plan(view, name, columns, months, start, words) for name, columns in taken.items())
    read = {
        cell.look.name: f"a month of {name}" for name, one in taken.items() for found in one.values() for cell in found
    }
    return Wide(plans, read, start, f"{start} + INTERVAL {months[-1] - months[0] + 1} MONTH")


def _columns_of(feed: Feed, series: dict[str, list[_Cell]], words: Words) -> dict[str, list[_Cell]]:
    """Returns the feed's columns that the series give, the surest meaning first, each series once."""
    wanted = [
        (words.meaning(stem, feed, c.name), cells, c)
        for stem, cells in series.items()
        for c in feed.columns
        if c.name != feed.period
    ]
    columns: dict[str, list[_Cell]] = {}
    for strength, cells, column in sorted(wanted, key=lambda one: -one[0]):
        is_free = column.name not in columns and cells not in columns.values()
        if strength >= _LEAST_MEANING and is_free and all(fits(cell.look, column) for cell in cells):
            columns[column.name] = cells
    return columns


def _plan(
    view: View, name: str, columns: dict[str, list[_Cell]], months: list[int], start: str, words: Words
) -> FeedPlan:
    feed = FEEDS[name]
    lines = []
    found = {column: _unit(cells[0], feed.by_name[column], words) for column, cells in columns.items()}
    units = {column: unit for column, unit in found.items() if unit}
    for month in months:
        values = [f"'months': {month - months[0]}"]
        for column, cells in columns.items():
            look = next((cell.look for cell in cells if cell.month == month), None)
            value = "NULL" if look is None else expression(look, feed.by_name[column], words)
            values.append(f"'{column}': {value}")
        lines.append("{" + ", ".join(values) + "}")
    listed = ",\n      ".join(lines)
    named = ", ".join(columns)
    select = (
        f"SELECT _file, _row, customer_id, CAST(first_month + to_months(months) AS DATE) AS period, {named}\n"
        f"FROM (\n  SELECT _file, _row, {view.customer_sql} AS customer_id, {start} AS first_month, unnest([\n"
        f"      {listed}\n    ], recursive := true)\n  FROM {view.name})\n"
        f"WHERE {' OR '.join(f'{column} IS NOT NULL' for column in columns)}"
    )
    todos = ["known_after is a guess: how long after the month does your system know it?"]
    if UNDECIDED in start:
        first = next(cell.look.name for cells in columns.values() for cell in cells if cell.month == months[0])
        todos.append(
            f"which month is `{first}`? write its first day, as DATE '2024-06-01'; "
            "if the numbers count backwards, turn `months` round"
        )
    for column, cells in columns.items():
        unit = feed.by_name[column].unit
        if unit and column not in units and unit not in ("minor", unit_of(cells[0].stem, words)):
            todos.append(
                f"{cells[0].stem} -> {column}: no unit in the header, taken as {unit}; else say so under `units`"
            )
    shown = ", ".join(f"{cells[0].stem} = {column}" for column, cells in columns.items())
    why = f"{view.pattern}: one column a month, {len(months)} months; {shown}"
    return FeedPlan(feed, (view.name,), select, 0.9, why, "P5D", "06:00", units=units, todos=todos)


def _unit(cell: _Cell, column: Column, words: Words) -> str:
    return unit_for(ColumnLook(cell.look.name, cell.look.kind, unit=unit_of(cell.stem, words)), column)


def _cells(view: View) -> Iterator[_Cell]:
    for look in view.columns:
        if look.kind not in ("integer", "number", "flag", "empty"):
            continue
        header = unicodedata.normalize("NFKC", look.name).lower()
        match = _DATED.search(header)
        if match:
            yield _Cell(look, _stem(header, match), int(match[1]) * 12 + int(match[2]) - 1, is_dated=True)
            continue
        match = _NAMED.search(header)
        if match:
            month = _NAMES.index(match[1][:3])
            year = int(match[2][-2:]) + 2000 if match[2] else 0
            yield _Cell(look, _stem(header, match), year * 12 + month, is_dated=bool(year))
            continue
        match = _COUNTED.search(header)
        if match:
            number = int(next(group for group in match.groups() if group))
            if abs(number) <= 24:
                yield _Cell(look, _stem(header, match), number, is_dated=False)


def _over_new_year(cells: list[_Cell]) -> list[_Cell]:
    """Returns months without a year in their order where they run over the end of one: November, December, January."""
    months = {cell.month % 12 for cell in cells}
    starts = [month for month in months if (month - 1) % 12 not in months]
    if len(starts) != 1 or len({cell.month for cell in cells}) != len(months):
        return cells
    return [replace(cell, month=starts[0] + (cell.month - starts[0]) % 12) for cell in cells]


def _stem(header: str, match: re.Match[str]) -> str:
    return (header[: match.start()] + header[match.end() :]).strip("_-. ") or header
