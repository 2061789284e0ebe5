"""Leaks between rows: the same record twice, and folds whose sides share customers or label windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.dataset import Dataset
from training.leakage.findings import Leak, leak
from training.splits import Rows, Split

MIN_TWINS = 5
MAX_DISAGREEMENT = 0.1


@dataclass(frozen=True)
class Twins:
    """Rows of different customers with equal features on one as-of date.

    Attributes:
        both: Pairs of neighbours in which both have the event.
        apart: Pairs of neighbours in which one has it.
        repeated: The rows that repeat an earlier one, ascending.
    """

    both: int
    apart: int
    repeated: Rows

    @property
    def are_copies(self) -> bool:
        """Tells whether the labels agree as only copies do.

        Customers who merely look alike share a label no more often than their rate: at a rate of 10 % there are 18
        pairs with one event for each pair with two. Copies have no pair with one event.
        """
        return self.both >= MIN_TWINS and self.apart <= MAX_DISAGREEMENT * self.both


def twins(data: Dataset) -> Twins:
    """Returns the rows that look like a row of another customer on the same date."""
    keys = np.ascontiguousarray(
        np.column_stack([data.values, data.as_of.astype("datetime64[D]").astype(np.int64).astype(np.float32)])
    )
    keys[np.isnan(keys)] = np.float32(-3.0e38)
    _, codes = np.unique(keys.view([("", keys.dtype)] * keys.shape[1]).ravel(), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    same = codes[order[1:]] == codes[order[:-1]]
    same &= data.customers[order[1:]] != data.customers[order[:-1]]
    first, second = data.labels[order[:-1]][same], data.labels[order[1:]][same]
    return Twins(int((first & second).sum()), int((first ^ second).sum()), np.sort(order[1:][same]))


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
            gap = _days_between(data.as_of[fold.train], data.as_of[fold.test])
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
    from dataclasses import replace

    keep = np.setdiff1d(np.arange(len(data.labels)), dropped)
    place = np.full(len(data.labels), -1, dtype=np.intp)
    place[keep] = np.arange(len(keep))

    def there(rows: Rows) -> Rows:
        at = place[rows]
        return at[at >= 0]

    folds = tuple(replace(fold, train=there(fold.train), test=there(fold.test)) for fold in split.folds)
    return data.take(keep), replace(split, folds=folds), there(final)


def _days_between(train: npt.NDArray[np.datetime64], test: npt.NDArray[np.datetime64]) -> int:
    return int((test.min().astype("datetime64[D]") - train.max().astype("datetime64[D]")).astype(np.int64))
