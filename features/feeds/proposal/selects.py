"""The SQL of a proposal: one expression per column, so that what does not convert is refused by row, never lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import duckdb

from features.feeds.conversion import converted, named_first
from features.feeds.proposal.seen.columns import FORMS, ColumnLook
from features.feeds.proposal.words import Words
from features.feeds.schema import Column, Kind
from features.feeds.units import MONEY_UNITS, UNITS
from features.kit.sql import literal, quoted


def expression(look: ColumnLook, column: Column, words: Words) -> str:
    """Returns SQL over a view's text column that landing converts to the contract's column."""
    value = quoted(look.name)
    if column.is_time:
        return _time(look, column, value)
    if look.unit == "byte" and column.unit == "KB":
        return f"CAST(ceil(TRY_CAST({value} AS DECIMAL(18, 0)) / 1024) AS BIGINT)"
    if column.allowed:
        return _word(look, column, value, words)
    return value


def time_of(look: ColumnLook) -> str:
    """Returns SQL of an instant over a column of dates or times."""
    return _time(look, Column("event_at", Kind.INSTANT), quoted(look.name))


def _time(look: ColumnLook, column: Column, value: str) -> str:
    if look.form == "epoch seconds":
        return f"to_timestamp(TRY_CAST({value} AS DOUBLE))"
    if look.form == "epoch milliseconds":
        return f"to_timestamp(TRY_CAST({value} AS DOUBLE) / 1000)"
    is_known = look.form in FORMS.get(look.kind, {})
    if not is_known or (not look.form.startswith("YYMMDD") and _converts(column, look.values)):
        return value
    return _by_layout(look, value)


def _by_layout(look: ColumnLook, value: str) -> str:
    layout = FORMS[look.kind][look.form][1]
    wanted = "%Y-%m-%d %H:%M:%S" if look.kind == "instant" else "%Y-%m-%d"
    return f"coalesce(strftime(try_strptime({value}, {literal(layout)}), {literal(wanted)}), {value})"


def with_clock(day: ColumnLook, clock: ColumnLook) -> str:
    """Returns SQL of the moment that a day and the clock time beside it name; a row without the time has none."""
    time = quoted(clock.name)
    if clock.form == "HHMMSS":
        time = f"strftime(try_strptime({time}, '%H%M%S'), '%H:%M:%S')"
    return f"{_by_layout(day, quoted(day.name))} || ' ' || lpad({time}, {5 if clock.form == 'HH:MM' else 8}, '0')"


@lru_cache
def _converts(column: Column, values: tuple[str, ...]) -> bool:
    """Tells whether landing converts every value of a column as it is."""
    first = named_first("v", "VARCHAR", column) or "v"
    typed = converted("w", "VARCHAR", column, unit="", scale=3, zone="UTC")
    given = ", ".join(literal(value) for value in values)  # parameters and Arrow tables would load pandas
    values_given = f"SELECT {first} AS w FROM (SELECT unnest([{given}]::VARCHAR[]) AS v)"
    select = f"SELECT count(*) FROM ({values_given}) WHERE ({typed}) IS NULL"
    with duckdb.connect() as connection:
        row = connection.execute(select).fetchone()
    return row is not None and row[0] == 0


def translations(look: ColumnLook, column: Column, words: Words) -> tuple[dict[str, str], tuple[str, ...]]:
    """Returns the source's words with ours, and the source's words that have none."""
    known = words.values.get(column.name, {})
    found = {value: known[value] for value in look.values if value in known and known[value] in column.allowed}
    unknown = tuple(sorted(v for v in look.values if v not in found and v not in column.allowed))
    return found, unknown


def _word(look: ColumnLook, column: Column, value: str, words: Words) -> str:
    found, _ = translations(look, column, words)
    if not found:
        return value
    cases = " ".join(f"WHEN {literal(source)} THEN {literal(ours)}" for source, ours in sorted(found.items()))
    return f"CASE {value} {cases} ELSE {value} END"


def unit_for(look: ColumnLook, column: Column) -> str:
    """Returns the entry of `units` that a column needs, or an empty string."""
    if column.kind is Kind.MONEY:
        return look.unit if look.unit in MONEY_UNITS and look.unit != "major" else ""
    target, factor = UNITS.get(look.unit, ("", 1))
    return look.unit if target == column.unit and factor != 1 else ""


def select_of(view: str, parts: Sequence[tuple[str, str]], where: str = "") -> str:
    """Returns a SELECT over a view with `_file` and `_row`; each part is (expression, column)."""
    named = [sql if sql == name or sql == quoted(name) else f"{sql} AS {name}" for sql, name in parts]
    lines, line = [], "SELECT _file, _row"
    for part in named:
        if len(line) + len(part) > 100:
            lines.append(line + ",")
            line = "       " + part
        else:
            line += ", " + part
    lines += [line, f"FROM {view}" + (f" WHERE {where}" if where else "")]
    return "\n".join(lines)
