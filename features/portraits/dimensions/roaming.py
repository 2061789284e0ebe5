"""Roaming: use abroad (Hong Kong, Macao and Taiwan included), what it costs, and signs of a coming trip."""

from __future__ import annotations

from features.portraits.dimensions.spec import Definition, Dimension
from features.portraits.dimensions.windows import count, days_with, recency, total

_is = Dimension("roaming")
_ABROAD = "roaming_sessions"

DEFINITIONS: tuple[Definition, ...] = (
    _is.count("roaming_days_180d", _ABROAD, "Days with use abroad in 180 days.", lambda t: days_with(t, 180)),
    _is.count(
        "roaming_months_count_180d", _ABROAD, "Different 30-day spans with use abroad among the last 6.",
        lambda t: t.span.nunique(where=t.days_ago <= 180),
    ),
    _is.count(
        "roaming_amount_180d", _ABROAD, "Roaming fees in 180 days, minor units.",
        lambda t: total(t, "fee", 180),
    ),
    _is.count(
        "roaming_no_pack_amount_60d", _ABROAD, "Roaming fees without a pack in 60 days, minor units.",
        lambda t: total(t, "fee", 60, ~t.with_pack),
    ),
    _is.number(
        "roaming_recency_days", _ABROAD, "Days since the newest use abroad.",
        recency,
    ),
    _is.count(
        "has_roamed_this_season", _ABROAD, "1 if abroad about a year ago, 320 to 380 days.",
        lambda t: t.days_ago.between(320, 380).cast("int64").max(),
    ),
    _is.count(
        "roaming_enquiries_count_30d", "hotline_calls",
        "Calls about roaming in 30 days, also those that no agent took.",
        lambda t: count(t, 30, t.topic == "roaming"),
    ),
)  # fmt: skip
