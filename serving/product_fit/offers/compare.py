"""Every plan, and every plan with a pack that renews itself, over the same months: the costs, and what may be offered.

Costs are compared over the next `horizon_months` at the observed use, recent months counting more: the rest of a
present discount, a new plan's opening discount and an early-exit fee all count. Each figure is one integer division of
exact integer sums.

An offer covers the worst of the last months, use against allowance, whatever roll-over or a cap on over-use fees would
forgive; a keep-number plan is only for an idle line. It saves (enough, seldom dearer than today), or it ends a
throttled customer's shown need and may then cost a little more. A plan with a pack is never offered where anything that
is never slowed down costs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np

from features.kit.arrays import Flags, Integers
from features.kit.clock import add_months
from serving.product_fit.catalogue import Catalogue, Pack, Plan
from serving.product_fit.offers.eligibility import may_take
from serving.product_fit.rating import Terms, bill, data_charge, voice_and_message_fee
from serving.product_fit.settings import FitSettings, minor
from serving.product_fit.use.months import Months
from serving.product_fit.use.own_plan import Needs, OwnBills

NO_PACK = -1
NOT_OFFERED = -(1 << 60)
_UNKNOWN_COST = 1 << 60
_NEEDED_FIRST = 1 << 50
"""Added to the rank of an offer that meets the need of a throttled customer: it comes before any saving."""


@dataclass(frozen=True)
class Ranking:
    """The best way to use each plan, per customer; columns are the candidate plans, the last one is the own plan."""

    plans: list[int]  # index of each candidate plan; the own plan's column has no fixed index
    packs: list[Pack]  # the packs that renew themselves, by the number in `pack`
    key: Integers  # what to sort by, descending; `NOT_OFFERED` where nothing may be offered `[n, columns]`
    cost: Integers  # expected cost a month, minor units
    total: Integers  # re-rated sum of the months on the present plan, minor units, without exit fee or discount effects
    worst: Integers  # the dearest of all known months, minor units, without discounts
    pack: Integers  # number of the pack, or `NO_PACK`
    dearer: Integers  # months in which it would have cost more than today
    relieves: Flags  # it ends the throttling and may therefore cost more
    current_cost: Integers  # today's plan, expected cost a month `[n]`
    current_worst: Integers  # today's plan, the dearest of all known months `[n]`
    exit_fee: Integers  # early-exit fee of a change now `[n]`
    months: Integers  # months on the present plan `[n]`
    alone: Integers  # sum over all customers of each candidate's re-rated months without packs `[candidates]`

    def hold(self, column: int, pack: int, key: Integers, **figures: Integers | Flags) -> None:
        """Keeps a way of using a plan where it beats the one that is held; the first found wins a tie."""
        better = key > self.key[:, column]
        for name, values in {"key": key, "pack": np.full(len(key), pack), **figures}.items():
            getattr(self, name)[better, column] = values[better]


def effective_on(plan: Plan, as_of: date) -> date:
    """Returns when a change ordered on the as-of date takes effect: at once, or on the next 1st.

    Example: ordered on 2026-06-01 or 2026-06-20, effective on 2026-07-01.
    """
    return as_of if plan.effective == "immediate" else add_months(as_of, 1)


def compare(
    months: Months,
    own: OwnBills,
    needs: Needs,
    catalogue: Catalogue,
    settings: FitSettings,
    money_scale: int,
    as_of: date,
) -> Ranking:
    """Returns every candidate's cost and rank for every customer; see `Ranking`."""
    candidates, packs = catalogue.plans_on_sale(as_of), catalogue.monthly_packs(as_of)
    horizon = _Horizon(months, own, catalogue, settings, as_of)
    discount = months.people.current_discount[:, None]
    now = catalogue.terms.at(np.maximum(months.people.current, 0)[:, None])
    base = _Charges(months, now)
    stay_month = base.with_packs(months.pack_kb, months.domestic_fee, np.int64(0))
    stay_discounted = base.with_packs(months.pack_kb, months.domestic_fee, discount)
    current_cost = horizon.monthly(stay_discounted, stay_month, horizon.discount_left, np.int64(0))
    shape = (months.size, len(candidates) + 1)
    ranking = Ranking(
        plans=candidates,
        packs=packs,
        key=np.full(shape, NOT_OFFERED),
        cost=np.zeros(shape, np.int64),
        total=np.zeros(shape, np.int64),
        worst=np.zeros(shape, np.int64),
        pack=np.full(shape, NO_PACK),
        dearer=np.zeros(shape, np.int64),
        relieves=np.zeros(shape, bool),
        current_cost=current_cost,
        current_worst=horizon.worst(stay_discounted, stay_month, horizon.discount_left),
        exit_fee=horizon.exit_fee(add_months(as_of, 1)),
        months=horizon.count,
        alone=np.zeros(len(candidates), np.int64),
    )
    rules = settings.offers
    extra, dearer_share = Fraction(rules.most_extra_share), Fraction(rules.most_dearer_share)
    today = current_cost  # without packs that the own plan did not need, if it covers every month alone
    cheapest = np.full(months.size, _UNKNOWN_COST)
    for column, index in [(len(candidates), None), *enumerate(candidates)]:
        plan = None if index is None else catalogue.plans[index]
        charges = base if index is None else _Charges(months, catalogue.terms.at(index))
        opened = horizon.any
        if plan is not None:
            opened = opened & may_take(plan, months, catalogue, settings, money_scale)
        exit_fee = np.int64(0) if plan is None else horizon.exit_fee(effective_on(plan, as_of))
        opening = discount if plan is None else np.int64(plan.discount_amount or 0)
        lasts = horizon.discount_left if plan is None else np.int64(min(plan.discount_months or 0, horizon.length))
        for number, pack in enumerate([None, *packs], start=NO_PACK):
            pack_kb, fee = (np.array([value], np.int64) for value in ((pack.data_kb, pack.price) if pack else (0, 0)))
            month = charges.with_packs(pack_kb, fee, np.int64(0))
            opened_month = charges.with_packs(pack_kb, fee, opening)
            cost = horizon.monthly(opened_month, month, lasts, exit_fee)
            total = horizon.sum(month)
            covered = charges.covers(pack_kb, Fraction(rules.most_used_share), now)
            is_slow = charges.throttled[:, 1:].any(axis=1)
            cheapest = np.where(opened & ~is_slow, np.minimum(cheapest, cost), cheapest)
            if pack is None and plan is None:
                today = np.where(covered, np.minimum(today, cost), today)
                continue  # what the customer has is no offer
            if pack is None:
                ranking.alone[column] = total.sum()
            saving = today - cost
            dearer = ((month > stay_month) & own.present).sum(axis=1)
            saves = (saving >= minor(rules.least_saving, money_scale)) & (
                dearer * dearer_share.denominator <= horizon.count * dearer_share.numerator
            )
            relieves = needs.has_throttling & (-saving * extra.denominator <= current_cost * extra.numerator)
            key = np.where(
                opened & covered & (saves | relieves), saving + np.where(relieves, _NEEDED_FIRST, 0), NOT_OFFERED
            )
            ranking.hold(
                column,
                number,
                key,
                cost=cost,
                total=total,
                worst=horizon.worst(opened_month, month, lasts),
                dearer=dearer,
                relieves=relieves,
            )
    dominated = (ranking.pack != NO_PACK) & (ranking.cost > cheapest[:, None])
    ranking.key[dominated] = NOT_OFFERED
    return ranking


class _Charges:
    """One plan's charges over the observed months; voice and messages are rated once for all packs."""

    def __init__(self, months: Months, terms: Terms) -> None:
        self._months = months
        self._terms = terms
        self._fixed = voice_and_message_fee(terms, months.use)
        self._pack_kb: Integers | None = None
        self.overage: Integers = self._fixed
        self.throttled: Flags = np.zeros_like(months.use.known)

    def with_packs(self, pack_kb: Integers, pack_fee: Integers, discount: Integers | np.int64) -> Integers:
        """Returns each month's whole cost, minor units; sets `overage` and `throttled` for these packs."""
        if self._pack_kb is not pack_kb:
            data = data_charge(self._terms, self._months.use, pack_kb)
            self._pack_kb, self.overage, self.throttled = pack_kb, self._fixed + data.fee, data.throttled
        plan = bill(self._terms, self.overage, np.asarray(discount))
        month: Integers = plan + pack_fee + self._months.other_fee
        return month

    def covers(self, pack_kb: Integers, most_used_share: Fraction, now: Terms) -> Flags:
        """Returns whether the use of every one of the last months stays within so much of each allowance.

        Example: 20 GB and a pack of 10 cover months of 8, 12 and 29 GB, but not one of 31 GB. What rolls over does not
        count, because the month after a full one has none. A month with unknown use is judged by what is known of it.
        Minutes and messages of other lines on the allowance must fit too, unless the plan gives as many as today's.
        """
        terms, use, pool = self._terms, self._months.use, self._months.pool
        data = np.where(terms.throttles > 0, terms.throttle_after_kb, terms.data_kb) + pack_kb

        def fits(used: Integers, given: Integers) -> Flags:
            needed = -(-used * most_used_share.denominator // most_used_share.numerator)
            return np.asarray(needed <= given)

        month = fits(use.data_kb, data)
        for own, of_all, given, today in (
            (use.minutes, pool.minutes, terms.voice_minutes, now.voice_minutes),
            (use.sms, pool.sms, terms.sms_count, now.sms_count),
        ):
            month = np.asarray(month & fits(own, given) & (fits(of_all, given) | (given >= today)))
        covered: Flags = np.all(month[:, 1:], axis=1)
        return covered


class _Horizon:
    """Sums over the months on the present plan, and what a month will cost on average over the horizon."""

    def __init__(self, months: Months, own: OwnBills, catalogue: Catalogue, settings: FitSettings, as_of: date) -> None:
        self._present, self._weight = own.present, own.weight
        self._known = months.use.known.copy()
        self._known[:, 0] = False  # only lends its roll-over
        self._people = months.people
        self._exit = np.array([plan.early_exit_fee or 0 for plan in catalogue.plans], dtype=np.int64)
        self.length = settings.horizon_months
        self.count: Integers = own.present.sum(axis=1)
        self.any: Flags = self.count > 0
        first = np.datetime64(add_months(as_of, 1), "M").astype(np.int64)
        end = months.people.discount_end
        last = end.astype("datetime64[M]").astype(np.int64) + (end.astype("datetime64[M]") < end)
        left = np.where(np.isnat(end), self.length, last - first)
        self.discount_left: Integers = np.clip(left, 0, self.length)

    def sum(self, month: Integers) -> Integers:
        """Returns each customer's sum over the months on the present plan."""
        total: Integers = np.where(self._present, month, 0).sum(axis=1)
        return total

    def worst(self, discounted: Integers, plain: Integers, discounted_months: Integers | np.int64) -> Integers:
        """Returns each customer's dearest month of those whose use is known, whichever plan was in force.

        A discount counts only if it lasts over the whole horizon.
        """
        lasts = np.reshape(discounted_months >= self.length, (-1, 1))
        dearest: Integers = np.where(self._known, np.where(lasts, discounted, plain), 0).max(axis=1)
        return dearest

    def monthly(
        self,
        discounted: Integers,
        plain: Integers,
        discounted_months: Integers | np.int64,
        exit_fee: Integers | np.int64,
    ) -> Integers:
        """Returns the expected cost of a month, rounded half up, from each month's cost with and without a discount.

        Example: 6 equal months sum to 360 yuan with and 420 without a discount that lasts 3 more of the next 12 months:
        (3 x 360 + 9 x 420) / 12 / 6 = 67.50 yuan a month. If the newest 3 weigh double, the sums and the 6 become
        weighted ones.
        """
        weights = np.maximum(self._weight.sum(axis=1), 1)
        numerator = (
            discounted_months * (discounted * self._weight).sum(axis=1)
            + (self.length - discounted_months) * (plain * self._weight).sum(axis=1)
            + exit_fee * weights
        )
        denominator = weights * self.length
        cost: Integers = (2 * numerator + denominator) // (2 * denominator)
        return cost

    def exit_fee(self, change_on: date) -> Integers:
        """Returns the early-exit fee of leaving the current plan on a day: due while the contract runs."""
        runs = self._people.contract_end > np.datetime64(change_on, "D")
        fee: Integers = np.where(runs & (self._people.current >= 0), self._exit[np.maximum(self._people.current, 0)], 0)
        return fee
