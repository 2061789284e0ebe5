"""A customer's latest portrait: what is known, what is missing, how old it is."""

from __future__ import annotations

import math
from typing import Any

import orjson

from features.kit.clock import utc_now
from features.kit.errors import NotFoundError
from features.portraits.feature_list import FeatureList
from features.store.online.online import OnlineBatch, OnlinePortrait
from serving.api.context import Context
from serving.api.scores.service import visible
from serving.database.keys import ApiKey


def one_portrait(context: Context, key: ApiKey, customer_id: str) -> tuple[OnlineBatch, OnlinePortrait]:
    """Returns a customer's live portrait with what it was read under.

    Raises:
        NotFoundError: If there is no such customer, or none that this key may see; the answers are the same.
    """
    batch = context.portraits.read_batch([customer_id])
    (found,) = visible(key, batch.portraits)
    if found is None:
        raise NotFoundError("no customer with this id")
    return batch, found


def portrait(context: Context, key: ApiKey, customer_id: str) -> dict[str, Any]:
    """Returns a customer's portrait (see `PortraitAnswer`). Raises NotFoundError."""
    batch, found = one_portrait(context, key, customer_id)
    return described(batch, found) | {"features": named_values(context.portraits.feature_list, found)}


def described(batch: OnlineBatch, found: OnlinePortrait) -> dict[str, Any]:
    """Returns a portrait's class, facts and card."""
    facts = orjson.loads(found.facts)
    return {
        "customer_id": found.customer_id,
        "as_of": found.as_of,
        "portrait_age_hours": round(batch.age_hours(utc_now()), 2),
        "published_at": batch.pointer.published_at,
        "portrait_version": batch.pointer.identity,
        "class": facts.get("class"),
        "also": facts.get("also") or [],
        "missing": facts.get("missing") or [],
        "card": facts.get("card") or {},
        "facts": facts.get("reasons") or {},
    }


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
