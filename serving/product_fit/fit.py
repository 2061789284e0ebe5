"""What each customer is told: whether the bills were reproduced, the needs, and at most three harmless offers.

Statuses, in order of precedence:

    plan_unknown         no plan in force, or one that the catalogue cannot rate
    not_consumer         a corporate or machine card
    not_active           suspended
    porting_applied      applied to leave with the number: no plans are pitched
    change_pending       a change is ordered and not yet effective
    too_few_months       fewer complete months than configured
    bill_not_reproduced  the own plan's re-rating misses a bill: no offer
    bill_unknown         no bill feed: the re-rating is reported, and no offer of it may be made
    ok                   at least one offer may be made unasked
    on_request           only smaller plans for unused allowance, for when the customer asks
    no_better_plan       the present plan fits best
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from features.feeds.landed.reading import Feeds
from features.kit.errors import NotFoundError, NotReadyError
from features.kit.progress import SILENT, Progress
from serving.product_fit.catalogue import Catalogue, Plan
from serving.product_fit.compare import NOT_OFFERED, PACKS_AS_NOW, Ranking, compare, effective_on
from serving.product_fit.months import Months, MonthsReader, window
from serving.product_fit.own_plan import OVER_USE, THROTTLING, UNUSED, Needs, OwnBills, needs, own_bills
from serving.product_fit.rating import bill, data_charge, voice_and_message_fee
from serving.product_fit.settings import FitSettings

BUCKET_CUSTOMERS = 25_000
CHEAPER = "cheaper"

FIT_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string()),
        pa.field("as_of_date", pa.date32()),
        pa.field("status", pa.string()),
        pa.field("reproduced", pa.bool_()),
        pa.field("months", pa.int32()),
        pa.field("current_plan_id", pa.string()),
        pa.field("current_cost", pa.int64()),
        pa.field("saving", pa.int64()),
        pa.field("best_plan_id", pa.string()),
        pa.field("offers", pa.string()),
        pa.field("needs", pa.string()),
    ]
)
"""One row per customer. Money in minor units a month; `saving` and `best_plan_id` belong to the best offer that saves
and may be made unasked (NULL if there is none); `offers` and `needs` are JSON text."""


@dataclass
class FitTotals:
    """What a run found, summed over buckets."""

    customers: int = 0
    checked: int = 0
    reproduced: int = 0
    offers: int = 0
    saving: int = 0
    user_months: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)


class Fitter:
    """Product fit of one operator on one as-of date; opens the feeds once.

    Raises:
        NotReadyError: If there is no plan catalogue, no subscription or no monthly use known on the date.
    """

    def __init__(self, feeds: Feeds, as_of: date, settings: FitSettings, *, threads: int = 1) -> None:
        self.as_of = as_of
        self.settings = settings
        self.scale = feeds.operator.money_scale
        self.currency = feeds.operator.currency
        self.totals = FitTotals()
        self._feeds = feeds
        self.has_bills = "bills" in feeds.names
        self._sql = feeds.connect(threads=threads)
        usage = next((feed for feed in ("usage_monthly", "usage_daily") if feed in feeds.names), None)
        if usage is None or "subscriptions" not in feeds.names:
            missing = "usage_monthly" if usage is None else "subscriptions"
            raise NotReadyError(f"no feed `{missing}`: nothing can be re-rated", remedy="map it in the source file")
        self.catalogue = Catalogue.read(self._sql, self._rows, feeds.names)
        periods = window(self._sql, self._rows, usage, as_of, settings.months.most)
        if not periods:
            raise NotReadyError(f"no complete month of use is known on {as_of}", remedy="choose a later --as-of")
        self.reader = MonthsReader(self._sql, self._rows, feeds.names, self.catalogue, as_of, periods).in_zone(
            feeds.operator.time_zone
        )

    def _rows(self, feed: str) -> str:
        sql: str = self._feeds.as_known_sql(feed, self.as_of)
        return sql

    def tables(self, progress: Progress = SILENT) -> Iterator[pa.Table]:
        """Yields one table (`FIT_SCHEMA`) per bucket of customers, sorted by customer_id inside it."""
        count = self.reader.count()
        buckets = max(1, -(-count // BUCKET_CUSTOMERS))
        with progress.step("product fit", count) as tick:
            for bucket in range(buckets):
                table = self.fit(self.reader.read(bucket, buckets))
                yield table
                tick(table.num_rows)

    def one(self, customer_id: str) -> dict[str, Any]:
        """Returns one customer's fit with every plan's re-rated months.

        Raises:
            NotFoundError: If the customer is not known on the as-of date.
        """
        months = self.reader.read(only=customer_id)
        if not months.size:
            raise NotFoundError(f"customer {customer_id} is not known on {self.as_of}")
        row: dict[str, Any] = self.fit(months).to_pylist()[0]
        row["offers"], row["needs"] = orjson.loads(row["offers"]), orjson.loads(row["needs"])
        return row | {"currency": self.currency, "money_scale": self.scale, "rated": self._rated(months)}

    def fit(self, months: Months) -> pa.Table:
        """Returns one row per customer (`FIT_SCHEMA`) and adds to the totals."""
        terms = self.catalogue.terms
        own = own_bills(months, terms, self.settings, self.scale, has_bills=self.has_bills)
        shown = needs(months, own, terms, self.settings)
        ranking = compare(months, own, shown, self.catalogue, self.settings, self.scale, self.as_of)
        blocked = self._blocked(months, own, ranking)
        rows = [self._row(i, months, own, shown, ranking, blocked[i]) for i in range(months.size)]
        self._count(rows, own, ranking)
        return pa.Table.from_pylist(rows, schema=FIT_SCHEMA)

    def _blocked(self, months: Months, own: OwnBills, ranking: Ranking) -> list[str]:
        """Returns why a customer gets no offer, "" if nothing speaks against one."""
        people = months.people
        active = np.isin(people.status, ["", "active"])
        reasons = [
            (people.current < 0, "plan_unknown"),
            (~np.isin(people.kind, ["", "consumer"]), "not_consumer"),
            (~active, "not_active"),
            (people.is_porting, "porting_applied"),
            (people.is_changing, "change_pending"),
            (ranking.months < self.settings.months.least, "too_few_months"),
        ]
        if self.has_bills:
            reasons.append((~own.reproduced, "bill_not_reproduced"))
        else:
            reasons.append((np.ones(months.size, bool), "bill_unknown"))
        return [str(code) for code in np.select([flags for flags, _ in reasons], [code for _, code in reasons], "")]

    def _row(
        self, i: int, months: Months, own: OwnBills, shown: Needs, ranking: Ranking, blocked: str
    ) -> dict[str, Any]:
        is_rated = blocked in ("", "bill_unknown")
        offers = self._offers(i, months, shown, ranking, blocked or "ok") if is_rated else []
        unasked = [offer for offer in offers if offer["status"] == "ok" and not offer["on_request"]]
        status = blocked or ("ok" if unasked else "on_request" if offers else "no_better_plan")
        saves = max((offer for offer in unasked if offer["saving"] > 0), key=lambda o: o["saving"], default=None)
        current = int(months.people.current[i])
        return {
            "customer_id": months.ids[i],
            "as_of_date": self.as_of,
            "status": status,
            "reproduced": bool(own.reproduced[i]) if self.has_bills and ranking.months[i] else None,
            "months": int(ranking.months[i]),
            "current_plan_id": self.catalogue.plans[current].plan_id if current >= 0 else None,
            "current_cost": int(ranking.current_cost[i]) if current >= 0 and ranking.months[i] else None,
            "saving": saves["saving"] if saves else None,
            "best_plan_id": saves["plan_id"] if saves else None,
            "offers": orjson.dumps(offers).decode(),
            "needs": orjson.dumps(shown.of(i), option=orjson.OPT_SORT_KEYS).decode(),
        }

    def _offers(self, i: int, months: Months, shown: Needs, ranking: Ranking, status: str) -> list[dict[str, Any]]:
        """Returns the best offers: what a throttled customer needs first, then the largest saving, then plan order."""
        order = np.argsort(-ranking.key[i], kind="stable")[: self.settings.offers.most]
        current = self.catalogue.plans[int(months.people.current[i])]
        offers = []
        for column in order:
            if ranking.key[i, column] == NOT_OFFERED:
                break
            is_own = column == len(ranking.plans)
            plan = current if is_own else self.catalogue.plans[ranking.plans[column]]
            smaller = bool(shown.unused[i]) and not is_own and plan.monthly_fee < current.monthly_fee
            offers.append(self._offer(i, int(column), plan, ranking, is_own=is_own) | {
                "need": _need(i, shown, relieves=bool(ranking.relieves[i, column]), smaller=smaller),
                "on_request": smaller,
                "status": status,
            })  # fmt: skip
        return offers

    def _offer(self, i: int, column: int, plan: Plan, ranking: Ranking, *, is_own: bool) -> dict[str, Any]:
        choice = int(ranking.pack[i, column])
        pack = ranking.packs[choice] if choice >= 0 else None
        exit_fee = 0 if is_own else int(ranking.exit_fee[i])
        return {
            "kind": "pack" if is_own else "plan" if pack is None else "plan_and_pack",
            "plan_id": plan.plan_id,
            "name_zh": plan.name_zh,
            "name_en": plan.name_en,
            "pack_id": pack.pack_id if pack else None,
            "pack_renews": bool(pack and pack.renews),
            "packs_as_now": choice == PACKS_AS_NOW,
            "monthly_fee": plan.monthly_fee + (pack.price if pack else 0),
            "monthly_cost": int(ranking.cost[i, column]),
            "saving": int(ranking.current_cost[i] - ranking.cost[i, column]),
            "rerated_total": int(ranking.total[i, column]),
            "throttled_months": int(ranking.throttled[i, column]),
            "dearer_months": int(ranking.dearer[i, column]),
            "early_exit_fee": exit_fee,
            "contract_months": plan.contract_months or 0,
            "effective_on": (self.as_of if is_own else effective_on(plan, self.as_of)).isoformat(),
        }

    def _rated(self, months: Months) -> list[dict[str, Any]]:
        """Returns the one customer's months under every rateable plan sold now, without packs, cheapest first."""
        rated = []
        for index in self.catalogue.plans_on_sale(self.as_of):
            terms = self.catalogue.terms.at(index)
            overage = voice_and_message_fee(terms, months.use) + data_charge(terms, months.use, np.zeros(1, int)).fee
            month = (bill(terms, overage, np.zeros(1, int)) + months.other_fee)[0]
            costs = {
                str(period): int(month[m])
                for m, period in enumerate(months.periods)
                if m > 0 and months.use.known[0, m]
            }
            rated.append(
                {"plan_id": self.catalogue.plans[index].plan_id, "months": costs, "total": sum(costs.values())}
            )
        return sorted(rated, key=lambda plan: (plan["total"], plan["plan_id"]))

    def _count(self, rows: list[dict[str, Any]], own: OwnBills, ranking: Ranking) -> None:
        totals = self.totals
        totals.customers += len(rows)
        checked = ranking.months >= self.settings.months.least
        totals.checked += int(checked.sum())
        totals.reproduced += int((own.reproduced & checked).sum())
        totals.user_months += int(ranking.months.sum())
        totals.by_status.update(row["status"] for row in rows)
        totals.offers += sum(row["saving"] is not None for row in rows)
        totals.saving += sum(row["saving"] or 0 for row in rows)
        for index, total in zip(ranking.plans, ranking.alone, strict=True):
            totals.alone[self.catalogue.plans[index].plan_id] += int(total)

    def summary(self) -> dict[str, Any]:
        """Returns the totals of what was fitted so far; money in minor units.

        `offers` counts customers with a saving that may be offered unasked, `total_saving` is a month's, and `plans`
        holds what one observed month would cost on average under each plan on sale, without packs.
        """
        totals = self.totals
        months = max(1, totals.user_months)
        return {
            "as_of_date": self.as_of.isoformat(),
            "currency": self.currency,
            "money_scale": self.scale,
            "customers": totals.customers,
            "reproduced_share": round(totals.reproduced / totals.checked, 4)
            if self.has_bills and totals.checked
            else None,
            "offers": totals.offers,
            "total_saving": totals.saving,
            "by_status": dict(sorted(totals.by_status.items())),
            "user_months": totals.user_months,
            "plans": {plan: round(total / months) for plan, total in sorted(totals.alone.items())},
            "unrateable_plans": self.catalogue.unrateable(),
        }


def _need(i: int, shown: Needs, *, relieves: bool, smaller: bool) -> str:
    """Returns the need that an offer meets; `cheaper` if the same use simply costs less."""
    if relieves:
        return THROTTLING
    if smaller:
        return UNUSED
    return OVER_USE if shown.has_over_use[i] else CHEAPER
