"""A search for better learner settings: on a sample, pruned, with a fixed seed, on earlier dates than the test windows.

Each trial learns from a quarter, a half and then all of the sample and is stopped where it falls behind (median
pruning). The configured settings are the first trial; others replace them only if they rank better by more than
`WORTH_IT`, since a larger model costs every score and every reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.kit.progress import SILENT, Progress
from training import metrics
from training.dataset import Dataset
from training.learner import BoostedTrees
from training.splits import Fold, Split, grouped_split
from training.targets import LearnerSettings, Target

TRIALS = 20
WORTH_IT = 0.003
SAMPLE_SHARE = 0.25
SAMPLE_ROWS = 40_000
STAGES = (0.25, 0.5, 1.0)


def tuned(
    target: Target, data: Dataset, split: Split, *, seed: int, threads: int, trials: int = TRIALS,
    progress: Progress = SILENT,
) -> tuple[Target, str]:  # fmt: skip
    """Returns the target with the better settings, and one sentence on what the search found.

    Args:
        target: The target's configuration.
        data: The matrix.
        split: Its folds; only the calibration fold is looked at, never a test window. Folds by customer have none, so
            there the search splits the training rows of the first fold once more.
        seed: Of the sample and the search.
        threads: Native threads.
        trials: How many settings to try.
        progress: Shown per trial.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fold = _search_fold(data, split, seed)
    count = min(max(int(len(fold.train) * SAMPLE_SHARE), min(len(fold.train), 5_000)), SAMPLE_ROWS)
    order = np.random.default_rng(seed).permutation(fold.train)[:count]
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
    )
    study.enqueue_trial({name: getattr(target.learner, name) for name in _space()})
    with progress.step(f"{target.name}: tuning", trials) as tick:

        def objective(trial: Any) -> float:
            settings = _suggest(trial, target.learner)
            area = 0.5
            for stage, share in enumerate(STAGES):
                rows = np.sort(order[: int(len(order) * share)])
                learner = BoostedTrees.of(
                    settings, categories=data.categories, names=data.names, seed=seed, threads=threads
                ).fit(data.values[rows], data.labels[rows])
                scores = learner.decision_function(data.values[fold.test])
                area = metrics.auc(scores, data.labels[fold.test], data.customers[fold.test]).value
                trial.report(area, stage)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return area

        study.optimize(objective, n_trials=trials, callbacks=[lambda *_: tick(1)])
    start, best = study.trials[0].value, study.best_trial
    pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
    found = (
        f"{len(study.trials)} settings tried ({pruned} pruned): AUC {start:.4f} as configured, {best.value:.4f} at best"
    )
    if best.value - start <= WORTH_IT:
        return target, f"{found}; not worth a change"
    better = target.learner.model_copy(update=best.params)
    return target.model_copy(update={"learner": better}), f"{found}; changed to {best.params}"


def _search_fold(data: Dataset, split: Split, seed: int) -> Fold:
    for fold in split.folds:
        if fold.purpose == "calibration":
            return fold
    rows = split.folds[0].train
    inner = grouped_split(data.customers[rows].tolist(), data.labels[rows], 3, seed=seed).folds[0]
    return Fold("search", "calibration", rows[inner.train], rows[inner.test])


def _space() -> tuple[str, ...]:
    return ("trees", "leaves", "learning_rate", "min_rows_in_leaf", "feature_share", "row_share", "l2")


def _suggest(trial: Any, start: LearnerSettings) -> LearnerSettings:
    """Returns the settings of a trial; every range is wide enough for the configured value."""

    def between(name: str, low: float, high: float, *, log: bool = False) -> float:
        configured = getattr(start, name)
        low, high = min(low, configured), max(high, configured)
        if isinstance(configured, int):
            return int(trial.suggest_int(name, int(low), int(high), log=log))
        return float(trial.suggest_float(name, low, high, log=log))

    return start.model_copy(
        update={
            "trees": between("trees", 100, 400),
            "leaves": between("leaves", 7, 31),
            "learning_rate": between("learning_rate", 0.02, 0.12, log=True),
            "min_rows_in_leaf": between("min_rows_in_leaf", 20, 200, log=True),
            "feature_share": between("feature_share", 0.3, 1.0),
            "row_share": between("row_share", 0.5, 1.0),
            "l2": between("l2", 0.1, 50.0),
        }
    )
