"""The feature catalogue: a Markdown page generated from the dimension files, checked for staleness by a test."""

from __future__ import annotations

from features.portraits.feature_list import VERSION, FeatureList, dimensions

_READING = (
    "Every number is float32; money is in the currency's minor unit (CNY: li); windows are half-open and end at the "
    "as-of date; empty means unknown, never 0. Declared attributes of an operator follow at the end of the list under "
    "their own names."
)


def page() -> str:
    """Returns the catalogue page: per dimension a table of names, kinds and meanings."""
    features = FeatureList.declared().features
    lines = [
        "# Catalogue of features",
        "",
        f"Generated from the dimension files ({VERSION}, {len(features)} features). Do not edit; run:",
        "",
        "    insight catalogue --out features/CATALOGUE.md",
        "",
        _READING,
    ]
    for dimension in dimensions():
        mine = [feature for feature in features if feature.dimension == dimension]
        if not mine:
            continue
        lines += ["", f"## {dimension}", "", "| feature | kind | meaning |", "|---|---|---|"]
        for feature in mine:
            kind = f"{feature.kind}: {', '.join(feature.categories)}" if feature.categories else feature.kind
            lines.append(f"| `{feature.name}` | {kind} | {feature.description} |")
    return "\n".join(lines) + "\n"
