"""What each customer is told: whether the bills were reproduced, the needs, and at most three harmless offers.

Statuses, in order of precedence:

    plan_unknown         no plan in force, or one that the catalogue cannot rate
    not_consumer         a corporate or machine card
    not_active           suspended
    porting_applied      applied to leave with the number: no plans are pitched
    change_pending       a change is ordered and not yet effective
    fit_not_proven       somebody draws on a shared allowance, and who does is not known for certain
    too_few_months       fewer complete months than configured
    plan_changed         the plan or its terms changed so lately that no bill of it proves anything yet
    bill_not_reproduced  the own plan's re-rating misses a bill: no offer
    bill_unknown         no bill feed: the re-rating is reported, and no offer of it may be made
    ok                   at least one offer may be made unasked
    on_request           only smaller plans for unused allowance, or a keep-number plan for an idle line, for when the
                         customer asks
    no_better_plan       the present plan fits best
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from features.feeds.landed.reading import Feeds
from features.kit.errors import NotFoundError, NotReadyError
from features.kit.terminal.progress import SILENT, Progress
from serving.product_fit.catalogue import Catalogue
from serving.product_fit.offers.compare import Ranking, compare
from serving.product_fit.offers.offered import OfferWriter
from serving.product_fit.rating import bill, data_charge, voice_and_message_fee
from serving.product_fit.settings import FitSettings, minor
from serving.product_fit.use.months import Months, MonthsReader, window
from serving.product_fit.use.own_plan import OwnBills, needs, own_bills
from serving.product_fit.use.people import Known

BUCKET_CUSTOMERS = 25_000

FIT_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string()),
        pa.field("as_of_date", pa.date32()),
        pa.field("status", pa.string()),
        pa.field("reproduced", pa.bool_()),
        pa.field("months", pa.int32()),
        pa.field("left_out", pa.string()),
        pa.field("lines", pa.int32()),
        pa.field("current_plan_id", pa.string()),
        pa.field("current_plan_zh", pa.string()),
        pa.field("current_plan_en", pa.string()),
        pa.field("current_fee", pa.int64()),
        pa.field("current_cost", pa.int64()),
        pa.field("current_worst_month_cost", pa.int64()),
        pa.field("no_sale_today", pa.bool_()),
        pa.field("saving", pa.int64()),
        pa.field("best_plan_id", pa.string()),
        pa.field("offers", pa.string()),
        pa.field("needs", pa.string()),
    ]
)
"""One row per customer. Money in minor units a month. `months` are those on the present plan; `left_out` names every
other month since the activation and why it proves nothing; `lines` are the lines whose use is rated together. `saving`
and `best_plan_id` belong to the best offer that saves and may be made unasked (NULL if there is none). `left_out`,
`offers` and `needs` are JSON text."""

JSON_COLUMNS = ("left_out", "offers", "needs")


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


def held_back(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a fit that pitches nothing: its figures stay, and every offer waits until the customer asks."""
    offers = [offer | {"on_request": True} for offer in row["offers"]]
    status = "on_request" if row["status"] == "ok" else row["status"]
    held = {"status": status, "no_sale_today": True, "saving": None, "best_plan_id": None, "offers": offers}
    return row | held


class Fitter:
    """Product fit of one operator on one as-of date; opens the feeds once.

    Whoever stands in `no_sale` is pitched nothing: offers wait until the customer asks.

    Raises:
        NotReadyError: If there is no plan catalogue, no subscription or no monthly use known on the date.
    """

    def __init__(
        self, feeds: Feeds, as_of: date, settings: FitSettings, *, no_sale: Collection[str] = (), threads: int = 1
    ) -> None:
        self.as_of = as_of
        self.settings = settings
        self.scale = feeds.operator.money_scale
        self.currency = feeds.operator.currency
        self.totals = FitTotals()
        self._no_sale = no_sale
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
        known = Known(self._sql, self._rows, feeds.names, self.catalogue, as_of)
        self.reader = MonthsReader(known, periods).in_zone(feeds.operator.time_zone)

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
        row |= {name: orjson.loads(row[name]) for name in JSON_COLUMNS}
        return row | {
            "currency": self.currency,
            "money_scale": self.scale,
            "rated": self._rated(months) if row["status"] != "fit_not_proven" else [],
        }

    def fit(self, months: Months) -> pa.Table:
        """Returns one row per customer (`FIT_SCHEMA`) and adds to the totals."""
        own = own_bills(months, self.catalogue, self.settings, self.scale, self.as_of, has_bills=self.has_bills)
        shown = needs(months, own, self.catalogue.terms, self.settings)
        ranking = compare(months, own, shown, self.catalogue, self.settings, self.scale, self.as_of)
        blocked = self._blocked(months, own)
        writer = OfferWriter(months, shown, ranking, self.catalogue, self.settings, self.scale, self.as_of)
        rows = [self._row(i, months, own, writer, blocked[i]) for i in range(months.size)]
        self._count(rows, own, ranking)
        return pa.Table.from_pylist(rows, schema=FIT_SCHEMA)

    def _blocked(self, months: Months, own: OwnBills) -> list[str]:
        """Returns why a customer gets no offer, "" if nothing speaks against one."""
        people = months.people
        active = np.isin(people.status, ["", "active"])
        too_few = own.observed.sum(axis=1) < self.settings.months.least
        reasons = [
            (people.current < 0, "plan_unknown"),
            (~np.isin(people.kind, ["", "consumer"]), "not_consumer"),
            (~active, "not_active"),
            (people.is_porting, "porting_applied"),
            (people.is_changing, "change_pending"),
            (people.is_unproven | (too_few & (people.secondary_lines > 0)), "fit_not_proven"),
            (too_few, "too_few_months"),
            (own.has_changed, "plan_changed"),
        ]
        if self.has_bills:
            reasons.append((~own.reproduced, "bill_not_reproduced"))
        else:
            reasons.append((np.ones(months.size, bool), "bill_unknown"))
        return [str(code) for code in np.select([flags for flags, _ in reasons], [code for _, code in reasons], "")]

    def _row(self, i: int, months: Months, own: OwnBills, writer: OfferWriter, blocked: str) -> dict[str, Any]:
        ranking, shown = writer.ranking, writer.needs
        offers = writer.offers(i, blocked or "ok") if blocked in ("", "bill_unknown") else []
        unasked = [offer for offer in offers if offer["status"] == "ok" and not offer["on_request"]]
        status = blocked or ("ok" if unasked else "on_request" if offers else "no_better_plan")
        least = minor(self.settings.offers.least_saving, self.scale)
        saves = max((offer for offer in unasked if offer["saving"] >= least), key=lambda o: o["saving"], default=None)
        current = int(months.people.current[i])
        plan = self.catalogue.plans[current] if current >= 0 else None
        is_known = plan is not None and bool(ranking.months[i]) and blocked != "fit_not_proven"
        row = {
            "customer_id": months.ids[i],
            "as_of_date": self.as_of,
            "status": status,
            "reproduced": bool(own.reproduced[i]) if self.has_bills and ranking.months[i] else None,
            "months": int(ranking.months[i]),
            "left_out": orjson.dumps(own.left_out(i, months, self.as_of)).decode(),
            "lines": int(months.people.secondary_lines[i]) + 1,
            "current_plan_id": plan.plan_id if plan else None,
            "current_plan_zh": plan.name_zh if plan else None,
            "current_plan_en": plan.name_en if plan else None,
            "current_fee": plan.monthly_fee if plan else None,
            "current_cost": int(ranking.current_cost[i]) if is_known else None,
            "current_worst_month_cost": int(ranking.current_worst[i]) if is_known else None,
            "no_sale_today": False,
            "saving": saves["saving"] if saves else None,
            "best_plan_id": saves["plan_id"] if saves else None,
            "offers": offers,
            "needs": orjson.dumps(shown.of(i) if is_known else {}, option=orjson.OPT_SORT_KEYS).decode(),
        }
        row = held_back(row) if months.ids[i] in self._no_sale else row
        return row | {"offers": orjson.dumps(row["offers"]).decode()}

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
        checked = (own.observed.sum(axis=1) >= self.settings.months.least) & ~own.has_changed
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
