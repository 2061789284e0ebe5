"""Folds that no label crosses: temporal with an embargo, or by customer where there is only one as-of date.

Each splitter returns its folds and a log of them, so that a report can show what was learned from and judged on.

Worked example, churn (embargo 60 days), as-of dates every 17 days from 2025-07-04 to 2026-04-02, three test windows:
the test windows are 2026-02-27, 2026-03-16 and 2026-04-02. The labels of 2025-12-29 are surely known on 2026-02-27, so
training for the test ends there at the latest; on the grid that is 2025-12-21. The calibration windows are the last two
dates of that training part, and the model that is calibrated on them ends another 60 days before the first of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Days, Rows
from training.labels.targets import FoldSettings

Purpose = Literal["calibration", "test"]


@dataclass(frozen=True)
class Fold:
    """Rows to learn from and rows to judge on."""

    name: str
    purpose: Purpose  # whether its predictions calibrate or are judged (grouped folds do both, crosswise)
    train: Rows  # row numbers
    test: Rows  # row numbers, disjoint from `train`


@dataclass(frozen=True)
class Split:
    """Folds and their log."""

    kind: Literal["temporal", "grouped"]
    folds: tuple[Fold, ...]  # the folds; the last ones are judged
    log: tuple[dict[str, Any], ...]  # one plain dictionary per fold

    def rows(self, purpose: Purpose) -> Rows:
        """Returns the rows that the folds of one purpose judge, ascending."""
        parts = [fold.test for fold in self.folds if fold.purpose == purpose]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.intp)

    def moved(self, place: Rows) -> Split:
        """Returns the folds over other row numbers: each row's place there, and -1 for one that is gone."""
        folds = (replace(fold, train=there(place, fold.train), test=there(place, fold.test)) for fold in self.folds)
        return replace(self, folds=tuple(folds))


def places_among(rows: Rows, count: int) -> Rows:
    """Returns where each of `count` rows stands among `rows`, -1 for one that is gone."""
    place = np.full(count, -1, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    return place


def there(place: Rows, rows: Rows) -> Rows:
    """Returns the places of the rows that are still there."""
    found = place[rows]
    return found[found >= 0]


def temporal_dates(dates: Sequence[date], embargo_days: int, settings: FoldSettings) -> dict[str, list[date]] | None:
    """Returns the as-of dates of each part of a temporal split, or None if the history is too short for one.

    Keys: `test`; `test_train` (all at least one embargo before the first test date); `calibration` (the last of
    `test_train`); `calibration_train` (one embargo before the first of those; empty if there is none, and then the
    calibration is learned on the test model's own training dates by groups of customers).
    """
    ordered = sorted(set(dates))
    embargo = timedelta(days=embargo_days)
    for test_windows in range(min(settings.test_windows, len(ordered) - 1), 0, -1):
        test = ordered[-test_windows:]
        train = [day for day in ordered if day + embargo <= test[0]]
        if train:
            break
    else:
        return None
    calibration = train[-settings.calibration_windows :]
    before: list[date] = []
    while calibration and not before:
        before = [day for day in train if day + embargo <= calibration[0]]
        if not before:
            calibration = calibration[1:]
    return {"test": test, "test_train": train, "calibration": calibration, "calibration_train": before}


def temporal_split(as_of: Days, labels: npt.NDArray[Any], embargo_days: int, settings: FoldSettings) -> Split | None:
    """Returns the temporal folds of rows with these as-of dates, or None if the history is too short."""
    days = [day.astype(object) for day in np.unique(as_of.astype("datetime64[D]"))]
    parts = temporal_dates(days, embargo_days, settings)
    if parts is None:
        return None
    rows = {name: np.flatnonzero(np.isin(as_of, np.array(part, "datetime64[D]"))) for name, part in parts.items()}
    folds = [Fold("test", "test", rows["test_train"], rows["test"])]
    if parts["calibration_train"]:
        folds.insert(0, Fold("calibration", "calibration", rows["calibration_train"], rows["calibration"]))
    log = tuple(
        {
            "fold": fold.name,
            "train_as_of": [day.isoformat() for day in _days(as_of, fold.train)],
            "embargo_days": embargo_days,
            "test_as_of": [day.isoformat() for day in _days(as_of, fold.test)],
            **_counts(fold, labels),
        }
        for fold in folds
    )
    return Split("temporal", tuple(folds), log)


def grouped_split(groups: Sequence[str], labels: npt.NDArray[Any], count: int, *, seed: int) -> Split:
    """Returns stratified folds by group: every row is judged once, by a model that saw nothing of its group.

    The folds are those of scikit-learn's `StratifiedGroupKFold` (tested), which takes half a millisecond a group.
    """
    _, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    fold_of = _dealt(codes, labels, count, seed)[codes]
    folds = tuple(
        Fold(
            f"group {number + 1} of {count}",
            "test",
            np.flatnonzero(fold_of != number),
            np.flatnonzero(fold_of == number),
        )
        for number in range(count)
    )
    return Split("grouped", folds, tuple({"fold": fold.name, **_counts(fold, labels)} for fold in folds))


def _dealt(codes: Rows, labels: npt.NDArray[Any], count: int, seed: int) -> npt.NDArray[Any]:
    """Returns the fold of each group: the most uneven first, each where both classes stay spread most evenly."""
    _, classes = np.unique(labels, return_inverse=True)
    groups, kinds = codes.max() + 1, classes.max() + 1
    if kinds != 2 or count > groups:
        raise ValueError(f"{kinds} classes of {groups} customers make no {count} folds")
    sizes = np.bincount(codes * kinds + classes, minlength=groups * kinds).reshape(groups, kinds).astype(np.float64)
    drawn = np.arange(groups)
    np.random.RandomState(seed).shuffle(drawn)
    order = drawn[np.argsort(-np.std(sizes[drawn], axis=1), kind="stable")]
    totals = sizes.sum(axis=0).tolist()
    dealt, fold_of = [[0.0] * count, [0.0] * count], np.empty(groups, dtype=np.intp)

    def unevenness(fold: int, added: list[float]) -> float:
        spreads = []
        for dealt_of, more, total in zip(dealt, added, totals, strict=True):
            shares = [size / total for size in dealt_of]
            shares[fold] = (dealt_of[fold] + more) / total
            centre = sum(shares) / count
            # Not by `**`, whose last bit may differ from numpy's product; one differing bit deals a group elsewhere.
            spreads.append(math.sqrt(sum((share - centre) * (share - centre) for share in shares) / count))
        return (spreads[0] + spreads[1]) / 2

    for group, added in zip(order.tolist(), sizes[order].tolist(), strict=True):
        best, least, fewest = 0, math.inf, math.inf
        for fold in range(count):
            found, filled = unevenness(fold, added), dealt[0][fold] + dealt[1][fold]
            tied = abs(found - least) <= 1e-8 + 1e-5 * least < math.inf  # numpy's `isclose`
            if found < least or (tied and filled < fewest):
                best, least, fewest = fold, found, filled
        for dealt_of, more in zip(dealt, added, strict=True):
            dealt_of[best] += more
        fold_of[group] = best
    return fold_of


def _days(as_of: Days, rows: Rows) -> list[date]:
    return [day.astype(object) for day in np.unique(as_of[rows].astype("datetime64[D]"))]


def _counts(fold: Fold, labels: npt.NDArray[Any]) -> dict[str, int]:
    return {
        "train_rows": len(fold.train),
        "train_positives": int(labels[fold.train].sum()),
        "test_rows": len(fold.test),
        "test_positives": int(labels[fold.test].sum()),
    }
