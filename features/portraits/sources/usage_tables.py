"""How use is prepared as source tables: by day, for the month so far, and by month beside the plan of that month."""

from __future__ import annotations

from typing import Any

from features.portraits.dimensions.spec import Expression
from features.portraits.settings import PortraitSettings
from features.portraits.sources.source_tables import Tables, newest, plans, ranked, yes

_WHOLE_SHARE = 0.9
"""A month with fewer known rows than this share of the month before it is still arriving."""

_MONTHS = 3
"""Features look at the newest three known months."""


def usage_rows(staged: Tables, _: PortraitSettings) -> Any:
    """Returns the days with `is_used` and the data in whole MB."""
    rows = staged["usage_daily"]
    return rows.mutate(
        data_mb=rows.data_kb // 1024,
        is_used=rows.voice_seconds.fill_null(0) + rows.data_kb.fill_null(0) + rows.sms_count.fill_null(0) > 0,
    )


USUAL_SUMS: dict[str, Expression] = {
    "data": lambda t: t.data_kb.sum(),
    "data_days": lambda t: t.count(where=t.data_kb > 0),
    "voice": lambda t: t.voice_seconds.sum(),
    "voice_days": lambda t: t.count(where=t.voice_seconds > 0),
}
"""What a customer's usual use is judged by, over all days in reach."""


def usual_use(sums: Any) -> dict[str, Any]:
    """Returns, for each column of a day, how much of it makes the day usual: any of them is enough.

    A day is usual with three quarters of the customer's mean data of days with data, or with one and a half times the
    mean voice of days with voice, which is burstier. Both are sharp where use falls for good, and one day of very much
    use hardly moves them. In whole numbers: 4 x >= 3 sum / days, which is x >= 3 sum / (4 days) rounded up.
    """
    return {
        "data_kb": _share_of_mean(sums.data, sums.data_days, 3, 4),
        "voice_seconds": _share_of_mean(sums.voice, sums.voice_days, 3, 2),
    }


def _share_of_mean(total: Any, days: Any, part: int, whole: int) -> Any:
    import ibis

    parts = (whole * days).nullif(0)
    return ibis.greatest((total * part + parts - 1) // parts, parts * 0 + 1)  # unknown, not 1, without a day


def usage_daily(staged: Tables, settings: PortraitSettings) -> Any:
    """Returns the days of `usage_rows` with `is_usual` and the feed's newest day, `newest_day`."""
    import ibis

    rows = usage_rows(staged, settings)
    sums = {name: value(rows) for name, value in USUAL_SUMS.items()}
    sums = rows.group_by("customer_id").aggregate(newest=rows.days_ago.min(), **sums)
    least = usual_use(sums)
    each = {f"usual_{column}": value for column, value in least.items()}
    each |= {"newest_day": sums.newest.min().over(ibis.window())}
    days = rows.left_join(sums.select("customer_id", **each), "customer_id").drop("customer_id_right")
    is_usual = ibis.or_(*(yes(days[column] >= days[f"usual_{column}"]) for column in least))
    return days.mutate(is_usual=is_usual).drop(*(f"usual_{column}" for column in least))


def usage_in_months(staged: Tables, _: PortraitSettings) -> Any:
    """Returns months over as if they were days, for the features that months can fill where no day is delivered.

    Each month counts as one row of 30 days ending at the as-of date: the newest that has arrived has `days_ago` 30, the
    one before it 60, and its use is that of 30 of its days. So the expressions of the days hold: 90 days are three
    months. A month without a row between the customer's first and the newest is one without use. Example: February
    with 28 MB is 30 MB. Billed minutes stand for seconds of voice that are not delivered.
    """
    import ibis

    rows = staged["usage_monthly"]
    rows = rows.filter(~rows.is_this_month)
    rows = rows.mutate(month=rows.period.year().cast("int64") * 12 + rows.period.month().cast("int64"))
    counted = rows.group_by("month").aggregate(known=rows.count())
    before = counted.select(month=counted.month + 1, known_before=counted.known)
    counted = counted.left_join(before, "month").drop("month_right")
    whole = counted.filter(counted.known >= counted.known_before.fill_null(0).cast("float64") * _WHOLE_SHARE)
    newest_month = whole.aggregate(newest_month=whole.month.max())
    rows = rows.cross_join(newest_month)
    rows = rows.filter(rows.month <= rows.newest_month)
    long, short = rows.period.month().isin((4, 6, 9, 11)), rows.period.month() == 2
    february = 28 + (rows.period.year() % 4 == 0).cast("int64")
    days = ibis.cases((long, 30), (short, february), else_=31)
    voice = rows.voice_seconds.fill_null(rows.billed_minutes * 60)
    uses = {"data_kb": rows.data_kb, "night_data_kb": rows.night_data_kb, "sms_count": rows.sms_count}
    uses |= {"voice_seconds": voice, "offnet_seconds": rows.offnet_seconds}
    return rows.select(
        "customer_id",
        days_ago=(rows.newest_month - rows.month + 1) * 30,
        newest_day=ibis.literal(1, "int64"),
        is_used=voice.fill_null(0) + rows.data_kb.fill_null(0) + rows.sms_count.fill_null(0) > 0,
        **{name: value * 30 // days for name, value in uses.items()},
    )


def month_so_far(staged: Tables, _: PortraitSettings) -> Any:
    """Returns one row per customer with a plan: data of the calendar month so far and the plan's allowance."""
    import ibis

    days = staged["month_days"].filter(lambda t: t.is_this_month)
    used = days.group_by("customer_id").aggregate(data_kb=days.data_kb.sum())
    plan = staged["source_plan_in_force"].select("customer_id", "allowance_kb")
    rows = plan.left_join(used, "customer_id")
    rows = rows.mutate(data_kb=ibis.ifelse(rows.customer_id_right.isnull(), 0, rows.data_kb))
    return rows.drop("customer_id_right")


def usage_months(staged: Tables, settings: PortraitSettings) -> Any:
    """Returns the newest months over with `rank` (1 = newest), the plan at the start of each and how it fitted."""
    months = staged["usage_monthly"].filter(lambda t: ~t.is_this_month)
    months = ranked(months, ["customer_id"], [months.days_ago])
    months = months.filter(months.rank <= _MONTHS).select(
        "customer_id", "period", "rank", "days_ago", "data_kb", "billed_minutes", throttled=months.is_throttled
    )
    orders = staged["source_subscriptions"].select("customer_id", "plan_id", "ordered_at", "effective_on")
    pairs = months.left_join(orders, "customer_id").drop("customer_id_right")
    is_past = yes(pairs.effective_on <= pairs.period)
    pairs = pairs.mutate(is_past=is_past.cast("int64"))
    best = [pairs.is_past.desc(), pairs.effective_on.desc(), pairs.ordered_at.desc(), pairs.plan_id.desc()]
    chosen = newest(pairs.mutate(month=pairs.rank).drop("rank"), ["customer_id", "period"], best)
    plan = plans(staged).select("plan_id", "allowance_kb", "voice_minutes", "is_throttled_plan")
    rows = chosen.left_join(plan, (chosen.plan_id == plan.plan_id) & (chosen.is_past == 1)).drop("plan_id_right")
    is_over = (rows.data_kb > rows.allowance_kb) & (rows.allowance_kb > 0)
    share = settings.limits.low_use_share
    is_low = (rows.data_kb.cast("float64") < rows.allowance_kb.cast("float64") * share) & (rows.allowance_kb > 0)
    return rows.mutate(
        rank=rows.month,
        is_low_use=is_low,
        is_over_use=is_over & ~rows.is_throttled_plan,
        is_throttled=rows.throttled.fill_null(is_over & rows.is_throttled_plan),
    )
