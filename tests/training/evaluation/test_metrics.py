"""The figures agree with plain definitions, and their intervals cover what they promise."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evaluation import metrics
from training.evaluation.evaluate import Judged, evaluate
from training.evaluation.reliability import observed_expected


def _sample(seed: int = 1, count: int = 2000):
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.15).astype(np.int8)
    scores = np.round(labels * 0.8 + random.normal(size=count), 1)
    customers = np.array([f"c{k % 700:04d}" for k in range(count)])
    return scores, labels, customers


def test_auc_counts_ties_as_half():
    """Of four pairs two are right and one is a tie: .625; it equals scikit-learn's on a thousand ties."""
    labels = np.array([1, 1, 0, 0], dtype=np.int8)
    assert metrics.auc(np.array([3.0, 1.0, 2.0, 1.0]), labels, np.array(list("abcd"))).value == 0.625
    scores, labels, customers = _sample()
    assert metrics.auc(scores, labels, customers).value == pytest.approx(roc_auc_score(labels, scores))
    assert metrics.area(scores, labels) == metrics.auc(scores, labels, customers).value


def test_average_precision_and_lift_on_tables():
    """1, 0, 1 has an average precision of (1 + 2/3) / 2; the best 1 of 20 rows with 4 positives has a lift of 5."""
    assert metrics.average_precision(np.array([1, 0, 1], dtype=np.int8)) == pytest.approx((1 + 2 / 3) / 2)
    twenty = np.array([1, 0, 1, 0, 0, 1, 1] + [0] * 13, dtype=np.int8)
    assert metrics.lift(twenty) == 5.0
    scores = np.random.default_rng(0).permutation(500).astype(float)
    labels = (np.random.default_rng(1).random(500) < 0.2).astype(np.int8)
    found = metrics.average_precision(labels[np.argsort(-scores)])
    assert found == pytest.approx(average_precision_score(labels, scores))


def test_brier_and_calibration_error_on_tables():
    """Promised .2 and observed .3 in one bin of ten is an error of .01; a perfect promise has none."""
    labels = np.tile(np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], dtype=np.int8), 10)
    promised = np.full(100, 0.2)
    bins = np.repeat(np.arange(10), 10)
    assert metrics.calibration_error(promised, labels, bins) == pytest.approx(0.0)
    labels[2] = 1
    assert metrics.calibration_error(promised, labels, bins) == pytest.approx(0.01)
    assert metrics.brier(np.array([0.5, 1.0]), np.array([1, 1], dtype=np.int8)) == 0.125


def test_the_gap_of_log_loss_on_a_table():
    """An event promised .25 and .5, and no event promised .5 and .5: half of log 2; a row of weight 0 is no row."""
    gap = metrics.log_loss_gap(np.array([0.25, 0.5]), np.array([0.5, 0.5]), np.array([1, 0]), np.array(["a", "b"]))
    assert gap.value == pytest.approx(np.log(2) / 2)
    assert gap.low < gap.value < gap.high
    only = metrics.log_loss_gap(
        np.array([0.25, 0.5]), np.array([0.5, 0.5]), np.array([1, 0]), np.array(["a", "b"]), rows=np.array([1.0, 0.0])
    )
    assert only.value == pytest.approx(np.log(2))


def test_ties_are_broken_by_customer_whatever_the_order_of_rows():
    """Rows in another order give the same figures to the last bit."""
    scores, labels, customers = _sample()
    customers = np.array([f"c{k:05d}" for k in range(len(labels))])
    propensities = 1 / (1 + np.exp(-scores))
    order = np.random.default_rng(3).permutation(len(labels))
    straight = metrics.bootstrapped(scores, propensities, labels, customers)
    shuffled = metrics.bootstrapped(scores[order], propensities[order], labels[order], customers[order])
    assert straight == shuffled


def test_the_interval_covers_the_truth_and_knows_that_customers_repeat():
    """Of 200 samples about 95 % cover; ignoring that each customer appears three times, far fewer would."""
    truth, hits, naive_hits = 0.7602, 0, 0  # normal scores one apart: Phi(1 / sqrt 2)
    for seed in range(200):
        random = np.random.default_rng(seed)
        labels = np.repeat((random.random(300) < 0.3).astype(np.int8), 3)
        scores = labels.astype(float) + np.repeat(random.normal(size=300), 3)
        customers = np.repeat(np.arange(300), 3)
        interval = metrics.auc(scores, labels, customers)
        hits += interval.low <= truth <= interval.high
        naive = metrics.auc(scores, labels, np.arange(900))
        naive_hits += naive.low <= truth <= naive.high
    assert 180 <= hits <= 199
    assert naive_hits < 165


def test_the_gap_to_the_oracle_is_paired():
    """Against itself the gap is exactly 0; against better scores the paired interval is narrower than two apart."""
    scores, labels, customers = _sample()
    same = metrics.auc_gap(scores, scores, labels, customers)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    better = scores + 0.3 * labels
    gap = metrics.auc_gap(scores, better, labels, customers)
    apart = [metrics.auc(s, labels, customers) for s in (better, scores)]
    assert 0 < gap.low < gap.value < gap.high
    assert gap.high - gap.low < (apart[0].high - apart[0].low)


def test_the_judgement_reports_kinds_and_classes_apart():
    """Each kind stands against all negatives; a class with too few events says so instead of a figure."""
    scores, labels, customers = _sample()
    kinds = np.where(labels == 1, np.where(np.arange(len(labels)) % 2, "voluntary", "involuntary"), "")
    classes = np.where(np.arange(len(labels)) < 1990, "self_served", "assisted")
    oracle = scores + labels
    oracle[:5] = np.nan
    found = evaluate(Judged(customers, labels, kinds, scores, 1 / (1 + np.exp(2 - scores)), classes, oracle))
    assert list(found["by_kind"]) == ["involuntary", "voluntary"]
    assert sum(kind["positives"] for kind in found["by_kind"].values()) == found["test_positives"] == labels.sum()
    assert found["by_class"]["assisted"]["note"] == "too few"
    assert found["by_class"]["self_served"]["auc_ci"][0] < found["by_class"]["self_served"]["auc"]
    assert found["oracle_rows"] == len(labels) - 5
    assert found["auc_gap"] == pytest.approx(found["oracle_auc"] - found["auc"], abs=0.01)
    assert found["calibration_error_ci"][0] <= found["calibration_error"] <= found["calibration_error_ci"][1]


def test_no_event_of_few_that_were_expected_says_little():
    """0 of 1.5 expected may be anything up to 2.46; 0 of 40 is surely too few; 30 of 40 has the interval of its customers."""
    nobody, customers = np.zeros(100, np.int8), np.arange(100)
    few = observed_expected(np.full(100, 0.015), nobody, customers)
    assert (few.value, few.low) == (0, 0)
    assert few.high == pytest.approx(3.689 / 1.5, abs=1e-3)
    assert observed_expected(np.full(100, 0.4), nobody, customers).high < 0.1
    some = observed_expected(np.full(100, 0.4), (customers < 30).astype(np.int8), customers)
    assert some.value == pytest.approx(0.75)
    assert some.low < 0.75 < some.high
