"""The judgement of a model on rows that it never saw: one plain dictionary, for the report, the card and MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Days, Floats, Labels, take
from training.evaluation import metrics, reliability

MIN_CLASS_ROWS = 30
MIN_CLASS_POSITIVES = 10


@dataclass(frozen=True)
class Judged:
    """Rows of the test windows with what was promised and what happened; all arrays have length n.

    Attributes:
        labels: 0 or 1.
        kinds: The kind of a positive's event, else an empty string.
        scores: Raw scores, by which rows are ranked.
        classes: Primary customer class at the as-of date, or None if unknown.
        oracle: The simulator's true probabilities (evaluation only), or None; NaN where it has none.
        as_of: As-of date of each row, datetime64[D], or None if unknown.
        slices: Further groupings by name, such as the VIP tier; the class is one of its own.
        weights: How many untreated rows each row stands for (`own_actions.py`), or None: itself. They count in rates,
            calibration and profit; a ranking takes rows as they are.
    """

    customers: npt.NDArray[Any]
    labels: Labels
    kinds: npt.NDArray[Any]
    scores: Floats
    propensities: Floats
    classes: npt.NDArray[Any] | None = None
    oracle: Floats | None = None
    as_of: Days | None = None
    slices: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    weights: Floats | None = None

    def only(self, rows: npt.NDArray[Any]) -> Judged:
        """Returns some of the rows."""
        return replace(take(self, rows), slices={name: values[rows] for name, values in self.slices.items()})

    @property
    def stands_for(self) -> Floats:
        """Returns the weights, or ones."""
        return np.ones(len(self.labels)) if self.weights is None else self.weights

    @property
    def base_rate(self) -> float:
        """Returns the share of positives among all rows that these stand for."""
        return float(np.average(self.labels, weights=self.stands_for))

    @property
    def groupings(self) -> dict[str, npt.NDArray[Any]]:
        """Returns every grouping of the rows by name, the class first."""
        return ({} if self.classes is None else {"class": self.classes}) | dict(self.slices)


def evaluate(judged: Judged) -> dict[str, Any]:
    """Returns every metric with its interval, apart by kind of event and by customer class, beside the oracle."""
    area = metrics.auc(judged.scores, judged.labels, judged.customers)
    others = metrics.bootstrapped(
        judged.scores, judged.propensities, judged.labels, judged.customers, rows=judged.weights
    )
    result: dict[str, Any] = {
        **area.under("auc"),
        "rows": len(judged.labels),
        "test_positives": int(judged.labels.sum()),
        **({} if judged.weights is None else {"weighted_rows": round(float(judged.weights.sum()), 1)}),
        "base_rate": round(judged.base_rate, 6),
        "mean_propensity": round(float(np.average(judged.propensities, weights=judged.stands_for)), 6),
    }
    for name, figure in others.items():
        result |= figure.under(name, 5)
    result |= reliability.reliability(
        judged.scores, judged.propensities, judged.labels, judged.customers, judged.weights
    )
    result["by_kind"] = _by_kind(judged)
    if judged.classes is not None:
        result["by_class"] = _by_class(judged, judged.classes)
    if judged.groupings:
        result["by_slice"] = {
            name: reliability.by_slice(groups, judged.propensities, judged.labels, judged.customers, judged.weights)
            for name, groups in judged.groupings.items()
        }
    if judged.oracle is not None:
        result |= beside_the_oracle(judged, judged.oracle)
    return result


def beside_the_oracle(judged: Judged, oracle: Floats) -> dict[str, Any]:
    """Returns the best possible AUC on the same rows and the paired gap to it."""
    known = ~np.isnan(oracle)
    if not known.any():
        return {}
    seen = judged.only(known)
    best = metrics.auc(oracle[known], seen.labels, seen.customers)
    gap = metrics.auc_gap(seen.scores, oracle[known], seen.labels, seen.customers)
    return best.under("oracle_auc") | gap.under("auc_gap") | {"oracle_rows": int(known.sum())}


def _by_kind(judged: Judged) -> dict[str, Any]:
    """Returns count and AUC of each kind of event against all rows without any."""
    kinds = sorted({str(kind) for kind in np.unique(judged.kinds[judged.labels == 1])} - {""})
    result: dict[str, Any] = {}
    for kind in kinds:
        rows = (judged.labels == 0) | (judged.kinds == kind)
        part = judged.only(rows)
        area = metrics.auc(part.scores, part.labels, part.customers)
        result[kind] = {"positives": int(part.labels.sum()), **area.under("auc")}
    return result


def _by_class(judged: Judged, classes: npt.NDArray[Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in sorted({str(group) for group in np.unique(classes)}):
        part = judged.only(classes == name)
        positives = int(part.labels.sum())
        cell: dict[str, Any] = {"rows": len(part.labels), "positives": positives}
        negatives = len(part.labels) - positives
        if len(part.labels) < MIN_CLASS_ROWS or positives < MIN_CLASS_POSITIVES or negatives < MIN_CLASS_POSITIVES:
            result[name] = cell | {"note": "too few"}
            continue
        order = np.lexsort((part.customers, -part.scores))
        area = metrics.auc(part.scores, part.labels, part.customers)
        bins = metrics.calibration_bins(part.propensities, part.customers, part.scores)
        result[name] = cell | {
            "rate": round(part.base_rate, 5),
            "mean_propensity": round(float(np.average(part.propensities, weights=part.stands_for)), 5),
            **area.under("auc"),
            "average_precision": round(metrics.average_precision(part.labels[order], part.stands_for[order]), 4),
            "lift_at_5": round(metrics.lift(part.labels[order], part.stands_for[order]), 3),
            "brier": round(metrics.brier(part.propensities, part.labels, part.weights), 5),
            "calibration_error": round(
                metrics.calibration_error(part.propensities, part.labels, bins, part.weights), 5
            ),
        }
    return result
