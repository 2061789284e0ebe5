"""Rows that repeat: equal records are dropped, equal features of other people are reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.kit.arrays import Rows
from training.dataset.dataset import Dataset


def without_duplicates(data: Dataset) -> tuple[Dataset, int]:
    """Returns the dataset without rows whose features and label repeat an earlier row, and how many there were.

    The same record twice, once in training and once in test, would be recognised instead of predicted.
    """
    keys = np.ascontiguousarray(np.column_stack([data.values, data.labels.astype(np.float32)]))
    keys[np.isnan(keys)] = np.float32(-3.0e38)
    _, first = np.unique(keys.view([("", keys.dtype)] * keys.shape[1]).ravel(), return_index=True)
    return data.take(np.sort(first)), int(len(keys) - len(first))


MIN_TWINS = 5


MAX_DISAGREEMENT = 0.1


@dataclass(frozen=True)
class Twins:
    """Rows of different customers with equal features on one as-of date."""

    both: int  # pairs of neighbours in which both have the event
    apart: int  # pairs of neighbours in which one has it
    repeated: Rows  # the rows that repeat an earlier one, ascending

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
