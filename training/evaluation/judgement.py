"""A candidate before its judge: its rows of the test windows, their figures, and the verdict beside the champion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.errors import InsightError
from features.kit.home import Home
from training.dataset.dataset import Dataset
from training.evaluation import stored, written
from training.evaluation.champion import champion_on, known_by
from training.evaluation.evaluate import Judged, evaluate
from training.evaluation.verdict import Verdict, judge
from training.labels.history import Records
from training.labels.targets import Target
from training.model.modelling import Fitted

SLICES = ("vip_tier", "province")
"""Groups of customers whose calibration is judged apart, beside the class."""


@dataclass(frozen=True)
class Judgement:
    """What became of a candidate before its judge."""

    judged: Judged
    metrics: dict[str, Any]
    verdict: Verdict

    def files(self, target: Target, data: Dataset) -> dict[str, bytes]:
        """Returns the verdict's files by name; `data` are all rows that the served model could learn from."""
        known = known_by(data.as_of.max(), target.embargo_days)
        return written.files(target, self.verdict, self.judged, self.metrics, data, known)


def judge_candidate(records: Records, target: Target, data: Dataset, whole: Dataset, fitted: Fitted) -> Judgement:
    """Returns figures and verdict on a fitted model, the champion scored on the same rows where it can be.

    `data` is the matrix that was learned from, `whole` the one with every column and row that a champion may need.
    """
    judged = judged_rows(records, target, data, fitted)
    metrics = evaluate(judged)
    rows = whole.take(stored.places(data.rows[fitted.rows], whole.rows))
    identity = records.portraits.feature_list.identity
    champion, why_none = champion_on(records.home, target.name, judged, rows, identity)
    rate = None if target.prior is None else target.prior.population_rate
    verdict = judge(target.promotion, target.value, judged, metrics, champion, why_none=why_none, population_rate=rate)
    return Judgement(judged, metrics, verdict)


def judged_rows(records: Records, target: Target, data: Dataset, fitted: Fitted) -> Judged:
    """Returns the judged rows with their customer classes and, on the simulator, the true probabilities."""
    data, portraits = data.take(fitted.rows), records.portraits
    blank = {"primary_class": "unclassified"}
    blank |= {name: "unknown" for name in SLICES if name in portraits.feature_list.names}
    groups: dict[str, npt.NDArray[Any]] = {name: np.full(len(data.labels), "", dtype=object) for name in blank}
    truth = np.full(len(data.labels), np.nan)
    for day in np.unique(data.as_of):
        rows, as_of = np.flatnonzero(data.as_of == day), day.astype(object)
        table = portraits.read(as_of, ["customer_id", *groups])
        ids = table["customer_id"].to_pylist()
        for name, values in groups.items():
            value_of = dict(zip(ids, table[name].to_pylist(), strict=True))
            values[rows] = [str(value_of.get(customer) or blank[name]) for customer in data.customers[rows]]
        known = true_probabilities(records.home, target.name, as_of)
        truth[rows] = [known.get(customer, np.nan) for customer in data.customers[rows]]
    words = {name: values.astype(str) for name, values in groups.items()}
    return Judged(
        data.customers,
        data.labels,
        data.kinds,
        fitted.scores,
        fitted.propensities,
        words.pop("primary_class"),
        None if np.isnan(truth).all() else truth,
        as_of=data.as_of,
        slices=words,
        weights=data.weights,
    )


def true_probabilities(home: Home, target: str, as_of: date) -> dict[str, float]:
    """Returns the simulator's true probabilities, for evaluation only; empty where there is no simulator."""
    if not (home.simulation / "oracle").exists():
        return {}
    from features.simulator.oracle.oracle import read_probabilities

    try:
        table = read_probabilities(home.simulation, target, as_of)
    except InsightError:
        return {}
    return dict(zip(table["customer_id"].to_pylist(), table["probability"].to_pylist(), strict=True))
