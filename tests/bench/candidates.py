"""Trained candidates of one target on one home, sound ones and sabotaged ones, each judged on the same test rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.home import Home
from training.dataset.dataset import Dataset
from training.dataset.prepare import Prepared
from training.dataset.splits import Fold
from training.evaluation.evaluate import Judged, evaluate
from training.evaluation.verdict import Champion, Verdict, judge
from training.labels.targets import Target


@dataclass(frozen=True)
class Bench:
    """A target's matrix on a home, from which candidates are trained."""

    home: Home
    target: Target
    prepared: Prepared

    @classmethod
    def of(cls, home: Home, name: str) -> Bench:
        """Returns the bench of a target, with the rows that its training would use."""
        from training.dataset.prepare import prepare
        from training.labels.history import open_records
        from training.labels.spine import labelled
        from training.labels.targets import load_target

        target = load_target(name)
        with open_records(home) as records:
            return cls(home, target, prepare(home, target, labelled(records, target), seed=7))

    def candidate(self, data: Dataset | None = None, *, seed: int = 7, old: bool = False) -> Judged:
        """Returns the judged rows of a model learned from this matrix, or a sabotaged one of the same rows.

        `old`: only from the oldest third of the training dates, which in 18 months of history is last year's.
        """
        from training.evaluation.judgement import judged_rows
        from training.labels.history import open_records
        from training.model.modelling import fit

        prepared = self.prepared if data is None else replace(self.prepared, data=data)
        split = prepared.split
        if old:
            split = replace(split, folds=tuple(_oldest_third(fold, prepared.data.as_of) for fold in split.folds))
        # The model that would serve is not judged here: a few rows are enough for it.
        fitted = fit(self.target, prepared.data, split, split.folds[-1].train, seed=seed, threads=1)
        with open_records(self.home) as records:
            return judged_rows(records, self.target, self.prepared.data, fitted)

    def shuffled(self) -> Judged:
        """Returns a candidate that learned from shuffled labels; the judged rows keep theirs."""
        data, judged = self.prepared.data, self.prepared.split.rows("test")
        others = np.setdiff1d(np.arange(len(data.labels)), judged)
        labels = data.labels.copy()
        labels[others] = np.random.default_rng(7).permutation(labels[others])
        return self.candidate(replace(data, labels=labels))

    def half_zeroed(self) -> Judged:
        """Returns a candidate for which half of the features were zero, in training and since."""
        data = self.prepared.data
        zeroed = np.random.default_rng(7).permutation(len(data.features))[: len(data.features) // 2]
        values = data.values.copy()
        values[:, zeroed] = 0
        return self.candidate(replace(data, values=values))

    def verdict(self, rows: Judged, champion: Judged | None) -> Verdict:
        """Returns the verdict on rows beside a champion that had seen none of them."""
        beside = None
        if champion is not None:
            fair = np.ones(len(rows.labels), dtype=bool)
            beside = Champion("champion", champion.propensities, fair, "out-of-time scores of the same rows")
        return judge(self.target.promotion, self.target.value, rows, evaluate(rows), beside)


def _oldest_third(fold: Fold, as_of: npt.NDArray[Any]) -> Fold:
    days = np.unique(as_of[fold.train])
    return replace(fold, train=fold.train[as_of[fold.train] <= days[max(0, len(days) // 3 - 1)]])
