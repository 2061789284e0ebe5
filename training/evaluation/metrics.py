"""Metrics of a ranking and of its propensities, each with a 95 % interval that knows a customer may appear twice.

Ties never depend on chance: the AUC counts a tie as half, everything that needs an order takes the higher score first
and then the smaller customer_id. The AUC's interval is DeLong's in its clustered form (DeLong 1988; Obuchowski 1997):
exact, no random numbers. The other intervals are a bootstrap over customers with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Floats, Labels, Rows
from training.model.calibrate import log_loss

Z95 = 1.959963984540054
TOP_SHARE = 0.05
BINS = 10
ROUNDS = 200


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def under(self, name: str, digits: int = 4) -> dict[str, Any]:
        """Returns `{name: value, name_ci: [low, high]}`, rounded for a report."""
        return {name: round(self.value, digits), f"{name}_ci": [round(self.low, digits), round(self.high, digits)]}

    @property
    def standard_error(self) -> float:
        """Returns the standard error that a symmetric interval was made of."""
        return (self.high - self.low) / (2 * Z95)


def area(scores: npt.NDArray[np.floating[Any]], labels: Labels) -> float:
    """Returns the area under the ROC curve without an interval; NaN if one class is empty."""
    return _auc_influence(scores, labels)[0]


def auc(scores: Floats, labels: Labels, customers: npt.NDArray[Any]) -> Figure:
    """Returns the area under the ROC curve with its interval: how often a positive is ranked above a negative.

    Example: positives score 3 and 1, negatives 2 and 1: of four pairs 2.5 are right, so .625.
    """
    value, influence = _auc_influence(scores, labels)
    return _normal(value, influence, customers, low=0.0, high=1.0)


def auc_gap(ours: Floats, oracle: Floats, labels: Labels, customers: npt.NDArray[Any]) -> Figure:
    """Returns the oracle's AUC minus ours on the same rows, with the paired interval."""
    our_value, our_influence = _auc_influence(ours, labels)
    best_value, best_influence = _auc_influence(oracle, labels)
    return _normal(best_value - our_value, best_influence - our_influence, customers, low=-1.0, high=1.0)


def log_loss_gap(
    theirs: Floats, ours: Floats, labels: Labels, customers: npt.NDArray[Any], *, rows: Floats | None = None
) -> Figure:
    """Returns the log loss of their propensities minus that of ours on the same rows, with the paired interval.

    `rows` is how many rows each row stands for.

    Example: an event promised .25 by them and .5 by us: 1.386 - .693 = .693 in our favour.
    """
    weights = np.ones(len(labels)) if rows is None else rows
    gains, share = log_loss(theirs, labels) - log_loss(ours, labels), weights / weights.sum()
    value = float(share @ gains)
    return _normal(value, share * (gains - value), customers, low=-np.inf, high=np.inf)


def over_folds(figures: Sequence[Figure]) -> Figure:
    """Returns the mean over folds of different customers, with its interval.

    Example: .80 (.78 to .82) and .84 (.81 to .87) give .82 (.802 to .838), the half-widths being added in squares.
    """
    count = len(figures)
    value = sum(figure.value for figure in figures) / count
    half = float(np.sqrt(sum(((figure.high - figure.low) / 2) ** 2 for figure in figures))) / count
    return Figure(value, value - half, value + half)


def average_precision(labels_in_order: Labels, weights: Floats | None = None) -> float:
    """Returns the mean precision at each positive, of labels ordered best first.

    Example: 1, 0, 1 gives (1/1 + 2/3) / 2 = .833.
    """
    weights = np.ones(len(labels_in_order)) if weights is None else weights
    hits, seen = np.cumsum(weights * labels_in_order), np.cumsum(weights)
    precision = np.divide(hits, seen, out=np.zeros_like(seen), where=seen > 0)
    return float((weights * labels_in_order * precision).sum() / hits[-1]) if hits[-1] else float("nan")


def lift(labels_in_order: Labels, weights: Floats | None = None, *, share: float = TOP_SHARE) -> float:
    """Returns the event rate in the top `share` over the rate of all, of labels ordered best first.

    Example: 20 rows with 4 positives, the first of them positive: the top 5 % is 1 row, 1.0 / .2 = 5.
    """
    weights = np.ones(len(labels_in_order)) if weights is None else weights
    hits, seen = np.cumsum(weights * labels_in_order), np.cumsum(weights)
    if not len(seen) or not hits[-1]:
        return float("nan")
    last = int(np.searchsorted(seen, share * seen[-1] - 1e-9))
    return float(hits[last] / seen[last] / (hits[-1] / seen[-1]))


def brier(propensities: Floats, labels: Labels, weights: Floats | None = None) -> float:
    """Returns the mean squared difference of propensity and event."""
    return float(np.average((propensities - labels) ** 2, weights=weights))


def calibration_bins(propensities: Floats, customers: npt.NDArray[Any], scores: Floats | None = None) -> Rows:
    """Returns each row's bin: ten of equal size by propensity; ties by raw score, then by customer_id.

    Raw scores part what a flat map has thrown together: one propensity for all is no good calibration.
    """
    order = np.lexsort((customers, propensities) if scores is None else (customers, scores, propensities))
    bins = np.empty(len(order), dtype=np.intp)
    bins[order] = np.arange(len(order)) * BINS // max(len(order), 1)
    return bins


def calibration_error(propensities: Floats, labels: Labels, bins: Rows, weights: Floats | None = None) -> float:
    """Returns the mean absolute difference of promised and observed rate over the bins, weighted by their size."""
    weights = np.ones(len(labels)) if weights is None else weights
    promised = np.bincount(bins, weights * propensities, BINS)
    observed = np.bincount(bins, weights * labels, BINS)
    return float(np.abs(promised - observed).sum() / weights.sum())


def bootstrapped(
    scores: Floats, propensities: Floats, labels: Labels, customers: npt.NDArray[Any], *, seed: int = 7,
    rows: Floats | None = None,
) -> dict[str, Figure]:  # fmt: skip
    """Returns average precision, lift at 5 %, Brier and calibration error with intervals over customers.

    `rows` is how many rows each row stands for. Each round gives every customer a Poisson(1) weight, which is the
    bootstrap for clusters without copying rows.
    """
    order = np.lexsort((customers, -scores))
    labels, propensities = labels[order], propensities[order]
    _, cluster = np.unique(customers[order], return_inverse=True)
    bins = calibration_bins(propensities, customers[order], scores[order])
    stands_for = None if rows is None else rows[order]

    def measure(weights: Floats | None) -> tuple[float, float, float, float]:
        if stands_for is not None:
            weights = stands_for if weights is None else weights * stands_for
        return (
            average_precision(labels, weights),
            lift(labels, weights),
            brier(propensities, labels, weights),
            calibration_error(propensities, labels, bins, weights),
        )

    random = np.random.default_rng(seed)
    count = int(cluster.max()) + 1
    rounds = np.array([measure(random.poisson(1.0, count).astype(np.float64)[cluster]) for _ in range(ROUNDS)])
    low, high = np.nanpercentile(rounds, [2.5, 97.5], axis=0)
    names = ("average_precision", "lift_at_5", "brier", "calibration_error")
    # The basic bootstrap: the rounds' own bias (an error of calibration only grows by resampling) is taken out. Where
    # the bias is larger than the spread the interval would miss the figure itself; it is widened to hold it.
    return {
        name: Figure(value, max(0.0, min(value, 2 * value - float(high[k]))), max(value, 2 * value - float(low[k])))
        for k, (name, value) in enumerate(zip(names, measure(None), strict=True))
    }


def calibration_figure(
    propensities: Floats, labels: Labels, customers: npt.NDArray[Any], *, beside: Floats | None = None,
    rows: Floats | None = None, seed: int = 7,
) -> Figure:  # fmt: skip
    """Returns the calibration error with its bootstrap interval over customers.

    With `beside`, other propensities of the same rows: ours minus theirs, with the paired interval. `rows` is how many
    rows each row stands for. A bin's error is a sum over customers, so all rounds are one product of weights and sums.
    """
    names, cluster = np.unique(customers, return_inverse=True)
    rows = np.ones(len(labels)) if rows is None else rows
    sizes = np.bincount(cluster, rows, minlength=len(names))
    both = [promised for promised in (propensities, beside) if promised is not None]
    sums = [_misses(promised, rows * (promised - labels), customers, cluster, len(names)) for promised in both]

    def measure(weights: Floats) -> Floats:
        total = weights @ sizes
        errors = [np.abs(weights @ misses).sum(axis=-1) / total for misses in sums]
        result: Floats = errors[0] - errors[1] if len(errors) > 1 else errors[0]
        return result

    random = np.random.default_rng(seed)
    rounds = np.concatenate([measure(random.poisson(1.0, (20, len(names))).astype(float)) for _ in range(ROUNDS // 20)])
    low, high = np.percentile(rounds, [2.5, 97.5])
    value = float(measure(np.ones(len(names))))
    # The basic bootstrap, as in `bootstrapped`.
    low, high = 2 * value - float(high), 2 * value - float(low)
    return Figure(value, low if beside is not None else max(0.0, low), high)


def _misses(propensities: Floats, misses: Floats, customers: npt.NDArray[Any], cluster: Rows, count: int) -> Floats:
    """Returns promised minus observed events (`misses`) of each customer in each bin, float64 [customers, 10]."""
    bins = calibration_bins(propensities, customers)
    sums = np.bincount(cluster * BINS + bins, misses, count * BINS)
    return np.asarray(sums, dtype=np.float64).reshape(count, BINS)


def _auc_influence(scores: npt.NDArray[np.floating[Any]], labels: Labels) -> tuple[float, Floats]:
    """Returns the AUC and what each row adds to its deviation; NaN if one class is empty."""
    positive = labels == 1
    count_1, count_0 = int(positive.sum()), int((~positive).sum())
    influence = np.zeros(len(scores))
    if not count_1 or not count_0:
        return float("nan"), influence
    from scipy.stats import rankdata

    ranks = rankdata(scores)
    above = (ranks[positive] - rankdata(scores[positive])) / count_0
    below = 1.0 - (ranks[~positive] - rankdata(scores[~positive])) / count_1
    value = float(above.mean())
    influence[positive] = (above - value) / count_1
    influence[~positive] = (below - value) / count_0
    return value, influence


def _normal(value: float, influence: Floats, customers: npt.NDArray[Any], *, low: float, high: float) -> Figure:
    _, cluster = np.unique(customers, return_inverse=True)
    per_customer = np.bincount(cluster, influence)
    margin = Z95 * float(np.sqrt((per_customer**2).sum()))
    return Figure(value, max(low, value - margin), min(high, value + margin))
