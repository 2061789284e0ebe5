"""A customer's latest portrait: what is known, what is missing, how old it is."""

from __future__ import annotations

import math

from features.portraits.feature_list import FeatureList
from features.store.online.online import OnlinePortrait
from serving.api.context import Context
from serving.api.customer.portrait import live_portrait
from serving.api.portraits.schemas import PortraitAnswer
from serving.database.keys import ApiKey


def portrait(context: Context, key: ApiKey, customer_id: str) -> PortraitAnswer:
    """Returns a customer's portrait. Raises NotFoundError."""
    batch, found = live_portrait(context, key, customer_id)
    return PortraitAnswer.of(
        batch, found, features=named_values(context.portraits.feature_list_of(batch.pointer), found)
    )


def named_values(features: FeatureList, found: OnlinePortrait) -> dict[str, float | str | None]:
    """Returns the vector by feature name: numbers as they are, categories as their value, missing as null."""
    named: dict[str, float | str | None] = {}
    for feature, value in zip(features.features, found.values.tolist(), strict=True):
        if math.isnan(value):
            named[feature.name] = None
        elif feature.kind == "category":
            code = int(value)
            named[feature.name] = feature.categories[code] if code < len(feature.categories) else None
        else:
            named[feature.name] = value
    return named
