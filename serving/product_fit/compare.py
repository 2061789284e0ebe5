"""Every plan, and every plan with a pack, over the same months: what each would cost, and which are worth offering.

Costs are compared over the next `horizon_months` at the observed use: the rest of a present discount, a new plan's
opening discount and an early-exit fee all count. Each figure is one integer division of exact integer sums.

An offer saves (enough, seldom dearer than today, without one more month of over-use or throttling, and without more
over-use fees than over-use and packs cost today), or it ends a throttled customer's shown need and may then cost a
little more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np

from features.kit.arrays import Flags, Integers
from features.kit.clock import add_months
from serving.product_fit.catalogue import Catalogue, Pack, Plan
from serving.product_fit.months import Months
from serving.product_fit.own_plan import Needs, OwnBills
from serving.product_fit.rating import Terms, bill, data_charge, voice_and_message_fee
from serving.product_fit.settings import FitSettings, minor

NO_PACK, PACKS_AS_NOW = -1, -2
NOT_OFFERED = -(1 << 60)
_NEEDED_FIRST = 1 << 50
"""Added to the rank of an offer that meets the need of a throttled customer: it comes before any saving."""


@dataclass(frozen=True)
class Ranking:
    """The best way to use each plan, per customer; columns are the candidate plans, the last one is the own plan.

    Attributes:
        plans: Index of each candidate plan; the own plan's column has no fixed index.
        packs: The domestic packs on sale, by the number in `pack`.
        key: What to sort by, descending; `NOT_OFFERED` where nothing may be offered `[n, columns]`.
        cost: Expected cost a month, minor units.
        total: Re-rated sum of the observed months, minor units, without exit fee or discount effects.
        pack: Number of the pack, `NO_PACK` or `PACKS_AS_NOW`.
        throttled: Throttled months among the observed ones.
        dearer: Observed months in which it would have cost more than today.
        relieves: It ends the throttling and may therefore cost more.
        current_cost: Today's plan, expected cost a month `[n]`.
        current_total: Today's plan, sum of the observed months `[n]`.
        exit_fee: Early-exit fee of a change now `[n]`.
        months: Observed months `[n]`.
        alone: Sum over all customers of each candidate's re-rated months without packs `[candidates]`.
    """

    plans: list[int]
    packs: list[Pack]
    key: Integers
    cost: Integers
    total: Integers
    pack: Integers
    throttled: Integers
    dearer: Integers
    relieves: Flags
    current_cost: Integers
    current_total: Integers
    exit_fee: Integers
    months: Integers
    alone: Integers


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
    candidates = catalogue.plans_on_sale(as_of)
    packs = catalogue.packs_on_sale(as_of, domestic=True)
    best = _Best(months.size, len(candidates) + 1)
    horizon = _Horizon(months, own, catalogue, settings, as_of)
    now = catalogue.terms.at(np.maximum(months.people.current, 0)[:, None])
    discount = months.people.current_discount[:, None]
    base = _Charges(months, now)
    stay_month = base.with_packs(months.pack_kb, months.domestic_fee, np.int64(0))
    stay_discounted = base.with_packs(months.pack_kb, months.domestic_fee, discount)
    stay_throttled = (base.throttled & own.observed).sum(axis=1)
    stay_over = horizon.sum(((base.overage > 0) | (months.domestic_fee > 0)).astype(np.int64))
    stay_beyond = horizon.sum(base.overage + months.domestic_fee)
    current_cost = horizon.monthly(
        horizon.sum(stay_discounted), horizon.sum(stay_month), horizon.discount_left, np.int64(0)
    )
    rules = settings.offers
    extra, dearer_share = Fraction(rules.most_extra_share), Fraction(rules.most_dearer_share)
    alone = np.zeros(len(candidates), dtype=np.int64)
    for column, index in enumerate([*candidates, None]):
        plan = None if index is None else catalogue.plans[index]
        charges = base if index is None else _Charges(months, catalogue.terms.at(index))
        opened = (
            np.ones(months.size, bool) if plan is None else may_take(plan, months, catalogue, settings)
        ) & horizon.any
        exit_fee = np.int64(0) if plan is None else horizon.exit_fee(effective_on(plan, as_of))
        opening = discount if plan is None else np.int64(plan.discount_amount or 0)
        lasts = horizon.discount_left if plan is None else np.int64(min(plan.discount_months or 0, horizon.length))
        for pack, pack_kb, fee in _pack_choices(months, packs, own_plan=plan is None):
            month = charges.with_packs(pack_kb, fee, np.int64(0))
            total = horizon.sum(month)
            cost = horizon.monthly(horizon.sum(charges.with_packs(pack_kb, fee, opening)), total, lasts, exit_fee)
            if plan is not None and pack == NO_PACK:
                alone[column] = total.sum()
            slow = charges.throttled & own.observed
            throttled = slow.sum(axis=1)
            dearer = ((month > stay_month) & own.observed).sum(axis=1)
            saving = current_cost - cost
            saves = (
                (saving >= minor(rules.least_saving, money_scale))
                & (throttled <= stay_throttled)
                & (horizon.sum((charges.overage > 0).astype(np.int64)) <= stay_over)
                & (horizon.sum(charges.overage) <= stay_beyond)
                & (dearer * dearer_share.denominator <= horizon.count * dearer_share.numerator)
            )
            relieves = (
                needs.has_throttling
                & ((slow & needs.recent).sum(axis=1) < settings.needs.throttled_months)
                & (-saving * extra.denominator <= current_cost * extra.numerator)
            )
            key = np.where(opened & (saves | relieves), saving + np.where(relieves, _NEEDED_FIRST, 0), NOT_OFFERED)
            best.offer(column, key, cost, total, pack, throttled, dearer, relieves)
    return Ranking(
        candidates,
        packs,
        best.key,
        best.cost,
        best.total,
        best.pack,
        best.throttled,
        best.dearer,
        best.relieves,
        current_cost,
        horizon.sum(stay_discounted),
        horizon.exit_fee(add_months(as_of, 1)),
        horizon.count,
        alone,
    )


def may_take(plan: Plan, months: Months, catalogue: Catalogue, settings: FitSettings) -> Flags:
    """Returns whether a plan is open to each customer; what is not known does not open a plan.

    Audience, handset (no 5G plan for a 4G handset, no way back to 4G from a 5G plan that the handset can use) and the
    secondary lines that draw on the present plan decide.
    """
    people, rules = months.people, settings.audiences
    current = [catalogue.plans[index] if index >= 0 else None for index in range(-1, len(catalogue.plans))]
    handset = people.generation
    holds_same = np.array([held is not None and held.plan_id == plan.plan_id for held in current])
    holds_student = np.array([held is not None and held.audience == "student" for held in current])
    held_generation = np.array([_generation(held) for held in current])
    held_lines = np.array([(held.shared_lines or 0) if held is not None else 0 for held in current])
    position = people.current + 1
    audience = plan.audience or "all"
    belongs = {
        "all": np.ones(months.size, bool),
        "new": (people.days >= 0) & (people.days < rules.new_days),
        "senior": people.age >= rules.senior_age,
        "student": holds_student[position],
    }.get(audience, np.zeros(months.size, bool))
    held_now = held_generation[position]
    most = np.where(handset > 0, handset, held_now)
    least = np.where(handset > 0, np.minimum(handset, held_now), held_now)
    fits_handset = (_generation(plan) <= most) & (_generation(plan) >= least)
    shares = (held_lines[position] == 0) | (people.secondary_lines <= (plan.shared_lines or 0))
    opened: Flags = belongs & ~holds_same[position] & fits_handset & shares
    return opened


def _generation(plan: Plan | None) -> int:
    return int(plan.generation[0]) if plan is not None and plan.generation else 0


def _pack_choices(months: Months, packs: list[Pack], *, own_plan: bool) -> Iterator[tuple[int, Integers, Integers]]:
    """Yields every way of buying packs: none, as the customer does now, or one pack every month."""
    zero = np.zeros(1, dtype=np.int64)
    yield NO_PACK, zero, zero
    if not own_plan:
        yield PACKS_AS_NOW, months.pack_kb, months.domestic_fee
    for number, pack in enumerate(packs):
        yield number, np.array([pack.data_kb], np.int64), np.array([pack.price], np.int64)


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


class _Horizon:
    """Sums over the observed months, and what a month will cost on average over the horizon."""

    def __init__(self, months: Months, own: OwnBills, catalogue: Catalogue, settings: FitSettings, as_of: date) -> None:
        self._observed = own.observed
        self._people = months.people
        self._exit = np.array([plan.early_exit_fee or 0 for plan in catalogue.plans], dtype=np.int64)
        self.length = settings.horizon_months
        self.count: Integers = own.observed.sum(axis=1)
        self.any: Flags = self.count > 0
        first = np.datetime64(add_months(as_of, 1), "M").astype(np.int64)
        end = months.people.discount_end
        last = end.astype("datetime64[M]").astype(np.int64) + (end.astype("datetime64[M]") < end)
        left = np.where(np.isnat(end), 0, last - first)
        self.discount_left: Integers = np.clip(left, 0, self.length)

    def sum(self, month: Integers) -> Integers:
        """Returns each customer's sum over the observed months."""
        total: Integers = np.where(self._observed, month, 0).sum(axis=1)
        return total

    def monthly(
        self,
        discounted: Integers,
        plain: Integers,
        discounted_months: Integers | np.int64,
        exit_fee: Integers | np.int64,
    ) -> Integers:
        """Returns the expected cost of a month, rounded half up.

        Example: 6 months sum to 360 yuan with and 420 without a discount that lasts 3 more of the next 12 months:
        (3 x 360 + 9 x 420) / 12 / 6 = 67.50 yuan a month.
        """
        count = np.maximum(self.count, 1)
        numerator = discounted_months * discounted + (self.length - discounted_months) * plain + exit_fee * count
        denominator = count * self.length
        cost: Integers = (2 * numerator + denominator) // (2 * denominator)
        return cost

    def exit_fee(self, change_on: date) -> Integers:
        """Returns the early-exit fee of leaving the current plan on a day: due while the contract runs."""
        runs = self._people.contract_end > np.datetime64(change_on, "D")
        fee: Integers = np.where(runs & (self._people.current >= 0), self._exit[np.maximum(self._people.current, 0)], 0)
        return fee


class _Best:
    """Keeps the best way of using each plan; the first found wins a tie."""

    def __init__(self, size: int, columns: int) -> None:
        shape = (size, columns)
        self.key = np.full(shape, NOT_OFFERED, dtype=np.int64)
        self.cost = np.zeros(shape, dtype=np.int64)
        self.total = np.zeros(shape, dtype=np.int64)
        self.pack = np.full(shape, NO_PACK, dtype=np.int64)
        self.throttled = np.zeros(shape, dtype=np.int64)
        self.dearer = np.zeros(shape, dtype=np.int64)
        self.relieves = np.zeros(shape, dtype=bool)

    def offer(
        self,
        column: int,
        key: Integers,
        cost: Integers,
        total: Integers,
        pack: int,
        throttled: Integers,
        dearer: Integers,
        relieves: Flags,
    ) -> None:
        """Takes a variant where it beats what is held."""
        better = key > self.key[:, column]
        for held, new in (
            (self.key, key),
            (self.cost, cost),
            (self.total, total),
            (self.throttled, throttled),
            (self.dearer, dearer),
            (self.relieves, relieves),
        ):
            held[better, column] = new[better]
        self.pack[better, column] = pack
