"""Calibration: from raw scores and what happened, to knots of a monotone map (`bundle.Calibration`).

Learned on predictions for later as-of dates than the model saw. Isotonic needs many positives; below
`ISOTONIC_POSITIVES` the two-parameter sigmoid is used and the result says so.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from training.bundle import Calibration

Floats = npt.NDArray[np.float64]
Method = Literal["isotonic", "sigmoid"]
ISOTONIC_POSITIVES = 300
SIGMOID_KNOTS = 201


def calibrate(
    scores: Floats, labels: npt.NDArray[np.int8], method: Method, weights: Floats | None = None
) -> tuple[Calibration, Method]:
    """Returns the knots and the method that was used.

    Args:
        scores: Raw scores of rows that the model did not learn from, float64 [n].
        labels: What happened, 0 or 1, [n].
        method: The configured method.
        weights: How many rows each row stands for, float64 [n]; None: one.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    if method == "isotonic" and labels.sum() >= ISOTONIC_POSITIVES:
        return _isotonic(scores, labels, weights), "isotonic"
    return _sigmoid(scores, labels, weights), "sigmoid"


def _isotonic(scores: Floats, labels: npt.NDArray[np.int8], weights: Floats) -> Calibration:
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


def _sigmoid(scores: Floats, labels: npt.NDArray[np.int8], weights: Floats) -> Calibration:
    """Returns Platt's sigmoid with his smoothed targets (Platt 1999), as knots dense enough to be exact to 1e-4."""
    slope, intercept = _platt(scores, labels, weights)
    low, high = float(scores.min()), float(scores.max())
    knots = np.linspace(low, max(high, np.nextafter(low, np.inf) + 1e-6), SIGMOID_KNOTS)
    return Calibration(knots, np.maximum.accumulate(1.0 / (1.0 + np.exp(-(slope * knots + intercept)))))


def _platt(scores: Floats, labels: npt.NDArray[np.int8], rows: Floats) -> tuple[float, float]:
    positives = float((rows * labels).sum())
    negatives = float(rows.sum()) - positives
    wanted = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    design = np.column_stack([(scores - centre) / spread, np.ones(len(scores))])
    weights = np.array([1.0, np.log((positives + 1) / (negatives + 1))])
    for _ in range(100):
        fitted = 1.0 / (1.0 + np.exp(-design @ weights))
        gradient = design.T @ (rows * (fitted - wanted))
        curvature = (design * (rows * fitted * (1 - fitted))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    slope = max(weights[0], 0.0) / spread
    return slope, float(weights[1] - slope * centre)
