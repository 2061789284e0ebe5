"""Who may be trained on and judged on an as-of date: the cohort, rule by rule, as known on that date.

A rule whose feed is missing is skipped and named, never guessed. Rows that hindsight shows to be decided already are
taken out later, together with the labels (`dataset.spine`); they are still scored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from features.feeds.landed.reading import known_before
from features.kit.clock import instant_of
from features.kit.sql import literal, literals, newest, timestamp
from training.labels.targets import CohortRules

USED = "(coalesce(voice_seconds, 0) > 0 OR coalesce(data_kb, 0) > 0 OR coalesce(sms_count, 0) > 0)"
_NEWEST = "event_at DESC, known_at DESC, event_id"


@dataclass(frozen=True)
class CohortRule:
    """One rule."""

    name: str
    needs: str
    sql: str  # a condition on `base.customer_id`; true keeps the customer


@dataclass(frozen=True)
class Cohort:
    """The eligible customers of one as-of date."""

    as_of: date
    customers: pa.Array  # ids in ascending order
    known: int  # customers known and not closed on that date, before any rule
    dropped: dict[str, int]  # how many of the known each rule alone refuses
    skipped: dict[str, str]  # rules that could not be applied, with the missing feed


def cohort_rules(rules: CohortRules, as_of: date, *, time_zone: str) -> tuple[CohortRule, ...]:
    """Returns the rules that the configuration switches on, as SQL conditions for one as-of date."""
    seen = known_before(instant_of(as_of, time_zone))

    def before(days: int) -> date:
        return as_of - timedelta(days=days)

    in_kinds = f"coalesce(base.kind, {literal(rules.kinds[0])}) IN ({literals(rules.kinds)})"
    chosen = [CohortRule("kind", "customers", in_kinds)]
    if rules.not_suspended:
        chosen.append(CohortRule("not_suspended", "customers", "coalesce(base.status, 'active') = 'active'"))
    if rules.days_with_us is not None:
        sql = f"base.activated_on <= DATE '{before(rules.days_with_us)}'"
        chosen.append(CohortRule("days_with_us", "customers", sql))
    if rules.active_within_days is not None:
        days = f"day >= DATE '{before(rules.active_within_days)}' AND day < DATE '{as_of}'"
        chosen.append(_among("active", "usage_daily", "IN", f"{days} AND {USED} AND {seen}"))
    if rules.not_porting_within_days is not None:
        first = timestamp(instant_of(before(rules.not_porting_within_days), time_zone))
        steps = f"step <> 'enquiry' AND event_at >= {first} AND {seen}"
        chosen.append(_among("not_porting", "port_requests", "NOT IN", steps))
    if rules.no_open_ticket is not None:
        newest_state = f"kind = {literal(rules.no_open_ticket)} AND {seen} {newest('ticket_id', _NEWEST)}"
        states = f"(SELECT customer_id, status FROM main.tickets WHERE {newest_state})"
        sql = f"base.customer_id NOT IN (SELECT customer_id FROM {states} WHERE status <> 'closed')"
        chosen.append(CohortRule("no_open_ticket", "tickets", sql))
    return tuple(chosen)


def _among(name: str, feed: str, how: str, where: str) -> CohortRule:
    """Returns a rule that asks whether the customer is among those of some rows of a feed."""
    return CohortRule(name, feed, f"base.customer_id {how} (SELECT customer_id FROM main.{feed} WHERE {where})")


def cohort(
    connection: Any, feeds: Collection[str], rules: CohortRules, as_of: date, *, time_zone: str, snapshot: bool = False
) -> Cohort:
    """Returns the cohort of an as-of date, and what each rule did.

    `connection` has one view per landed feed; only what was known before `as_of` counts. A `snapshot` is a sample
    delivered at one date: it was drawn by somebody else, so the rules that need a history (`active`, `days_with_us`)
    are skipped.
    """
    wanted = cohort_rules(rules, as_of, time_zone=time_zone)
    skipped = {rule.name: f"no feed {rule.needs}" for rule in wanted if rule.needs not in feeds}
    if snapshot:
        skipped |= {rule.name: "snapshot" for rule in wanted if rule.name in ("active", "days_with_us")}
    seen = known_before(instant_of(as_of, time_zone))
    gone = ""
    if "terminations" in feeds:
        gone = f"AND customer_id NOT IN (SELECT customer_id FROM main.terminations WHERE {seen})"
    base = (
        f"SELECT customer_id, kind, status, activated_on FROM main.customers WHERE {seen} {gone} "
        f"{newest('customer_id', _NEWEST)}"
    )
    undated = f"SELECT count(*) > 0 AND count(activated_on) = 0 FROM ({base})"
    is_asked = any(rule.name == "days_with_us" and rule.name not in skipped for rule in wanted)
    if is_asked and connection.execute(undated).fetchone()[0]:
        skipped["days_with_us"] = "no activated_on"  # nobody's is known: the rule would leave nobody
    applied = [rule for rule in wanted if rule.name not in skipped]
    flags = ", ".join(f"coalesce({rule.sql}, false) AS keeps_{rule.name}" for rule in applied)
    every = " AND ".join(f"keeps_{rule.name}" for rule in applied)
    table = connection.execute(
        f"WITH base AS (SELECT * FROM ({base}) WHERE coalesce(status, 'active') <> 'closed'), "
        f"flagged AS (SELECT customer_id, {flags} FROM base) "
        f"SELECT *, {every} AS is_kept FROM flagged ORDER BY customer_id"
    ).to_arrow_table()
    kept = table["is_kept"].to_numpy()
    dropped = {rule.name: int((~table[f"keeps_{rule.name}"].to_numpy()).sum()) for rule in applied}
    customers = table.filter(kept)["customer_id"].combine_chunks()
    return Cohort(as_of, customers, table.num_rows, dropped, skipped)
