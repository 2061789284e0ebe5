"""The catalogue on a date: which plans and packs are in force, on sale, and open to whom.

A plan may have several versions over time (`valid_from`); a month is rated under the version valid in that month.
A version whose price beyond a finite allowance is not stated cannot be rated: it is listed, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np

from features.kit.arrays import Integers
from features.kit.errors import NotReadyError
from serving.product_fit.rating import UNLIMITED, Terms
from serving.product_fit.settings import KeepNumberSettings, minor

_NOT_TERMS = ("name_zh", "name_en", "audience", "on_sale_from", "on_sale_until", "valid_from", "valid_until")


@dataclass(frozen=True)
class Plan:
    """One version of a plan; the columns of the `plans` feed, money in minor units."""

    plan_id: str
    name_zh: str | None
    name_en: str | None
    generation: str | None
    monthly_fee: int
    voice_minutes: int | None
    data_kb: int | None
    sms_count: int | None
    voice_overage_price: int | None
    data_overage_price: int | None
    data_block_kb: int | None
    sms_overage_price: int | None
    overage_cap: int | None
    throttle_after_kb: int | None
    rollover_months: int | None
    minimum_spend: int | None
    shared_lines: int | None
    contract_months: int | None
    early_exit_fee: int | None
    discount_amount: int | None
    discount_months: int | None
    audience: str | None
    effective: str | None
    on_sale_from: date | None
    on_sale_until: date | None
    valid_from: date
    valid_until: date | None

    @property
    def is_rateable(self) -> bool:
        """Returns whether every finite allowance states its price beyond."""
        voice = self.voice_minutes is None or self.voice_overage_price is not None
        messages = self.sms_count is None or self.sms_overage_price is not None
        data = (
            self.data_kb is None
            or self.throttle_after_kb is not None
            or (self.data_overage_price is not None and bool(self.data_block_kb or self.data_overage_price == 0))
        )
        return voice and messages and data

    @property
    def own_terms(self) -> tuple[Any, ...]:
        """Returns what the plan costs and gives; two versions that differ in names and dates alone are the same."""
        return tuple(value for name, value in vars(self).items() if name not in _NOT_TERMS)

    def only_keeps_number(self, rules: KeepNumberSettings, money_scale: int) -> bool:
        """Returns whether the plan is meant to keep a number alive, not to be used."""
        names = f"{self.name_zh or ''} {self.name_en or ''} {self.plan_id}".lower()
        limits = [kb for kb in (self.data_kb, self.throttle_after_kb) if kb is not None]
        is_tiny = bool(limits) and min(limits) <= rules.most_data_mb * 1024
        is_cheap = self.monthly_fee <= minor(rules.most_fee, money_scale)
        return (is_tiny and is_cheap) or any(word.lower() in names for word in rules.names)


@dataclass(frozen=True)
class Pack:
    """One version of a data or roaming pack; the columns of the `packs` feed."""

    pack_id: str
    name_zh: str | None
    name_en: str | None
    scope: str | None
    data_kb: int
    price: int
    renews: bool | None
    on_sale_from: date | None
    on_sale_until: date | None
    valid_from: date
    valid_until: date | None

    @property
    def is_domestic(self) -> bool:
        """Returns whether the pack's data counts against domestic use; a pack without a scope does."""
        return self.scope != "roaming"


def in_force(item: Plan | Pack, day: date) -> bool:
    """Returns whether a version is valid on a day. The validity is half-open: `[valid_from, valid_until)`."""
    return item.valid_from <= day and (item.valid_until is None or day < item.valid_until)


def on_sale(item: Plan | Pack, day: date) -> bool:
    """Returns whether a version is in force and sold on a day; the last day of sale is `on_sale_until` - 1."""
    started = item.on_sale_from is None or item.on_sale_from <= day
    return in_force(item, day) and started and (item.on_sale_until is None or day < item.on_sale_until)


@dataclass(frozen=True)
class Catalogue:
    """All versions of all plans and packs as known on a date."""

    plans: tuple[Plan, ...]  # every version, by plan_id and valid_from; the position is the plan index used in arrays
    packs: tuple[Pack, ...]  # every version, by pack_id and valid_from
    terms: Terms  # the plans' prices and allowances as arrays `[plans]`
    same: Integers  # the first version of the same plan with the same terms `[plans]`

    @classmethod
    def of(cls, plans: list[Plan], packs: list[Pack]) -> Catalogue:
        """Returns a catalogue of the given versions."""
        first: dict[tuple[Any, ...], int] = {}
        same = np.array([first.setdefault(plan.own_terms, k) for k, plan in enumerate(plans)], dtype=np.int64)
        return cls(tuple(plans), tuple(packs), terms_of(plans), same)

    @classmethod
    def read(cls, connection: Any, rows: Callable[[str], str], names: frozenset[str]) -> Catalogue:
        """Reads the catalogue from the landed feeds; `rows(feed)` is the SQL of the rows known on the date.

        Raises:
            NotReadyError: If no plan is known.
        """
        if "plans" not in names:
            raise NotReadyError("no feed `plans`: nothing can be re-rated", remedy="map the plan catalogue")
        plans = [Plan(*row) for row in connection.execute(_versions_sql(Plan, rows("plans"))).fetchall()]
        packs = []
        if "packs" in names:
            packs = [Pack(*row) for row in connection.execute(_versions_sql(Pack, rows("packs"))).fetchall()]
        if not plans:
            raise NotReadyError("the feed `plans` has no row known on that date", remedy="check its known_at")
        return cls.of(plans, packs)

    def plans_on_sale(self, day: date) -> list[int]:
        """Returns the indices of the rateable plans sold on a day."""
        return [i for i, plan in enumerate(self.plans) if on_sale(plan, day) and plan.is_rateable]

    def monthly_packs(self, day: date) -> list[Pack]:
        """Returns the domestic packs sold on a day that renew themselves: a pack bought by hand is not every month."""
        return [pack for pack in self.packs if on_sale(pack, day) and pack.is_domestic and pack.renews]

    def unrateable(self) -> list[str]:
        """Returns the plans with a version whose price beyond the allowance is not stated."""
        return sorted({plan.plan_id for plan in self.plans if not plan.is_rateable})


def _versions_sql(kind: type[Plan | Pack], rows: str) -> str:
    """Returns SQL of the columns that a version has, in its order; a catalogue's first column is its key."""
    names = [field.name for field in fields(kind)]
    return f"SELECT {', '.join(names)} FROM ({rows}) ORDER BY {names[0]}, valid_from"


def terms_of(plans: list[Plan]) -> Terms:
    """Returns the prices and allowances of plans as arrays; an allowance not stated is unlimited."""

    def column(values: list[int | None], missing: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([missing if value is None else value for value in values], dtype=np.int64)

    return Terms(
        monthly_fee=column([plan.monthly_fee for plan in plans], 0),
        voice_minutes=column([plan.voice_minutes for plan in plans], UNLIMITED),
        voice_price=column([plan.voice_overage_price for plan in plans], 0),
        sms_count=column([plan.sms_count for plan in plans], UNLIMITED),
        sms_price=column([plan.sms_overage_price for plan in plans], 0),
        data_kb=column([plan.data_kb for plan in plans], UNLIMITED),
        data_price=column([plan.data_overage_price for plan in plans], 0),
        data_block_kb=column([plan.data_block_kb or 1 for plan in plans], 1),
        overage_cap=column([plan.overage_cap for plan in plans], UNLIMITED),
        throttle_after_kb=column([plan.throttle_after_kb for plan in plans], UNLIMITED),
        throttles=column([int(plan.throttle_after_kb is not None) for plan in plans], 0),
        rollover_months=column([plan.rollover_months for plan in plans], 0),
        minimum_spend=column([plan.minimum_spend for plan in plans], 0),
    )
