"""Finds columns that carry the label: known only afterwards, or blank where the answer is known.

Three checks on the rows that would be learned from, each with its evidence in figures:

- `pure`: one value of the column is followed by the event almost without exception.
- `missing`: whether the column is blank ranks well by itself *and* adds much to a model of all other columns. Only
  columns whose knowledge time is not proven (snapshots, declared attributes) are suspected; a portrait that is blank
  because nothing had happened before the as-of date is honest. Blanks that other columns explain (no internet, so no
  online backup) add nothing and are left alone. A column that is filled only where a leaking one is filled came with
  it, and goes with it.
- `value`: the column alone ranks almost perfectly, or it ranks well and adds more to a model of all other columns than
  an honest single column does.

Candidates are tried against a model without any candidate, so that leaking twins cannot hide each other, and once more
without those only that stood out, so that an honest one is not blamed for what the others took away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training import metrics
from training.bundle import Floats
from training.dataset import Dataset
from training.learner import BoostedTrees
from training.splits import Rows

MAX_ROWS = 20_000
MIN_ROWS = 30
PURE_RATE, PURE_BASE = 0.97, 0.5
SUSPICIOUS_BLANKS, BLANKS_GAIN = 0.60, 0.04
SUSPICIOUS_VALUE, VALUE_GAIN = 0.85, 0.10
TOO_GOOD = 0.95
NESTED, NESTED_BASE = 0.99, 0.9
SMOOTHING = 20.0


@dataclass(frozen=True)
class Leak:
    """A leaking column.

    Attributes:
        name: The column.
        check: `pure`, `missing` or `value`.
        evidence: The figures in words.
    """

    name: str
    check: str
    evidence: str


def audit(data: Dataset, rows: Rows, unproven: Collection[str], *, seed: int, threads: int = 1) -> tuple[Leak, ...]:
    """Returns the leaking columns, by name.

    Args:
        data: The matrix.
        rows: The rows that would be learned from; at most 20,000 of them are looked at.
        unproven: Columns whose knowledge time is not proven; only their blanks are suspected.
        seed: Of the draw and of the trial models.
        threads: Native threads.
    """
    if len(rows) > MAX_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_ROWS, replace=False))
    part = data.take(rows)
    positives = int(part.labels.sum())
    if min(positives, len(part.labels) - positives) < MIN_ROWS:
        return ()
    unsure = [place for place, feature in enumerate(part.features) if feature.name in set(unproven)]
    trial = _Trial(part, _halves(part.customers), seed, threads)
    found: dict[int, Leak] = {}
    for place, feature in enumerate(part.features):
        evidence = _pure(part, place)
        strength = 0.0 if evidence else trial.alone(place)
        if strength >= TOO_GOOD:
            evidence = f"alone ranks with AUC {strength:.3f}, too good to be known beforehand"
        if evidence:
            found[place] = Leak(feature.name, "pure" if strength == 0.0 else "value", evidence)
    suspects = [(place, True) for place in unsure if trial.blanks_alone(place) >= SUSPICIOUS_BLANKS]
    suspects += [(place, False) for place in range(len(part.features)) if trial.alone(place) >= SUSPICIOUS_VALUE]
    for (place, blanks), (base, gain) in trial.standing_out(suspects, without=found).items():
        if place in found:
            continue
        lifts = f"lifts a model of all other columns from {base:.3f} to {base + gain:.3f}"
        evidence = f"alone ranks with AUC {trial.alone(place):.3f} and {lifts}"
        if blanks:
            missing = np.isnan(part.values[:, place])
            filled_rate, blank_rate = part.labels[~missing].mean(), part.labels[missing].mean()
            evidence = (
                f"{filled_rate:.0%} positive where filled, {blank_rate:.0%} where blank; blank or not alone ranks with "
                f"AUC {trial.blanks_alone(place):.3f} and {lifts}"
            )
        found[place] = Leak(part.features[place].name, "missing" if blanks else "value", evidence)
    found |= _nested(part, found, unsure)
    return tuple(sorted(found.values(), key=lambda leak: leak.name))


@dataclass
class _Trial:
    """Single columns and small models, always judged on the half of the customers that they were not learned from."""

    part: Dataset
    half: npt.NDArray[np.bool_]
    seed: int
    threads: int
    known: dict[tuple[str, int], float] = field(default_factory=dict)

    def alone(self, place: int) -> float:
        """Returns the AUC of one column's values, whichever way it points."""
        if ("alone", place) not in self.known:
            column = self.part.values[:, place]
            is_category = self.part.features[place].kind == "category"
            scores = self._rates(column) if is_category else np.nan_to_num(column.astype(np.float64), nan=-3e38)
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
            areas.append(metrics.auc(scores, labels[~learn_on], self.part.customers[~learn_on]).value)
        return float(np.mean(areas))

    def _strength(self, scores: Floats) -> float:
        area = metrics.auc(scores, self.part.labels, self.part.customers).value
        return max(area, 1.0 - area)

    def _rates(self, column: npt.NDArray[np.float32]) -> Floats:
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


def _halves(customers: npt.NDArray[np.str_]) -> npt.NDArray[np.bool_]:
    """Returns which half each row's customer belongs to."""
    unique, codes = np.unique(customers, return_inverse=True)
    drawn: npt.NDArray[np.bool_] = (np.random.default_rng(0).permutation(len(unique)) % 2 == 0)[codes]
    return drawn


def _nested(part: Dataset, found: dict[int, Leak], unsure: list[int]) -> dict[int, Leak]:
    """Returns the columns that are filled (or blank) only where a column with leaking blanks is so, too."""
    blank = np.isnan(part.values)
    result: dict[int, Leak] = {}
    for leaking in (place for place, leak in found.items() if leak.check == "missing"):
        for place in set(unsure) - set(found) - set(result):
            for side, word in ((~blank, "filled"), (blank, "blank")):
                rows, share = int(side[:, place].sum()), float(side[:, leaking].mean())
                if rows < MIN_ROWS or share > NESTED_BASE:
                    continue
                inside = float(side[side[:, place], leaking].mean())
                if inside >= NESTED:
                    name = part.features[leaking].name
                    evidence = (
                        f"{inside:.1%} of its {word} rows are {word} in '{name}', which leaks ({share:.0%} of all are)"
                    )
                    result[place] = Leak(part.features[place].name, "missing", evidence)
    return result


def _pure(part: Dataset, place: int) -> str:
    """Returns the evidence that one value, or an end of the range, is nearly always followed by the event."""
    labels = part.labels
    if labels.mean() >= PURE_BASE:
        return ""
    column = part.values[:, place]
    values, codes = np.unique(column, return_inverse=True, equal_nan=True)
    rows, hits = np.bincount(codes), np.bincount(codes, labels)
    pure = np.flatnonzero((rows >= MIN_ROWS) & (hits >= PURE_RATE * rows))
    if len(pure):
        feature, value = part.features[place], values[pure[0]]
        if np.isnan(value):
            text = "blank"
        else:
            text = feature.categories[int(value)] if feature.kind == "category" else f"{value:g}"
        first = f"{hits[pure[0]]:.0f} of {rows[pure[0]]} rows with the value {text} are positive"
        return f"{first}, {labels.mean():.0%} of all"
    return ""
