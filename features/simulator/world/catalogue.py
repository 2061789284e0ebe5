"""The synthetic operator's catalogue (`catalogue.yaml`): plans, packs, provinces, cities and grids, in li and KB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from features.kit.config import Config, load_config

GB = 1024 * 1024
YUAN = 1000


class Plan(Config):
    """A plan: fees in yuan, data in GB; `throttle_gb` marks an unlimited plan slowed down beyond it."""

    plan_id: str
    name_zh: str
    name_en: str
    generation: str
    fee: float
    minutes: int
    gb: float | None
    sms: int = 30
    overage_yuan_per_gb: float = 5.0
    cap_yuan: float | None = None
    throttle_gb: float | None = None
    rollover: int = 0
    minimum_spend: float = 0.0
    audience: str = "all"
    on_sale_until: str | None = None


VOICE_PRICE = 190  # li per billed minute
SMS_PRICE = 100  # li per message


class Pack(Config):
    """A data or roaming pack: price in yuan, data in GB."""

    pack_id: str
    name_zh: str
    name_en: str
    scope: str
    gb: float
    price: float


class Catalogue(Config):
    """The whole of `catalogue.yaml`; a province has its share of the customers and its cities."""

    plans: tuple[Plan, ...]
    packs: tuple[Pack, ...]
    provinces: dict[str, tuple[float, tuple[str, ...]]]
    areas: dict[str, float]
    value_added: dict[str, int]


_OPERATOR = load_config(Catalogue, Path(__file__).with_suffix(".yaml"))
PLANS, PACKS = _OPERATOR.plans, _OPERATOR.packs
PLAN_NUMBER = {plan.plan_id: number for number, plan in enumerate(PLANS)}


def _column(name: str, missing: float = 0.0) -> np.ndarray:
    return np.array([missing if getattr(p, name) is None else getattr(p, name) for p in PLANS], dtype=np.float64)


FEE = (_column("fee") * YUAN).astype(np.int64)
MINUTES = _column("minutes").astype(np.int64)
DATA_KB = (_column("gb") * GB).astype(np.int64)
SMS = _column("sms").astype(np.int64)
DATA_PRICE = (_column("overage_yuan_per_gb") * YUAN).astype(np.int64)
CAP = (_column("cap_yuan", 1e9) * YUAN).astype(np.int64)
THROTTLE_KB = (_column("throttle_gb") * GB).astype(np.int64)
IS_UNLIMITED = THROTTLE_KB > 0
ROLLS_OVER = _column("rollover") > 0
MINIMUM = (_column("minimum_spend") * YUAN).astype(np.int64)
IS_5G = np.array([p.generation == "5G" for p in PLANS])
ALLOWANCE_KB = np.where(IS_UNLIMITED, THROTTLE_KB, DATA_KB)
PACK_KB = np.array([int(p.gb * GB) for p in PACKS], dtype=np.int64)
PACK_PRICE = np.array([int(p.price * YUAN) for p in PACKS], dtype=np.int64)

CITIES = tuple((province, city) for province, (_, cities) in _OPERATOR.provinces.items() for city in cities)
CITY_SHARES = tuple(share / len(cities) for share, cities in _OPERATOR.provinces.values() for _ in cities)
AREAS, AREA_SHARES = tuple(_OPERATOR.areas), tuple(_OPERATOR.areas.values())
VALUE_ADDED = tuple(_OPERATOR.value_added.items())


def grid_count(customers: int) -> int:
    """Returns how many grids the operator has: one for about 40 customers, at least 40."""
    return max(40, customers // 40)


def plan_table() -> pa.Table:
    """Returns the raw plan catalogue: yuan with decimals, a row per plan."""
    return pa.Table.from_pylist(
        [
            {
                "plan_id": p.plan_id, "name_zh": p.name_zh, "name_en": p.name_en, "generation": p.generation,
                "monthly_fee": float(p.fee), "voice_minutes": p.minutes,
                "data_kb": None if p.gb is None else int(p.gb * GB), "sms_count": p.sms,
                "voice_overage_price": VOICE_PRICE / YUAN, "data_overage_price": p.overage_yuan_per_gb,
                "data_block_kb": GB, "sms_overage_price": SMS_PRICE / YUAN,
                "overage_cap": p.cap_yuan,
                "throttle_after_kb": None if p.throttle_gb is None else int(p.throttle_gb * GB),
                "rollover_months": p.rollover, "minimum_spend": p.minimum_spend, "shared_lines": 0,
                "contract_months": 0, "early_exit_fee": 0.0, "discount_amount": 0.0, "discount_months": 0,
                "audience": p.audience, "effective": "next_month", "on_sale_from": "2020-01-01",
                "on_sale_until": p.on_sale_until, "valid_from": "2020-01-01", "valid_until": None,
            }
            for p in PLANS
        ]
    )  # fmt: skip


def pack_table() -> pa.Table:
    """Returns the raw pack catalogue: yuan with decimals, a row per pack."""
    return pa.Table.from_pylist(
        [
            {
                "pack_id": p.pack_id, "name_zh": p.name_zh, "name_en": p.name_en, "scope": p.scope,
                "data_kb": int(p.gb * GB), "price": float(p.price), "renews": False,
                "on_sale_from": "2020-01-01", "on_sale_until": None, "valid_from": "2020-01-01", "valid_until": None,
            }
            for p in PACKS
        ]
    )  # fmt: skip
