"""A search for better learner settings, and the proof that they are better: on later dates, on other customers.

The search learns from a quarter, a half and then all of a sample and stops a trial that falls behind (median pruning).
Its judge is the calibration fold, which lies before the test windows; half of its customers choose the settings. Then
the chosen and the configured settings are both learned in full, and the other half decides: the chosen ones must win
by more than the standard error of the difference (Breiman's rule: within it, the simpler choice), and those that make
a larger model by more than `WORTH_IT` too, since it costs every score and every reason. The test windows decide
nothing; how both do there is only reported. Rows without dates are judged by customer, on as many folds as it takes to
judge `ENOUGH_POSITIVES`: a search on a handful of events finds only their noise, and one on fewer than
`FEWEST_EVENTS` is not begun, because the standard error of a difference needs about so many.

A study is a file: with a `store` every finished trial is kept in SQLite, and the next search on the same rows with the
same configuration goes on where the last one ended, however it ended.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from features.kit.arrays import Floats, Rows
from features.kit.runs import hit
from features.kit.terminal.progress import SILENT, Progress
from training.dataset.dataset import Dataset
from training.dataset.splits import Fold, Split, grouped_split
from training.evaluation import metrics
from training.evaluation.metrics import Figure
from training.labels.targets import Target
from training.model.modelling import learn
from training.tuning.pictures import pictures_of
from training.tuning.study import SPACE, finished, opened, suggest

TRIALS = 30
WORTH_IT = 0.003
SAMPLE_SHARE = 0.25
SAMPLE_ROWS = 40_000
FEWEST_ROWS = 5_000
STAGES = (0.25, 0.5, 1.0)
GROUPS = 3
ENOUGH_POSITIVES, FEWEST_EVENTS = 200, 10


@dataclass(frozen=True)
class Budget:
    """When a search ends, whichever comes first."""

    trials: int = TRIALS  # finished trials of the study, those of earlier runs included
    minutes: float | None = None  # of this run; None: no limit


@dataclass(frozen=True)
class Tuned:
    """What a search found."""

    target: Target  # the target with the settings to use: better ones, or the configured ones
    sentence: str  # what was found, for people
    facts: dict[str, Any]  # the same for programs
    pictures: dict[str, bytes] = field(default_factory=dict)  # PNG by file name
    best: Target | None = None  # with the best settings of the search, taken or not; None if the configured ones are


@dataclass(frozen=True)
class _Judges:
    """Rows of one fold: those to learn from, a sample of them, customers that choose, and others that decide."""

    train: Rows
    sample: Rows
    choose: Rows
    decide: Rows


def tuned(
    target: Target, data: Dataset, split: Split, *, seed: int, threads: int, budget: Budget = Budget(),
    store: Path | None = None, progress: Progress = SILENT,
) -> Tuned:  # fmt: skip
    """Returns the better of the configured settings and the best that a search found.

    Folds by customer have no earlier dates: there the search splits the training rows of the first fold once more
    (`folds_by_customer`). `store` is the SQLite file of the studies; None keeps the study in memory.
    """
    folds = tuple(fold for fold in split.folds if fold.purpose == "calibration")[:1]
    folds = folds or folds_by_customer(data, split.folds[0].train, seed=seed)
    found = searched(
        target, data, folds, seed=seed, threads=threads, budget=budget, store=store, draw=True, progress=progress
    )
    if found.best is None:
        return found
    later = split.folds[-1 if split.kind == "temporal" else 0]
    gain = _gain((target, found.best), data, [(later.train, later.test)], seed=seed, threads=threads)
    sentence = f"{found.sentence} (in the test windows, which decide nothing: {_signed(gain)})"
    return replace(found, facts=found.facts | gain.under("test_gain"), sentence=sentence)


def folds_by_customer(data: Dataset, rows: Rows, *, seed: int) -> tuple[Fold, ...]:
    """Returns folds of rows that have no dates: as few of `GROUPS` as judge `ENOUGH_POSITIVES`, or all."""
    groups = grouped_split(data.customers[rows].tolist(), data.labels[rows], GROUPS, seed=seed).folds
    judged = np.cumsum([data.labels[rows[group.test]].sum() for group in groups])
    needed = min(int(np.searchsorted(judged, ENOUGH_POSITIVES)) + 1, GROUPS)
    return tuple(Fold(group.name, "calibration", rows[group.train], rows[group.test]) for group in groups[:needed])


def searched(
    target: Target, data: Dataset, folds: Sequence[Fold], *, seed: int, threads: int, budget: Budget = Budget(),
    store: Path | None = None, draw: bool = False, progress: Progress = SILENT,
) -> Tuned:  # fmt: skip
    """Returns what a search finds: half of the judged customers choose, the other half decides.

    A fold has rows to learn from and rows that judge; figures are the mean of the folds. `store` is the SQLite file of
    the studies (None keeps the study in memory), and `draw` also draws the study.
    """
    began = time.monotonic()
    judges = [_judges(data, fold, seed) for fold in folds]
    events = min(_events(data, [judge.choose for judge in judges]), _events(data, [judge.decide for judge in judges]))
    if events < FEWEST_EVENTS:
        sentence = f"no search: {events} events would decide, {FEWEST_EVENTS} are asked; the configured settings stay"
        return Tuned(target, sentence, {"trials": 0, "changed": False}, {})
    study, before = opened(
        target,
        data,
        [rows for judge in judges for rows in (judge.train, judge.sample, judge.choose)],
        seed=seed,
        store=store,
    )
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
    ended = finished(study)
    if not any(trial.state.name == "COMPLETE" for trial in ended):
        sentence = "no settings could be tried within the time; the configured settings stay"
        return Tuned(target, sentence, {"trials": len(ended), "changed": False}, {})
    best = study.best_trial
    facts: dict[str, Any] = {
        "trials": len(ended),
        "pruned": sum(trial.state.name == "PRUNED" for trial in ended),
        "from_earlier_runs": before,
        "seconds": round(time.monotonic() - began, 1),
        "searched_auc": round(best.value, 4),
        "configured_auc": next((round(t.value, 4) for t in ended if t.user_attrs.get("configured")), None),
        "changed": False,
    }
    tried = f"{facts['trials']} settings tried, {facts['pruned']} pruned"
    tried += f", {before} of them in earlier runs" if before else ""
    pictures = pictures_of(ended, tuple(SPACE)) if draw else {}
    if best.user_attrs.get("configured"):
        return Tuned(target, f"{tried}; none was better than the configured settings", facts, pictures)
    chosen = target.model_copy(update={"learner": target.learner.model_copy(update=best.params)})
    decided_on = [(judge.train, judge.decide) for judge in judges]
    gain = _gain((target, chosen), data, decided_on, seed=seed, threads=threads)
    larger = chosen.learner.trees * chosen.learner.leaves > target.learner.trees * target.learner.leaves
    needed = max(WORTH_IT if larger else 0.0, gain.standard_error)
    changed = gain.value > needed
    facts |= {
        "settings": best.params,
        **gain.under("gain"),
        "needed_gain": round(needed, 4),
        "changed": changed,
    }
    verdict = "they replace the configured ones" if changed else "the configured settings stay"
    sentence = (
        f"{tried}; on later dates, or on other customers where there are none, the best settings "
        f"{'beat' if gain.value > 0 else 'did not beat'} the configured ones: AUC {_signed(gain)}, more than "
        f"{needed:.4f} is asked; {verdict}"
    )
    return Tuned(chosen if changed else target, sentence, facts, pictures, chosen)


def _judges(data: Dataset, fold: Fold, seed: int) -> _Judges:
    """Returns the rows of one fold's search: a sample of those to learn from, and the judging customers in two halves.

    Customers with an event are halved apart from the others, so that few events do not all fall to one half.
    """
    random = np.random.default_rng(seed)
    count = min(max(int(len(fold.train) * SAMPLE_SHARE), min(len(fold.train), FEWEST_ROWS)), SAMPLE_ROWS)
    sample = random.permutation(fold.train)[:count]
    customers, code = np.unique(data.customers[fold.test], return_inverse=True)
    had_event = np.bincount(code, data.labels[fold.test], len(customers)) > 0
    mixed = random.permutation(len(customers))
    in_order = mixed[np.argsort(had_event[mixed], kind="stable")]
    chooses = np.zeros(len(customers), dtype=bool)
    chooses[in_order[::2]] = True
    return _Judges(fold.train, sample, fold.test[chooses[code]], fold.test[~chooses[code]])


def _events(data: Dataset, parts: Sequence[Rows]) -> int:
    return sum(int(data.labels[rows].sum()) for rows in parts)


def _objective(
    trial: Any, target: Target, data: Dataset, judges: Sequence[_Judges], *, seed: int, threads: int
) -> float:  # fmt: skip
    import optuna

    settings = target.model_copy(update={"learner": suggest(trial, target.learner)})
    area = 0.5
    for stage, share in enumerate(STAGES):
        parts = [(np.sort(judge.sample[: int(len(judge.sample) * share)]), judge.choose) for judge in judges]
        if any(len(np.unique(data.labels[rows])) < 2 for rows, _ in parts):
            continue
        area = float(np.mean([_area(settings, data, *part, seed=seed, threads=threads) for part in parts]))
        trial.report(area, stage)
        if stage < len(STAGES) - 1 and trial.should_prune():
            raise optuna.TrialPruned
    return area


def _scores(target: Target, data: Dataset, train: Rows, judged: Rows, *, seed: int, threads: int) -> Floats:
    return learn(target, data, train, seed=seed, threads=threads).decision_function(data.values[judged])


def _area(target: Target, data: Dataset, train: Rows, judged: Rows, *, seed: int, threads: int) -> float:
    scores = _scores(target, data, train, judged, seed=seed, threads=threads)
    return metrics.area(scores, data.labels[judged])


def _gain(
    pair: tuple[Target, Target], data: Dataset, parts: Sequence[tuple[Rows, Rows]], *, seed: int, threads: int
) -> Figure:  # fmt: skip
    """Returns the AUC of the second settings minus that of the first, both learned in full, with a paired interval.

    `parts` are rows to learn from and rows that judge; the mean of them is returned.
    """
    gains = []
    for train, judged in parts:
        first, second = (_scores(settings, data, train, judged, seed=seed, threads=threads) for settings in pair)
        gains.append(metrics.auc_gap(first, second, data.labels[judged], data.customers[judged]))
    return metrics.over_folds(gains)


def _signed(figure: Figure) -> str:
    return f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"
