"""The synthetic operator's catalogue: plans, packs, provinces, cities and grids. Money in li, data in KB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

GB = 1024 * 1024
YUAN = 1000


@dataclass(frozen=True)
class Plan:
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


PLANS: tuple[Plan, ...] = (
    Plan("L08", "8元保号套餐", "Keep-number 8", "4G", 8, 30, 0.2, overage_yuan_per_gb=29, cap_yuan=60),
    Plan("L19", "4G飞享19", "4G Easy 19", "4G", 19, 60, 1, overage_yuan_per_gb=10, cap_yuan=100),
    Plan("L39", "4G飞享39", "4G Easy 39", "4G", 39, 150, 5, overage_yuan_per_gb=10, cap_yuan=100, rollover=1),
    Plan("L59", "4G飞享59", "4G Easy 59", "4G", 59, 250, 10, cap_yuan=150, rollover=1),
    Plan("L88", "4G飞享88", "4G Easy 88", "4G", 88, 400, 20, sms=50, cap_yuan=200, rollover=1),
    Plan("L98", "4G畅享98不限量", "4G Unlimited 98", "4G", 98, 500, None, throttle_gb=20, on_sale_until="2024-12-31"),
    Plan("L138", "4G商旅138", "4G Business 138", "4G", 138, 800, 40, sms=100, cap_yuan=300, rollover=1),
    Plan("F69", "5G智享69", "5G Smart 69", "5G", 69, 200, 15, overage_yuan_per_gb=3, cap_yuan=150, rollover=1),
    Plan("F99", "5G智享99", "5G Smart 99", "5G", 99, 300, 30, overage_yuan_per_gb=3, cap_yuan=200, rollover=1),
    Plan("F129", "5G智享129不限量", "5G Unlimited 129", "5G", 129, 500, None, throttle_gb=50),
    Plan(
        "F169",
        "5G智享169",
        "5G Smart 169",
        "5G",
        169,
        800,
        90,
        sms=100,
        overage_yuan_per_gb=3,
        cap_yuan=300,
        rollover=1,
    ),
    Plan("F239", "5G尊享239", "5G Premium 239", "5G", 239, 1500, 150, sms=200, overage_yuan_per_gb=3, cap_yuan=300),
    Plan("S29", "银龄29", "Senior 29", "4G", 29, 200, 3, overage_yuan_per_gb=5, cap_yuan=50, audience="senior"),
    Plan("Y39", "青春39", "Student 39", "5G", 39, 100, 20, overage_yuan_per_gb=3, cap_yuan=80, audience="student"),
    Plan("C50", "集团50", "Corporate 50", "4G", 50, 500, 8, cap_yuan=100, minimum_spend=50, audience="legacy"),
    Plan("M05", "物联5", "Machine 5", "4G", 5, 0, 0.3, overage_yuan_per_gb=29, cap_yuan=30, audience="legacy"),
)
PLAN_NUMBER = {plan.plan_id: number for number, plan in enumerate(PLANS)}

VOICE_PRICE = 190  # li per billed minute
SMS_PRICE = 100  # li per message


@dataclass(frozen=True)
class Pack:
    """A data or roaming pack: price in yuan, data in GB."""

    pack_id: str
    name_zh: str
    name_en: str
    scope: str
    gb: float
    price: float


PACKS: tuple[Pack, ...] = (
    Pack("D1", "流量加油包1GB", "Data pack 1 GB", "domestic", 1, 5),
    Pack("D5", "流量加油包5GB", "Data pack 5 GB", "domestic", 5, 15),
    Pack("D10", "流量加油包10GB", "Data pack 10 GB", "domestic", 10, 20),
    Pack("R1", "港澳台漫游包", "Roaming pack HK-MO-TW", "roaming", 1, 39),
    Pack("R3", "国际漫游包3GB", "Roaming pack abroad 3 GB", "roaming", 3, 99),
)
PACK_NUMBER = {pack.pack_id: number for number, pack in enumerate(PACKS)}


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

PROVINCES: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("Guangdong", 0.3, ("Guangzhou", "Shenzhen", "Dongguan", "Foshan", "Zhuhai")),
    ("Jiangsu", 0.25, ("Nanjing", "Suzhou", "Wuxi", "Xuzhou")),
    ("Sichuan", 0.2, ("Chengdu", "Mianyang", "Leshan", "Yibin")),
    ("Henan", 0.15, ("Zhengzhou", "Luoyang", "Kaifeng")),
    ("Hebei", 0.1, ("Shijiazhuang", "Baoding", "Tangshan")),
)
CITIES: tuple[tuple[str, str], ...] = tuple((p, c) for p, _, cities in PROVINCES for c in cities)
CITY_SHARES = tuple(share / len(cities) for _, share, cities in PROVINCES for _ in cities)

AREAS = ("Hong Kong", "Macao", "Taiwan", "Japan", "Thailand", "Europe", "United States")
AREA_SHARES = (0.3, 0.14, 0.06, 0.16, 0.16, 0.1, 0.08)
VALUE_ADDED = (("视频彩铃", 6), ("阅读会员", 10), ("视频会员", 15), ("来电管家", 3))


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
