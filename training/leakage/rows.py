"""Leaks between rows: the same record twice, and folds whose sides share customers or label windows."""

from __future__ import annotations

import numpy as np

from features.kit.arrays import Rows
from training.dataset.dataset import Dataset
from training.dataset.duplicates import Twins
from training.dataset.splits import Split, places_among, there
from training.leakage.findings import Leak, leak


def duplicates(found: Twins) -> tuple[Leak, ...]:
    """Returns the finding that records stand there twice, if they do."""
    if not found.are_copies:
        return ()
    evidence = (
        f"{len(found.repeated)} rows have all features of another customer's row of the same date; where one "
        f"has the event the other has it, too, in {found.both} of {found.both + found.apart} cases"
    )
    return (leak("rows", "duplicates", evidence),)


def overlaps(data: Dataset, split: Split, embargo_days: int) -> tuple[Leak, ...]:
    """Returns one finding for each fold that is judged on customers or label windows that it learned from."""
    found: list[Leak] = []
    for fold in split.folds:
        if not len(fold.train) or not len(fold.test):
            continue
        if split.kind == "temporal":
            gap = int((data.as_of[fold.test].min() - data.as_of[fold.train].max()).astype(np.int64))
            if gap < embargo_days:
                evidence = f"training ends {gap} days before the first test date, the labels need {embargo_days}"
                found.append(leak(fold.name, "split_overlap", evidence))
            continue
        shared = np.intersect1d(data.customers[fold.train], data.customers[fold.test])
        if len(shared):
            judged = len(np.unique(data.customers[fold.test]))
            evidence = f"{len(shared)} of the {judged} judged customers were learned from, such as '{shared[0]}'"
            found.append(leak(fold.name, "split_overlap", evidence))
    return tuple(found)


def without_rows(data: Dataset, split: Split, final: Rows, dropped: Rows) -> tuple[Dataset, Split, Rows]:
    """Returns matrix, folds and rows to learn from without some rows; row numbers follow."""
    keep = np.setdiff1d(np.arange(len(data.labels)), dropped)
    place = places_among(keep, len(data.labels))
    return data.take(keep), split.moved(place), there(place, final)
