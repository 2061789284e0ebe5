"""A customer's product fit as every operation shows it, as the batch of the portraits' day found it."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson
from pydantic import BaseModel

from serving.api.context import Context


class OfferOut(BaseModel):
    """One offer; money in minor units a month. `on_request` offers wait until the customer asks."""

    kind: str
    plan_id: str
    name_zh: str | None
    name_en: str | None
    pack_id: str | None
    pack_renews: bool
    packs_as_now: bool
    monthly_fee: int
    monthly_cost: int
    saving: int
    rerated_total: int
    throttled_months: int
    dearer_months: int
    early_exit_fee: int
    contract_months: int
    effective_on: date
    need: str
    on_request: bool
    status: str


class FitAnswer(BaseModel):
    """What the customer's use would have cost, and what may be offered."""

    customer_id: str
    as_of_date: date
    currency: str
    money_scale: int
    status: str
    reproduced: bool | None
    months: int
    current_plan_id: str | None
    current_cost: int | None
    saving: int | None
    best_plan_id: str | None
    offers: list[OfferOut]
    needs: dict[str, dict[str, Any]]


EXAMPLE = {
    "customer_id": "880000001000000000", "as_of_date": "2026-06-01", "currency": "CNY", "money_scale": 3,
    "status": "ok", "reproduced": True, "months": 6, "current_plan_id": "L39", "current_cost": 64000, "saving": 5000,
    "best_plan_id": "L59",
    "offers": [
        {
            "kind": "plan", "plan_id": "L59", "name_zh": "4G飞享59", "name_en": "4G Easy 59", "pack_id": None,
            "pack_renews": False, "packs_as_now": False, "monthly_fee": 59000, "monthly_cost": 59000, "saving": 5000,
            "rerated_total": 354000, "throttled_months": 0, "dearer_months": 0, "early_exit_fee": 0,
            "contract_months": 0, "effective_on": "2026-07-01", "need": "over_use", "on_request": False, "status": "ok",
        }
    ],
    "needs": {"over_use": {"months": 3, "amount": 75000}},
}  # fmt: skip


def fit_of(context: Context, customer_id: str) -> FitAnswer | None:
    """Returns a customer's fit on the live portraits' day, or None without one."""
    import pyarrow.parquet as pq

    path = context.home.product_fit / f"as_of={context.today()}" / "fit.parquet"
    if not path.exists():
        return None
    asked = [("customer_id", "=", customer_id)]
    rows = pq.read_table(path, filters=asked, partitioning=None, use_threads=False).to_pylist()
    if not rows:
        return None
    operator = context.feeds().operator
    lists = {name: orjson.loads(rows[0][name]) for name in ("offers", "needs")}
    return FitAnswer(**rows[0] | lists, currency=operator.currency, money_scale=operator.money_scale)
