"""SQL that turns what an operator delivers (mostly text) into the contract's types: exact, or NULL, never rounded away.

A value that does not convert becomes NULL, so "raw is there, typed is not" is the test for a bad value. Lengths of
time and data volumes with a declared unit are multiplied out and rounded half up to the whole contract unit. Numbers
have up to twelve digits before the point and six behind it.
"""

from __future__ import annotations

from features.feeds import times
from features.feeds.schema import Column, Kind
from features.feeds.units import UNITS
from features.kit.sql import literals
from features.kit.values.identifiers import NO_IDENTIFIER, damage_sql, identifier_sql, phone_number_sql

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


def is_lossless(source_type: str, kind: Kind) -> bool:
    """Tells whether every value of a typed source column converts, so that no bad-value test is needed."""
    if kind in (Kind.TEXT, Kind.CATEGORY):
        return True
    direct = {Kind.INTEGER: _WHOLE[:4], Kind.MONEY: _WHOLE[:4], Kind.FLAG: ("BOOLEAN",), Kind.DATE: ("DATE",)}
    return source_type in direct.get(kind, ()) or (kind is Kind.INSTANT and source_type.startswith("TIMESTAMP"))


def named_first(value: str, source_type: str, column: Column) -> str:
    """Returns SQL of what `converted` needs under a name of its own, to be computed once; empty if nothing."""
    if not column.is_time or not times.is_text(source_type):
        return ""
    return times.written(value, months=column.kind is Kind.DATE)


def converted(value: str, source_type: str, column: Column, *, unit: str, scale: int, zone: str) -> str:
    """Returns SQL of the contract's type for a source value.

    `value` is an SQL expression of the DuckDB type `source_type`, or the name of `named_first`; `unit` the declared
    source unit or an empty string, `scale` the decimals of landed money, `zone` the operator's time zone.
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
    if column.is_time:
        return (times.civil_date if kind is Kind.DATE else times.instant)(value, source_type, zone)
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
