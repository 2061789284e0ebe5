"""What each column of an unknown file holds: form of its dates, nulls, unit, and which columns identify a row.

Every statement is about all sampled values, not about the first few: one value of another form makes a date column
text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from features.feeds.proposal.seen.personal import damage_of, masked
from features.feeds.proposal.words import Words, folded, unit_of
from features.kit.config import load_data

FORMS: dict[str, dict[str, tuple[str, str]]] = load_data(
    dict[str, dict[str, tuple[str, str]]], Path(__file__).with_name("forms.yaml")
)
"""What a time can be -> form -> pattern of the whole text, and its layout."""

TWO_WAYS = {
    "DD/MM/YYYY": "MM/DD/YYYY", "MM/DD/YYYY": "DD/MM/YYYY", "DD/MM/YYYY HH:MM:SS": "MM/DD/YYYY HH:MM:SS",
    "MM/DD/YYYY HH:MM:SS": "DD/MM/YYYY HH:MM:SS",
}  # fmt: skip
"""Forms that the same text may have; which one it is shows only if a day above 12 occurs."""

_FLAGS = ({"0", "1"}, {"y", "n"}, {"yes", "no"}, {"true", "false"}, {"t", "f"}, {"是", "否"}, {"有", "无"})
_WHOLE = re.compile(r"[+-]?\d{1,30}")
_DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)")
_SCIENTIFIC = re.compile(r"[+-]?\d(\.\d+)?[eE][+-]?\d{1,3}")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}.*")
_LOOKED_AT = 5_000
_MANY = 200


@dataclass
class ColumnLook:
    """What was seen of one column."""

    name: str  # its header, or `column_3` without one
    kind: str = "text"  # `integer`, `number`, `date`, `period`, `instant`, `flag`, `category`, `text` or `empty`
    form: str = ""  # the form of dates, periods and times
    also_form: str = ""  # the other form that the same texts may have (day and month exchanged), or empty
    unit: str = ""  # the unit that the header names, or empty
    filled: float = 0.0  # share of rows with a value
    distinct: int = 0  # different values
    nothing: tuple[str, ...] = ()  # texts in it that mean "nothing there"
    nothing_here: tuple[str, ...] = ()  # those of them that mean it in this column only, such as 20991231
    samples: tuple[str, ...] = ()  # a few values, masked where they may name a person
    is_unique: bool = False  # no value twice, none missing
    damage: str = ""  # what a spreadsheet did to its ids, or empty
    values: tuple[str, ...] = field(default=(), repr=False)  # distinct values looked at, without `nothing`

    @property
    def is_time(self) -> bool:
        """Tells whether it dates something."""
        return self.kind in ("date", "period", "instant")


def look_at_columns(table: Any, words: Words) -> list[ColumnLook]:
    """Returns what each column of a sampled table holds."""
    return [_look(name, table[name], words) for name in table.column_names]


def _look(name: str, column: Any, words: Words) -> ColumnLook:
    look = ColumnLook(name, unit=unit_of(name, words))
    rows = len(column)
    text = column if pa.types.is_string(column.type) else pc.cast(column, pa.string())
    counts = pc.value_counts(text.combine_chunks() if hasattr(text, "combine_chunks") else text)
    values = [value for value in counts.field("values").to_pylist() if value is not None]
    by_value = dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))
    certain = [value for value in values if value in words.nothing.certain]
    rest = [value for value in values if value not in words.nothing.certain]
    doubtful = [value for value in rest if value in words.nothing.among_values or not value.strip()]
    seen = [*_spread([value for value in rest if value not in set(doubtful)]), *doubtful]
    _judge(look, seen, words, is_typed=not pa.types.is_string(column.type))
    look.damage = damage_of(name, [value.strip() for value in rest], words)
    if look.kind not in ("integer", "number"):
        look.unit = ""
    gone = {*certain, *look.nothing}
    kept = [value for value in values if value not in gone]
    missing = sum(by_value[value] for value in gone) + by_value.get(None, 0)
    look.nothing_here = tuple(look.nothing)
    look.nothing = tuple(value for value in (*sorted(certain), *look.nothing) if value)
    look.filled = 1 - missing / rows if rows else 0.0
    look.distinct = len(kept)
    look.is_unique = bool(rows) and not missing and len(kept) == rows
    look.values = tuple(value for value in seen if value not in gone)
    if not kept:
        look.kind = "empty"
    elif look.kind == "text" and len(kept) <= max(50, rows // 50) and len(kept) <= _MANY and not look.is_unique:
        look.kind = "category"
    few = dict.fromkeys((kept[0], kept[len(kept) // 2], kept[-1])) if kept else ()
    look.samples = tuple(masked(value, name, look.kind) for value in few)
    return look


def has_no_repeat(column: Any) -> bool:
    """Tells whether every row has a value and no value stands twice."""
    rows = len(column)
    return bool(rows) and column.null_count == 0 and len(pc.unique(pc.cast(column, pa.string()))) == rows


def _spread(values: Sequence[str]) -> list[str]:
    """Returns at most so many values, evenly from all of them, the first and the last among them."""
    if len(values) <= _LOOKED_AT:
        return list(values)
    step = (len(values) - 1) / (_LOOKED_AT - 1)
    return [values[round(place * step)] for place in range(_LOOKED_AT)]


def _judge(look: ColumnLook, values: Sequence[str], words: Words, *, is_typed: bool) -> None:
    """Sets kind and form; texts among values that mean nothing are set aside first."""
    doubtful = [value for value in values if value in words.nothing.among_values or not value.strip()]
    plain = [value.strip() for value in values if value not in doubtful]
    far = [value for value in plain if value in words.nothing.far_dates]
    dates = [value for value in plain if value not in far]
    for kind, forms in FORMS.items():
        fitting = [form for form in forms if dates and _fits(dates, kind, form)]
        if fitting and (kind != "period" or _is_period(look.name, dates)) and _is_time(look.name, dates, fitting[0]):
            look.kind, look.form = kind, fitting[0]
            look.also_form = next((form for form in fitting[1:] if TWO_WAYS.get(fitting[0]) == form), "")
            look.nothing = (*doubtful, *far)
            return
    if is_typed and all(_ISO.fullmatch(value) for value in plain[:20]):
        look.kind, look.form = "instant", "typed"
        return
    lower = {value.lower().removesuffix(".") for value in plain}
    if plain and any(lower <= flags for flags in _FLAGS):
        look.kind = "flag"
    elif plain and all(_WHOLE.fullmatch(value) for value in plain):
        look.kind, look.nothing = "integer", tuple(doubtful)
    elif plain and all(_DECIMAL.fullmatch(value) or _SCIENTIFIC.fullmatch(value) for value in plain):
        look.kind, look.nothing = "number", tuple(doubtful)


def _fits(values: Iterable[str], kind: str, form: str) -> bool:
    pattern, layout = FORMS[kind][form]
    matcher = re.compile(pattern)
    for value in values:
        if not matcher.fullmatch(value):
            return False
        if layout:
            try:
                datetime.strptime(value, layout)  # noqa: DTZ007 - only whether it is a date
            except ValueError:
                return False
        elif form.startswith("YYYY-MM-DD"):
            try:
                datetime.fromisoformat(value[:16])
            except ValueError:
                return False
    return True


_PERIOD_HEADERS = ("月", "账期", "帐期", "period", "month", "cycle", "ym")
_TIME_HEADERS = ("时间", "日期", "日", "date", "time", "day", "at", "on", "ts", "since", "start", "end", "epoch", "dt")


_CLOCK_HEADERS = ("时间", "时刻", "time", "clock", "hms")


def _is_period(header: str, values: Sequence[str]) -> bool:
    """Tells whether six digits are months: the header says so, or there are few of them."""
    return not values[0].isdigit() or any(word in folded(header) for word in _PERIOD_HEADERS) or len(values) <= 36


def _is_time(header: str, values: Sequence[str], form: str) -> bool:
    """Tells whether bare digits are a date or a time: the header says so, or several such values are all dates."""
    if not values[0].isdigit():
        return True
    is_clock = any(word in header.lower() for word in _CLOCK_HEADERS)
    if form == "HHMMSS" or (form == "YYMMDD" and is_clock and _fits(values, "clock", "HHMMSS")):
        return is_clock and form == "HHMMSS"
    if form.startswith(("epoch", "YYMMDD")):  # amounts and area codes have such digits too
        return any(word in header.lower() for word in _TIME_HEADERS)
    return len(values) >= 3 or any(word in header.lower() for word in (*_TIME_HEADERS, *_PERIOD_HEADERS))


def keys_of(table: Any, looks: Sequence[ColumnLook], preferred: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Returns the smallest sets of columns that identify a row, the most id-like first; empty if none was found.

    A measure or a time that happens to be different in every row is no key by itself.

    `looks` are the columns without knowledge times, `preferred` those known to be ids or references, best first.
    """
    order = {name: place for place, name in enumerate(preferred)}
    single = [look.name for look in looks if look.is_unique and (look.name in order or look.kind == "text")]
    single.sort(key=lambda name: order.get(name, len(order)))
    if single:
        return tuple((name,) for name in single)
    by_name = {look.name: look for look in looks}
    names = [name for name in preferred if name in by_name]
    names += [look.name for look in looks if look.is_time and look.name not in names]
    names += [look.name for look in looks if look.kind in ("category", "text") and look.name not in names]
    names = [name for name in names if by_name[name].filled == 1][:6]
    for size in (1, 2, 3):  # beside the most id-like one
        chosen = ((names[0], *others) for others in combinations(names[1:], size))
        found = [columns for columns in chosen if identifies(table, columns)]
        if found:
            return tuple(found)
    return ()


def identifies(table: Any, columns: Sequence[str]) -> bool:
    """Tells whether no two rows are equal in these columns."""
    grouped = table.select(list(columns)).group_by(list(columns)).aggregate([])
    return bool(grouped.num_rows == table.num_rows)
