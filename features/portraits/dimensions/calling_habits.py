"""Calling habits: how often the customer needs the hotline, about what, and whether it helped."""

from __future__ import annotations

from features.portraits.dimensions.spec import Definition, Dimension, each
from features.portraits.dimensions.windows import count, ratio, recency, total, within

_is = Dimension("calling_habits")
_CALLS = "hotline_calls"

DEFINITIONS: tuple[Definition, ...] = (
    *each((7, 30, 90, 180), lambda days: _is.count(
        f"manual_calls_count_{days}d", _CALLS, f"Manual calls, those that an agent took, in {days} days.",
        lambda t: count(t, days, t.agent),
    )),
    _is.number(
        "manual_call_recency_days", _CALLS, "Days since the newest manual call.",
        lambda t: recency(t, t.agent),
    ),
    _is.number(
        "manual_calls_trend_90d", _CALLS,
        "Manual calls a day in 30 days over those of 90 days: 3 if all came in the last 30.",
        lambda t: ratio(count(t, 30, t.agent) * 3, count(t, 90, t.agent)),
    ),
    _is.count(
        "repeat_topic_calls_count_7d", _CALLS, "Most manual calls on one topic in the last 7 days.",
        lambda t: t.week_topic_calls.max(where=within(t, 7, t.agent)).fill_null(0),
    ),
    _is.count(
        "repeat_topic_calls_count_60d", _CALLS,
        "Most manual calls on one topic in 7 days that end with such a call of the last 60.",
        lambda t: t.same_topic_calls_7d.max(where=within(t, 60, t.agent)).fill_null(0),
    ),
    _is.count(
        "busiest_month_calls_count_60d", _CALLS,
        "Most manual calls in 30 days that end with a manual call of the last 60.",
        lambda t: t.calls_30d.max(where=within(t, 60, t.agent)).fill_null(0),
    ),
    _is.count(
        "unresolved_calls_count_90d", _CALLS, "Manual calls of 90 days marked as not resolved.",
        lambda t: count(t, 90, t.agent & ~t.resolved),
    ),
    _is.count(
        "wait_minutes_90d", _CALLS, "Minutes of waiting for an agent in 90 days, calls given up included.",
        lambda t: total(t, "wait_seconds", 90).cast("float64") / 60.0,
    ),
    _is.count(
        "network_calls_count_30d", _CALLS, "Manual calls about the network in 30 days.",
        lambda t: count(t, 30, t.agent & (t.topic == "network")),
    ),
    _is.count(
        "charge_calls_count_30d", _CALLS, "Manual calls about bills or unknown charges in 30 days.",
        lambda t: count(t, 30, t.agent & t.topic.isin(("billing", "unknown_charge"))),
    ),
    _is.count(
        "plan_calls_count_30d", _CALLS, "Manual calls about plan, data or contract in 30 days.",
        lambda t: count(t, 30, t.agent & t.topic.isin(("data_plan", "contract"))),
    ),
    _is.count(
        "leave_enquiry_calls_count_30d", _CALLS,
        "Calls about porting or cancelling in 30 days, also those that no agent took.",
        lambda t: count(t, 30, t.topic.isin(("porting", "cancelling"))),
    ),
)  # fmt: skip
