"""Every feature on the rows that the catalogue shows beside its sentence, to be checked by hand; as-of 2026-06-08."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from features.portraits.catalogue import examples
from features.portraits.feature_list import FeatureList

EXAMPLES = {customer: example.values for customer, example in examples().items() if example.values}


@pytest.mark.parametrize("customer", EXAMPLES)
def test_features_are_what_the_examples_of_the_catalogue_say(example, customer):
    """Each value beside a sentence of the catalogue is what the few rows of its customer give."""
    expected = EXAMPLES[customer]
    found = example.of(customer, *expected)
    wrong = {name: (value, found[name]) for name, value in expected.items() if not _same(value, found[name])}
    assert wrong == {}


def test_every_feature_is_exemplified():
    """No sentence of the catalogue is without an example, and no example is of another feature."""
    assert {name for values in EXAMPLES.values() for name in values} == set(FeatureList.declared().names)


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
    return found == (expected if expected is None or isinstance(expected, str) else pytest.approx(expected, rel=1e-6))


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
