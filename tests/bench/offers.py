"""users-1: what a strict reviewer would refuse of the offers made to 20,000 simulated customers.

The reviewer reads the operator's raw files and knows nothing of our rating: every rule below is written a second time.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from features.feeds.landing.landing import land
from features.feeds.mapping.sources import load_source
from features.kit.home import Home
from features.simulator.step import simulate_to
from serving.product_fit.step import fit_base, fit_path
from tests.results import figure

CUSTOMERS, MONTHS, SEED, AS_OF = 20_000, 8, 9, date(2026, 6, 1)
IDLE_KB, IDLE_MINUTES = 100 * 1024, 10
RULES = ("normal_month", "worst_month", "keep_number", "pack_by_hand", "dominated", "plan_changed", "pool_not_rated")


def run(_: Home) -> Iterator[dict[str, Any]]:
    """Yields how many offers the reviewer refuses, and the saving that the run reports."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        simulate_to(root / "sim", customers=CUSTOMERS, months=MONTHS, seed=SEED)
        home = Home(root / "home")
        land(load_source(Path("configs/sources/simulator.yaml")), root / "sim" / "files", home)
        summary = fit_base(home, AS_OF)
        reviewer = Reviewer(root / "sim" / "files", AS_OF)
        offers, refused, by_rule = reviewer.review(pd.read_parquet(fit_path(home, AS_OF)))
    yield figure(
        "users-1", f"offers to {CUSTOMERS:,} customers that a strict reviewer refuses", refused, goal=0,
        met=offers > 0 and refused == 0,
        compared_with=f"{offers:,} offers, {summary['offers']:,} customers with a saving; the code before: 8,175 of 13,241",
        rounds=[dict(sorted(by_rule.items()))],
    )  # fmt: skip


class Reviewer:
    """Judges offers by an operator's raw files, as known on a date."""

    def __init__(self, files: Path, as_of: date) -> None:
        self.as_of = pd.Timestamp(as_of)
        self.plans = {str(row["plan_id"]): row for row in _rows(pd.read_csv(files / "plans.csv"))}
        self.packs = {str(row["pack_id"]): row for row in _rows(pd.read_csv(files / "packs.csv"))}
        use = self._known(files / "usage_monthly.csv", ["customer_id", "period"])
        newest = pd.to_datetime(use["period"].max())
        use = use[pd.to_datetime(use["period"]) > newest - pd.DateOffset(months=6)]
        self.use = {one: rows[["data_kb", "billed_minutes", "sms_count"]] for one, rows in use.groupby("customer_id")}
        orders = self._known(files / "subscriptions.csv", ["customer_id", "ordered_at", "plan_id"])
        orders = orders[pd.to_datetime(orders["effective_on"]) <= self.as_of].sort_values(
            ["effective_on", "ordered_at"]
        )
        self.orders = {
            one: list(zip(r["plan_id"], r["effective_on"], strict=True)) for one, r in orders.groupby("customer_id")
        }
        links = self._known(files / "persons.csv", ["customer_id", "valid_from"])
        self.account = dict(zip(links["customer_id"], links["account_id"], strict=True))
        self.lines = {one: list(rows["customer_id"]) for one, rows in links.groupby("account_id")}

    def _known(self, path: Path, key: list[str]) -> pd.DataFrame:
        """Returns the newest known version of each row."""
        rows = pd.read_csv(path, dtype={"customer_id": str})
        rows = rows[pd.to_datetime(rows["known_at"]) < self.as_of]
        return rows.sort_values("known_at", kind="stable").drop_duplicates(key, keep="last")

    def review(self, fits: pd.DataFrame) -> tuple[int, int, Counter[str]]:
        """Returns how many offers there are, how many are refused, and how often by each rule."""
        offers, refused, by_rule = 0, 0, Counter(dict.fromkeys(RULES, 0))
        for row in _rows(fits[fits["offers"] != "[]"]):
            made = json.loads(row["offers"])
            for offer in made:
                rules = self.refusals(row, offer, made)
                offers += 1
                refused += bool(rules)
                by_rule.update(rules)
        return offers, refused, by_rule

    def refusals(self, row: dict[str, Any], offer: dict[str, Any], made: list[dict[str, Any]]) -> set[str]:
        """Returns the rules that one offer breaks."""
        customer, plan = row["customer_id"], self.plans[offer["plan_id"]]
        use, pack = self._use(row), self.packs.get(offer["pack_id"])
        found = set()
        if not _fits(plan, pack, use.median()):
            found.add("normal_month")
        if not _fits(plan, pack, use.max()):
            found.add("worst_month")
        is_used = use["data_kb"].max() > IDLE_KB or use["billed_minutes"].max() > IDLE_MINUTES
        if "保号" in str(plan["name_zh"]) and (is_used or not offer["on_request"]):
            found.add("keep_number")
        if offer.get("packs_as_now") or (pack is not None and pack["renews"] is not True):
            found.add("pack_by_hand")
        if self._is_dominated(offer, made, plan, pack, use):
            found.add("dominated")
        orders = self.orders[customer]
        changes = [on for (was, _), (now, on) in pairwise(orders) if was != now]
        if changes and pd.to_datetime(changes[-1]) > self.as_of - pd.DateOffset(months=2):
            found.add("plan_changed")
        if self._pool(row) and row.get("lines", 1) != len(self._pool(row)):
            found.add("pool_not_rated")
        return found

    def _pool(self, row: dict[str, Any]) -> list[str]:
        """Returns the lines that draw on the customer's present allowance, none if it is not shared."""
        held = self.plans.get(row["current_plan_id"], {})
        lines = self.lines.get(self.account.get(row["customer_id"]), [])
        return lines if (held.get("shared_lines") or 0) > 0 and len(lines) > 1 else []

    def _use(self, row: dict[str, Any]) -> pd.DataFrame:
        pool = self._pool(row)
        if not pool:
            return self.use[row["customer_id"]].reset_index(drop=True)
        return sum(self.use[line].reset_index(drop=True) for line in pool)

    def _is_dominated(
        self, offer: dict[str, Any], made: list[dict[str, Any]], plan: dict[str, Any], pack: Any, use: pd.DataFrame
    ) -> bool:
        """Returns whether the plan alone is cheaper and never slowed down, or another offer gives as much for less."""
        if pack is not None and _never_slow(plan, use):
            alone = sum(_cost(plan, month) for month in _rows(use)) / len(use)
            if alone < offer["monthly_fee"] / 1000 and offer["kind"] == "plan_and_pack":
                return True
        mine = _gives(plan, pack)
        for other in made:
            theirs = _gives(self.plans[other["plan_id"]], self.packs.get(other["pack_id"]))
            if other["monthly_cost"] < offer["monthly_cost"] and all(t >= m for t, m in zip(theirs, mine, strict=True)):
                return True
        return False


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _gives(plan: dict[str, Any], pack: dict[str, Any] | None) -> tuple[float, ...]:
    """Returns data, minutes, messages and network generation of a plan with a pack."""
    limit = plan["data_kb"] if math.isnan(plan["throttle_after_kb"]) else plan["throttle_after_kb"]
    data = math.inf if math.isnan(limit) else limit + (pack["data_kb"] if pack else 0)
    return data, plan["voice_minutes"], plan["sms_count"], int(plan["generation"][0]), plan["rollover_months"]


def _fits(plan: dict[str, Any], pack: dict[str, Any] | None, month: Any) -> bool:
    data, minutes, messages, *_ = _gives(plan, pack if pack and pack["renews"] is True else None)
    used = (month["data_kb"], month["billed_minutes"], month["sms_count"])
    return all(u <= given for u, given in zip(used, (data, minutes, messages), strict=True))


def _never_slow(plan: dict[str, Any], use: pd.DataFrame) -> bool:
    return bool(math.isnan(plan["throttle_after_kb"]) or (use["data_kb"] <= plan["throttle_after_kb"]).all())


def _cost(plan: dict[str, Any], month: dict[str, Any]) -> float:
    """Returns what a month costs under a plan alone, yuan, without what rolled over."""
    over = 0.0
    if math.isnan(plan["throttle_after_kb"]):
        blocks = math.ceil(max(0, month["data_kb"] - plan["data_kb"]) / plan["data_block_kb"])
        over = blocks * plan["data_overage_price"]
        over = over if math.isnan(plan["overage_cap"]) else min(over, plan["overage_cap"])
    minutes = max(0, month["billed_minutes"] - plan["voice_minutes"]) * plan["voice_overage_price"]
    messages = max(0, month["sms_count"] - plan["sms_count"]) * plan["sms_overage_price"]
    return float(max(plan["minimum_spend"], plan["monthly_fee"] + over + minutes + messages))
