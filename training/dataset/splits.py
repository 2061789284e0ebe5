"""Folds that no label crosses: temporal with an embargo, or by customer where there is only one as-of date.

Each splitter returns its folds and a log of them, so that a report can show what was learned from and judged on.

Worked example, churn (embargo 60 days), as-of dates every 17 days from 2025-07-04 to 2026-04-02, three test windows:
the test windows are 2026-02-27, 2026-03-16 and 2026-04-02. The labels of 2025-12-29 are surely known on 2026-02-27, so
training for the test ends there at the latest; on the grid that is 2025-12-21. The calibration windows are the last two
dates of that training part, and the model that is calibrated on them ends another 60 days before the first of them.
"""

from __future__ import annotations

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
    """Returns stratified folds by group: every row is judged once, by a model that saw nothing of its group."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    _, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    folds = tuple(
        Fold(f"group {number + 1} of {count}", "test", np.asarray(train, np.intp), np.asarray(test, np.intp))
        for number, (train, test) in enumerate(splitter.split(np.zeros(len(codes)), labels, codes))
    )
    return Split("grouped", folds, tuple({"fold": fold.name, **_counts(fold, labels)} for fold in folds))


def _days(as_of: Days, rows: Rows) -> list[date]:
    return [day.astype(object) for day in np.unique(as_of[rows].astype("datetime64[D]"))]


def _counts(fold: Fold, labels: npt.NDArray[Any]) -> dict[str, int]:
    return {
        "train_rows": len(fold.train),
        "train_positives": int(labels[fold.train].sum()),
        "test_rows": len(fold.test),
        "test_positives": int(labels[fold.test].sum()),
    }
