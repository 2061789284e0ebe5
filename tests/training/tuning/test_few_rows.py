"""Few rows get the trees that they can carry: small ones where effects add up, large ones where they do not."""

from collections.abc import Callable

import numpy as np
import pytest

from features.kit.arrays import Floats, Rows
from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.dataset.splits import Fold, Split
from training.evaluation import metrics
from training.labels.targets import Target, load_target
from training.model.modelling import learn
from training.tuning import few_rows
from training.tuning.few_rows import FORMS, for_rows, for_split

TRAIN, TEST = np.arange(700), np.arange(700, 3_000)


def _data(log_odds: Callable[[Floats], Floats]) -> Dataset:
    random = np.random.default_rng(4)
    values = random.normal(size=(3_000, 8)).astype(np.float32)
    count = len(values)
    return Dataset(
        values=values,
        features=tuple(BundleFeature(f"f{place}", "number") for place in range(8)),
        customers=np.array([f"c{row:04d}" for row in range(count)]),
        as_of=np.full(count, np.datetime64("2026-01-01")),
        labels=(random.random(count) < 1 / (1 + np.exp(-log_odds(values.astype(np.float64))))).astype(np.int8),
        kinds=np.full(count, ""),
        rows=np.arange(count),
    )


def _adds_up(values: Floats) -> Floats:
    result: Floats = values[:, :6] @ np.array([0.6, -0.6, 0.5, -0.5, 0.4, 0.4]) - 1.5
    return result


def _nothing(values: Floats) -> Floats:
    result: Floats = 0.15 * values[:, 0] - 1.5
    return result


def _depends(values: Floats) -> Floats:
    result: Floats = 4.0 * np.sign(values[:, 0] + 0.4) * np.sign(values[:, 1] + 0.4) * (values[:, 2] > -0.5) - 2.0
    return result


def _area(target: Target, data: Dataset) -> float:
    scores = learn(target, data, TRAIN, seed=1, threads=1).decision_function(data.values[TEST])
    return metrics.auc(scores, data.labels[TEST], data.customers[TEST]).value


@pytest.mark.parametrize(
    ("log_odds", "expected", "gain"),
    [(_adds_up, {"stumps", "small trees"}, 0.02), (_depends, {"middling trees", "full trees"}, 0.1)],
    ids=["effects add up", "one depends on another"],
)
def test_seven_hundred_rows_get_the_form_that_other_customers_confirm(log_odds, expected, gain):
    """The chosen form ranks unseen rows better than the settings for 100,000 rows, and the sentence names it."""
    data, churn = _data(log_odds), load_target("churn")
    chosen, sentence = for_rows(churn, data, TRAIN, seed=1, threads=1)
    assert [form for form in FORMS if chosen == few_rows._with(churn, form)] == [
        form for form in FORMS if f"to learn from: {form}, by log loss" in sentence and form in expected
    ]
    assert chosen != churn
    assert _area(chosen, data) > _area(churn, data) + gain


def test_too_few_events_get_the_simplest_form_without_a_comparison():
    """Twenty-nine events are not compared; thirty would be."""
    data = _data(_adds_up)
    rows = np.concatenate([np.flatnonzero(data.labels == 1)[:29], np.flatnonzero(data.labels == 0)[:300]])
    chosen, sentence = for_rows(load_target("churn"), data, rows, seed=1, threads=1)
    assert chosen == few_rows._with(load_target("churn"), "stumps")
    assert sentence == "329 rows and 29 positives to learn from: stumps, too few events to compare others"


def test_many_rows_and_settings_that_somebody_chose_are_left_alone(monkeypatch):
    """Beyond the limit nothing is tried; `--set learner.trees=40` stays, thinning of negatives is no such choice."""
    data, churn = _data(_adds_up), load_target("churn")
    chosen = churn.override({"learner.trees": "40"})
    assert for_rows(chosen, data, TRAIN, seed=1, threads=1) == (chosen, "")
    thinned = churn.override({"learner.negatives_per_positive": "5"})
    assert for_rows(thinned, data, TRAIN[:40], seed=1, threads=1)[0].learner.trees == 300
    monkeypatch.setattr(few_rows, "FEW_ROWS", len(TRAIN) - 1)
    assert for_rows(churn, data, TRAIN, seed=1, threads=1) == (churn, "")


def _temporal(rows: Rows) -> Split:
    older = Fold("calibration", "calibration", rows[:100], TEST[:50])
    return Split("temporal", (older, Fold("test", "test", rows, TEST[50:])), ())


def test_where_later_dates_judge_only_a_surely_better_form_replaces_the_configured_settings():
    """A little better by other customers of the same dates is not enough; where effects depend on others, it is sure.

    The rows are those of the test fold, not the hundred of the calibration. Canary: without `surely` both change.
    """
    churn = load_target("churn")
    for log_odds, changes in ((_nothing, False), (_depends, True)):
        data = _data(log_odds)
        chosen, sentence = for_split(churn, data, _temporal(TRAIN), seed=1, threads=1)
        assert sentence.startswith("700 rows")
        assert (chosen != churn) is changes
    data = _data(_nothing)
    assert for_rows(churn, data, TRAIN, seed=1, threads=1)[0] != churn
    few = np.concatenate([np.flatnonzero(data.labels == 1)[:29], np.flatnonzero(data.labels == 0)[:300]])
    assert for_split(churn, data, _temporal(few), seed=1, threads=1) == (churn, "")
