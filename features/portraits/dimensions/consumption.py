"""Consumption: what the customer pays and how much the customer uses."""

from __future__ import annotations

from features.portraits.dimensions.spec import Definition, Dimension, each
from features.portraits.dimensions.windows import count, deviation, ratio, recency, total, trend

_is = Dimension("consumption")
_BILLS = "bills"
_USE = "usage_daily"
_MONTHS = "usage_in_months"

DEFINITIONS: tuple[Definition, ...] = (
    _is.number(
        "bill_last_amount", _BILLS, "Total of the newest bill, minor units.",
        lambda t: t.total.max(where=t.rank == 1),
    ),
    _is.number(
        "bill_mean_amount_90d", _BILLS, "Mean total of the newest 3 bills, minor units.",
        lambda t: ratio(t.total.sum(where=t.rank <= 3), t.count(where=t.rank <= 3)),
    ),
    _is.number(
        "bill_jump_share", _BILLS, "Newest bill over the mean of the 3 before it, or of as many as there are.",
        lambda t: ratio(
            t.total.max(where=t.rank == 1) * t.count(where=t.rank.between(2, 4)),
            t.total.sum(where=t.rank.between(2, 4)),
        ),
    ),
    _is.number(
        "bill_overage_amount_90d", _BILLS, "Over-use fees of the newest 3 bills, minor units.",
        lambda t: t.overage_fee.sum(where=t.rank <= 3),
    ),
    _is.number(
        "bill_overage_months_count_90d", _BILLS, "Bills with an over-use fee among the newest 3.",
        lambda t: (t.overage_fee > 0).cast("int64").sum(where=t.rank <= 3),
    ),
    _is.number(
        "bill_new_charge_amount", _BILLS,
        "Fee of the newest bill for a value-added service that the bills before it, at least one, did not have.",
        lambda t: t.new_charge.max(where=t.rank == 1),
    ),
    _is.number(
        "late_payments_count_180d", _BILLS,
        "Missed due days among the newest 6 bills: paid on a later day, or unpaid with the day over.",
        lambda t: t.count(where=(t.rank <= 6) & t.is_late),
    ),
    _is.number(
        "late_payment_recency_days", _BILLS, "Days since the newest missed due day, among the newest 6 bills.",
        lambda t: t.days_since_due_at.min(where=(t.rank <= 6) & t.is_late),
    ),
    _is.number(
        "arrears_amount", _BILLS, "Arrears, else the total, of the bills unpaid with their due day over, minor units.",
        lambda t: t.overdue_amount.sum().fill_null(0),
    ),
    _is.number(
        "arrears_days", _BILLS, "Days since the oldest of these bills was due; 0 without arrears.",
        lambda t: t.days_since_due_at.max(where=t.overdue_amount > 0).fill_null(0),
    ),
    *each((7, 30, 90, 180), lambda days: _is.count(
        f"data_mb_{days}d", _USE, f"Data used in {days} days, MB.",
        lambda t: total(t, "data_kb", days).cast("float64") / 1024.0, months=_MONTHS if days >= 30 else None,
    )),
    *each((30, 90), lambda days: _is.count(
        f"voice_minutes_{days}d", _USE, f"Minutes of voice in {days} days.",
        lambda t: total(t, "voice_seconds", days).cast("float64") / 60.0, months=_MONTHS,
    )),
    _is.count(
        "sms_count_30d", _USE, "Messages sent in 30 days.", lambda t: total(t, "sms_count", 30), months=_MONTHS
    ),
    _is.count(
        "active_days_30d", _USE, "Days with any use in 30 days.",
        lambda t: count(t, 30, t.is_used),
    ),
    _is.number(
        "use_recency_days", _USE, "Days since the newest day with any use.",
        lambda t: recency(t, t.is_used), months=_MONTHS,
    ),
    _is.number(
        "usual_use_recency_days", _USE,
        "Days since a day of usual use: at least 3/4 of the mean data, or 3/2 of the mean voice, of days with any.",
        lambda t: recency(t, t.is_usual),
    ),
    _is.number(
        "data_trend_30d", _USE, "Data a known day in 7 days over that of 30; empty if none before the 7 is known.",
        lambda t: trend(t, "data_kb", 7, 30),
    ),
    _is.number(
        "data_trend_90d", _USE, "Data a known day in 30 days over that of 90; empty if none before the 30 is known.",
        lambda t: trend(t, "data_kb", 30, 90), months=_MONTHS,
    ),
    _is.number(
        "data_trend_180d", _USE, "Data a known day in 90 days over that of 180; empty if none before the 90 is known.",
        lambda t: trend(t, "data_kb", 90, 180), months=_MONTHS,
    ),
    _is.number(
        "voice_trend_90d", _USE, "Voice a known day in 30 days over that of 90; empty if none before the 30 is known.",
        lambda t: trend(t, "voice_seconds", 30, 90), months=_MONTHS,
    ),
    _is.number(
        "data_deviation_mb_30d", _USE,
        "Standard deviation of a day's data, cut to whole MB, over the days of 30 whose data is known.",
        lambda t: deviation(t, "data_mb", 30),
    ),
    _is.number(
        "night_data_share_90d", _USE, "Share of data used at night in 90 days.",
        lambda t: ratio(total(t, "night_data_kb", 90), total(t, "data_kb", 90)), months=_MONTHS,
    ),
    _is.number(
        "offnet_share_90d", _USE, "Share of voice to other networks in 90 days.",
        lambda t: ratio(total(t, "offnet_seconds", 90), total(t, "voice_seconds", 90)), months=_MONTHS,
    ),
)  # fmt: skip
