"""The sentences of the catalogue about use: days, months, packs, roaming, the network and what stands at home."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.features.portraits.by_sentence.history import Customer, Row, month_after, share
from tests.features.portraits.by_sentence.who import allowance_kb, plan_on


def used(row: Row) -> bool:
    """Tells whether anything was used on the day."""
    return any(row.get(name) for name in ("voice_seconds", "data_kb", "sms_count"))


def usual(rows: list[Row]) -> list[int]:
    """Returns the days ago with 3/4 of the mean data of days with data, or 3/2 of the mean voice of days with voice."""
    found = []
    for name, times in (("data_kb", 0.75), ("voice_seconds", 1.5)):
        some = [row for row in rows if row.get(name)]
        mean = sum(row[name] for row in some) / max(len(some), 1)
        found += [row["ago"] for row in some if row[name] >= times * mean]
    return found


def days_of_use(one: Customer) -> dict[str, Any]:
    """Data, voice and messages by day."""
    feed = "usage_daily"
    whole_mb = [row["data_kb"] // 1024 for row in one.rows(feed, 30) if row["data_kb"] is not None]
    squares = len(whole_mb) * sum(mb * mb for mb in whole_mb) - sum(whole_mb) ** 2
    data, voice = one.total(feed, "data_kb", 90), one.total(feed, "voice_seconds", 90)
    so_far = (one.as_of - one.as_of.replace(day=1)).days
    this_month = one.total(feed, "data_kb", so_far, of=lambda row: row["ago"] <= so_far)
    allowance = allowance_kb(one.everybody.terms(plan_on(one, one.as_of).get("plan_id")))
    return {
        **{f"data_mb_{days}d": share(one.total(feed, "data_kb", days), 1024) for days in (7, 30, 90, 180)},
        **{f"voice_minutes_{days}d": share(one.total(feed, "voice_seconds", days), 60) for days in (30, 90)},
        "sms_count_30d": one.total(feed, "sms_count", 30),
        "active_days_30d": one.count(feed, 30, used),
        "use_recency_days": one.newest(feed, used),
        "usual_use_recency_days": min(usual(one.rows(feed)), default=None),
        "data_trend_30d": one.trend(feed, "data_kb", 7, 30),
        "data_trend_90d": one.trend(feed, "data_kb", 30, 90),
        "data_trend_180d": one.trend(feed, "data_kb", 90, 180),
        "voice_trend_90d": one.trend(feed, "voice_seconds", 30, 90),
        "data_deviation_mb_30d": math.sqrt(squares) / len(whole_mb) if whole_mb else None,
        "night_data_share_90d": share(one.total(feed, "night_data_kb", 90), data),
        "offnet_share_90d": share(one.total(feed, "offnet_seconds", 90), voice),
        "month_used_share": None if allowance is None else share(this_month, allowance),
    }


def months_of_use(one: Customer) -> dict[str, Any]:
    """How the allowance fits the use, month by month, each under the plan of then."""
    over = one.rows("usage_monthly", where=lambda row: month_after(row["period"]) <= one.as_of)
    three = [(row, one.everybody.terms(plan_on(one, row["period"]).get("plan_id"))) for row in over[:-4:-1]]

    def together(column: str, some: list[tuple[Row, int | None]]) -> float | None:
        with_one = [(row[column], most) for row, most in some if most is not None and row[column] is not None]
        return share(sum(used for used, _ in with_one), sum(most for _, most in with_one))

    data = [(row, allowance_kb(terms)) for row, terms in three]
    voice = [(row, terms.get("voice_minutes")) for row, terms in three]
    share_of_little = one.limits.low_use_share
    little = [fits(row, most, lambda used, most: used < share_of_little * most) for row, most in data]
    beyond = [
        False if terms and terms["throttle_after_kb"] is not None else fits(row, allowance_kb(terms), operator.gt)
        for row, terms in three
    ]
    slowed = [is_throttled(row, terms) for row, terms in three]
    return {
        "allowance_used_share": together("data_kb", data[:1]),
        "allowance_used_share_90d": together("data_kb", data),
        "voice_allowance_used_share_90d": together("billed_minutes", voice),
        "low_use_months_count_90d": known_sum(little),
        "over_use_months_count_90d": known_sum(beyond),
        "throttled_months_count_90d": known_sum(slowed),
    }


def known_sum(flags: list[bool | None]) -> int | None:
    """Returns how many are true of those that are known; empty if none is."""
    known = [flag for flag in flags if flag is not None]
    return sum(known) if known else None


def fits(row: Row, most: int | None, test: Callable[[int, int], bool]) -> bool | None:
    """Tells whether use beside the allowance passes a test; never for a plan without data, unknown without either."""
    if most == 0:
        return False
    return None if most is None or row["data_kb"] is None else test(row["data_kb"], most)


def is_throttled(row: Row, terms: Row) -> bool | None:
    """Tells whether a month was slowed down: as delivered, else by the plan."""
    if row["is_throttled"] is not None:
        return bool(row["is_throttled"])
    if terms and terms["throttle_after_kb"] is None:
        return False
    return fits(row, allowance_kb(terms), operator.gt)


def packs(one: Customer) -> dict[str, Any]:
    """Data packs bought, those for use abroad left out."""

    def at_home(row: Row) -> bool:
        return all(terms.get("scope") != "roaming" for terms in one.everybody.catalogue.get(row["pack_id"], ()))

    feed = "pack_orders"
    return {
        "packs_count_30d": one.count(feed, 30, at_home),
        "packs_count_90d": one.count(feed, 90, at_home),
        "pack_amount_90d": one.total(feed, "price", 90, of=at_home),
        "pack_recency_days": one.newest(feed, at_home),
    }


def roaming(one: Customer) -> dict[str, Any]:
    """Use abroad."""
    feed = "roaming_sessions"

    def abroad(row: Row) -> bool:
        return bool(row["international"] is not False)

    days = {row["ago"] for row in one.rows(feed, where=abroad)}
    return {
        "roaming_days_180d": len({ago for ago in days if ago <= 180}),
        "roaming_months_count_180d": len({(ago - 1) // 30 for ago in days if ago <= 180}),
        "roaming_amount_180d": one.total(feed, "fee", 180, of=abroad),
        "roaming_no_pack_amount_60d": one.total(feed, "fee", 60, lambda row: not row["with_pack"], of=abroad),
        "roaming_recency_days": min(days, default=None),
        "has_roamed_this_season": int(any(320 <= ago <= 380 for ago in days)),
    }


def quality(one: Customer) -> dict[str, Any]:
    """The quality of the network, day by day; empty without any day."""
    feed, limits = "network_experience", one.limits

    def poor(row: Row) -> bool:
        return (row["drops"] or 0) > limits.poor_drops or (row["stalls"] or 0) > limits.poor_stalls

    found = {
        **{f"drops_count_{days}d": one.total(feed, "drops", days) for days in (7, 30)},
        **{f"stalls_count_{days}d": one.total(feed, "stalls", days) for days in (7, 30)},
        "weak_signal_minutes_30d": one.total(feed, "weak_signal_minutes", 30),
        "poor_network_days_14d": one.count(feed, 14, poor),
        "poor_network_recency_days": one.newest(feed, poor),
        "stalls_trend_90d": one.trend(feed, "stalls", 30, 90),
    }
    return found if one.rows(feed) else dict.fromkeys(found)


def faults(one: Customer) -> dict[str, Any]:
    """Open faults of the grid at home."""
    grid, instant = one.state("customers").get("grid"), one.everybody.instant
    newest = [states[-1] for states in one.everybody.faults.values()]
    open_ones = [
        row
        for row in newest
        if grid is not None and row["grid"] == grid and not (row["repaired_at"] and row["repaired_at"] < instant)
    ]
    return {"grid_faults_count": len(open_ones)}


def _is_of(service: str, row: Row) -> bool:
    return row["service"] == service


def fixed(one: Customer) -> dict[str, Any]:
    """Broadband and TV of the subscription."""
    feed = "fixed_services"
    newest = {service: one.state(feed, partial(_is_of, service)) for service in ("broadband", "tv")}
    line, box = newest["broadband"], newest["tv"]
    in_use = [row for row in newest.values() if row and row["status"] != "closed"]
    speed = line.get("measured_kbps") is not None and line.get("contracted_kbps")
    return {
        "broadband_faults_count_60d": one.total(feed, "faults", 60, lambda row: row["service"] == "broadband"),
        "broadband_speed_share": share(line["measured_kbps"], line["contracted_kbps"]) if speed else None,
        "tv_idle_days": one.since(box.get("last_active_on")) if box in in_use else None,
        "has_fixed_service": int(bool(in_use)),
    }
