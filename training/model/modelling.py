"""Fit, judge, calibrate: the models of a split, and the one that will serve.

The judged figures come from models that saw neither the judged labels nor anything within the embargo before them, with
a calibration that was learned on yet earlier out-of-time predictions. The served model is then learned from all
labelled rows and calibrated on all out-of-time predictions; its own figures can only be known later (monitoring).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Floats, Rows
from features.kit.terminal.progress import SILENT, Progress
from training.dataset.dataset import Dataset
from training.dataset.splits import Split, grouped_split
from training.knots import Calibration
from training.labels.own_actions import effect_of
from training.labels.targets import OwnActions, Target
from training.model.calibrate import Method, calibrate, choose, with_prior
from training.model.learner import BoostedTrees

INNER_GROUPS = 3


@dataclass(frozen=True)
class Fitted:
    """What a split's models say about rows that they never saw, and the model that will serve.

    Attributes:
        rows: The judged rows, ascending.
        scores: Their raw scores, float64.
        propensities: Their calibrated propensities, float64.
        method: How that calibration was learned.
    """

    rows: Rows
    scores: Floats
    propensities: Floats
    model: BoostedTrees
    calibration: Calibration
    method: Method
    learned_rows: int
    notes: tuple[str, ...]


def fit(
    target: Target, data: Dataset, split: Split, final: Rows, *, seed: int, threads: int, progress: Progress = SILENT
) -> Fitted:
    """Returns the judged rows of a split and the model that will serve.

    The training rows of the split's folds are learned from as they are, the served model from the rows `final`.
    """
    with progress.step(f"{target.name}: models", len(split.folds) + 1) as tick:
        scores = np.full(len(data.labels), np.nan)
        for fold in split.folds:
            scores[fold.test] = learn(target, data, fold.train, seed=seed, threads=threads).decision_function(
                data.values[fold.test]
            )
            tick(1)
        judged = split.rows("test")
        notes: list[str] = []
        if split.kind == "grouped":
            pool = judged
        else:
            pool = split.rows("calibration")
            if not len(pool):
                pool = split.folds[-1].train
                notes.append("the history is too short for an out-of-time calibration; learned crosswise by customer")
                scores[pool] = _inner_scores(target, data, pool, seed=seed, threads=threads)
        when, who = data.as_of[pool], data.customers[pool]
        chosen = choose(target.calibration, scores[pool], data.labels[pool], when, who, data.weights_of(pool))
        notes.append(str(chosen))
        if split.kind == "grouped":
            propensities = _crosswise(chosen.method, split, scores, data)[judged]
        else:
            learned = _calibrated(chosen.method, data, scores, pool)[0]
            if not len(split.rows("calibration")):
                # Training rows are thinned: the map must promise the rate of all of them.
                whole = split.log[-1]["train_positives"] / split.log[-1]["train_rows"]
                thin = float(np.average(data.labels[pool], weights=data.weights_of(pool)))
                learned = with_prior(learned, thin, whole)
            propensities = learned.propensity(scores[judged])
            pool = np.union1d(pool, judged) if len(split.rows("calibration")) else judged
        calibration, method = _calibrated(chosen.method, data, scores, pool)
        if target.prior is not None:
            rate = float(np.average(data.labels[pool], weights=data.weights_of(pool)))
            calibration = with_prior(calibration, rate, target.prior.population_rate)
            notes.append(f"prior: the sample's {rate:.4f} positives stand for {target.prior.population_rate:.4f}")
        model = learn(target, data, final, seed=seed, threads=threads)
        tick(1)
    if method != chosen.method:
        notes.append(f"too few positives for {chosen.method} calibration; {method} was used")
    return Fitted(judged, scores[judged], propensities, model, calibration, method, len(final), tuple(notes))


def learn(target: Target, data: Dataset, rows: Rows, *, seed: int, threads: int) -> BoostedTrees:
    """Returns a model learned from some rows, our own contacts taken out as the target says (`own_actions.py`)."""
    learner = BoostedTrees.of(
        target.learner,
        categories=data.categories,
        names=data.names,
        monotone=target.monotone,
        seed=seed,
        threads=threads,
    )
    rows, weights, offset = to_learn(target.own_actions, data, rows)
    return learner.fit(data.values[rows], data.labels[rows], weights, offset)


def _calibrated(method: Method, data: Dataset, scores: Floats, rows: Rows) -> tuple[Calibration, Method]:
    return calibrate(scores[rows], data.labels[rows], method, data.weights_of(rows))


def _crosswise(method: Method, split: Split, scores: Floats, data: Dataset) -> Floats:
    """Returns propensities where each fold is calibrated on the other folds."""
    propensities = np.full(len(scores), np.nan)
    judged = split.rows("test")
    for fold in split.folds:
        others = np.setdiff1d(judged, fold.test)
        propensities[fold.test] = _calibrated(method, data, scores, others)[0].propensity(scores[fold.test])
    return propensities


def _inner_scores(target: Target, data: Dataset, rows: Rows, *, seed: int, threads: int) -> Floats:
    scores = np.empty(len(rows))
    for fold in grouped_split(data.customers[rows].tolist(), data.labels[rows], INNER_GROUPS, seed=seed).folds:
        model = learn(target, data, rows[fold.train], seed=seed, threads=threads)
        scores[fold.test] = model.decision_function(data.values[rows[fold.test]])
    return scores


def to_learn(settings: OwnActions, data: Dataset, rows: Rows) -> tuple[Rows, Floats | None, Floats | None]:
    """Returns the rows to learn from, how many rows each stands for, and the log-odds that our contacts explain."""
    if data.weights is None or data.treated is None or data.chance is None:
        return rows, None, None
    if settings.correction == "model":
        effect = effect_of(data.treated[rows], data.chance[rows], data.labels[rows])
        if effect is not None:
            return rows, None, np.where(data.treated[rows], effect.log_odds, 0.0)
    rows = rows[~data.treated[rows]]
    return rows, data.weights[rows], None
