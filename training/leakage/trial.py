"""How much a column, or its blanks, tells about the label: alone, and beside all other columns.

Everything is judged on the half of the customers that it was not learned from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Flags, Floats, Vectors
from training.dataset.dataset import Dataset
from training.evaluation import metrics
from training.model.learner import BoostedTrees

MIN_ROWS = 30
BLANKS_GAIN, VALUE_GAIN = 0.04, 0.10
SMOOTHING = 20.0


@dataclass
class Trial:
    """Single columns and small models over one set of rows."""

    part: Dataset
    half: Flags
    seed: int
    threads: int
    known: dict[tuple[str, int], float] = field(default_factory=dict)

    @classmethod
    def of(cls, part: Dataset, *, seed: int, threads: int) -> Trial:
        """Returns a trial with customers drawn into two halves."""
        return cls(part, _halves(part.customers), seed, threads)

    def alone(self, place: int) -> float:
        """Returns the AUC of one column's values, whichever way it points."""
        if ("alone", place) not in self.known:
            column = self.part.values[:, place]
            is_category = self.part.features[place].kind == "category"
            scores = self.rates(column) if is_category else np.nan_to_num(column.astype(np.float64), nan=-3e38)
            self.known["alone", place] = self._strength(scores)
        return self.known["alone", place]

    def blanks_alone(self, place: int) -> float:
        """Returns the AUC of whether one column is blank, whichever way it points; 0 if it hardly varies."""
        if ("blanks", place) not in self.known:
            missing = np.isnan(self.part.values[:, place])
            enough = min(missing.sum(), (~missing).sum()) >= MIN_ROWS
            self.known["blanks", place] = self._strength(missing.astype(np.float64)) if enough else 0.0
        return self.known["blanks", place]

    def standing_out(
        self, suspects: Iterable[tuple[int, bool]], *, without: Iterable[int]
    ) -> dict[tuple[int, bool], tuple[float, float]]:
        """Returns the suspects that add too much: (place, only its blanks?) -> (AUC without any of them, gain)."""
        out = set(without)
        left = [(place, blanks) for place, blanks in suspects if place not in out]
        result: dict[tuple[int, bool], tuple[float, float]] = {}
        for _ in range(2):
            if not left:
                return {}
            tried = out | {place for place, _ in left}
            keep = [place for place in range(len(self.part.features)) if place not in tried]
            base = self._model(keep)
            gains = {(place, blanks): self._model(keep, place, blanks=blanks) - base for place, blanks in left}
            result = {
                (place, blanks): (base, gain)
                for (place, blanks), gain in gains.items()
                if gain >= (BLANKS_GAIN if blanks else VALUE_GAIN)
            }
            if list(result) == left:
                break
            left = list(result)
        return result

    def _model(self, keep: list[int], added: int | None = None, *, blanks: bool = False) -> float:
        """Returns the mean AUC of two small models, each learned on one half and judged on the other."""
        columns = [self.part.values[:, keep]]
        categories = [at for at, place in enumerate(keep) if self.part.features[place].kind == "category"]
        if added is not None:
            column = self.part.values[:, added]
            columns.append((np.isnan(column).astype(np.float32) if blanks else column)[:, None])
            if self.part.features[added].kind == "category" and not blanks:
                categories.append(len(keep))
        if not keep and added is None:
            return 0.5
        values, labels = np.column_stack(columns), self.part.labels
        areas = []
        for learn_on in (self.half, ~self.half):
            # Few, quick trees that see most columns: what one column adds must show.
            learner = BoostedTrees(
                trees=60,
                learning_rate=0.1,
                min_rows_in_leaf=50,
                feature_share=0.6,
                l2=5.0,
                categories=categories,
                seed=self.seed,
                threads=self.threads,
            ).fit(values[learn_on], labels[learn_on])
            scores = learner.decision_function(values[~learn_on])
            areas.append(metrics.area(scores, labels[~learn_on]))
        return float(np.mean(areas))

    def _strength(self, scores: Floats) -> float:
        area = metrics.area(scores, self.part.labels)
        return max(area, 1.0 - area)

    def rates(self, column: Vectors) -> Floats:
        """Returns each row's event rate of its category in the other half, pulled to the mean where it is rare."""
        labels = self.part.labels
        codes = np.where(np.isnan(column), -1, column).astype(np.int64) + 1
        scores = np.empty(len(codes))
        for learn_on in (self.half, ~self.half):
            rows = np.bincount(codes[learn_on], minlength=codes.max() + 1)
            hits = np.bincount(codes[learn_on], labels[learn_on], minlength=codes.max() + 1)
            rates = (hits + SMOOTHING * labels[learn_on].mean()) / (rows + SMOOTHING)
            scores[~learn_on] = rates[codes[~learn_on]]
        return scores


def _halves(customers: npt.NDArray[np.str_]) -> Flags:
    """Returns which half each row's customer belongs to."""
    unique, codes = np.unique(customers, return_inverse=True)
    drawn: Flags = (np.random.default_rng(0).permutation(len(unique)) % 2 == 0)[codes]
    return drawn
