"""A customer's product fit as every operation shows it, as the batch of the portraits' day found it."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson
from pydantic import BaseModel

from serving.api.context import Context
from serving.product_fit.fit import JSON_COLUMNS, held_back


class LostOut(BaseModel):
    """A service before and after; null is unlimited."""

    now: int | None
    then: int | None


class LeftOutOut(BaseModel):
    """A month that proves nothing about today's plan: `no_use`, `no_plan`, `no_bill` or `other_plan`."""

    month: date
    why: str


class OfferOut(BaseModel):
    """One offer; money in minor units a month. `on_request` offers wait until the customer asks.

    `lost` names each service that would shrink (data_kb, voice_minutes, sms_count, rollover_months, shared_lines,
    generation, discount) with what it is `now` and `then`; null is unlimited. A pack in an offer renews itself.
    """

    kind: str
    plan_id: str
    name_zh: str | None
    name_en: str | None
    pack_id: str | None
    pack_zh: str | None
    pack_en: str | None
    monthly_fee: int
    monthly_cost: int
    worst_month_cost: int
    saving: int
    rerated_total: int
    dearer_months: int
    early_exit_fee: int
    contract_months: int
    effective_on: date
    lost: dict[str, LostOut]
    need: str
    on_request: bool
    status: str


class FitAnswer(BaseModel):
    """What the customer's use would have cost, and what may be offered.

    `months` are those on the present plan, `left_out` the others and why; `lines` share its allowance and are rated
    together. With `no_sale_today` nothing is pitched: figures and offers are for a customer who asks.
    Worst-month costs are those of the dearest known month.
    """

    customer_id: str
    as_of_date: date
    currency: str
    money_scale: int
    status: str
    reproduced: bool | None
    months: int
    left_out: list[LeftOutOut]
    lines: int
    current_plan_id: str | None
    current_plan_zh: str | None
    current_plan_en: str | None
    current_fee: int | None
    current_cost: int | None
    current_worst_month_cost: int | None
    no_sale_today: bool
    saving: int | None
    best_plan_id: str | None
    offers: list[OfferOut]
    needs: dict[str, dict[str, Any]]


EXAMPLE = {
    "customer_id": "880000001000000000", "as_of_date": "2026-06-01", "currency": "CNY", "money_scale": 3,
    "status": "ok", "reproduced": True, "months": 5, "lines": 1,
    "left_out": [{"month": "2026-02-01", "why": "no_bill"}],
    "current_plan_id": "F99", "current_plan_zh": "5G智享99", "current_plan_en": "5G Smart 99", "current_fee": 99000,
    "current_cost": 99000, "current_worst_month_cost": 99000, "no_sale_today": False, "saving": 30000,
    "best_plan_id": "F69",
    "offers": [
        {
            "kind": "plan", "plan_id": "F69", "name_zh": "5G智享69", "name_en": "5G Smart 69", "pack_id": None,
            "pack_zh": None, "pack_en": None, "monthly_fee": 69000, "monthly_cost": 69000, "worst_month_cost": 69000,
            "saving": 30000, "rerated_total": 345000, "dearer_months": 0, "early_exit_fee": 0, "contract_months": 0,
            "effective_on": "2026-07-01", "lost": {"data_kb": {"now": 31457280, "then": 15728640}},
            "need": "cheaper", "on_request": False, "status": "ok",
        }
    ],
    "needs": {},
}  # fmt: skip


def fit_of(context: Context, customer_id: str) -> FitAnswer | None:
    """Returns a customer's fit on the live portraits' day, or None without one."""
    import pyarrow.parquet as pq

    path = context.home.product_fit / f"as_of={context.today()}" / "fit.parquet"
    if not path.exists():
        return None
    asked = [("customer_id", "=", customer_id)]
    rows = pq.read_table(path, filters=asked, partitioning=None, use_threads=False).to_pylist()
    if not rows or not rows[0].keys() >= set(JSON_COLUMNS):  # offers of an older version prove too little to be shown
        return None
    operator = context.feeds().operator
    lists = {name: orjson.loads(rows[0][name]) for name in JSON_COLUMNS}
    row = {"no_sale_today": False} | rows[0] | lists
    if context.policy().is_no_sale(customer_id):  # feeds may know more than on the day of the fit
        row = held_back(row)
    return FitAnswer(**row, currency=operator.currency, money_scale=operator.money_scale)
