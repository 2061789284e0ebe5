"""An operator that delivers use by month only: months fill what months can fill, and nothing is known too early."""

from __future__ import annotations

import json
from datetime import date

import pytest

MB = 1024
BY_MONTH = (
    "data_mb_30d", "data_mb_90d", "data_mb_180d", "data_trend_90d", "data_trend_180d", "night_data_share_90d",
    "offnet_share_90d", "sms_count_30d", "use_recency_days", "voice_minutes_30d", "voice_minutes_90d", "voice_trend_90d",
)  # fmt: skip
ONLY_DAYS = (
    "data_mb_7d", "active_days_30d", "usual_use_recency_days", "data_trend_30d", "data_deviation_mb_30d",
    "month_used_share",
)  # fmt: skip


def add_months(world, customer, megabytes, *, known="06", **more):
    """Adds months of use, the first of them January, each known on a day of the month after."""
    world.customer(customer)
    for month, used in enumerate(megabytes, start=1):
        if used is not None:
            row = {"data_kb": used * MB, "night_data_kb": used * MB // 4, "voice_seconds": used * 60, "sms_count": used}
            at, known_at = f"2026-{month:02d}-01", f"2026-{month + 1:02d}-{known}"
            world.add("usage_monthly", customer, at, known=known_at, **row | more)


def test_months_fill_what_months_can_fill(world, build):
    """A month counts as 30 days of its use; one without a row is without use; what only days tell stays empty."""
    add_months(world, "steady", [310, 280, 310, 300, 310])
    add_months(world, "falling", [620, 560, 620, 300, 155], offnet_seconds=60 * 31)
    add_months(world, "stopped", [310, 280, 310, None, None])
    add_months(world, "new", [None, None, None, None, 31])
    world.customer("never")
    for other in range(40):  # the rest of the base: May has arrived whole
        add_months(world, f"other{other}", [31, 28, 31, 30, 31])
    built = build(world)
    names = ("data_mb_30d", "data_mb_90d", "data_mb_180d", "data_trend_90d", "data_trend_180d", "use_recency_days")
    wanted = {
        "steady": (300, 900, 1500, 1, 1, 30),
        "falling": (150, 1050, 2250, 150 / 350, 350 / 450, 30),
        "stopped": (0, 300, 900, 0, 100 / 180, 90),
        "new": (30, 30, 30, None, None, 30),
        "never": (0, 0, 0, None, None, None),
    }
    for customer, values in wanted.items():
        found = built.of(customer, *names)
        assert [found[name] for name in names] == [v if v is None else pytest.approx(v) for v in values], customer
    assert built.of("falling", "voice_minutes_30d", "voice_minutes_90d", "sms_count_30d", "night_data_share_90d") == {
        "voice_minutes_30d": 150, "voice_minutes_90d": 1050, "sms_count_30d": 150, "night_data_share_90d": 0.25,
    }  # fmt: skip
    assert set(built.of("steady", *ONLY_DAYS).values()) == {None}
    facts = json.loads(built.rows["steady"]["facts"])
    assert facts["from_months"] == sorted(BY_MONTH)
    assert "consumption.usage_daily" in facts["missing"]


def test_a_month_counts_once_it_is_over_and_known(world, build):
    """Neither a month still running, though its row lies there, nor one known later, nor one that is still arriving."""
    add_months(world, "a", [310, 280, 310, 300, 310])
    add_months(world, "b", [310, 280, 310, 300])
    before = build(world, date(2026, 6, 1)).cells
    add_months(world, "a", [None] * 4 + [9999], known="30")
    world.add("usage_monthly", "b", "2026-06-01", known="2026-06-02", data_kb=9999 * MB)
    world.rows["customers"] = world.rows["customers"][:2]
    same = build(world, date(2026, 6, 1)).cells
    assert same.equals(before)
    still_arriving = build(world, date(2026, 6, 8))
    assert still_arriving.of("b", "data_mb_30d", "data_mb_90d") == {"data_mb_30d": 300, "data_mb_90d": 900}
    assert still_arriving.of("a", "data_mb_30d") == {"data_mb_30d": 300}


def test_minutes_stand_for_seconds_that_are_not_delivered(world, build):
    """Many an operator bills minutes and delivers nothing finer."""
    world.customer("a")
    world.add("usage_monthly", "a", "2026-05-01", known="2026-06-02", billed_minutes=62)
    assert build(world).of("a", "voice_minutes_30d", "data_mb_30d") == {"voice_minutes_30d": 60, "data_mb_30d": None}


def test_with_days_the_months_change_no_use(example_world, example, build):
    """An operator with daily use keeps its portraits cell by cell, whatever its months say of calls and messages."""
    for row in example_world.rows["usage_monthly"]:
        row |= {"voice_seconds": 987_654, "offnet_seconds": 4_321, "night_data_kb": 55, "sms_count": 77}
    built = build(example_world)
    assert built.cells.equals(example.cells)
    assert not [row for row in built.rows.values() if "from_months" in row["facts"]]
