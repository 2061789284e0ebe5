"""The learner keeps scikit-learn's contract and gives the same trees whatever the threads; the calibration is monotone."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from training.bundle import model_hash
from training.model.calibrate import ISOTONIC_POSITIVES, Method, calibrate
from training.model.learner import BoostedTrees


def _rows(count: int = 3000):
    random = np.random.default_rng(5)
    values = random.normal(size=(count, 6)).astype(np.float32)
    values[:, 5] = random.integers(0, 4, count)
    values[random.random(count) < 0.2, 1] = np.nan
    chance = 1 / (1 + np.exp(-(values[:, 0] + (values[:, 5] == 2) + np.isnan(values[:, 1]) - 2)))
    return values, (random.random(count) < chance).astype(np.int8)


def test_one_and_two_threads_give_one_model():
    """The model text up to `parameters:` has one hash on one thread, two threads and a second run."""
    values, labels = _rows()
    hashes = {
        model_hash(BoostedTrees(trees=30, categories=(5,), threads=threads).fit(values, labels).model_text)
        for threads in (1, 2, 1)
    }
    assert len(hashes) == 1
    other = BoostedTrees(trees=30, categories=(5,), seed=8).fit(values, labels).model_text
    assert model_hash(other) not in hashes


def test_the_scikit_learn_contract():
    """`__init__` stores, `clone` copies, `fit` returns self and checks, learned names end in an underscore."""
    values, labels = _rows(800)
    learner = BoostedTrees(trees=5, leaves=4)
    assert clone(learner).get_params() == learner.get_params()
    with pytest.raises(NotFittedError):
        learner.predict_proba(values)
    assert learner.fit(values, labels) is learner
    assert learner.n_features_in_ == 6
    assert learner.classes_.tolist() == [0, 1]
    both = learner.predict_proba(values)
    assert both.shape == (800, 2)
    np.testing.assert_allclose(both.sum(axis=1), 1.0)
    assert set(learner.predict(values)) <= {0, 1}
    with pytest.raises(ValueError, match="two classes"):
        BoostedTrees().fit(values, np.zeros(800))
    infinite = values.copy()
    infinite[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        BoostedTrees().fit(infinite, labels)


def test_missing_values_and_categories_are_native():
    """A blank and an unknown category are scored, and both move the score."""
    values, labels = _rows()
    learner = BoostedTrees(trees=100, feature_share=0.6, categories=(5,)).fit(values, labels)
    base = np.zeros((1, 6), dtype=np.float32)
    blank, second, unknown = base.copy(), base.copy(), base.copy()
    blank[0, 1], second[0, 5], unknown[0, 5] = np.nan, 2, 99
    start = learner.decision_function(base)[0]
    assert learner.decision_function(blank)[0] > start + 0.3
    assert learner.decision_function(second)[0] > start + 0.3
    assert np.isfinite(learner.decision_function(unknown)[0])


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_the_calibration_is_monotone_and_promises_what_happens(method: Method):
    """Propensities never fall with the raw score, stay within 0..1 and average to the base rate."""
    random = np.random.default_rng(2)
    scores = random.normal(size=20_000)
    labels = (random.random(20_000) < 1 / (1 + np.exp(3 - scores))).astype(np.int8)
    calibration, used = calibrate(scores, labels, method)
    assert used == method
    found = calibration.propensity(np.sort(scores))
    assert (np.diff(found) >= 0).all()
    assert 0 < found[0] < found[-1] < 1
    assert found.mean() == pytest.approx(labels.mean(), rel=0.01)
    assert calibration.propensity(np.array([-1e9, 1e9])).tolist() == [found[0], found[-1]]


def test_few_positives_are_calibrated_by_two_parameters_and_it_says_so():
    """Isotonic knots need positives; below the limit the sigmoid is used."""
    random = np.random.default_rng(2)
    scores = random.normal(size=4000)
    labels = (scores + random.normal(size=4000) > 3).astype(np.int8)
    assert 20 < labels.sum() < ISOTONIC_POSITIVES
    calibration, used = calibrate(scores, labels, "isotonic")
    assert used == "sigmoid"
    assert calibration.propensity(scores).mean() == pytest.approx(labels.mean(), rel=0.1)


def test_degenerate_scores_still_calibrate():
    """One single raw score for all is promised the base rate."""
    scores, labels = np.zeros(1000), (np.arange(1000) % 10 == 0).astype(np.int8)
    for method in ("isotonic", "sigmoid"):
        calibration, _ = calibrate(scores, labels, method)
        assert calibration.propensity(np.zeros(1))[0] == pytest.approx(0.1, abs=0.01)


def test_a_declared_direction_holds_everywhere():
    """Without it the noise bends the score both ways along f2; with it no step goes down."""
    values, labels = _rows()
    steps = np.repeat(values[:50], 40, axis=0)
    steps[:, 2] = np.tile(np.linspace(-3, 3, 40, dtype=np.float32), 50)

    def falls(monotone: dict[str, int]) -> int:
        learner = BoostedTrees(
            trees=60, min_rows_in_leaf=20, l2=1.0, feature_share=1.0, categories=(5,), monotone=monotone
        )
        along = learner.fit(values, labels).decision_function(steps).reshape(50, 40)
        return int((np.diff(along, axis=1) < -1e-12).sum())

    assert falls({}) > 0
    assert falls({"f2": 1}) == 0


@pytest.mark.parametrize("name", ["f9", "f5"])
def test_a_direction_of_no_number_is_an_error(name: str):
    """f9 does not exist, f5 is a category."""
    values, labels = _rows(800)
    with pytest.raises(ValueError, match="monotone"):
        BoostedTrees(trees=5, categories=(5,), monotone={name: 1}).fit(values, labels)


def test_known_log_odds_are_not_learned():
    """Half the rows were helped by two log-odds; given as an offset, the learner ranks as without the help."""
    random = np.random.default_rng(4)
    values = random.normal(size=(8000, 2)).astype(np.float32)
    values[:, 1] = np.arange(8000) % 2
    truth = values[:, 0] - 1 - 2 * values[:, 1]
    labels = (random.random(8000) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    learner = BoostedTrees(trees=60, learning_rate=0.1, feature_share=1.0, l2=1.0)
    scores = learner.fit(values, labels, offset=-2.0 * values[:, 1]).decision_function(values)
    helped = values[:, 1] == 1
    assert abs(scores[helped].mean() - scores[~helped].mean()) < 0.2
    assert scores.mean() == pytest.approx((values[:, 0] - 1).mean(), abs=0.3)
    scores = learner.fit(values, labels).decision_function(values)
    assert scores[helped].mean() < scores[~helped].mean() - 1
