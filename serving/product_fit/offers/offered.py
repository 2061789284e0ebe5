"""The offers of one customer, as they are told: the plan, its fee, the worst month, and what is lost against today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from serving.product_fit.catalogue import Catalogue, Pack, Plan
from serving.product_fit.offers.compare import NOT_OFFERED, Ranking, effective_on
from serving.product_fit.rating import UNLIMITED
from serving.product_fit.settings import FitSettings
from serving.product_fit.use.months import Months
from serving.product_fit.use.own_plan import OVER_USE, THROTTLING, UNUSED, Needs

CHEAPER = "cheaper"


@dataclass(frozen=True)
class Services:
    """What a plan (with a pack) gives each month; `UNLIMITED` where nothing limits it."""

    data_kb: int  # at full speed; without one, the allowance before over-use fees
    voice_minutes: int  # included
    sms_count: int  # included
    rollover_months: int  # how many further months an unused allowance lives
    shared_lines: int  # secondary lines that may draw on the allowance
    generation: int  # of the network, 2 to 5; 0 if the catalogue does not say

    @classmethod
    def of(cls, plan: Plan, pack: Pack | None = None) -> Services:
        """Returns what a plan gives."""
        data = plan.data_kb if plan.throttle_after_kb is None else plan.throttle_after_kb
        return cls(
            UNLIMITED if data is None else data + (pack.data_kb if pack else 0),
            UNLIMITED if plan.voice_minutes is None else plan.voice_minutes,
            UNLIMITED if plan.sms_count is None else plan.sms_count,
            plan.rollover_months or 0,
            plan.shared_lines or 0,
            int(plan.generation[0]) if plan.generation else 0,
        )

    def at_most(self, other: Services) -> bool:
        """Returns whether it gives nothing that the other does not give too."""
        return all(mine <= vars(other)[name] for name, mine in vars(self).items())

    def lost_from(self, now: Services) -> dict[str, dict[str, int | None]]:
        """Returns each service that shrinks: what it is now and what it would be, None for unlimited.

        Example: {"data_kb": {"now": 62914560, "then": 20971520}}.
        """
        shrinks = {name: (vars(now)[name], then) for name, then in vars(self).items() if then < vars(now)[name]}
        return {
            name: {key: None if value == UNLIMITED else value for key, value in (("now", was), ("then", then))}
            for name, (was, then) in shrinks.items()
        }


@dataclass(frozen=True)
class OfferWriter:
    """Writes the offers of a bucket's customers from their ranking."""

    months: Months
    needs: Needs
    ranking: Ranking
    catalogue: Catalogue
    settings: FitSettings
    scale: int
    as_of: date

    def offers(self, i: int, status: str) -> list[dict[str, Any]]:
        """Returns the best offers: what a throttled customer needs first, then the largest saving, then plan order.

        One that costs no less and gives nothing more than one before it is left out.
        """
        ranking, shown = self.ranking, self.needs
        current = self.catalogue.plans[int(self.months.people.current[i])]
        offers: list[dict[str, Any]] = []
        held: list[tuple[int, Services]] = []
        for column in np.argsort(-ranking.key[i], kind="stable"):
            if ranking.key[i, column] == NOT_OFFERED or len(offers) == self.settings.offers.most:
                break
            is_own = column == len(ranking.plans)
            plan = current if is_own else self.catalogue.plans[ranking.plans[column]]
            pack = ranking.packs[ranking.pack[i, column]] if ranking.pack[i, column] >= 0 else None
            cost, services = int(ranking.cost[i, column]), Services.of(plan, pack)
            if any(
                services.at_most(more) and price <= cost and (services, cost) != (more, price) for price, more in held
            ):
                continue
            held.append((cost, services))
            keeps_number = plan.only_keeps_number(self.settings.keep_number, self.scale)
            smaller = not is_own and (
                keeps_number or (bool(shown.unused[i]) and plan.monthly_fee < current.monthly_fee)
            )
            offers.append(self._offer(i, int(column), plan, pack) | {
                "lost": services.lost_from(Services.of(current)) | self._lost_discount(i, plan, is_own=is_own),
                "need": _need(i, shown, relieves=bool(ranking.relieves[i, column]), smaller=smaller),
                "on_request": smaller,
                "status": status,
            })  # fmt: skip
        return offers

    def _lost_discount(self, i: int, plan: Plan, *, is_own: bool) -> dict[str, Any]:
        """Returns the discount that a change ends, if it is still running and the new plan opens with none as large."""
        people = self.months.people
        end, now = people.discount_end[i], int(people.current_discount[i])
        then = plan.discount_amount or 0
        runs = np.isnat(end) or end > np.datetime64(effective_on(plan, self.as_of), "D")
        return {} if is_own or not runs or then >= now else {"discount": {"now": now, "then": then}}

    def _offer(self, i: int, column: int, plan: Plan, pack: Pack | None) -> dict[str, Any]:
        ranking, is_own = self.ranking, column == len(self.ranking.plans)
        return {
            "kind": "pack" if is_own else "plan" if pack is None else "plan_and_pack",
            "plan_id": plan.plan_id,
            "name_zh": plan.name_zh,
            "name_en": plan.name_en,
            "pack_id": pack.pack_id if pack else None,
            "pack_zh": pack.name_zh if pack else None,
            "pack_en": pack.name_en if pack else None,
            "monthly_fee": plan.monthly_fee + (pack.price if pack else 0),
            "monthly_cost": int(ranking.cost[i, column]),
            "worst_month_cost": int(ranking.worst[i, column]),
            "saving": int(ranking.current_cost[i] - ranking.cost[i, column]),
            "rerated_total": int(ranking.total[i, column]),
            "dearer_months": int(ranking.dearer[i, column]),
            "early_exit_fee": 0 if is_own else int(ranking.exit_fee[i]),
            "contract_months": plan.contract_months or 0,
            "effective_on": (self.as_of if is_own else effective_on(plan, self.as_of)).isoformat(),
        }


def _need(i: int, shown: Needs, *, relieves: bool, smaller: bool) -> str:
    """Returns the need that an offer meets; `cheaper` if the same use simply costs less."""
    if relieves:
        return THROTTLING
    if smaller:
        return UNUSED
    return OVER_USE if shown.has_over_use[i] else CHEAPER
