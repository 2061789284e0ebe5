"""Network: the quality that the customer really got, on the move and at home."""

from __future__ import annotations

from features.portraits.dimensions.spec import Definition, Dimension, each
from features.portraits.dimensions.windows import count, ratio, recency, total, trend, within

_is = Dimension("network")
_DAYS = "network_experience"
_FIXED = "fixed_services"

DEFINITIONS: tuple[Definition, ...] = (
    *each((7, 30), lambda days: _is.number(
        f"drops_count_{days}d", _DAYS, f"Dropped calls in {days} days.",
        lambda t: total(t, "drops", days),
    )),
    *each((7, 30), lambda days: _is.number(
        f"stalls_count_{days}d", _DAYS, f"Stalls of data in {days} days.",
        lambda t: total(t, "stalls", days),
    )),
    _is.number(
        "weak_signal_minutes_30d", _DAYS, "Minutes with a weak signal in 30 days.",
        lambda t: total(t, "weak_signal_minutes", 30),
    ),
    _is.number(
        "poor_network_days_14d", _DAYS,
        "Poor days in 14 days: more drops than `poor_drops` or more stalls than `poor_stalls`.",
        lambda t: count(t, 14, t.is_poor),
    ),
    _is.number(
        "poor_network_recency_days", _DAYS, "Days since the newest poor day.",
        lambda t: recency(t, t.is_poor),
    ),
    _is.number(
        "stalls_trend_90d", _DAYS,
        "Stalls a known day in 30 days over those of 90; empty if none before the 30 is known.",
        lambda t: trend(t, "stalls", 30, 90),
    ),
    _is.count(
        "grid_faults_count", "grid_faults", "Open network faults in the home grid.",
        lambda t: t.count(),
    ),
    _is.count(
        "broadband_faults_count_60d", _FIXED, "Broadband faults reported in 60 days.",
        lambda t: total(t, "faults", 60, t.service == "broadband"),
    ),
    _is.number(
        "broadband_speed_share", _FIXED, "Measured over contracted speed at the newest broadband record.",
        lambda t: ratio(
            t.measured_kbps.max(where=t.is_newest & (t.service == "broadband")),
            t.contracted_kbps.max(where=t.is_newest & (t.service == "broadband")),
        ),
    ),
    _is.number(
        "tv_idle_days", _FIXED, "Days since the set-top box in use was last used.",
        lambda t: t.days_since_last_active_on.max(where=t.is_newest & t.is_open & (t.service == "tv")),
    ),
    _is.count(
        "has_fixed_service", _FIXED, "1 if broadband or TV is in use on this subscription.",
        lambda t: t.is_open.cast("int64").max(where=within(t, 10_000, t.is_newest)).fill_null(0),
    ),
)  # fmt: skip
