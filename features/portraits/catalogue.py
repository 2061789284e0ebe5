"""The feature catalogue: a Markdown page generated from the dimension files, checked for staleness by a test."""

from __future__ import annotations

from features.kit.pages.pages import render
from features.portraits.feature_list import VERSION, FeatureList, dimensions


def page() -> str:
    """Returns the catalogue page: per dimension a table of names, kinds and meanings."""
    features = FeatureList.declared().features
    tables = {
        dimension: [
            (f"`{one.name}`", ": ".join(filter(None, (one.kind, ", ".join(one.categories)))), one.description)
            for one in features
            if one.dimension == dimension
        ]
        for dimension in dimensions()
    }
    return render("features.portraits", "catalogue.md.j2", version=VERSION, features=features, dimensions=tables)
