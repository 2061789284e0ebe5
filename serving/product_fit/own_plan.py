"""The customer's own plan: does re-rating reproduce the bills, and which needs do the observed months show?"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from features.kit.arrays import Flags, Integers
from serving.product_fit.months import Months
from serving.product_fit.rating import UNLIMITED, Terms, bill, data_charge, voice_and_message_fee
from serving.product_fit.settings import FitSettings, minor

OVER_USE, THROTTLING, ROAMING, UNUSED = "over_use", "throttling", "roaming", "unused_allowance"


@dataclass(frozen=True)
class OwnBills:
    """The own plan's re-rating of what really happened, months `[n, m]` in minor units.

    Attributes:
        observed: Months whose use and plan (and bill, where bills are landed) are known.
        total: The re-rated bill with everything on it.
        overage: Over-use fees alone.
        throttled: Whether the line was slowed down, as recorded, else as rated.
        reproduced: Whether each of the last bills is reproduced; without bills False `[n]`.
    """

    observed: Flags
    total: Integers
    overage: Integers
    throttled: Flags
    reproduced: Flags


def own_bills(months: Months, terms: Terms, settings: FitSettings, money_scale: int, *, has_bills: bool) -> OwnBills:
    """Returns the re-rating under the plan in force in each month, compared with the bills."""
    in_force = terms.at(np.maximum(months.plan, 0))
    data = data_charge(in_force, months.use, months.pack_kb)
    overage = voice_and_message_fee(in_force, months.use) + data.fee
    total = bill(in_force, overage, months.discount) + months.domestic_fee + months.other_fee
    observed = months.use.known & (months.plan >= 0)
    share = Fraction(settings.tolerance.share)
    allowed = np.maximum(
        minor(settings.tolerance.amount, money_scale), months.billed * share.numerator // share.denominator
    )
    if has_bills:
        observed = observed & months.has_bill
    observed[:, 0] = False  # only lends its roll-over
    close = np.abs(total - months.billed) <= allowed
    last = newest(observed, settings.tolerance.last_bills)
    reproduced = np.all(close | ~last, axis=1) & last.any(axis=1) & has_bills
    throttled = np.where(months.throttled >= 0, months.throttled > 0, data.throttled)
    return OwnBills(observed, total, overage, throttled & observed, reproduced)


def newest(observed: Flags, count: int) -> Flags:
    """Returns the newest `count` observed months of each customer."""
    chosen: Flags = observed & (np.cumsum(observed[:, ::-1], axis=1)[:, ::-1] <= count)
    return chosen


@dataclass(frozen=True)
class Needs:
    """What the recent months show, per customer `[n]`; amounts in minor units.

    Attributes:
        recent: The newest observed months that count `[n, m]`.
        over_use_months: With an over-use fee or a domestic pack bought.
        over_use_amount: What both cost.
        throttled_months: Slowed down.
        roaming_months: With a roaming fee.
        roaming_amount: What it came to.
        unused: Used less than the idle share of the data allowance in each recent month.
        used_share: Data used over data allowed in the recent months, NaN without a limit.
        has_over_use: Enough months of over-use.
        has_throttling: Enough throttled months.
        has_roaming: Enough months of roaming fees.
    """

    recent: Flags
    over_use_months: Integers
    over_use_amount: Integers
    throttled_months: Integers
    roaming_months: Integers
    roaming_amount: Integers
    unused: Flags
    used_share: np.ndarray[Any, np.dtype[np.float64]]
    has_over_use: Flags
    has_throttling: Flags
    has_roaming: Flags

    def of(self, row: int) -> dict[str, dict[str, float]]:
        """Returns one customer's shown needs with their figures."""
        shown: dict[str, dict[str, float]] = {}
        if self.has_over_use[row]:
            shown[OVER_USE] = {"months": int(self.over_use_months[row]), "amount": int(self.over_use_amount[row])}
        if self.has_throttling[row]:
            shown[THROTTLING] = {"months": int(self.throttled_months[row])}
        if self.has_roaming[row]:
            shown[ROAMING] = {"months": int(self.roaming_months[row]), "amount": int(self.roaming_amount[row])}
        if self.unused[row]:
            shown[UNUSED] = {"used_share": round(float(self.used_share[row]), 4)}
        return shown


def needs(months: Months, own: OwnBills, terms: Terms, settings: FitSettings) -> Needs:
    """Returns what the newest observed months show."""
    rules = settings.needs
    recent = newest(own.observed, rules.recent_months)
    beyond = own.overage + months.domestic_fee
    in_force = terms.at(np.maximum(months.plan, 0))
    allowance = np.minimum(in_force.data_kb, in_force.throttle_after_kb)
    limited = recent & (allowance < UNLIMITED) & (allowance > 0)
    share = Fraction(rules.idle_share)
    low = months.use.data_kb * share.denominator < allowance * share.numerator
    enough = recent.sum(axis=1) >= rules.recent_months
    allowed = np.where(limited, allowance, 0).sum(axis=1)
    used = np.where(limited, months.use.data_kb, 0).sum(axis=1)
    over_use = (recent & (beyond > 0)).sum(axis=1)
    throttled = (recent & own.throttled).sum(axis=1)
    roaming = (recent & (months.roaming_fee > 0)).sum(axis=1)
    return Needs(
        recent=recent,
        over_use_months=over_use,
        over_use_amount=np.where(recent, beyond, 0).sum(axis=1),
        throttled_months=throttled,
        roaming_months=roaming,
        roaming_amount=np.where(recent, months.roaming_fee, 0).sum(axis=1),
        unused=enough & limited.any(axis=1) & np.all(low & limited | ~recent, axis=1),
        used_share=np.where(allowed > 0, used / np.maximum(allowed, 1), np.nan),
        has_over_use=over_use >= rules.over_use_months,
        has_throttling=throttled >= rules.throttled_months,
        has_roaming=roaming >= rules.roaming_months,
    )
