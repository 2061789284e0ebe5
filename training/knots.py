"""The calibration that serves: knots from raw score to propensity, and the one way to read between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from features.kit.arrays import Floats
from features.kit.errors import BundleError


@dataclass(frozen=True)
class Calibration:
    """A monotone, piecewise linear map from raw score to propensity.

    Attributes:
        scores: Raw scores of the knots, strictly ascending, float64 [k], k >= 2.
        propensities: Propensities of the knots, never descending, within 0..1, float64 [k].
    """

    scores: Floats
    propensities: Floats

    def __post_init__(self) -> None:
        scores, propensities = self.scores, self.propensities
        if scores.ndim != 1 or scores.shape != propensities.shape or len(scores) < 2:
            raise BundleError("calibration: expected two equally long lists of at least two knots")
        if not (np.isfinite(scores).all() and np.isfinite(propensities).all()):
            raise BundleError("calibration: a knot is not a finite number")
        if (np.diff(scores) <= 0).any() or (np.diff(propensities) < 0).any():
            raise BundleError("calibration: the knots do not ascend")
        if propensities[0] < 0 or propensities[-1] > 1:
            raise BundleError("calibration: a propensity lies outside 0..1")

    def propensity(self, margins: Floats) -> Floats:
        """Returns the propensities of raw scores, float64 [n] to float64 [n].

        The one calibration of the system: searchsorted, subtract, multiply and add are separate elementwise steps, so
        a row's result does not depend on the rows around it. Outside the knots the end values hold.
        """
        x, y = self.scores, self.propensities
        at = _within(np.searchsorted(x, margins, side="right") - 1, 0, len(x) - 2)
        slope = (y[at + 1] - y[at]) / (x[at + 1] - x[at])
        inside = _within(margins, x[0], x[-1]) - x[at]
        result: Floats = _within(y[at] + slope * inside, y[0], y[-1])
        return result


def _within(values: Any, least: Any, most: Any) -> Any:
    """Returns what `np.clip` does, in a third of its time for one value."""
    return np.minimum(np.maximum(values, least), most)
