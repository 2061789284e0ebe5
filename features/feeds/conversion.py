"""SQL that turns what an operator delivers (mostly text) into the contract's types: exact, or NULL, never rounded away.

A value that does not convert becomes NULL, so "raw is there, typed is not" is the test for a bad value. Lengths of
time and data volumes with a declared unit are multiplied out and rounded half up to the whole contract unit. Numbers
have up to twelve digits before the point and six behind it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from features.feeds.schema import Column, Kind
from features.feeds.units import UNITS
from features.kit.identifiers import NO_IDENTIFIER, damage_sql, identifier_sql, phone_number_sql
from features.kit.sql import literal, literals

TRUE_WORDS = ("true", "t", "yes", "y", "1", "1.0", "是")
FALSE_WORDS = ("false", "f", "no", "n", "0", "0.0", "否")
BAD_VALUE = {
    Kind.INTEGER: "not_a_whole_number",
    Kind.MONEY: "not_an_amount",
    Kind.NUMBER: "not_a_number",
    Kind.FLAG: "not_yes_or_no",
    Kind.INSTANT: "not_a_time",
    Kind.DATE: "not_a_date",
    Kind.TEXT: "not_text",
    Kind.CATEGORY: "not_text",
}
"""The quarantine reason of a value that does not convert, by kind."""

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_EXACT = "DECIMAL(18, 6)"  # a wider decimal is 128 bits and parses a hundred times slower
_HAS_OFFSET = r"\d:\d{2}.*(Z|z|[+-]\d{2}(:?\d{2})?)$"


def to_utc(local: str, zone: str) -> str:
    """Returns SQL for the UTC instant of a local timestamp."""
    return _shifted(local, zone, "-", f"(({local}) AT TIME ZONE {literal(zone)}) AT TIME ZONE 'UTC'")


def to_local(instant: str, zone: str) -> str:
    """Returns SQL for the local timestamp of a UTC instant."""
    return _shifted(instant, zone, "+", f"(({instant}) AT TIME ZONE 'UTC') AT TIME ZONE {literal(zone)}")


def _shifted(value: str, zone: str, sign: str, by_calendar: str) -> str:
    """Returns SQL by one addition where a zone has no daylight saving: ten times as fast as the calendar library."""
    offset = steady_offset(zone)
    if offset is None:
        return by_calendar
    steady = "BETWEEN TIMESTAMP '1995-01-02' AND TIMESTAMP '2049-12-30'"
    return f"(CASE WHEN ({value}) {steady} THEN ({value}) {sign} INTERVAL {offset} SECONDS ELSE {by_calendar} END)"


@lru_cache
def steady_offset(zone: str) -> int | None:
    """Returns a zone's seconds ahead of UTC if they never change from 1995 to 2049, else None."""
    start = datetime(1995, 1, 1, tzinfo=UTC)
    days = (start + timedelta(days=n) for n in range((datetime(2050, 1, 1, tzinfo=UTC) - start).days))
    offsets = {day.astimezone(ZoneInfo(zone)).utcoffset() for day in days}
    only = offsets.pop()
    return int(only.total_seconds()) if not offsets and only is not None else None


def is_lossless(source_type: str, kind: Kind) -> bool:
    """Tells whether every value of a typed source column converts, so that no bad-value test is needed."""
    if kind in (Kind.TEXT, Kind.CATEGORY):
        return True
    direct = {Kind.INTEGER: _WHOLE[:4], Kind.MONEY: _WHOLE[:4], Kind.FLAG: ("BOOLEAN",), Kind.DATE: ("DATE",)}
    return source_type in direct.get(kind, ()) or (kind is Kind.INSTANT and source_type.startswith("TIMESTAMP"))


def converted(value: str, source_type: str, column: Column, *, unit: str, scale: int, zone: str) -> str:
    """Returns SQL of the contract's type for a source value.

    `value` is an SQL expression of the DuckDB type `source_type`, `unit` the declared source unit or an empty string,
    `scale` the decimals of landed money, `zone` the operator's time zone.
    """
    is_text = source_type == "VARCHAR"
    kind = column.kind
    if column.is_identifier:
        text = f"CAST({value} AS VARCHAR)"
        form = one_form(text, column)
        return (
            form if column.required else f"CASE WHEN {damage_sql(text)} = '{NO_IDENTIFIER}' THEN NULL ELSE {form} END"
        )
    if kind in (Kind.TEXT, Kind.CATEGORY):
        return f"nullif(trim(CAST({value} AS VARCHAR)), '')" if is_text else f"CAST({value} AS VARCHAR)"
    if kind is Kind.MONEY:
        return _money(value, source_type, unit or "major", scale)
    if kind is Kind.INTEGER:
        return _integer(value, source_type, UNITS[unit][1] if unit else 1)
    if kind in (Kind.DATE, Kind.INSTANT):
        return (_date if kind is Kind.DATE else _instant)(value, source_type, zone)
    number = f"TRY_CAST({value} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) THEN {number} END" if kind is Kind.NUMBER else _flag(value, source_type)


def one_form(text: str, column: Column) -> str:
    """Returns SQL of the one form of an identifier or a phone number."""
    return phone_number_sql(text) if column.name == "number" else identifier_sql(text)


def _integer(value: str, source_type: str, factor: int) -> str:
    if source_type in _WHOLE:
        return f"TRY_CAST({value} AS BIGINT)" + (f" * {factor}" if factor != 1 else "")
    exact = f"TRY_CAST({value} AS {_EXACT})"
    if factor != 1:
        return f"TRY_CAST(round({exact} * CAST({factor} AS DECIMAL(10, 0))) AS BIGINT)"
    return f"CASE WHEN {exact} = trunc({exact}) THEN TRY_CAST({exact} AS BIGINT) END"


def _money(value: str, source_type: str, unit: str, scale: int) -> str:
    power = {"major": scale, "cent": scale - 2, "minor": 0}[unit]
    if source_type in _WHOLE and power >= 0:
        return f"TRY_CAST({value} AS BIGINT) * {10**power}"
    minor = f"(TRY_CAST({value} AS {_EXACT}) * {10**power if power >= 0 else 0.1 if power == -1 else 0.01})"
    return f"CASE WHEN {minor} = trunc({minor}) THEN TRY_CAST({minor} AS BIGINT) END"


def _flag(value: str, source_type: str) -> str:
    if source_type == "BOOLEAN":
        return value
    word = f"lower(trim(CAST({value} AS VARCHAR)))"
    yes, no = literals(TRUE_WORDS), literals(FALSE_WORDS)
    return f"CASE WHEN {word} IN ({yes}) THEN true WHEN {word} IN ({no}) THEN false END"


def _date(value: str, source_type: str, zone: str) -> str:
    if source_type == "DATE":
        return value
    if source_type == "TIMESTAMP WITH TIME ZONE":
        return f"CAST({value} AT TIME ZONE {literal(zone)} AS DATE)"
    if source_type.startswith("TIMESTAMP"):
        return f"CAST({value} AS DATE)"
    text = f"trim(CAST({value} AS VARCHAR))"
    return (
        f"CASE WHEN length({text}) = 7 THEN TRY_CAST({text} || '-01' AS DATE) "
        f"WHEN regexp_full_match({text}, '\\d{{8}}') THEN CAST(try_strptime({text}, '%Y%m%d') AS DATE) "
        f"WHEN regexp_full_match({text}, '\\d{{6}}') THEN CAST(try_strptime({text} || '01', '%Y%m%d') AS DATE) "
        f"WHEN length({text}) > 10 THEN CAST(TRY_CAST({text} AS TIMESTAMP) AS DATE) ELSE TRY_CAST({text} AS DATE) END"
    )


def _instant(value: str, source_type: str, zone: str) -> str:
    if source_type == "TIMESTAMP WITH TIME ZONE":
        return f"date_trunc('second', {value} AT TIME ZONE 'UTC')"
    if source_type.startswith("TIMESTAMP") or source_type == "DATE":
        return f"date_trunc('second', {to_utc(f'CAST({value} AS TIMESTAMP)', zone)})"
    text = f"trim(CAST({value} AS VARCHAR))"
    compact = f"try_strptime({text}, ['%Y%m%d%H%M%S', '%Y%m%d'])"
    digits = f"regexp_full_match({text}, '\\d{{8}}(\\d{{6}})?')"
    with_offset = f"TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
    without = to_utc(f"(CASE WHEN {digits} THEN {compact} ELSE TRY_CAST({text} AS TIMESTAMP) END)", zone)
    has_offset = f"regexp_matches({text}, {literal(_HAS_OFFSET)})"
    return f"date_trunc('second', CASE WHEN {has_offset} THEN {with_offset} ELSE {without} END)"
