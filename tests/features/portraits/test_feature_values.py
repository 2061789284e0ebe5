"""Every feature on a table that a person can check by hand; as-of 2026-06-08, a customer per subject."""

from __future__ import annotations

import pytest

from features.portraits.feature_list import FeatureList


def _plans(world):
    world.add(
        "plans",
        None,
        "2024-01-01",
        plan_id="small",
        monthly_fee=38000,
        generation="4G",
        voice_minutes=100,
        data_kb=10 * 1024 * 1024,
        valid_from="2024-01-01",
    )
    world.add(
        "plans",
        None,
        "2024-01-01",
        plan_id="big",
        monthly_fee=98000,
        generation="5G",
        voice_minutes=500,
        data_kb=40 * 1024 * 1024,
        throttle_after_kb=20 * 1024 * 1024,
        valid_from="2024-01-01",
    )


def _profile(world):
    world.customer(
        "profile",
        activated_on="2025-06-08",
        vip_tier="gold",
        province="Hebei",
        birth_year=1988,
        device_generation="4G",
        device_since="2026-01-01",
    )
    world.customer(
        "profile",
        at="2026-05-29 10:00",
        activated_on="2025-06-08",
        vip_tier="gold",
        province="Hebei",
        birth_year=1988,
        device_generation="5G",
        device_since="2026-05-29",
    )
    for customer, role, until in (
        ("profile", "main", None),
        ("sister", "secondary", None),
        ("tv", "tv", "2026-05-01"),
        ("gone", "secondary", None),
    ):
        world.add(
            "person_links",
            customer,
            "2025-06-08",
            person_id="p",
            account_id="a",
            role=role,
            valid_from="2025-06-08",
            valid_until=until,
        )
    world.add("terminations", "gone", "2026-06-01 12:00", reason="cancel")
    world.add(
        "number_flags",
        "profile",
        "2025-06-08",
        valid_from="2025-06-08 00:00",
        ported_in_on="2025-06-08",
        is_verified=True,
    )


def _calls(world):
    world.customer("calls")
    for at, topic, resolved, wait in (
        ("2026-06-07 09:00", "network", False, 60),
        ("2026-06-02 09:00", "network", True, 30),
        ("2026-05-15 20:00", "billing", False, 0),
        ("2026-05-10 20:00", "porting", True, 0),
        ("2026-03-20 08:00", "data_plan", None, 90),
        ("2026-01-01 08:00", "other", True, 600),
    ):
        world.add(
            "hotline_calls",
            "calls",
            at,
            call_id=at,
            topic=topic,
            agent=True,
            resolved=resolved,
            wait_seconds=wait,
            talk_seconds=60,
            transferred=False,
        )
    world.add("hotline_calls", "calls", "2026-06-06 09:00", call_id="ivr", topic="billing", agent=False, talk_seconds=0)


def _bills(world):
    world.customer("bills")
    for month, total, overage, paid, item in (
        ("2026-04-01", 100000, 12000, None, "ringtone"),
        ("2026-03-01", 60000, 0, "2026-04-25", None),
        ("2026-02-01", 50000, 5000, "2026-03-15", None),
        ("2026-01-01", 40000, 0, "2026-02-20", None),
        ("2025-12-01", 40000, 0, "2026-01-10", None),
    ):
        due = {
            "2026-04-01": "2026-05-20",
            "2026-03-01": "2026-04-20",
            "2026-02-01": "2026-03-20",
            "2026-01-01": "2026-02-20",
            "2025-12-01": "2026-01-20",
        }[month]
        world.add(
            "bills",
            "bills",
            month,
            known=due,
            total=total,
            overage_fee=overage,
            value_added_fee=8000 if item else 0,
            value_added_item=item,
            due_at=due,
            paid_at=paid,
        )


def _use(world):
    world.customer("use")
    for day, kb, voice in (
        ("2026-06-07", 10 * 1024, 120),
        ("2026-06-01", 20 * 1024, 0),
        ("2026-05-20", 30 * 1024, 240),
        ("2026-04-01", 60 * 1024, 600),
        ("2026-01-01", 1024, 60),
        ("2025-11-01", 999 * 1024, 0),
    ):
        world.add(
            "usage_daily",
            "use",
            day,
            known=f"{day} 23:59",
            voice_seconds=voice,
            offnet_seconds=voice // 2,
            data_kb=kb,
            night_data_kb=kb // 4,
            sms_count=2,
        )
    world.add(
        "usage_daily",
        "use",
        "2026-06-06",
        known="2026-06-07",
        voice_seconds=0,
        offnet_seconds=0,
        data_kb=0,
        night_data_kb=0,
        sms_count=0,
    )
    world.add("subscriptions", "use", "2024-01-01", plan_id="small", ordered_at="2024-01-01", effective_on="2024-01-01")


def _contract(world):
    world.customer("contract", device_generation="5G", device_since="2026-01-01")
    world.add(
        "subscriptions",
        "contract",
        "2025-06-20",
        plan_id="small",
        ordered_at="2025-06-20",
        effective_on="2025-07-01",
        contract_type="handset",
        contract_start="2025-07-01",
        contract_end="2026-06-30",
        discount_end="2026-05-31",
        discount_amount=9000,
    )
    world.add(
        "subscriptions",
        "contract",
        "2026-06-05",
        plan_id="big",
        ordered_at="2026-06-05",
        effective_on="2026-07-01",
        contract_type="none",
    )
    world.add("port_requests", "contract", "2026-05-09", step="enquiry")


def _packs(world):
    world.customer("packs")
    world.add(
        "subscriptions", "packs", "2024-01-01", plan_id="small", ordered_at="2024-01-01", effective_on="2024-01-01"
    )
    world.add("subscriptions", "packs", "2026-04-20", plan_id="big", ordered_at="2026-04-20", effective_on="2026-05-01")
    world.add(
        "packs", None, "2024-01-01", pack_id="abroad", scope="roaming", data_kb=1, price=1, valid_from="2024-01-01"
    )
    for at, pack in (
        ("2026-06-01 12:00", "k1"),
        ("2026-04-01 12:00", "k1"),
        ("2026-02-01 12:00", "k1"),
        ("2026-06-02 12:00", "abroad"),
    ):
        world.add("pack_orders", "packs", at, pack_id=pack, price=10000, data_kb=1024 * 1024)
    gb = 1024 * 1024
    for month, used, minutes in (
        ("2026-04-01", 12 * gb, 50),
        ("2026-03-01", 2 * gb, 150),
        ("2026-02-01", 1 * gb, 100),
        ("2026-01-01", 99 * gb, 0),
    ):
        world.add("usage_monthly", "packs", month, known="2026-05-06", data_kb=used, billed_minutes=minutes)
    world.add("usage_monthly", "packs", "2026-05-01", known="2026-06-06", data_kb=30 * gb, billed_minutes=100)
    world.add("usage_daily", "packs", "2026-06-03", known="2026-06-04", data_kb=5 * gb)
    world.add("usage_daily", "packs", "2026-05-31", known="2026-06-04", data_kb=7 * gb)


def _channels(world):
    world.customer("channels")
    for at, channel, succeeded in (
        ("2026-06-06 10:00", "app", False),
        ("2026-06-05 10:00", "app", True),
        ("2026-05-20 19:00", "web", False),
        ("2026-04-01 19:00", "hall", True),
        ("2026-01-15 19:00", "message", True),
        ("2025-11-01 19:00", "app", True),
    ):
        world.add("channel_contacts", "channels", at, channel=channel, purpose="bill", succeeded=succeeded)
    world.add("hotline_calls", "channels", "2026-05-01 09:00", call_id="c", agent=True, topic="roaming")
    world.add("hotline_calls", "channels", "2026-05-30 09:00", call_id="d", agent=False, topic="roaming")


def _roaming(world):
    world.customer("roaming")
    for at, fee, pack, abroad in (
        ("2026-06-01 12:00", 60000, False, True),
        ("2026-06-01 18:00", 5000, True, True),
        ("2026-03-01 12:00", 7000, False, True),
        ("2026-05-30 12:00", 900, False, False),
        ("2025-06-20 12:00", 1, False, True),
    ):
        world.add(
            "roaming_sessions",
            "roaming",
            at,
            area="HK",
            international=abroad,
            fee=fee,
            with_pack=pack,
            seconds=60,
            data_kb=100,
        )


def _network(world):
    world.customer("network", grid="G1")
    for day, drops, stalls in (("2026-06-07", 0, 3), ("2026-06-01", 2, 0), ("2026-05-20", 1, 2), ("2026-04-01", 0, 9)):
        world.add(
            "network_experience",
            "network",
            day,
            known=f"{day} 23:59",
            drops=drops,
            stalls=stalls,
            weak_signal_minutes=10,
        )
    world.add("network_faults", None, "2026-06-01 08:00", fault_id="F1", grid="G1", expected_repair_on="2026-06-10")
    world.add("network_faults", None, "2026-05-01 08:00", fault_id="F2", grid="G1", expected_repair_on="2026-05-02")
    world.add(
        "network_faults",
        None,
        "2026-05-02 08:00",
        fault_id="F2",
        grid="G1",
        expected_repair_on="2026-05-02",
        repaired_at="2026-05-02 07:00",
    )
    for at, faults, measured in (("2026-03-01", 5, 90000), ("2026-05-01", 1, 90000), ("2026-06-01", 2, 50000)):
        world.add(
            "fixed_services",
            "network",
            at,
            service="broadband",
            status="active",
            faults=faults,
            contracted_kbps=100000,
            measured_kbps=measured,
        )
    world.add("fixed_services", "network", "2026-05-01", service="tv", status="active", last_active_on="2026-04-29")


def _service(world):
    world.customer("service")
    world.add(
        "tickets",
        "service",
        "2026-05-20 10:00",
        ticket_id="T1",
        kind="complaint",
        topic="network",
        status="open",
        opened_at="2026-05-20 10:00",
        due_at="2026-05-22 10:00",
    )
    world.add(
        "tickets",
        "service",
        "2026-05-21 10:00",
        ticket_id="T1",
        kind="complaint",
        topic="network",
        status="closed",
        opened_at="2026-05-20 10:00",
        closed_at="2026-05-21 10:00",
        satisfaction=3,
    )
    world.add(
        "tickets",
        "service",
        "2026-02-01 10:00",
        ticket_id="T2",
        kind="complaint",
        topic="billing",
        status="open",
        opened_at="2026-02-01 10:00",
        due_at="2026-02-03 10:00",
    )
    world.add(
        "tickets",
        "service",
        "2026-02-05 10:00",
        ticket_id="T2",
        kind="complaint",
        topic="billing",
        status="reopened",
        opened_at="2026-02-01 10:00",
        due_at="2026-06-05 10:00",
    )
    world.add(
        "tickets",
        "service",
        "2026-06-01 10:00",
        ticket_id="T3",
        kind="enquiry",
        topic="billing",
        status="open",
        opened_at="2026-06-01 10:00",
        due_at="2026-06-09 10:00",
    )
    world.add("surveys", "service", "2026-06-01 10:00", survey="nps", score=4)
    world.add("surveys", "service", "2026-05-01 10:00", survey="nps", score=9)
    world.add("contacts", "service", "2026-05-09 10:00", contact_id="k", action="service_review", arm="treated")
    world.add("contacts", "service", "2026-06-01 10:00", contact_id="l", action="service_review", arm="control")


@pytest.fixture(scope="module")
def example(new_world, build_once, tmp_path_factory):
    """One operator, one customer per dimension, and one who did nothing at all."""
    folder = tmp_path_factory.mktemp("values")
    world = new_world(folder)
    for write in (_plans, _profile, _calls, _bills, _use, _contract, _packs, _channels, _roaming, _network, _service):
        write(world)
    world.customer("quiet")
    return build_once(world, folder / "home")


EXPECTED = {
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
        "bill_overage_months_count_90d": 2, "bill_new_charge_amount": 8000, "late_payments_count_180d": 2, "arrears_amount": 100000, "arrears_days": 19,
    },
    "use": {
        "data_mb_7d": 30, "data_mb_30d": 60, "data_mb_90d": 120, "data_mb_180d": 121, "voice_minutes_30d": 6, "voice_minutes_90d": 16,
        "sms_count_30d": 6, "active_days_30d": 3, "use_recency_days": 1, "data_trend_30d": 30 / 7 / (60 / 30), "data_trend_90d": 60 / 30 / (120 / 90),
        "voice_trend_90d": 360 / 30 / (960 / 90), "data_deviation_mb_30d": 125**0.5, "night_data_share_90d": 0.25, "offnet_share_90d": 0.5,
        "month_used_share": 30 / 10240,
    },
    "contract": {
        "contract_type": "handset", "contract_left_days": 22, "discount_left_days": -8, "discount_amount": 9000, "plan_days": 342, "plan_fee_amount": 38000,
        "plan_generation": "4G", "plan_data_mb": 10240, "is_5g_device_on_old_plan": 1, "plan_orders_count_180d": 1, "has_pending_plan": 1, "port_step_recency_days": 30,
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
