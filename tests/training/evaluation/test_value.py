"""Profit at capacity: who would be contacted, what it earned, and how sure that is."""

import numpy as np

from training.evaluation.stored import keys_of, places, pseudonyms, read_judged, to_parquet
from training.evaluation.value import contacted, gains, profit
from training.labels.targets import ValueRules

RATES = ValueRules(capacity_share=0.4, contact_cost=10, acceptance=0.5, value_kept=100)


def test_the_best_are_contacted_up_to_the_capacity_and_only_where_it_pays():
    """Five customers a date, two places: ties go to the smaller id, and below cost / (acceptance x value) nobody is."""
    customers = np.array(["a", "b", "c", "d", "e"] * 2)
    as_of = np.repeat(np.array(["2026-03-01", "2026-04-01"], "datetime64[D]"), 5)
    propensities = np.array([0.3, 0.5, 0.3, 0.1, 0.9, 0.1, 0.21, 0.2, 0.1, 0.1])
    chosen = contacted(RATES, propensities, as_of, customers)
    assert np.flatnonzero(chosen).tolist() == [1, 4, 6]
    labels = np.array([0, 0, 0, 0, 1, 0, 1, 0, 0, 0], dtype=np.int8)
    assert gains(RATES, chosen, labels).tolist() == [0, -10, 0, 0, 40, 0, 40, 0, 0, 0]
    assert gains(RATES, chosen, labels, np.full(10, 2.0)).sum() == 140


def test_the_profit_has_a_paired_interval_over_customers():
    """The same customer on three dates is one witness; equal rankings differ by nothing, with no interval at all."""
    random = np.random.default_rng(2)
    earned = np.where(random.random(3_000) < 0.5, 40.0, -10.0)
    alone = profit(earned, np.arange(3_000).astype(str))
    together = profit(np.repeat(earned[:1_000], 3), np.repeat(np.arange(1_000), 3).astype(str))
    assert alone.low < alone.value < alone.high
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert profit(earned - earned, np.arange(3_000).astype(str)) == type(alone)(0.0, 0.0, 0.0)


def test_the_judged_rows_survive_storage_without_an_identifier(judged, tmp_path):
    """What is read back is what was judged, sorted, and no customer_id is in the file."""
    rows = judged(customers=300, dates=2)
    (tmp_path / "judged.parquet").write_bytes(to_parquet(rows))
    back = read_judged(tmp_path)
    assert not set(back.customers) & set(rows.customers)
    assert len(set(back.customers)) == 300
    at = places(keys_of(back), np.char.add(np.char.add(pseudonyms(rows.customers), "@"), rows.as_of.astype(str)))
    assert (at >= 0).all()
    for name in ("labels", "scores", "propensities", "classes", "as_of"):
        assert (getattr(back, name) == getattr(rows, name)[at]).all(), name
    assert (back.slices["vip_tier"] == rows.slices["vip_tier"][at]).all()
    assert (back.weights == 1).all()
