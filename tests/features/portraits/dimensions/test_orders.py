"""Orders count by the moment of ordering, neither by the delivery that told of them nor by the day they take effect."""

from __future__ import annotations

import json
from datetime import date

import pytest

from features.kit.home import Home
from features.portraits.reading import Portraits


def _order(world, customer, ordered, effective, *, at=None, plan="small", **columns):
    world.add(
        "subscriptions", customer, at or ordered, plan_id=plan, ordered_at=ordered, effective_on=effective, **columns
    )


def test_a_renewal_ordered_while_a_plan_change_is_pending_binds(world, build):
    """The change's row repeats the old end; the renewal is ordered later but takes effect before the change."""
    world.customer("late")
    old = {"contract_type": "discount", "contract_end": "2026-05-07", "discount_end": "2026-05-07"}
    new = {"contract_type": "discount", "contract_end": "2027-05-02", "discount_end": "2027-05-02"}
    _order(world, "late", "2025-05-07", "2025-05-07", **old)
    _order(world, "late", "2026-05-04 11:00", "2026-07-01", plan="big", **old)
    _order(world, "late", "2026-05-08 11:00", "2026-05-08", **new)
    portrait = build(world)
    assert portrait.of("late", "contract_left_days", "discount_left_days", "primary_class") == {
        "contract_left_days": 328, "discount_left_days": 328, "primary_class": "unclassified",
    }  # fmt: skip
    assert json.loads(portrait.rows["late"]["facts"])["card"]["contract_end"] == "2027-05-02"


def test_of_two_orders_for_one_day_the_later_order_is_the_plan(world, build):
    """Both take effect on the 1st; the first one's row came again with a later delivery, which changes nothing."""
    world.customer("twice")
    world.add("plans", None, "2024-01-01", plan_id="small", monthly_fee=38000, data_kb=10240, valid_from="2024-01-01")
    world.add("plans", None, "2024-01-01", plan_id="big", monthly_fee=98000, data_kb=20480, valid_from="2024-01-01")
    _order(world, "twice", "2026-05-20", "2026-06-01", plan="small", at="2026-06-03")
    _order(world, "twice", "2026-05-25", "2026-06-01", plan="big")
    world.add("usage_monthly", "twice", "2026-06-01", known="2026-06-07", data_kb=5120)
    assert build(world, date(2026, 7, 8)).of("twice", "plan_fee_amount", "allowance_used_share") == {
        "plan_fee_amount": 98000, "allowance_used_share": 0.25,
    }  # fmt: skip


def test_a_first_load_of_old_orders_counts_no_order(world, build):
    """Old orders delivered as of 06-01 were placed long ago; one order whose state came twice is one order."""
    for customer in ("settled", "changed"):
        world.customer(customer)
        _order(world, customer, "2024-03-01", "2024-04-01", at="2026-06-01")
    for at in ("2026-05-28", "2026-06-02"):
        _order(world, "changed", "2026-05-28", "2026-06-01", at=at, plan="big")
    portrait = build(world)
    found = {customer: portrait.of(customer, "plan_orders_count_180d") for customer in ("settled", "changed")}
    assert found == {"settled": {"plan_orders_count_180d": 0}, "changed": {"plan_orders_count_180d": 1}}


def test_a_rescheduled_order_is_pending_as_it_stands_now(world, build):
    """An order put off to July and then brought forward to June is in force, not pending."""
    world.customer("moved")
    _order(world, "moved", "2026-05-20", "2026-07-01")
    _order(world, "moved", "2026-05-20", "2026-06-01", at="2026-05-25")
    assert build(world).of("moved", "has_pending_plan", "plan_days") == {"has_pending_plan": 0, "plan_days": 7}


def test_upgrades_of_the_class_report_are_orders_placed_within_30_days(world, build, tmp_path):
    """Three of thirty ordered a dearer plan on 05-20; what the others ordered in 2024 was delivered on 06-01."""
    for plan, fee in (("small", 38000), ("big", 98000)):
        world.add("plans", None, "2024-01-01", plan_id=plan, monthly_fee=fee, data_kb=1, valid_from="2024-01-01")
    for number in range(30):
        customer = f"c{number:02d}"
        world.customer(customer)
        _order(world, customer, "2024-01-01", "2024-01-01", at="2026-06-01")
        when = "2026-05-20" if number < 3 else "2024-06-01"
        _order(world, customer, when, "2026-06-01", at="2026-06-01 09:00", plan="big")
    build(world)
    report = Portraits.open(Home(tmp_path / "home0")).class_report(date(2026, 6, 8))
    shares = {line["class"]: line["upgrade_share"] for line in report["classes"] if line["size"] == 30}
    assert shares == {"unclassified": pytest.approx(0.1)}
