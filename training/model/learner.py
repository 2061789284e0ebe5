"""The learner: LightGBM with native categories and missing values, on the scikit-learn contract.

One seed, one row order, `deterministic` and `force_row_wise`: the same rows give the same trees on one thread and on
two (the model text differs only in `parameters:`, which records the thread count).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y

from features.kit.arrays import Floats
from training.bundle import import_lightgbm, model_name
from training.labels.targets import LearnerSettings


@dataclass(kw_only=True, eq=False, repr=False)
class BoostedTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Gradient-boosted trees for a yes-or-no target."""

    trees: int = 200
    leaves: int = 15  # per tree
    learning_rate: float = 0.03  # shrinkage per tree
    min_rows_in_leaf: int = 200
    feature_share: float = 0.3  # of the features, tried per split
    row_share: float = 0.8  # of the rows, per tree
    l2: float = 30.0  # penalty on leaf values
    category_smoothing: float = 30.0  # pulls rare categories towards the mean
    bins: int = 127  # of the histogram of a feature
    categories: Sequence[int] = ()  # places of the categorical features
    names: Sequence[str] = ()  # of the features; empty for `f0, f1, ...`
    monotone: Mapping[str, int] | None = None  # features along which the score may only rise (1) or only fall (-1)
    seed: int = 7  # of everything random
    threads: int = 1  # changes the speed, never the trees

    @classmethod
    def of(
        cls, settings: LearnerSettings, *, categories: Sequence[int], names: Sequence[str], seed: int, threads: int,
        monotone: Mapping[str, int] | None = None,
    ) -> BoostedTrees:  # fmt: skip
        """Returns an unfitted learner with a target's settings; directions of absent features are left out."""
        chosen = settings.model_dump(exclude={"negatives_per_positive"})
        directions = {name: way for name, way in (monotone or {}).items() if name in set(names)}
        return cls(
            **chosen, categories=tuple(categories), names=tuple(names), monotone=directions, seed=seed, threads=threads
        )

    def fit(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> Self:  # noqa: N803 - scikit-learn's names
        """Learns from float32 [n, k] with NaN for missing and 0/1 labels [n].

        `sample_weight` says how many rows each row stands for (None: itself). `offset` are log-odds that are known and
        not to be learned, float64 [n]; the scores are those without it.

        Raises:
            ValueError: If shapes or labels are wrong, a feature is infinite, or a direction has no feature.
        """
        X, y = check_X_y(X, y, dtype=np.float32, ensure_all_finite="allow-nan")  # noqa: N806
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            raise ValueError(f"expected two classes, got {len(self.classes_)}")
        self.n_features_in_ = X.shape[1]
        lightgbm = import_lightgbm()
        names = [model_name(name) for name in self.names] or [f"f{k}" for k in range(X.shape[1])]
        wanted = (y == self.classes_[1]).astype(np.float64)
        start = float(np.log(wanted.mean() / (1 - wanted.mean())))
        if offset is not None:
            offset = np.asarray(offset, dtype=np.float64) + start
        data = lightgbm.Dataset(
            X,
            wanted,
            weight=sample_weight,
            init_score=offset,
            feature_name=names,
            categorical_feature=list(self.categories),
            params={"max_bin": self.bins, "verbosity": -1, "num_threads": self.threads},
        )
        self.booster_ = lightgbm.train(self._settings() | self._directions(names), data, self.trees)
        if offset is not None:
            _add_to_first_tree(self.booster_, start)
        return self

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """Returns raw scores, float64 [n]."""
        check_is_fitted(self, "booster_")
        X = check_array(X, dtype=np.float32, ensure_all_finite="allow-nan")  # noqa: N806
        result: Floats = self.booster_.predict(X, raw_score=True, num_threads=self.threads)
        return result

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Returns uncalibrated probabilities, float64 [n, 2]; for scikit-learn's tools only, never for a customer."""
        positive = 1.0 / (1.0 + np.exp(-self.decision_function(X)))
        return np.column_stack([1.0 - positive, positive])

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Returns the more probable class, [n]."""
        chosen: npt.NDArray[Any] = self.classes_[(self.decision_function(X) > 0).astype(int)]
        return chosen

    @property
    def model_text(self) -> str:
        """Returns LightGBM's text format."""
        check_is_fitted(self, "booster_")
        return str(self.booster_.model_to_string())

    def _directions(self, names: Sequence[str]) -> dict[str, Any]:
        wanted = {model_name(name): way for name, way in (self.monotone or {}).items()}
        unknown = sorted(set(wanted) - set(names))
        if unknown or any(names.index(name) in set(self.categories) for name in wanted):
            raise ValueError(f"monotone: {', '.join(unknown) or 'a category has no direction'}")
        return {"monotone_constraints": [wanted.get(name, 0) for name in names]} if wanted else {}

    def _settings(self) -> dict[str, Any]:
        return {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_rows_in_leaf,
            "feature_fraction_bynode": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "cat_smooth": self.category_smoothing,
            "max_bin": self.bins,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "num_threads": self.threads,
            "verbosity": -1,
        }


def _add_to_first_tree(booster: Any, start: float) -> None:
    """Adds the base log-odds to every score, as LightGBM does itself where it is given no offset."""
    first = booster.dump_model(num_iteration=1)["tree_info"][0]
    for leaf in range(first["num_leaves"]):
        booster.set_leaf_output(0, leaf, booster.get_leaf_output(0, leaf) + start)
