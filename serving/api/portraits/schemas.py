"""What a customer's portrait looks like outside."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field


class PortraitAnswer(BaseModel):
    """The latest portrait of one customer."""

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
    features: dict[str, float | str | None]


EXAMPLE = {
    "customer_id": "880000001000000000", "as_of": "2026-06-01", "portrait_age_hours": 9.5,
    "published_at": "2026-06-01T01:20:00Z", "portrait_version": "portrait_v1-0a1b2c3d", "class": "data_hungry",
    "also": ["contract_ending"], "missing": [],
    "card": {"plan_id": "L39", "months_with_us": 31, "vip_tier": "gold", "city": "Nanjing", "arrears": 0},
    "facts": {"bill.jump": {"month": "2026-05", "amount": 128000, "diff": 45200}},
    "features": {"manual_calls_count_30d": 2.0, "province": "Jiangsu"},
}  # fmt: skip
