"""A search for better learner settings, and the proof that they are better: on later dates, on other customers.

The search learns from a quarter, a half and then all of a sample and stops a trial that falls behind (median pruning).
Its judge is the calibration fold, which lies before the test windows; half of its customers choose the settings. Then
the chosen and the configured settings are both learned in full, and the other half decides, with a paired interval.
Settings that make a larger model must win by more than `WORTH_IT`, since it costs every score and every reason; others
must win. The test windows decide nothing; how both do there is only told.

A study is a file: with a `store` every finished trial is kept in SQLite, and the next search on the same rows with the
same configuration goes on where the last one ended, however it ended.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from features.kit.progress import SILENT, Progress
from features.kit.runs import hit
from training import metrics
from training.dataset import Dataset
from training.metrics import Figure, Floats
from training.modelling import learn
from training.splits import Fold, Rows, Split, grouped_split
from training.targets import LearnerSettings, Target
from training.tune_pictures import pictures_of

TRIALS = 30
WORTH_IT = 0.003
SAMPLE_SHARE = 0.25
SAMPLE_ROWS = 40_000
FEWEST_ROWS = 5_000
STAGES = (0.25, 0.5, 1.0)
SPACE: dict[str, tuple[float, float, bool]] = {
    "trees": (60, 400, False),
    "leaves": (3, 31, True),
    "learning_rate": (0.015, 0.15, True),
    "min_rows_in_leaf": (10, 300, True),
    "feature_share": (0.15, 1.0, False),
    "row_share": (0.5, 1.0, False),
    "l2": (0.1, 100.0, True),
    "category_smoothing": (1.0, 100.0, True),
}
"""Lowest and highest value of each setting, and whether factors matter rather than differences."""


@dataclass(frozen=True)
class Budget:
    """When a search ends, whichever comes first.

    Attributes:
        trials: Finished trials of the study, those of earlier runs included.
        minutes: Of this run; None: no limit.
    """

    trials: int = TRIALS
    minutes: float | None = None


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        target: The target with the settings to use: better ones, or the configured ones.
        sentence: What was found, for people.
        facts: The same for programs.
        pictures: PNG by file name.
        best: The target with the best settings of the search, taken or not; None if the configured ones were the best.
    """

    target: Target
    sentence: str
    facts: dict[str, Any]
    pictures: dict[str, bytes] = field(default_factory=dict)
    best: Target | None = None


@dataclass(frozen=True)
class _Judges:
    """Rows of the search: a sample to learn from, customers that choose, and others that decide."""

    fold: Fold
    sample: Rows
    choose: Rows
    decide: Rows


def tuned(
    target: Target, data: Dataset, split: Split, *, seed: int, threads: int, budget: Budget = Budget(),
    store: Path | None = None, progress: Progress = SILENT,
) -> Tuned:  # fmt: skip
    """Returns the better of the configured settings and the best that a search found.

    Args:
        target: The target's configuration.
        data: The matrix.
        split: Its folds. Folds by customer have no earlier dates: there the search splits the training rows of the
            first fold once more.
        seed: Of the sample and the search.
        threads: Native threads.
        budget: When the search ends.
        store: SQLite file of the studies; None keeps the study in memory.
        progress: Shown per trial.
    """
    fold = next((one for one in split.folds if one.purpose == "calibration"), None)
    if fold is None:
        rows = split.folds[0].train
        inner = grouped_split(data.customers[rows].tolist(), data.labels[rows], 3, seed=seed).folds[0]
        fold = Fold("search", "calibration", rows[inner.train], rows[inner.test])
    found = searched(
        target, data, fold, seed=seed, threads=threads, budget=budget, store=store, draw=True, progress=progress
    )
    if found.best is None:
        return found
    later = split.folds[-1 if split.kind == "temporal" else 0]
    gain = _gain((target, found.best), data, later.train, later.test, seed=seed, threads=threads)
    facts = {"test_gain": round(gain.value, 4), "test_gain_ci": gain.as_list()}
    sentence = f"{found.sentence} (in the test windows, which decide nothing: {_signed(gain)})"
    return replace(found, facts=found.facts | facts, sentence=sentence)


def searched(
    target: Target, data: Dataset, fold: Fold, *, seed: int, threads: int, budget: Budget = Budget(),
    store: Path | None = None, draw: bool = False, progress: Progress = SILENT,
) -> Tuned:  # fmt: skip
    """Returns what a search on one fold finds: half of the judged customers choose, the other half decides.

    Args:
        target: The target's configuration.
        data: The matrix.
        fold: Rows to learn from, and rows that judge.
        seed: Of the sample and the search.
        threads: Native threads.
        budget: When the search ends.
        store: SQLite file of the studies; None keeps the study in memory.
        draw: Also draw the study.
        progress: Shown per trial.
    """
    began = time.monotonic()
    judges = _judges(data, fold, seed)
    study, before = _study(target, data, judges, seed=seed, store=store)
    with progress.step(f"{target.name}: tuning", max(budget.trials - before, 0)) as tick:

        def after_trial(*_: Any) -> None:
            tick(1)
            hit("tune.after_trial")

        if before < budget.trials:
            study.optimize(
                lambda trial: _objective(trial, target, data, judges, seed=seed, threads=threads),
                n_trials=budget.trials - before,
                timeout=None if budget.minutes is None else budget.minutes * 60,
                callbacks=[after_trial],
            )
    finished = _finished(study)
    if not any(trial.state.name == "COMPLETE" for trial in finished):
        sentence = "no settings could be tried within the time; the configured settings stay"
        return Tuned(target, sentence, {"trials": len(finished), "changed": False}, {})
    best = study.best_trial
    facts: dict[str, Any] = {
        "trials": len(finished),
        "pruned": sum(trial.state.name == "PRUNED" for trial in finished),
        "from_earlier_runs": before,
        "seconds": round(time.monotonic() - began, 1),
        "searched_auc": round(best.value, 4),
        "configured_auc": next((round(t.value, 4) for t in finished if t.user_attrs.get("configured")), None),
        "changed": False,
    }
    said = f"{facts['trials']} settings tried, {facts['pruned']} pruned"
    said += f", {before} of them in earlier runs" if before else ""
    pictures = pictures_of(finished, tuple(SPACE)) if draw else {}
    if best.user_attrs.get("configured"):
        return Tuned(target, f"{said}; none was better than the configured settings", facts, pictures)
    chosen = target.model_copy(update={"learner": target.learner.model_copy(update=best.params)})
    gain = _gain((target, chosen), data, fold.train, judges.decide, seed=seed, threads=threads)
    larger = chosen.learner.trees * chosen.learner.leaves > target.learner.trees * target.learner.leaves
    needed = WORTH_IT if larger else 0.0
    changed = gain.value > needed
    facts |= {
        "settings": best.params,
        "gain": round(gain.value, 4),
        "gain_ci": gain.as_list(),
        "needed_gain": needed,
        "changed": changed,
    }
    verdict = "they replace the configured ones" if changed else "the configured settings stay"
    sentence = (
        f"{said}; on later dates, or on other customers where there are none, the best settings "
        f"{'beat' if gain.value > 0 else 'did not beat'} the configured ones: AUC {_signed(gain)}, more than {needed} "
        f"is asked; {verdict}"
    )
    return Tuned(chosen if changed else target, sentence, facts, pictures, chosen)


def _judges(data: Dataset, fold: Fold, seed: int) -> _Judges:
    """Returns the rows of a search: a sample of those to learn from, and the judging customers in two halves."""
    random = np.random.default_rng(seed)
    count = min(max(int(len(fold.train) * SAMPLE_SHARE), min(len(fold.train), FEWEST_ROWS)), SAMPLE_ROWS)
    sample = random.permutation(fold.train)[:count]
    customers, code = np.unique(data.customers[fold.test], return_inverse=True)
    half = (random.random(len(customers)) < 0.5)[code]
    return _Judges(fold, sample, fold.test[half], fold.test[~half])


def _study(target: Target, data: Dataset, judges: _Judges, *, seed: int, store: Path | None) -> tuple[Any, int]:
    """Returns the study of these rows and this configuration, and how many of its trials were finished before."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # else a Ctrl-C prints its traceback
    identity = hashlib.sha256("|".join((data.content_hash(), target.content_hash(), str(seed), repr(SPACE))).encode())
    for rows in (judges.fold.train, judges.sample, judges.choose):
        identity.update(rows.astype(np.int64).tobytes())
    storage = None
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        storage = f"sqlite:///{store.resolve()}"
    study = optuna.create_study(
        study_name=f"{target.name}-{identity.hexdigest()[:16]}",
        storage=storage,
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
    )
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        # Its process was killed; nobody else may write here while the run lock is held.
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    finished = _finished(study)
    # A continued search must not draw its first settings once more.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(finished))
    started = [*finished, *study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))]
    if not any(trial.user_attrs.get("configured") for trial in started):
        study.enqueue_trial({name: getattr(target.learner, name) for name in SPACE}, user_attrs={"configured": True})
    return study, len(finished)


def _finished(study: Any) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in ("COMPLETE", "PRUNED")]


def _objective(trial: Any, target: Target, data: Dataset, judges: _Judges, *, seed: int, threads: int) -> float:
    import optuna

    settings = target.model_copy(update={"learner": _suggest(trial, target.learner)})
    area = 0.5
    for stage, share in enumerate(STAGES):
        rows = np.sort(judges.sample[: int(len(judges.sample) * share)])
        if data.labels[rows].min() == data.labels[rows].max():
            continue
        area = _area(settings, data, rows, judges.choose, seed=seed, threads=threads)
        trial.report(area, stage)
        if stage < len(STAGES) - 1 and trial.should_prune():
            raise optuna.TrialPruned
    return area


def _scores(target: Target, data: Dataset, train: Rows, judged: Rows, *, seed: int, threads: int) -> Floats:
    return learn(target, data, train, seed=seed, threads=threads).decision_function(data.values[judged])


def _area(target: Target, data: Dataset, train: Rows, judged: Rows, *, seed: int, threads: int) -> float:
    scores = _scores(target, data, train, judged, seed=seed, threads=threads)
    return metrics.auc(scores, data.labels[judged], data.customers[judged]).value


def _gain(
    pair: tuple[Target, Target], data: Dataset, train: Rows, judged: Rows, *, seed: int, threads: int
) -> Figure:  # fmt: skip
    """Returns the AUC of the second settings minus that of the first, both learned in full, with a paired interval."""
    first, second = (_scores(one, data, train, judged, seed=seed, threads=threads) for one in pair)
    return metrics.auc_gap(first, second, data.labels[judged], data.customers[judged])


def _signed(figure: Figure) -> str:
    return f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"


def _suggest(trial: Any, start: LearnerSettings) -> LearnerSettings:
    """Returns the settings of a trial; every range is wide enough for the configured value."""
    found: dict[str, float] = {}
    for name, (low, high, log) in SPACE.items():
        configured = getattr(start, name)
        lowest, highest = min(low, configured), max(high, configured)
        if isinstance(configured, int):
            found[name] = trial.suggest_int(name, int(lowest), int(highest), log=log)
        else:
            found[name] = trial.suggest_float(name, lowest, highest, log=log and lowest > 0)
    return start.model_copy(update=found)
