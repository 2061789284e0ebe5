"""The feature catalogue: a Markdown page generated from the dimension files and examples, kept fresh by a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.kit.config import load_data
from features.kit.pages.pages import render
from features.portraits.dimensions.spec import Feature
from features.portraits.feature_list import VERSION, FeatureList, definitions, dimensions
from features.portraits.sources.staging import STAGED


@dataclass(frozen=True)
class Example:
    """Rows of one customer, and the values of the portrait that follow from them.

    Attributes:
        about: What the rows are, in one sentence.
        rows: Rows by feed; see the head of `examples.yaml`.
        values: Values by feature, None where the feature is empty.
    """

    about: str
    rows: dict[str, list[dict[str, Any]]]
    values: dict[str, float | str | None] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Returns the rows for people, a line each."""
        return [
            f"{feed}: "
            + ", ".join(
                f"{name} {str(value).lower() if value in (True, False) else value}" for name, value in row.items()
            )
            for feed, rows in self.rows.items()
            for row in rows
        ]


def examples() -> dict[str, Example]:
    """Returns the examples by customer; those of `catalogue` belong to nobody. Raises ConfigurationError."""
    found: dict[str, Example] = load_data(dict[str, Example], Path(__file__).with_name("examples.yaml"))
    return found


def page() -> str:
    """Returns the catalogue page: per dimension its features with an example of each, then the examples' rows."""
    features, shown = FeatureList.declared().features, examples()
    by_month = {definition.feature.name for definition in definitions() if definition.months}
    zero = {definition.feature.name for definition in definitions() if definition.absent == 0}
    tables = {
        dimension: [
            (
                f"`{one.name}`", _kind(one, is_zero=one.name in zero),
                one.description + (" By months." if one.name in by_month else ""),
                ", ".join(f"{_written(e.values[one.name])} ({of})" for of, e in shown.items() if one.name in e.values),
            )
            for one in features
            if one.dimension == dimension
        ]
        for dimension in dimensions()
    }  # fmt: skip
    reach = sorted({(staged.days, staged.feed) for staged in STAGED.values() if staged.days and staged.days > _MONTH})
    return render(
        "features.portraits", "catalogue.md.j2", version=VERSION, features=features, dimensions=tables, examples=shown,
        reach={days: [feed for other, feed in reach if other == days] for days, _ in reach},
    )  # fmt: skip


_MONTH = 31


def _kind(feature: Feature, *, is_zero: bool) -> str:
    words = ": ".join(filter(None, (feature.kind, ", ".join(feature.categories))))
    return f"{words}, 0 without rows" if is_zero else words


def _written(value: float | str | None) -> str:
    return "empty" if value is None else value if isinstance(value, str) else f"{value:.6g}"
