"""What the portraits need: which feeds each feature, dimension, class and fact cannot do without.

A rule or a fact is SQL over features and details; with a feed missing its columns are NULL, and the question is
whether the condition can still be true for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from typing import Any

from features.feeds.costs import Board, Item, Present
from features.portraits.dimensions.spec import Definition
from features.portraits.facts.classes import class_rules
from features.portraits.facts.details import DETAILS
from features.portraits.facts.facts import Fact, facts
from features.portraits.facts.festivals import Festival
from features.portraits.feature_list import OWN_COLUMNS, definitions, dimensions
from features.portraits.settings import load_settings
from features.portraits.sources.request import from_months, is_present, source_of

_ALLOWANCE = (
    "allowance_used_share", "allowance_used_share_90d", "low_use_months_count_90d", "month_used_share",
    "over_use_months_count_90d", "voice_allowance_used_share_90d",
)  # fmt: skip
ALSO_NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("plan_data_mb", "plan_fee_amount", "plan_generation"), ("plans",)),
    **dict.fromkeys(_ALLOWANCE, ("subscriptions", "plans")),
}
"""Features that are NULL for everybody without these feeds, although their own source is there.

A soak test builds portraits without each feed in turn and compares.
"""


def costs(_: Board) -> Iterable[Item]:
    """Yields features, the portrait's other columns, dimensions and classes."""
    for column in OWN_COLUMNS:
        yield Item("column", column, lambda _: True)
    for definition in definitions():
        yield Item("feature", definition.feature.name, _feature(definition), _from_months(definition))
    for dimension in dimensions():
        own = [definition for definition in definitions() if definition.feature.dimension == dimension]
        yield Item("dimension", dimension, _any([_feature(definition) for definition in own] or [_attributes]))
    settings = load_settings()
    for rule in class_rules(settings.classes, money_scale=3):
        yield Item("class", rule.name, _rule(rule.needs, rule.holds))


def fact_stands(present: Present) -> dict[str, bool]:
    """Returns reason code -> whether its fact can hold for anybody with these feeds."""
    has = _columns(present)
    return {fact.code: _can_be_true(fact.condition, has) for fact in _facts()}


@cache
def _facts() -> tuple[Fact, ...]:
    day = date(2026, 2, 10)
    festival = Festival("spring_festival", date(2026, 2, 17))
    return facts(load_settings().limits, day=day, money_scale=3, festival=festival)


def _feature(definition: Definition) -> Callable[[Present], bool]:
    also = set(ALSO_NEEDED.get(definition.feature.name, ()))
    return lambda present: source_of(definition, present) is not None and also <= present


def _from_months(definition: Definition) -> Callable[[Present], bool]:
    return lambda present: bool(from_months([definition], present))


def _attributes(present: Present) -> bool:
    return "attributes" in present


def _any(parts: list[Callable[[Present], bool]]) -> Callable[[Present], bool]:
    return lambda present: any(part(present) for part in parts)


def _rule(needs: tuple[str, ...], holds: str) -> Callable[[Present], bool]:
    return lambda present: any(feed in present for feed in needs) and _can_be_true(holds, _columns(present))


@cache
def _columns(present: Present) -> Callable[[str], bool]:
    """Returns a function that tells whether a column of features or details can be filled."""
    filled = {definition.feature.name for definition in definitions() if _feature(definition)(present)}
    for detail in DETAILS:
        if all(is_present(source, present) for source in detail.sources):
            filled |= set(detail.columns)
    return lambda name: name in filled


def _can_be_true(condition: str, has: Callable[[str], bool]) -> bool:
    return _truth(_parsed(condition), has)


@cache
def _parsed(condition: str) -> Any:
    import sqlglot

    return sqlglot.parse_one(condition, dialect="duckdb")


def _truth(node: Any, has: Callable[[str], bool]) -> bool:
    """Tells whether a condition can be true where the columns that are not there are NULL."""
    from sqlglot import exp

    if isinstance(node, exp.Paren):
        return _truth(node.this, has)
    if isinstance(node, exp.Or):
        return _truth(node.left, has) or _truth(node.right, has)
    if isinstance(node, exp.And):
        return _truth(node.left, has) and _truth(node.right, has)
    if isinstance(node, exp.Coalesce) and all(isinstance(expression, exp.Boolean) for expression in node.expressions):
        return _truth(node.this, has) or any(expression.this for expression in node.expressions)
    if isinstance(node, exp.Not) and isinstance(node.this, exp.Is):
        return _filled(node.this.this, has)
    return _filled(node, has)


def _filled(node: Any, has: Callable[[str], bool]) -> bool:
    """Tells whether an expression can be anything but NULL."""
    from sqlglot import exp

    if isinstance(node, exp.Column):
        return has(node.name)
    if isinstance(node, exp.Coalesce | exp.Greatest | exp.Least):  # DuckDB's greatest leaves NULL out
        return any(_filled(part, has) for part in (node.this, *node.expressions))
    parts = [part for part in node.iter_expressions() if isinstance(part, exp.Expression)]
    return all(_filled(part, has) for part in parts)
