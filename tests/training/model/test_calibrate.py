"""Calibration: every method promises what happens, the choice is made on later dates, a declared prior moves the odds."""

import numpy as np
import pytest

from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.dataset.splits import Fold, Split
from training.knots import Calibration
from training.labels.targets import load_target
from training.model.calibrate import ISOTONIC_POSITIVES, Method, at_rate, calibrate, choose, with_prior
from training.model.modelling import fit


def drawn(bend: float = 1.0, *, rows: int = 24_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Returns raw scores and labels; with a bend the truth is no sigmoid of the score."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=rows)
    chance = 1 / (1 + np.exp(3 - np.where(scores > 0.5, bend * scores, scores)))
    return scores, (random.random(rows) < chance).astype(np.int8)


@pytest.mark.parametrize("method", ["sigmoid", "temperature", "isotonic", "venn_abers"])
def test_every_method_is_knots_that_promise_what_happens(method: Method):
    """Whatever the method, one monotone map within 0..1, whose mean is the observed rate."""
    scores, labels = drawn()
    calibration, used = calibrate(scores, labels, method)
    found = calibration.propensity(np.sort(scores))
    assert isinstance(calibration, Calibration)
    assert used == method
    assert (np.diff(found) >= 0).all()
    assert 0 < found[0] < found[-1] < 1
    assert found.mean() == pytest.approx(labels.mean(), rel=0.05)


def test_the_method_is_chosen_on_later_dates():
    """A true sigmoid stays one of few parameters; a bent one is worth more knots; few events never get them."""
    dates = np.repeat(np.array(["2026-03-01", "2026-04-01"], "datetime64[D]"), 12_000)
    customers = np.tile(np.arange(12_000), 2).astype(str)
    straight = choose("auto", *drawn(), dates, customers)
    bent = choose("auto", *drawn(4.0), dates, customers)
    assert straight.method in ("sigmoid", "temperature")
    assert (straight.judged_on, len(straight.losses)) == ("later_dates", 4)
    assert bent.method in ("isotonic", "venn_abers")
    assert bent.losses[bent.method] < bent.losses["sigmoid"]
    scores, labels = drawn(rows=8_000)
    assert labels.sum() < 2 * ISOTONIC_POSITIVES
    few = choose("auto", scores, labels, dates[8_000:16_000], customers[:8_000])
    assert set(few.losses) == {"sigmoid", "temperature"}
    alone = choose("auto", scores, labels, dates[:8_000], customers[:8_000])
    assert alone.judged_on == "other_customers"
    assert choose("isotonic", scores, labels, dates[:8_000], customers[:8_000]).losses == {}


def test_the_choice_can_be_told_apart_from_the_row_order():
    """Rows in another order give the same knots and the same choice."""
    scores, labels = drawn(2.0)
    order = np.random.default_rng(1).permutation(len(scores))
    one, other = calibrate(scores, labels, "venn_abers")[0], calibrate(scores[order], labels[order], "venn_abers")[0]
    assert np.allclose(one.propensities, other.propensities, atol=1e-9)


def test_a_declared_prior_moves_the_odds():
    """Half positives in the sample, 2 % outside: .5 becomes .02, order and bounds stay, and it can be undone."""
    assert at_rate(np.array([0.5]), 0.5, 0.02)[0] == pytest.approx(0.02)
    scores, labels = drawn()
    sample = calibrate(scores, labels, "sigmoid")[0]
    moved = with_prior(sample, float(labels.mean()), 0.005)
    found = moved.propensity(scores)
    assert found.mean() == pytest.approx(0.005, rel=0.1)
    assert (np.diff(moved.propensities) >= 0).all()
    back = at_rate(found, 0.005, float(labels.mean()))
    assert np.abs(back - sample.propensity(scores)).max() < 1e-3


def test_a_case_control_source_is_served_at_its_declared_rate():
    """Half of the sample are cases; with `prior` the served map promises 2 % in the mean, without it a half."""
    random = np.random.default_rng(5)
    labels = (np.arange(3_000) % 2).astype(np.int8)
    values = (random.normal(size=(3_000, 2)) + 0.7 * labels[:, None]).astype(np.float32)
    data = Dataset(
        values=values,
        features=tuple(BundleFeature(name, "number") for name in "ab"),
        customers=np.array([f"c{number:05d}" for number in range(3_000)]),
        as_of=np.full(3_000, np.datetime64("2026-03-01", "D")),
        labels=labels,
        kinds=np.where(labels == 1, "case", ""),
        rows=np.arange(3_000),
    )
    part = random.permutation(3_000) % 3
    folds = tuple(Fold(f"group {k}", "test", np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(3))
    split = Split("grouped", folds, ())
    plain = load_target("churn").override({"learner.trees": "20", "learner.min_rows_in_leaf": "20"})
    declared = plain.override({"prior": "{population_rate: 0.02}"})
    rates = {}
    for name, target in (("plain", plain), ("declared", declared)):
        fitted = fit(target, data, split, np.arange(3_000), seed=7, threads=1)
        rates[name] = fitted.calibration.propensity(fitted.scores)
    assert rates["plain"].mean() == pytest.approx(0.5, abs=0.02)
    controls, cases = rates["declared"][labels == 0].mean(), rates["declared"][labels == 1].mean()
    assert 0.98 * controls + 0.02 * cases == pytest.approx(0.02, rel=0.15)
    assert any("prior: the sample's 0.5000" in note for note in fitted.notes)
