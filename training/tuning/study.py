"""The study of a search: what a trial may vary, and the file in which the next search on these rows goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from features.kit.arrays import Rows
from features.kit.errors import DataError
from training.dataset.dataset import Dataset
from training.labels.targets import LearnerSettings, Target

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


def opened(target: Target, data: Dataset, rows: Iterable[Rows], *, seed: int, store: Path | None) -> tuple[Any, int]:
    """Returns the study of these rows and this configuration, and how many of its trials were finished before.

    `rows` are every set of rows that the search learns from or is judged by: others make another study. `store` is the
    SQLite file; None keeps the study in memory.

    Raises:
        DataError: If the file is not one of studies.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # else a Ctrl-C prints its traceback
    identity = hashlib.sha256("|".join((data.content_hash(), target.content_hash(), str(seed), repr(SPACE))).encode())
    for some in rows:
        identity.update(some.astype(np.int64).tobytes())
    storage = None
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        storage = f"sqlite:///{store.resolve()}"
    try:
        study = optuna.create_study(
            study_name=f"{target.name}-{identity.hexdigest()[:16]}",
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
        )
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{store}: cannot be read as studies ({reason})", remedy="move it away; a new one is made"
        ) from None
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        # Its process was killed; nobody else may write here while the run lock is held.
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    ended = finished(study)
    # a continued search must not draw its first settings once more.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(ended))
    started = [*ended, *study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))]
    if not any(trial.user_attrs.get("configured") for trial in started):
        study.enqueue_trial({name: getattr(target.learner, name) for name in SPACE}, user_attrs={"configured": True})
    return study, len(ended)


def finished(study: Any) -> list[Any]:
    """Returns the trials that ended by themselves, pruned or complete."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in ("COMPLETE", "PRUNED")]


def suggest(trial: Any, start: LearnerSettings) -> LearnerSettings:
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
