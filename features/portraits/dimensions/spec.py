"""What a feature is: its name, its one sentence, and one expression over one customer's rows of one source.

A dimension file lists `Definition`s. The expression is a function of a table (Ibis): it reduces the rows of one
customer to one value, and it never sees a date: `sources/staging.py` has turned every time into whole days before the
as-of date. So one specification is compiled once and runs for any as-of date, on DuckDB or on Spark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

FeatureKind = Literal["number", "category"]
Expression = Callable[[Any], Any]


@dataclass(frozen=True)
class Feature:
    """One named column of the portrait.

    Attributes:
        name: The column's name; its suffix tells the unit, the end of it the window.
        dimension: The subject it belongs to.
        kind: A float32 number, or a category stored as text and encoded by its place in `categories`.
        categories: The known values of a category, in the order of their codes; only ever appended to.
        description: One sentence: meaning, unit, window.
    """

    name: str
    dimension: str
    kind: FeatureKind = "number"
    categories: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Definition:
    """A feature and how it is computed.

    Attributes:
        feature: What it is.
        source: The source table (see `sources.py`) whose rows it reduces.
        value: The expression: one customer's rows in, one value out.
        absent: The value of a customer without any row while the feed is there; None where that is unknown.
        months: The source whose rows, one a month, the same expression reduces where `source` is missing; None where
            only `source` can tell.
    """

    feature: Feature
    source: str
    value: Expression
    absent: int | None = None
    months: str | None = None


@dataclass(frozen=True)
class Dimension:
    """One subject of the portrait: writes definitions with less ink."""

    name: str

    def count(
        self, name: str, source: str, description: str, value: Expression, *, months: str | None = None
    ) -> Definition:
        """Returns a number that is truly 0 for a customer without rows."""
        return Definition(Feature(name, self.name, description=description), source, value, absent=0, months=months)

    def number(
        self, name: str, source: str, description: str, value: Expression, *, months: str | None = None
    ) -> Definition:
        """Returns a number that is unknown for a customer without rows."""
        return Definition(Feature(name, self.name, description=description), source, value, months=months)

    def category(
        self, name: str, source: str, description: str, value: Expression, categories: tuple[str, ...] = ()
    ) -> Definition:
        """Returns a category; `categories` may be empty where the values come from the data."""
        return Definition(Feature(name, self.name, "category", categories, description), source, value)


def each(windows: tuple[int, ...], definition: Callable[[int], Definition]) -> tuple[Definition, ...]:
    """Returns one definition per window length in days."""
    return tuple(definition(days) for days in windows)
