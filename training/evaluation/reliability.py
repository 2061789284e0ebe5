"""Is what was promised what happened: overall, in ten equal parts, in each slice.

Events observed over events expected is a ratio of sums, so its interval comes from the customers' residuals (a customer
may appear on several as-of dates). A decile's interval is that of the sum of its independent promises.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Floats, Labels
from training.evaluation.metrics import BINS, Z95, Figure, calibration_bins

NO_EVENT_95 = float(-np.log(0.025))


def observed_expected(
    propensities: Floats, labels: Labels, customers: npt.NDArray[Any], weights: Floats | None = None
) -> Figure:
    """Returns events observed over events expected, with its interval; a weight is how many rows a row stands for.

    Example: 30 events where propensities sum to 40 give .75. Nothing expected gives infinity. No event at all gives 0
    and, as its upper end, the Poisson mean that shows none in 2.5 % of cases over what was expected (Garwood 1936).
    """
    weights = np.ones(len(labels)) if weights is None else weights
    expected, observed = float((weights * propensities).sum()), float((weights * labels).sum())
    if expected <= 0:
        return Figure(float("inf"), float("inf"), float("inf"))
    ratio = observed / expected
    if not observed:
        return Figure(0.0, 0.0, NO_EVENT_95 / expected)
    _, cluster = np.unique(customers, return_inverse=True)
    residual = np.bincount(cluster, weights * (labels - ratio * propensities))
    margin = Z95 * float(np.sqrt((residual**2).sum())) / expected
    return Figure(ratio, max(0.0, ratio - margin), ratio + margin)


def reliability(
    scores: Floats, propensities: Floats, labels: Labels, customers: npt.NDArray[Any], weights: Floats | None = None
) -> dict[str, Any]:
    """Returns observed over expected, whether all have one propensity, and the deciles with their intervals."""
    weights = np.ones(len(labels)) if weights is None else weights
    ratio = observed_expected(propensities, labels, customers, weights)
    bins = calibration_bins(propensities, customers, scores)
    rows = np.bincount(bins, weights, BINS)
    observed = np.bincount(bins, weights * labels, BINS)
    expected = np.bincount(bins, weights * propensities, BINS)
    margin = Z95 * np.sqrt(np.bincount(bins, weights**2 * propensities * (1 - propensities), BINS))
    deciles = [
        {
            "rows": round(float(rows[place]), 1),
            "observed": round(float(observed[place]), 1),
            "expected": round(float(expected[place]), 3),
            "low": round(max(0.0, float(expected[place] - margin[place])), 3),
            "high": round(float(expected[place] + margin[place]), 3),
            "is_outside": bool(abs(observed[place] - expected[place]) > margin[place]),
        }
        for place in range(BINS)
    ]
    return {
        "observed_expected": _rounded(ratio.value),
        "observed_expected_ci": [_rounded(ratio.low), _rounded(ratio.high)],
        "is_constant": bool(len(propensities) > 0 and propensities.min() == propensities.max()),
        "deciles": deciles,
        "deciles_outside": sum(bool(decile["is_outside"]) for decile in deciles),
    }


def by_slice(
    groups: npt.NDArray[Any], propensities: Floats, labels: Labels, customers: npt.NDArray[Any],
    weights: Floats | None = None,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Returns rows and positives as counted, observed and expected as weighted, and their ratio, of each group."""
    weights = np.ones(len(labels)) if weights is None else weights
    found = {}
    for name in sorted({str(group) for group in np.unique(groups)}):
        inside = groups == name
        ratio = observed_expected(propensities[inside], labels[inside], customers[inside], weights[inside])
        found[name] = {
            "rows": int(inside.sum()),
            "positives": int(labels[inside].sum()),
            "observed": round(float((weights * labels)[inside].sum()), 2),
            "expected": round(float((weights * propensities)[inside].sum()), 2),
            "observed_expected": _rounded(ratio.value),
            "observed_expected_ci": [_rounded(ratio.low), _rounded(ratio.high)],
        }
    return found


def _rounded(value: float) -> float | None:
    """Returns four digits; None for infinity, which JSON cannot say."""
    return round(value, 4) if np.isfinite(value) else None
