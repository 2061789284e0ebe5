"""The class report: how the twelve classes differ, on one as-of date.

    size, share              customers of the class, and of all
    manual_calls_per_1000    manual calls in 30 days per 1,000 customers; complaints_per_1000 likewise
    top_topics               the three topics most called about in 30 days
    repeat_ratio             manual calls in 30 days per customer who called
    self_service_share       self-service among all contacts in 90 days
    churn_share              of the class a month ago, the share that has left since (as known now)
    upgrade_share            customers who ordered a dearer plan, or their first 5G plan, in 30 days
    mean_bill                mean of the newest 3 bills, in the currency's main unit
    change                   customers more or fewer than a month ago

A cell that rests on fewer customers than `smallest_cell` says "too few"; one whose feed is missing is null.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from features.kit.sql import parquet
from features.portraits.facts.classes import CLASS_NAMES, UNCLASSIFIED, ClassRule, class_rules, not_evaluable
from features.portraits.sources.engines import Engine
from features.portraits.sources.request import Request
from features.portraits.sources.staging import Moment

TOO_FEW = "too few"

_OWN = (
    "SELECT primary_class, count(*) AS size, sum(manual_calls_count_30d) AS calls, "
    "sum(complaints_count_30d) AS complaints, count(*) FILTER (WHERE manual_calls_count_30d > 0) AS callers, "
    "avg(bill_mean_amount_90d) AS bill, count(bill_mean_amount_90d) AS billed, "
    "sum(self_service_contacts_count_90d) AS self_service, "
    "sum(self_service_contacts_count_90d) + sum(hall_visits_count_90d) + sum(manual_calls_count_90d) AS contacts "
    "FROM portrait_features JOIN portrait_story USING (customer_id) GROUP BY primary_class"
)
_TOPICS = (
    "SELECT primary_class, topic FROM source_hotline_calls JOIN portrait_story USING (customer_id) "
    "WHERE agent AND days_ago <= 30 AND topic IS NOT NULL GROUP BY primary_class, topic "
    "QUALIFY row_number() OVER (PARTITION BY primary_class ORDER BY count(*) DESC, topic) <= 3 "
    "ORDER BY primary_class, count(*) DESC, topic"
)
_UPGRADES = (
    "WITH orders AS (SELECT customer_id, days_since_ordered_at, p.monthly_fee AS fee, p.generation AS generation, "
    "lag(p.monthly_fee) OVER steps AS fee_before, lag(p.generation) OVER steps AS generation_before "
    "FROM staged_subscriptions JOIN (SELECT plan_id, max(monthly_fee) AS monthly_fee, max(generation) AS generation "
    "FROM staged_plans GROUP BY plan_id) AS p USING (plan_id) "
    "WINDOW steps AS (PARTITION BY customer_id ORDER BY ordered_at, event_at, event_id)) "
    "SELECT primary_class, count(DISTINCT customer_id) AS upgrades FROM orders JOIN portrait_story USING (customer_id) "
    "WHERE days_since_ordered_at BETWEEN 1 AND 30 "
    "AND (fee > fee_before OR (generation = '5G' AND generation_before <> '5G')) "
    "GROUP BY primary_class"
)
_BEFORE = (
    "SELECT primary_class, count(*) AS size, count(*) FILTER (WHERE customer_id IN "
    "(SELECT customer_id FROM staged_terminations)) AS lost FROM {portraits} GROUP BY primary_class"
)


def class_report(
    engine: Engine, request: Request, moment: Moment, present: frozenset[str], month_before: Path | None
) -> dict[str, Any]:
    """Returns the report of the date whose features and story the engine keeps.

    Args:
        engine: DuckDB with the date's tables.
        request: The thresholds and the money scale.
        moment: The as-of date.
        present: The feeds that are there.
        month_before: The portrait file of about a month earlier, if there is one.
    """
    rules = class_rules(request.settings.classes, request.money_scale)
    own = _by_class(engine, _OWN)
    topics: dict[str, list[str]] = {}
    if "hotline_calls" in present:
        for row in engine.arrow(_TOPICS).to_pylist():
            topics.setdefault(row["primary_class"], []).append(row["topic"])
    upgrades = _by_class(engine, _UPGRADES)
    before = _by_class(engine, _BEFORE.format(portraits=parquet([month_before]))) if month_before else None
    total = sum(row["size"] for row in own.values())
    unclassified = (ClassRule(UNCLASSIFIED, (), "true"),) if UNCLASSIFIED in own else ()
    lines = []
    for rule in (*rules, *unclassified):
        line = _line(own.get(rule.name, {}), total, request, present)
        smallest = request.settings.classes.smallest_cell
        is_small = line["size"] < smallest
        line["top_topics"] = (topics.get(rule.name, []) if "hotline_calls" in present else None) or line["top_topics"]
        upgraded = upgrades.get(rule.name, {}).get("upgrades", 0)
        line["upgrade_share"] = (
            upgraded / line["size"] if {"subscriptions", "plans"} <= present and not is_small else None
        )
        if is_small:
            line |= dict.fromkeys(_CELLS, TOO_FEW)
        old = (before or {}).get(rule.name, {"size": 0, "lost": 0})
        line["change"] = None if before is None else line["size"] - old["size"]
        line["churn_share"] = None
        if before is not None and "terminations" in present:
            line["churn_share"] = TOO_FEW if old["size"] < smallest else old["lost"] / old["size"]
        lines.append({"class": rule.name, "zh": CLASS_NAMES[rule.name].zh, **line})
    return {"as_of": moment.as_of, "classes": lines, "not_evaluable": not_evaluable(rules, present)}


_CELLS = (
    "manual_calls_per_1000", "complaints_per_1000", "repeat_ratio", "self_service_share", "mean_bill", "top_topics",
    "upgrade_share",
)  # fmt: skip


def _line(own: dict[str, Any], total: int, request: Request, present: frozenset[str]) -> dict[str, Any]:
    """Returns a class's own figures; null where a feed is missing or nothing was counted."""
    size = int(own.get("size", 0))

    def per(name: str, whole: Any, feed: str, factor: int = 1) -> float | None:
        part = own.get(name)
        return float(part) * factor / float(whole) if feed in present and part is not None and whole else None

    return {
        "size": size,
        "share": size / total if total else 0.0,
        "manual_calls_per_1000": per("calls", size, "hotline_calls", 1000),
        "complaints_per_1000": per("complaints", size, "tickets", 1000),
        "repeat_ratio": per("calls", own.get("callers"), "hotline_calls"),
        "self_service_share": per("self_service", own.get("contacts"), "channel_contacts"),
        "mean_bill": float(own["bill"]) / 10**request.money_scale if own.get("bill") is not None else None,
        "top_topics": None,
        "upgrade_share": None,
    }


def _by_class(engine: Engine, sql: str) -> dict[str, dict[str, Any]]:
    return {row["primary_class"]: row for row in engine.arrow(sql).to_pylist()}
