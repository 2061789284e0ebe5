"""The models of `insight benchmark`: ours by default and tuned, and what a data scientist would reach for first.

Every model gets the same rows, the same coded columns, one thread, the same seed and at most the same seconds. A model
is a function from a matrix, the rows to learn from, seconds and a seed to a function that scores vectors.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.kit.arrays import Floats, Rows, Vectors
from training.bundle import import_lightgbm, model_name
from training.dataset.dataset import Dataset
from training.labels.targets import Target
from training.model.modelling import learn
from training.tuning.few_rows import for_rows
from training.tuning.search import Budget, folds_by_customer, searched

Score = Callable[[Vectors], Floats]
Learn = Callable[[Target, Dataset, Rows, float, int], Score]
OURS, FIXED = "ours, tuned", "ours, without a search"
MOST_CATEGORIES = 250
ANY_NUMBER_OF_TRIALS = 100_000
SEARCH_SHARE = 0.8
"""Of the seconds; the rest is for learning the found settings on all rows, as FLAML does within its budget."""


@dataclass(frozen=True)
class Model:
    """One model of the benchmark."""

    name: str
    learn: Learn
    needs: tuple[str, ...] = ()  # modules that must be installed

    @property
    def missing(self) -> tuple[str, ...]:
        """Returns the modules that are not installed."""
        return tuple(name for name in self.needs if importlib.util.find_spec(name) is None)


def models() -> tuple[Model, ...]:
    """Returns all models, ours first."""
    return (
        Model(OURS, _ours_tuned),
        Model(FIXED, _ours),
        Model("LightGBM defaults", _lightgbm),
        Model("HistGradientBoosting", _histogram),
        Model("logistic regression", _logistic),
        Model("FLAML", _flaml, needs=("flaml", "xgboost")),
    )


def _ours(target: Target, data: Dataset, rows: Rows, seconds: float, seed: int) -> Score:
    del seconds
    target, _ = for_rows(target, data, rows, seed=seed, threads=1)
    return learn(target, data, rows, seed=seed, threads=1).decision_function


def _ours_tuned(target: Target, data: Dataset, rows: Rows, seconds: float, seed: int) -> Score:
    ends = time.monotonic() + SEARCH_SHARE * seconds
    target, _ = for_rows(target, data, rows, seed=seed, threads=1)
    part = data.take(rows)
    folds = folds_by_customer(part, np.arange(len(rows)), seed=seed)
    budget = Budget(ANY_NUMBER_OF_TRIALS, minutes=max(ends - time.monotonic(), 0.001) / 60)
    found = searched(target, part, folds, seed=seed, threads=1, budget=budget)
    return learn(found.target, data, rows, seed=seed, threads=1).decision_function


def _lightgbm(target: Target, data: Dataset, rows: Rows, seconds: float, seed: int) -> Score:
    del target, seconds
    lightgbm = import_lightgbm()
    table = lightgbm.Dataset(
        data.values[rows],
        data.labels[rows].astype(np.float64),
        feature_name=[model_name(name) for name in data.names],
        categorical_feature=list(data.categories),
        params={"verbosity": -1, "num_threads": 1},
    )
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": seed, "deterministic": True}
    booster = lightgbm.train(settings, table, 100)
    return lambda values: np.asarray(booster.predict(values, raw_score=True, num_threads=1))


def _histogram(target: Target, data: Dataset, rows: Rows, seconds: float, seed: int) -> Score:
    del target, seconds
    from sklearn.ensemble import HistGradientBoostingClassifier

    few = [place for place in data.categories if len(data.features[place].categories) <= MOST_CATEGORIES]
    model = HistGradientBoostingClassifier(categorical_features=few or None, random_state=seed)
    model.fit(data.values[rows], data.labels[rows])
    return lambda values: np.asarray(model.decision_function(values))


def _logistic(target: Target, data: Dataset, rows: Rows, seconds: float, seed: int) -> Score:
    """Learns one weight a category; unknown numbers get their median and a mark; all on one scale."""
    del target, seconds
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = list(data.categories)
    numbers = [place for place in range(data.values.shape[1]) if place not in set(categories)]
    filled = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
    )
    columns = ColumnTransformer(
        [
            ("numbers", filled, numbers),
            ("categories", OneHotEncoder(handle_unknown="ignore", min_frequency=10), categories),
        ]
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=2000, random_state=seed))
    with warnings.catch_warnings(action="ignore"):  # a rare category of this fold is grouped or ignored, as meant
        model.fit(data.values[rows].astype(np.float64), data.labels[rows])

    def score(values: Vectors) -> Floats:
        with warnings.catch_warnings(action="ignore"):
            return np.asarray(model.decision_function(values.astype(np.float64)))

    return score


def _flaml(target: Target, data: Dataset, rows: Rows, seconds: float, seed: int) -> Score:
    del target
    with _without_spark(), warnings.catch_warnings(action="ignore"):  # FLAML warns about versions to come
        automl = importlib.import_module("flaml.automl").AutoML()
        automl.fit(
            X_train=_frame(data, data.values[rows]),
            y_train=data.labels[rows].astype(int),
            task="classification",
            metric="roc_auc",
            estimator_list=["lgbm", "xgboost", "xgb_limitdepth", "rf", "extra_tree", "lrl1"],
            time_budget=seconds,
            n_jobs=1,
            seed=seed,
            verbose=0,
        )

    def score(values: Vectors) -> Floats:
        with warnings.catch_warnings(action="ignore"):
            return np.asarray(automl.predict_proba(_frame(data, values)))[:, 1].astype(np.float64)

    return score


def _frame(data: Dataset, values: Vectors) -> Any:
    pd = importlib.import_module("pandas")
    frame = pd.DataFrame(values, columns=[f"c{place}" for place in range(values.shape[1])])
    for place in data.categories:
        codes = pd.array(values[:, place], dtype="Float64").astype("Int64")
        frame[f"c{place}"] = pd.Categorical(codes, categories=range(len(data.features[place].categories)))
    return frame


@contextmanager
def _without_spark() -> Iterator[None]:
    """Hides pyspark from FLAML, which starts a Spark session while it is imported, wherever pyspark is installed."""
    if "pyspark" in sys.modules:
        yield
        return
    sys.modules["pyspark"] = None  # type: ignore[assignment] # Python's mark for "do not import"
    try:
        yield
    finally:
        del sys.modules["pyspark"]
