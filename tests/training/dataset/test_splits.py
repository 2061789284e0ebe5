"""No label crosses a fold: temporal folds keep the embargo, folds by customer keep customers apart."""

from datetime import date, timedelta

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from features.kit.clock import as_of_grid
from training.dataset.dataset import thinned
from training.dataset.splits import grouped_split, temporal_dates, temporal_split
from training.labels.targets import FoldSettings, load_target

GRID = as_of_grid(date(2025, 7, 1), date(2026, 4, 2), 17)
LONG_GRID = as_of_grid(date(2025, 5, 1), date(2026, 4, 2), 17)


def test_the_worked_example_of_the_module():
    """Churn, dates every 17 days: three test windows, sixty days before them, sixty days before the calibration."""
    parts = temporal_dates(GRID, 60, FoldSettings())
    assert parts["test"] == [date(2026, 2, 27), date(2026, 3, 16), date(2026, 4, 2)]
    assert parts["test_train"][-1] == date(2025, 12, 21)
    assert parts["calibration"] == [date(2025, 12, 4), date(2025, 12, 21)]
    assert parts["calibration_train"][-1] == date(2025, 9, 27)


@pytest.mark.parametrize(
    ("target", "judged_from", "calibrated_from"), [("churn", 5, 11), ("complaint", 3, 7), ("upgrade", 3, 7)]
)
@pytest.mark.parametrize("count", range(3, 21))
def test_the_embargo_holds_whatever_the_history(target: str, judged_from: int, calibrated_from: int, count: int):
    """In every fold the last training label is surely known on the first judged as-of date; only a short history has none.

    An embargo of 60 days takes four dates every 17 days, of 30 days two; with the judged one that makes five, and three.
    """
    chosen = load_target(target)
    days = np.repeat(np.array(LONG_GRID[-count:], "datetime64[D]"), 4)
    split = temporal_split(days, np.tile([0, 0, 0, 1], count), chosen.embargo_days, chosen.folds)
    expected = ["calibration"] * (count >= calibrated_from) + ["test"] * (count >= judged_from)
    folds = () if split is None else split.folds
    assert expected == [fold.name for fold in folds]
    assert expected == [line["fold"] for line in ([] if split is None else split.log)]
    known = [days[fold.train].max() + np.timedelta64(chosen.embargo_days, "D") for fold in folds]
    assert [name for name, fold, day in zip(expected, folds, known, strict=True) if day > days[fold.test].min()] == []


def test_one_day_less_than_the_embargo_is_too_close():
    """Canary: a date 59 days before the test window is not trained on, one 60 days before is."""
    test = date(2026, 4, 2)
    near, far = test - timedelta(days=59), test - timedelta(days=60)
    settings = FoldSettings(test_windows=1)
    assert temporal_dates([near, test], 60, settings) is None
    assert temporal_dates([far, test], 60, settings)["test_train"] == [far]
    assert temporal_dates([near, test], 59, settings)["test_train"] == [near]


def test_a_short_history_gives_fewer_test_windows_before_it_gives_up():
    """Five dates cannot carry three test windows and an embargo of sixty days; one test window they can."""
    parts = temporal_dates(GRID[-5:], 60, FoldSettings())
    assert (parts["test"], parts["test_train"], parts["calibration_train"]) == (GRID[-1:], GRID[-5:-4], [])
    assert temporal_dates(GRID[-4:], 60, FoldSettings()) is None
    assert temporal_dates(GRID[-1:], 60, FoldSettings()) is None


def test_folds_by_customer_judge_every_row_once_and_keep_customers_apart():
    """All rows of one customer are in one fold, positives are spread evenly, and every row is judged exactly once."""
    customers = [f"c{k // 3}" for k in range(300)]
    labels = np.array([int(k // 3 % 4 == 0) for k in range(300)])
    split = grouped_split(customers, labels, 5, seed=7)
    judged = np.concatenate([fold.test for fold in split.folds])
    assert sorted(judged.tolist()) == list(range(300))
    for fold in split.folds:
        assert not {customers[k] for k in fold.train} & {customers[k] for k in fold.test}
        assert 12 <= labels[fold.test].sum() <= 18


@pytest.mark.parametrize("seed", range(6))
def test_folds_by_customer_are_those_of_scikit_learn(seed: int):
    """Whatever the rate, the number of folds and the rows of a customer: the same rows in the same folds."""
    random = np.random.default_rng(seed)
    count, rows = int(random.integers(2, 6)), int(random.integers(100, 600))
    codes = random.integers(0, max(count, rows // (seed + 1)), rows)
    labels = (random.random(rows) < 0.05 * (seed + 1)).astype(int)
    labels[:10] = [0, 1] * 5
    ours = grouped_split([f"c{code:05d}" for code in codes], labels, count, seed=seed).folds
    theirs = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(labels, labels, codes)
    expected = [(train.tolist(), test.tolist()) for train, test in theirs]
    assert [(fold.train.tolist(), fold.test.tolist()) for fold in ours] == expected


def test_thinning_keeps_every_positive_and_a_fixed_draw_of_negatives():
    """Twelve negatives per positive are left, the same ones whichever fold asks."""
    labels = np.zeros(50_000, dtype=np.int8)
    labels[::500] = 1
    everything = np.arange(len(labels))
    chosen = thinned(labels, everything, 12.0, seed=7)
    assert labels[chosen].sum() == 100
    assert len(chosen) == pytest.approx(1300, rel=0.1)
    assert np.array_equal(chosen, thinned(labels, everything, 12.0, seed=7))
    assert np.array_equal(everything, thinned(labels, everything, None, seed=7))
    assert np.array_equal(everything[:40], thinned(labels, everything[:40], 100.0, seed=7))
