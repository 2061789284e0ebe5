"""The customer's own plan: does re-rating reproduce the bills, and which needs do the observed months show?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np

from features.kit.arrays import Flags, Integers
from features.kit.clock import add_months
from serving.product_fit.catalogue import Catalogue
from serving.product_fit.rating import UNLIMITED, Terms, bill, data_charge, voice_and_message_fee
from serving.product_fit.settings import FitSettings, minor
from serving.product_fit.use.months import Months

OVER_USE, THROTTLING, ROAMING, UNUSED = "over_use", "throttling", "roaming", "unused_allowance"


@dataclass(frozen=True)
class OwnBills:
    """The own plan's re-rating of what really happened, months `[n, m]` in minor units."""

    observed: Flags  # months whose use and plan (and bill, where bills are landed) are known
    present: Flags  # those of them on the present plan at its present terms: only they say what today's plan costs
    weight: Integers  # what each present month counts in a mean: recent ones more, months that are not present nothing
    total: Integers  # the re-rated bill with everything on it
    overage: Integers  # over-use fees alone
    throttled: Flags  # whether the line was slowed down, as recorded, else as rated
    reproduced: Flags  # whether each of the last bills of the present plan is reproduced; without bills False `[n]`
    has_bill: Flags  # whether a bill is known, or no bills are landed at all `[n, m]`
    has_changed: Flags  # the plan or its terms changed so lately that its own bills prove nothing yet `[n]`

    def left_out(self, row: int, months: Months, as_of: date) -> list[dict[str, str]]:
        """Returns the months since the activation that prove nothing about today's plan, newest first, and why."""
        days = int(months.people.days[row])
        since = (np.datetime64(as_of, "D") - days).astype("datetime64[M]")
        reasons = (
            (~months.use.known, "no_use"),
            (months.plan < 0, "no_plan"),
            (~self.has_bill, "no_bill"),
            (~self.present, "other_plan"),
        )
        left = []
        for m in range(len(months.periods) - 1, 0, -1):
            why = next((code for flags, code in reasons if flags[row, m]), None)
            if why is not None and (days < 0 or np.datetime64(months.periods[m], "M") >= since):
                left.append({"month": months.periods[m].isoformat(), "why": why})
        return left


def own_bills(
    months: Months, catalogue: Catalogue, settings: FitSettings, money_scale: int, as_of: date, *, has_bills: bool
) -> OwnBills:
    """Returns the re-rating under the plan in force in each month, compared with the bills."""
    in_force = catalogue.terms.at(np.maximum(months.plan, 0))
    data = data_charge(in_force, months.use, months.pack_kb)
    overage = voice_and_message_fee(in_force, months.use) + data.fee
    total = bill(in_force, overage, months.discount) + months.domestic_fee + months.other_fee
    observed = months.use.known & (months.plan >= 0)
    share = Fraction(settings.tolerance.share)
    allowed = np.maximum(
        minor(settings.tolerance.amount, money_scale), months.billed * share.numerator // share.denominator
    )
    has_bill = months.has_bill | (not has_bills)
    observed = observed & has_bill
    observed[:, 0] = False  # only lends its roll-over
    close = np.abs(total - months.billed) <= allowed
    is_known = (months.plan >= 0) & (months.people.current >= 0)[:, None]
    present = observed & is_known & (catalogue.same[months.plan] == catalogue.same[months.people.current][:, None])
    last = newest(present, settings.tolerance.last_bills)
    reproduced = np.all(close | ~last, axis=1) & last.any(axis=1) & has_bills
    throttled = np.where(months.throttled >= 0, months.throttled > 0, data.throttled)
    rules = settings.months
    newest_months = newest(observed, rules.unchanged)
    is_new = months.people.changed_on > _months_before(as_of, rules.unchanged)  # NaT compares as False
    has_changed = is_new | (newest_months & ~present).any(axis=1)
    weight = present * np.where(newest(present, rules.recent), rules.recent_weight, 1)
    return OwnBills(observed, present, weight, total, overage, throttled & observed, reproduced, has_bill, has_changed)


def _months_before(day: date, count: int) -> np.datetime64:
    """Returns the same day so many months before. Example: 2 before 2026-06-20 is 2026-04-20, before 04-30 02-28."""
    month = add_months(day, -count)
    last = (add_months(month, 1) - timedelta(days=1)).day
    return np.datetime64(month.replace(day=min(day.day, last)), "D")


def newest(observed: Flags, count: int) -> Flags:
    """Returns the newest `count` observed months of each customer."""
    chosen: Flags = observed & (np.cumsum(observed[:, ::-1], axis=1)[:, ::-1] <= count)
    return chosen


@dataclass(frozen=True)
class Needs:
    """What the recent months show, per customer `[n]`; amounts in minor units."""

    recent: Flags  # the newest observed months that count `[n, m]`
    over_use_months: Integers  # with an over-use fee or a domestic pack bought
    over_use_amount: Integers  # what both cost
    throttled_months: Integers  # slowed down
    roaming_months: Integers  # with a roaming fee
    roaming_amount: Integers  # what it came to
    unused: Flags  # used less than the idle share of the data allowance in each recent month
    used_share: np.ndarray[Any, np.dtype[np.float64]]  # data used over data allowed, NaN without a limit
    has_over_use: Flags  # enough months of over-use
    has_throttling: Flags  # enough throttled months
    has_roaming: Flags  # enough months of roaming fees

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
    recent = newest(own.present, rules.recent_months)
    beyond = own.overage + months.domestic_fee
    in_force = terms.at(np.maximum(months.plan, 0))
    allowance = np.minimum(in_force.data_kb, in_force.throttle_after_kb)
    limited = recent & (allowance < UNLIMITED) & (allowance > 0)
    share = Fraction(rules.idle_share)
    low = months.use.data_kb * share.denominator < allowance * share.numerator
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
        unused=limited.any(axis=1) & np.all(low & limited | ~recent, axis=1),
        used_share=np.where(allowed > 0, used / np.maximum(allowed, 1), np.nan),
        has_over_use=over_use >= rules.over_use_months,
        has_throttling=throttled >= rules.throttled_months,
        has_roaming=roaming >= rules.roaming_months,
    )
