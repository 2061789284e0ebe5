"""Calibration: from raw scores and what happened, to knots of a monotone map (`knots.Calibration`).

Learned on predictions for later as-of dates than the model saw. Whatever the method, the result is knots, so that
serving has one arithmetic. Which method: `choose` learns each on the earlier dates and takes the one with the smaller
log loss on the later ones; a more flexible method must be better by more than one standard error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Floats, Labels
from training.knots import Calibration

Method = Literal["sigmoid", "temperature", "isotonic", "venn_abers"]
Wanted = Literal["auto", "sigmoid", "temperature", "isotonic", "venn_abers"]
ISOTONIC_POSITIVES = 300
SIGMOID_KNOTS = 201
VENN_ABERS_KNOTS = 101
VENN_ABERS_BINS = 1000


@dataclass(frozen=True)
class Choice:
    """The method that was chosen and why."""

    method: Method
    losses: dict[str, float]  # log loss of each candidate on rows it did not learn from; empty if a method is set
    judged_on: str = ""  # `later_dates` or `other_customers`; empty likewise

    def __str__(self) -> str:
        """Returns one sentence for a report."""
        if not self.losses:
            return f"calibration: {self.method}, as configured"
        tried = ", ".join(f"{name} {loss:.5f}" for name, loss in self.losses.items())
        return f"calibration: {self.method}, by log loss on {self.judged_on.replace('_', ' ')} ({tried})"


def choose(
    wanted: Wanted, scores: Floats, labels: Labels, as_of: npt.NDArray[Any], customers: npt.NDArray[Any],
    weights: Floats | None = None,
) -> Choice:  # fmt: skip
    """Returns the method to use: the configured one, or with `auto` the one that does best on later dates.

    Each candidate learns from the earlier half of the as-of dates; one date alone is halved by customer instead. The
    simplest method stands first, and a later one replaces it only if its loss is smaller by more than one standard
    error of the paired difference.

    `scores` are raw scores of rows that the model did not learn from, float64 [n], `labels` what happened, 0 or 1, [n];
    `weights`, float64 [n], says how many rows each row stands for (None: one).
    """
    weights = np.ones(len(labels)) if weights is None else weights
    if wanted != "auto":
        return Choice(wanted, {})
    dates = np.unique(as_of)
    if len(dates) > 1:
        learn, how = as_of < dates[len(dates) // 2], "later_dates"
    else:
        _, codes = np.unique(customers, return_inverse=True)
        learn, how = codes % 2 == 0, "other_customers"
    judge = ~learn
    few = min(int(labels[learn].sum()), int(labels[judge].sum())) < ISOTONIC_POSITIVES
    candidates: tuple[Method, ...] = ("sigmoid", "temperature") if few else tuple(_METHODS)
    best: Method = "sigmoid"
    losses: dict[str, Floats] = {}
    for method in candidates:
        found = _METHODS[method](scores[learn], labels[learn], weights[learn]).propensity(scores[judge])
        losses[method] = weights[judge] * log_loss(found, labels[judge])
        better = losses[best] - losses[method]
        if better.mean() > better.std() / np.sqrt(max(len(better), 1)):
            best = method
    return Choice(best, {name: round(float(loss.mean()), 6) for name, loss in losses.items()}, how)


def calibrate(
    scores: Floats, labels: Labels, method: Method, weights: Floats | None = None
) -> tuple[Calibration, Method]:
    """Returns the knots and the method that was used.

    Isotonic and Venn-Abers need many positives; below `ISOTONIC_POSITIVES` the sigmoid is used and the result says so.

    `scores`, `labels` and `weights` are as in `choose`, and `method` is what it chose.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    if method in ("isotonic", "venn_abers") and labels.sum() < ISOTONIC_POSITIVES:
        method = "sigmoid"
    return _METHODS[method](scores, labels, weights), method


def with_prior(calibration: Calibration, sample_rate: float, population_rate: float) -> Calibration:
    """Returns the map for a population in which the event is rarer or commoner than in the sample it was learned on.

    `at_rate` bends a straight line between knots, so knots are added until no piece is longer than 1/200 of the range.
    """
    between = np.linspace(calibration.scores[0], calibration.scores[-1], SIGMOID_KNOTS)
    knots = np.union1d(calibration.scores, between)
    corrected = at_rate(calibration.propensity(knots), sample_rate, population_rate)
    return Calibration(knots, np.clip(np.maximum.accumulate(corrected), 0.0, 1.0))


def at_rate(propensities: Floats, sample_rate: float, population_rate: float) -> Floats:
    """Returns propensities moved from a sample to a population: their odds times the ratio of the rates' odds.

    Right where cases and controls were each drawn at random (Elkan 2001).

    Example: a sample with half positives, a population with 10 %: the odds shrink by 9, so .5 becomes .1.
    """
    factor = _odds(population_rate) / _odds(sample_rate)
    result: Floats = factor * propensities / (1 - propensities + factor * propensities)
    return result


def _isotonic(scores: Floats, labels: Labels, weights: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    # Nobody's propensity is 0 or 1: the ends stay half an event away.
    floor = 0.5 / (len(labels) + 1)
    fitted = IsotonicRegression(y_min=floor, y_max=1 - floor, out_of_bounds="clip")
    fitted.fit(scores, labels, sample_weight=weights)
    knots = np.asarray(fitted.X_thresholds_, dtype=np.float64)
    values = np.maximum.accumulate(np.asarray(fitted.y_thresholds_, dtype=np.float64))
    keep = np.concatenate([[True], np.diff(knots) > 0])
    knots, values = knots[keep], values[keep]
    if len(knots) < 2:
        return _sigmoid(scores, labels, weights)
    return Calibration(knots, np.clip(values, floor, 1 - floor))


def _venn_abers(scores: Floats, labels: Labels, weights: Floats) -> Calibration:
    """Returns the inductive Venn-Abers predictor (Vovk, Petej and Fedorova 2015) at quantiles of the scores.

    At a score s two isotonic maps are learned, with a further row (s, 0) and with (s, 1); they give p0 and p1, and the
    propensity is p1 / (1 - p0 + p1). Rows are first gathered into bins of equal count, which keeps it fast.
    """
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(scores, kind="stable")
    edges = np.linspace(0, len(scores), min(VENN_ABERS_BINS, len(scores)) + 1).astype(int)[:-1]
    counts = np.diff(np.append(edges, len(scores))).astype(np.float64)
    centres = np.add.reduceat(scores[order], edges) / counts
    sizes = np.maximum(np.add.reduceat(weights[order], edges), 1e-9)
    rates = np.add.reduceat(weights[order] * labels[order], edges) / sizes
    knots = np.unique(np.quantile(scores, np.linspace(0, 1, VENN_ABERS_KNOTS)))
    if len(knots) < 2:
        return _sigmoid(scores, labels, weights)
    values = np.empty(len(knots))
    for place, knot in enumerate(knots):
        at = int(np.searchsorted(centres, knot))
        low, high = (
            float(isotonic_regression(np.insert(rates, at, label), sample_weight=np.insert(sizes, at, 1.0))[at])
            for label in (0.0, 1.0)
        )
        values[place] = high / (1 - low + high)
    return Calibration(knots, np.clip(np.maximum.accumulate(values), 0.0, 1.0))


def _sigmoid(scores: Floats, labels: Labels, weights: Floats) -> Calibration:
    """Returns Platt's sigmoid with his smoothed targets (Platt 1999), as knots dense enough to be exact to 1e-4."""
    return _logistic_knots(scores, *_platt(scores, labels, weights))


def _temperature(scores: Floats, labels: Labels, weights: Floats) -> Calibration:
    """Returns the sigmoid with one parameter for its steepness (Guo et al. 2017).

    Thinned negatives shift every raw score by a constant; that shift is taken out first, so that the mean propensity
    at temperature 1 is the observed rate, and the temperature then turns the line about that rate.
    """
    rate = float(np.clip(np.average(labels, weights=weights), 1e-6, 1 - 1e-6))
    pivot = float(np.log(_odds(rate)))
    shift = _root(lambda value: float(np.average(_logistic(scores - value), weights=weights)) - rate, -50.0, 50.0)

    def slope_gradient(slope: float) -> float:
        turned = scores - shift - pivot
        return float(((labels - _logistic(pivot + slope * turned)) * turned * weights).sum())

    slope = _root(slope_gradient, 0.05, 20.0)
    return _logistic_knots(scores, slope, pivot - slope * (shift + pivot))


def _platt(scores: Floats, labels: Labels, rows: Floats) -> tuple[float, float]:
    positives = float((rows * labels).sum())
    negatives = float(rows.sum()) - positives
    wanted = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    design = np.column_stack([(scores - centre) / spread, np.ones(len(scores))])
    weights = np.array([1.0, np.log((positives + 1) / (negatives + 1))])
    for _ in range(100):
        fitted = _logistic(design @ weights)
        gradient = design.T @ (rows * (fitted - wanted))
        curvature = (design * (rows * fitted * (1 - fitted))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    slope = max(weights[0], 0.0) / spread
    return slope, float(weights[1] - slope * centre)


def _logistic_knots(scores: Floats, slope: float, intercept: float) -> Calibration:
    low, high = float(scores.min()), float(scores.max())
    knots = np.linspace(low, max(high, np.nextafter(low, np.inf) + 1e-6), SIGMOID_KNOTS)
    return Calibration(knots, np.maximum.accumulate(_logistic(slope * knots + intercept)))


def _logistic(values: Floats) -> Floats:
    result: Floats = 1.0 / (1.0 + np.exp(-np.clip(values, -500, 500)))
    return result


def _odds(rate: float) -> float:
    return rate / (1 - rate)


def log_loss(propensities: Floats, labels: Labels) -> Floats:
    """Returns the log loss of each row, float64 [n]; a promise of 0 or 1 counts as 1e-12 away from it."""
    chance = np.clip(np.where(labels == 1, propensities, 1 - propensities), 1e-12, 1.0)
    result: Floats = -np.log(chance)
    return result


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Returns where a falling function crosses zero, by halving; an end if it does not cross."""
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


_METHODS: dict[Method, Callable[[Floats, Labels, Floats], Calibration]] = {
    "sigmoid": _sigmoid,
    "temperature": _temperature,
    "isotonic": _isotonic,
    "venn_abers": _venn_abers,
}
"""The simplest first: a later one must earn its place."""
