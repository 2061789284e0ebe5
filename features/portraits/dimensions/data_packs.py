"""Data packs: packs bought, and how the allowance fits the use."""

from __future__ import annotations

from features.portraits.dimensions.spec import Definition, Dimension, each
from features.portraits.dimensions.windows import count, ratio, recency, total

_is = Dimension("data_packs")
_PACKS = "pack_orders"
_MONTHS = "usage_months"

DEFINITIONS: tuple[Definition, ...] = (
    *each((30, 90), lambda days: _is.count(
        f"packs_count_{days}d", _PACKS, f"Data packs bought in {days} days, those for use abroad left out.",
        lambda t: count(t, days),
    )),
    _is.count(
        "pack_amount_90d", _PACKS, "Spent on these packs in 90 days, minor units.",
        lambda t: total(t, "price", 90),
    ),
    _is.number("pack_recency_days", _PACKS, "Days since the newest of these packs.", recency),
    _is.number(
        "allowance_used_share", _MONTHS, "Data used over the plan's allowance in the newest known month.",
        lambda t: ratio(t.data_kb.max(where=t.rank == 1), t.allowance_kb.max(where=t.rank == 1)),
    ),
    _is.number(
        "allowance_used_share_90d", _MONTHS,
        "Data used over the allowance, newest 3 known months together, those without either left out.",
        lambda t: ratio(
            t.data_kb.sum(where=(t.rank <= 3) & t.allowance_kb.notnull()),
            t.allowance_kb.sum(where=(t.rank <= 3) & t.data_kb.notnull()),
        ),
    ),
    _is.number(
        "voice_allowance_used_share_90d", _MONTHS, "Billed minutes over the voice allowance, likewise.",
        lambda t: ratio(
            t.billed_minutes.sum(where=(t.rank <= 3) & t.voice_minutes.notnull()),
            t.voice_minutes.sum(where=(t.rank <= 3) & t.billed_minutes.notnull()),
        ),
    ),
    _is.number(
        "low_use_months_count_90d", _MONTHS,
        "Months with less than `low_use_share` of the allowance used, among the newest 3.",
        lambda t: t.is_low_use.cast("int64").sum(where=t.rank <= 3),
    ),
    _is.number(
        "over_use_months_count_90d", _MONTHS,
        "Months beyond the data allowance among the newest 3, under plans that charge it.",
        lambda t: t.is_over_use.cast("int64").sum(where=t.rank <= 3),
    ),
    _is.number(
        "throttled_months_count_90d", _MONTHS,
        "Months slowed down after the cap among the newest 3: as delivered, else by the plan.",
        lambda t: t.is_throttled.cast("int64").sum(where=t.rank <= 3),
    ),
    _is.number(
        "month_used_share", "month_so_far",
        "Data used in the calendar month so far, as known, over the present plan's allowance.",
        lambda t: ratio(t.data_kb.max(), t.allowance_kb.max()),
    ),
)  # fmt: skip
