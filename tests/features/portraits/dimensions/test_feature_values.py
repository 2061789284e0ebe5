"""Every feature on a table that a person can check by hand; as-of 2026-06-08, a customer per subject."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from features.portraits.feature_list import FeatureList

EXPECTED: dict[str, dict[str, Any]] = {
    "profile": {
        "tenure_days": 365, "kind": "consumer", "status": "active", "vip_tier": "gold", "province": "Hebei", "birth_year": 1988,
        "device_generation": "5G", "device_days": 10, "household_lines_count": 1, "household_closed_count_90d": 2, "is_ported_in": 1,
    },
    "calls": {
        "manual_calls_count_7d": 2, "manual_calls_count_30d": 4, "manual_calls_count_90d": 5, "manual_calls_count_180d": 6,
        "manual_call_recency_days": 1, "manual_calls_trend_90d": 12 / 5, "repeat_topic_calls_count_7d": 2, "repeat_topic_calls_count_60d": 2,
        "busiest_month_calls_count_60d": 4, "unresolved_calls_count_90d": 2, "wait_minutes_90d": 3, "network_calls_count_30d": 2,
        "charge_calls_count_30d": 1, "plan_calls_count_30d": 0, "leave_enquiry_calls_count_30d": 1,
    },
    "bills": {
        "bill_last_amount": 100000, "bill_mean_amount_90d": 70000, "bill_jump_share": 2, "bill_overage_amount_90d": 17000,
        "bill_overage_months_count_90d": 2, "bill_new_charge_amount": 8000, "late_payments_count_180d": 2, "late_payment_recency_days": 19,
        "arrears_amount": 100000, "arrears_days": 19,
    },
    "use": {
        "data_mb_7d": 30, "data_mb_30d": 60, "data_mb_90d": 120, "data_mb_180d": 121, "voice_minutes_30d": 6, "voice_minutes_90d": 16,
        "sms_count_30d": 6, "active_days_30d": 3, "use_recency_days": 1, "usual_use_recency_days": 7, "data_trend_30d": 30 / 7 / (60 / 30), "data_trend_90d": 60 / 30 / (120 / 90),
        "data_trend_180d": 120 / 90 / (121 / 180),
        "voice_trend_90d": 360 / 30 / (960 / 90), "data_deviation_mb_30d": 125**0.5, "night_data_share_90d": 0.25, "offnet_share_90d": 0.5,
        "month_used_share": 30 / 10240,
    },
    "contract": {
        "contract_type": "handset", "contract_left_days": 22, "discount_left_days": -8, "discount_amount": 9000, "plan_days": 342, "plan_fee_amount": 38000,
        "plan_generation": "4G", "plan_data_mb": 10240, "is_5g_device_on_old_plan": 1, "plan_orders_count_180d": 1, "has_pending_plan": 1, "port_step_recency_days": 30,
    },
    "renewed": {
        "contract_type": "discount", "contract_left_days": 377, "discount_left_days": 377, "discount_amount": 9000, "has_pending_plan": 1,
    },
    "packs": {
        "packs_count_30d": 1, "packs_count_90d": 2, "pack_amount_90d": 20000, "pack_recency_days": 7, "allowance_used_share": 30 / 20,
        "allowance_used_share_90d": 44 / 40, "voice_allowance_used_share_90d": 300 / 700, "low_use_months_count_90d": 1, "over_use_months_count_90d": 1,
        "throttled_months_count_90d": 1, "month_used_share": 5 / 20,
    },
    "channels": {
        "app_contacts_count_30d": 2, "hall_visits_count_90d": 1, "self_service_contacts_count_90d": 3, "failed_self_service_count_30d": 2,
        "channel_recency_days": 2, "assisted_contacts_count_180d": 2, "assisted_share_180d": 2 / 6, "self_service_share_90d": 3 / 5,
        "preferred_channel": "app", "roaming_enquiries_count_30d": 1, "leave_enquiry_calls_count_30d": 0,
    },
    "roaming": {
        "roaming_days_180d": 2, "roaming_months_count_180d": 2, "roaming_amount_180d": 72000, "roaming_no_pack_amount_60d": 60000,
        "roaming_recency_days": 7, "has_roamed_this_season": 1,
    },
    "network": {
        "drops_count_7d": 2, "drops_count_30d": 3, "stalls_count_7d": 3, "stalls_count_30d": 5, "weak_signal_minutes_30d": 30, "poor_network_days_14d": 2,
        "poor_network_recency_days": 1, "stalls_trend_90d": 5 / 30 / (14 / 90), "grid_faults_count": 1, "broadband_faults_count_60d": 3,
        "broadband_speed_share": 0.5, "tv_idle_days": 40, "has_fixed_service": 1,
    },
    "service": {
        "complaints_count_30d": 1, "complaints_count_90d": 1, "complaints_count_180d": 2, "complaint_recency_days": 19, "open_complaints_count": 1,
        "overdue_tickets_count": 1, "reopened_tickets_count_180d": 1, "unsatisfied_tickets_count_90d": 1, "survey_last_score": 4, "survey_recency_days": 7,
        "outreach_count_90d": 1, "outreach_recency_days": 30,
    },
}  # fmt: skip


@pytest.mark.parametrize("customer", EXPECTED)
def test_features_are_what_the_rows_say(example, customer):
    """Each feature equals the figure that a person gets from the few rows of its customer."""
    expected = EXPECTED[customer]
    found = example.of(customer, *expected)
    wrong = {name: (value, found[name]) for name, value in expected.items() if not _same(value, found[name])}
    assert wrong == {}


def test_every_feature_is_exemplified():
    """No feature is without an example above."""
    assert set(FeatureList.declared().names) - {name for values in EXPECTED.values() for name in values} == set()


def test_zero_is_only_where_zero_is_the_truth(example):
    """A customer without rows has 0 calls and packs, but an unknown recency, bill and trend."""
    assert example.of(
        "quiet", "manual_calls_count_30d", "packs_count_90d", "data_mb_30d", "complaints_count_90d", "roaming_days_180d",
        "manual_call_recency_days", "bill_last_amount", "data_trend_90d", "survey_last_score", "drops_count_30d", "contract_left_days",
    ) == {
        "manual_calls_count_30d": 0, "packs_count_90d": 0, "data_mb_30d": 0, "complaints_count_90d": 0, "roaming_days_180d": 0,
        "manual_call_recency_days": None, "bill_last_amount": None, "data_trend_90d": None, "survey_last_score": None, "drops_count_30d": None,
        "contract_left_days": None,
    }  # fmt: skip


def test_the_terminated_are_not_in_the_portrait(example):
    """A subscription terminated before the as-of date has no row."""
    assert "gone" not in example.rows
    assert "quiet" in example.rows


def _same(expected, found):
    return found == expected if isinstance(expected, str) else found == pytest.approx(expected, rel=1e-6)


def test_one_day_of_very_much_use_and_a_little_use_every_day_are_usual(world, build):
    """Steady use stays usual beside a day of thirty times as much; 900 KB a day are use too; after a fall none is."""
    for customer in ("burst", "light", "fallen"):
        world.customer(customer)
    for ago in range(1, 121):
        day = str(date(2026, 6, 8) - timedelta(days=ago))
        burst, fallen = 500 * 1024 * (30 if ago == 100 else 1), 500 * 1024 // (1 if ago > 40 else 8)
        for customer, kb in (("burst", burst), ("light", 900), ("fallen", fallen)):
            world.add(
                "usage_daily",
                customer,
                day,
                known=f"{day} 23:59",
                voice_seconds=0,
                offnet_seconds=0,
                data_kb=kb,
                night_data_kb=0,
                sms_count=0,
            )
    portrait = build(world)
    found = {one: portrait.of(one, "usual_use_recency_days") for one in ("burst", "light", "fallen")}
    assert found == {one: {"usual_use_recency_days": ago} for one, ago in (("burst", 1), ("light", 1), ("fallen", 41))}
