"""A customer's live portrait as every operation shows it, to whoever may see it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Self

import orjson
from pydantic import BaseModel, Field

from features.kit.clock import utc_now
from features.kit.errors import NotFoundError, StateError
from features.store.online.online import OnlineBatch, OnlinePortrait
from serving.api.answers import ErrorOut
from serving.api.auth import is_row_scoped, may_see
from serving.api.context import Context
from serving.database.keys import ApiKey

_NO_CUSTOMER = "no customer with this id"
_LOST = "the online store has lost this customer's portrait"
LOST_PORTRAIT = ErrorOut(code=StateError.code, detail=_LOST)
UNKNOWN_CUSTOMER = ErrorOut(code=NotFoundError.code, detail=_NO_CUSTOMER)


class PortraitFacts(BaseModel):
    """What is known of a customer, and how old it is."""

    model_config = {"populate_by_name": True}

    customer_id: str
    as_of: date
    portrait_age_hours: float
    published_at: datetime
    portrait_version: str
    primary_class: str | None = Field(alias="class")
    also: list[str]
    missing: list[str]
    card: dict[str, Any]
    facts: dict[str, Any]

    @classmethod
    def of(cls, batch: OnlineBatch, portrait: OnlinePortrait, **more: Any) -> Self:
        """Returns a portrait's class, facts and card; `more` are the fields of a wider answer."""
        facts = orjson.loads(portrait.facts)
        return cls(
            customer_id=portrait.customer_id,
            as_of=batch.pointer.as_of,
            portrait_age_hours=age_of(batch),
            published_at=batch.pointer.published_at,
            portrait_version=batch.pointer.identity,
            primary_class=facts.get("class"),
            also=facts.get("also") or [],
            missing=facts.get("missing") or [],
            card=facts.get("card") or {},
            facts=facts.get("reasons") or {},
            **more,
        )


EXAMPLE = {
    "customer_id": "880000001000000000", "as_of": "2026-06-01", "portrait_age_hours": 9.5,
    "published_at": "2026-06-01T01:20:00Z", "portrait_version": "portrait_v1-0a1b2c3d", "class": "data_hungry",
    "also": ["contract_ending"], "missing": [],
    "card": {"plan_id": "L39", "months_with_us": 31, "vip_tier": "gold", "city": "Nanjing", "arrears": 0},
    "facts": {"bill.jump": {"month": "2026-05", "amount": 128000, "diff": 45200}},
}  # fmt: skip


def age_of(batch: OnlineBatch) -> float:
    """Returns the age of live portraits in hours, to two places."""
    return round(batch.age_hours(utc_now()), 2)


def visible(key: ApiKey, portraits: Sequence[OnlinePortrait | None]) -> list[OnlinePortrait | None]:
    """Returns the portraits that a key may see; a foreign one looks like none at all."""
    if not is_row_scoped(key):
        return list(portraits)
    return [found if found is not None and may_see(key, card_of(found)) else None for found in portraits]


def lost_to(context: Context, key: ApiKey, batch: OnlineBatch) -> frozenset[str]:
    """Returns the customers whose portraits were published and are gone, of those that a key may see.

    They are no unknown customers: the service's own state fails, and `insight_portraits_lost_total` counts them.
    """
    lost = batch.lost
    if lost:
        context.figures.lost.inc(len(lost))
    if lost and is_row_scoped(key):
        facts = context.portraits.facts_of(batch.pointer, sorted(lost))
        lost = frozenset(one for one, text in facts.items() if may_see(key, orjson.loads(text).get("card") or {}))
    return lost


def live_portrait(context: Context, key: ApiKey, customer_id: str) -> tuple[OnlineBatch, OnlinePortrait]:
    """Returns a customer's live portrait with what it was read under.

    Raises:
        NotFoundError: If there is no such customer, or none that this key may see; the answers are the same.
        StateError: If the online store has lost the portrait.
    """
    batch = context.portraits.read_batch([customer_id])
    (found,) = visible(key, batch.portraits)
    if found is None and lost_to(context, key, batch):
        raise StateError(_LOST, remedy="run `insight publish`")
    if found is None:
        raise NotFoundError(_NO_CUSTOMER)
    return batch, found


def card_of(portrait: OnlinePortrait) -> dict[str, Any]:
    """Returns the card in a portrait's facts."""
    card: dict[str, Any] = orjson.loads(portrait.facts).get("card") or {}
    return card
