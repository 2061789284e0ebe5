"""How large the trees may be where rows are few: the configured settings or one of four forms, judged crosswise.

The configured settings (`LearnerSettings`) are made for some 100,000 rows: with 3,000 their leaves of 200 rows leave
hardly a split. With at most `FEW_ROWS` rows to learn from the forms below are tried from the simplest on, each learned
on two thirds of the customers and judged by the log loss of its calibrated scores on the rest, crosswise where one
third has too few events (`folds_by_customer`). The search ends at the first form that is worse than the best before it
by more than one standard error, since later forms only vary more; then the configured settings are tried, and the
smallest loss decides, of equal ones the simplest form. With fewer than `FEWEST_POSITIVES` events losses mean nothing,
and the simplest form is taken.

Settings that a target file or `--set` changes stay as they are.
"""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Floats, Rows
from training.dataset.dataset import Dataset
from training.dataset.splits import Split
from training.evaluation.metrics import log_loss_gap
from training.labels.targets import LearnerSettings, Target
from training.model.calibrate import calibrate, log_loss
from training.model.modelling import learn, to_learn
from training.tuning.search import folds_by_customer

FEW_ROWS = 20_000
FEWEST_POSITIVES = 30
CONFIGURED = "the configured settings"
_SMALL = {"learning_rate": 0.05, "min_rows_in_leaf": 10, "category_smoothing": 10.0}
FORMS: dict[str, dict[str, float]] = {
    "stumps": _SMALL | {"trees": 300, "leaves": 2, "feature_share": 0.3, "l2": 1.0},
    "small trees": _SMALL | {"trees": 150, "leaves": 4, "feature_share": 0.5, "l2": 3.0},
    "middling trees": _SMALL | {"trees": 150, "leaves": 10, "feature_share": 0.5, "l2": 10.0},
    "full trees": _SMALL | {"trees": 200, "leaves": 31, "feature_share": 1.0, "l2": 1.0},
}
"""Settings in place of the configured ones, the form with the least variance first."""


def for_split(target: Target, data: Dataset, split: Split, *, seed: int, threads: int) -> tuple[Target, str]:
    """Returns `for_rows` of the rows that the judged model of a split learns from.

    Not those of the calibration: they are older and much fewer than those that the served model is learned from. Other
    customers of the same dates cannot show what ages well; where later dates judge, the configured settings give way
    only to a form that is surely better.

    Later dates have no part in the choice. Folds by customer judge each other's rows, so there all folds but the first
    judge rows that had a part in it, as in the search (`tuned`). Over 24 samples of 1,000 rows the AUC was .004 higher
    (standard error .002) than where each fold chose by its own training rows, which costs the seconds once a fold.
    """
    is_temporal = split.kind == "temporal"
    fold = split.folds[-1 if is_temporal else 0]
    return for_rows(target, data, fold.train, seed=seed, threads=threads, surely=is_temporal)


def for_rows(
    target: Target, data: Dataset, rows: Rows, *, seed: int, threads: int, surely: bool = False
) -> tuple[Target, str]:
    """Returns the target with the settings that some rows can carry, and one sentence about it ("": left as it is).

    `rows` are those that a model is learned from. With `surely` the configured settings give way only to a form that is
    better with its whole 95 % interval. Costs seconds.
    """
    only_thinned = {"negatives_per_positive": target.learner.negatives_per_positive}
    if len(rows) > FEW_ROWS or target.learner != LearnerSettings().model_copy(update=only_thinned):
        return target, ""
    rows, _, _ = to_learn(target.own_actions, data, rows)
    positives = int(data.labels[rows].sum())
    found = f"{len(rows):,} rows and {positives:,} positives to learn from"
    simplest = next(iter(FORMS))
    if positives < FEWEST_POSITIVES:
        if surely:
            return target, ""
        return _with(target, simplest), f"{found}: {simplest}, too few events to compare others"
    parts = [(fold.train, fold.test) for fold in folds_by_customer(data, rows, seed=seed)]
    judged = np.concatenate([test for _, test in parts])
    labels, weights = data.labels[judged], data.weights_of(judged)
    promises: dict[str, Floats] = {}
    best = simplest
    for form in FORMS:
        promises[form] = _promised(_with(target, form), data, parts, seed=seed, threads=threads)
        gain = log_loss_gap(promises[best], promises[form], labels, data.customers[judged], rows=weights)
        if gain.value < -gain.standard_error:
            break
        best = form if gain.value > 0 else best
    promises[CONFIGURED] = _promised(target, data, parts, seed=seed, threads=threads)
    losses = {form: float(np.average(log_loss(mine, labels), weights=weights)) for form, mine in promises.items()}
    chosen = min(losses, key=lambda form: losses[form])
    gain = log_loss_gap(promises[CONFIGURED], promises[chosen], labels, data.customers[judged], rows=weights)
    chosen = chosen if gain.low > 0 or not surely else CONFIGURED
    tried = ", ".join(f"{form} {loss:.4f}" for form, loss in losses.items())
    return _with(target, chosen), f"{found}: {chosen}, by log loss on other customers ({tried})"


def _with(target: Target, form: str) -> Target:
    return target.model_copy(update={"learner": target.learner.model_copy(update=FORMS.get(form, {}))})


def _promised(target: Target, data: Dataset, parts: list[tuple[Rows, Rows]], *, seed: int, threads: int) -> Floats:
    """Returns what models of the other parts promise for the rows of each part, in their order.

    Calibrated as the served model will be: else a form that shrinks towards the mean would win by knowing nothing.
    """
    models = [(learn(target, data, train, seed=seed, threads=threads), test) for train, test in parts]
    scores = np.concatenate([model.decision_function(data.values[test]) for model, test in models])
    rows = np.concatenate([test for _, test in parts])
    return calibrate(scores, data.labels[rows], "sigmoid", data.weights_of(rows))[0].propensity(scores)
