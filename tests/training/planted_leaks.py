"""Leaks to plant in an honest matrix, one a kind; each is what somebody might deliver in good faith."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from training.bundle import BundleFeature
from training.dataset.dataset import Dataset
from training.dataset.prepare import Prepared

Plant = Callable[[Prepared, np.random.Generator], tuple[Prepared, str]]


def with_column(prepared: Prepared, name: str, column: np.ndarray) -> Prepared:
    """Returns a matrix with one number more."""
    data = prepared.data
    values = np.column_stack([data.values, column.astype(np.float32)])
    return replace(
        prepared, data=replace(data, values=values, features=(*data.features, BundleFeature(name, "number")))
    )


def label_copy(prepared: Prepared, random: np.random.Generator) -> tuple[Prepared, str]:
    """A score that was made after the fact: the label and much noise."""
    labels = prepared.data.labels
    return with_column(prepared, "planted_score", labels * 2.5 + random.normal(size=len(labels))), "planted_score"


def missingness(prepared: Prepared, random: np.random.Generator) -> tuple[Prepared, str]:
    """The length of a farewell interview, filled for four of five leavers and few others."""
    labels = prepared.data.labels
    filled = random.random(len(labels)) < np.where(labels == 1, 0.8, 0.02)
    return with_column(prepared, "planted_interview", np.where(filled, random.normal(size=len(labels)), np.nan)), (
        "planted_interview"
    )


def id_order(prepared: Prepared, random: np.random.Generator) -> tuple[Prepared, str]:
    """A number of the customer from a file that was sorted by outcome, one in ten out of place."""
    customers, codes = np.unique(prepared.data.customers, return_inverse=True)
    ever = np.bincount(codes, prepared.data.labels) > 0
    ever ^= random.random(len(customers)) < 0.1 * ever.mean()
    rank = np.argsort(np.lexsort((random.random(len(customers)), ever)))
    return with_column(prepared, "planted_number", 1000 + rank[codes]), "planted_number"


def target_statistics(prepared: Prepared, random: np.random.Generator) -> tuple[Prepared, str]:
    """The event rate of the customer's grid over all rows, test windows included."""
    data = prepared.data
    customers, codes = np.unique(data.customers, return_inverse=True)
    grid = random.integers(0, max(len(customers) // 8, 60), len(customers))[codes]
    rates = np.bincount(grid, data.labels) / np.maximum(np.bincount(grid), 1)
    return with_column(prepared, "planted_rate", rates[grid]), "planted_rate"


def overwritten_snapshot(prepared: Prepared, random: np.random.Generator) -> tuple[Prepared, str]:
    """A loyalty level of a table that is overwritten at the end: every date already shows what the last one does."""
    customers, codes = np.unique(prepared.data.customers, return_inverse=True)
    ever = np.bincount(codes, prepared.data.labels) > 0
    level = np.where(ever, 0.0, 3.0) + random.normal(0, 1, len(customers))
    return with_column(prepared, "planted_level", level[codes]), "planted_level"


def duplicates(prepared: Prepared, random: np.random.Generator) -> tuple[Prepared, str]:
    """One row in fifty a second time, under another customer."""
    data = prepared.data
    copied = random.choice(len(data.labels), len(data.labels) // 50, replace=False)
    rows = np.concatenate([np.arange(len(data.labels)), copied])
    doubled = data.take(rows)
    customers = np.concatenate([data.customers, np.char.add("copy-", data.customers[copied])])
    return replace(prepared, data=replace(doubled, customers=customers), twins=None), "rows"


def split_overlap(prepared: Prepared, _: np.random.Generator) -> tuple[Prepared, str]:
    """Somebody shuffled: the last fold also learns from a third of what it is judged on."""
    *others, last = prepared.split.folds
    leaking = replace(last, train=np.union1d(last.train, last.test[::3]))
    return replace(prepared, split=replace(prepared.split, folds=(*others, leaking))), last.name


IN_THE_MATRIX: dict[str, Plant] = {
    plant.__name__: plant
    for plant in (
        label_copy, missingness, id_order, target_statistics, overwritten_snapshot, duplicates, split_overlap,
    )
}  # fmt: skip


def with_twins(
    data: Dataset, count: int, *, seed: int, noise: float, blanks: bool = False, named: str = "after_{}"
) -> tuple[Dataset, frozenset[str]]:
    """Returns a matrix with columns that one event wrote after the outcome, and their names.

    Each is the label with `noise` of its own, up or down; with `blanks` they are filled together, for nine of ten with
    the event and one of twenty without. Names without a number are given in turn: `named` is a word of no meaning.
    """
    random = np.random.default_rng(seed)
    wrote = random.random(len(data.labels)) < np.where(data.labels == 1, 0.9, 0.05)
    columns, names = [], []
    for number in range(count):
        column = random.choice([-1, 1]) * data.labels + noise * random.normal(size=len(data.labels))
        columns.append(np.where(wrote, column, np.nan) if blanks else column)
        names.append(named.format(number) if named else "".join(random.choice(list("bcdfghjklm"), 8)))
    values = np.column_stack([data.values, *columns]).astype(np.float32)
    features = (*data.features, *(BundleFeature(name, "number") for name in names))
    return replace(data, values=values, features=features), frozenset(names)


def honest(*, seed: int, customers: int = 1500, dates: int = 8) -> Dataset:
    """Returns a matrix of some strong but honest columns over several dates; the event ends a customer."""
    random = np.random.default_rng(seed)
    steady = random.normal(size=customers)
    plan = random.integers(0, 4, customers)
    parts = []
    alive = np.ones(customers, dtype=bool)
    for number in range(dates):
        use = 0.6 * steady + random.normal(size=customers)
        calls = random.poisson(np.exp(0.4 * use))
        bill = np.where(random.random(customers) < 0.2, np.nan, random.normal(size=customers))
        chance = 1 / (1 + np.exp(3.2 - 0.9 * use - 0.5 * (plan == 1) - 0.2 * calls))
        label = random.random(customers) < chance
        columns = np.column_stack([steady, use, calls, bill, random.integers(0, 90, customers)])
        day = np.datetime64("2025-01-01", "D") + 30 * number
        ids = np.array([f"c{k:05d}" for k in range(customers)])
        parts.append((columns[alive], plan[alive], label[alive], ids[alive], np.full(alive.sum(), day)))
        alive &= ~label
    values, plans, labels, ids, days = (np.concatenate(part) for part in zip(*parts, strict=True))
    features = [BundleFeature(name, "number") for name in ("steady", "use", "calls_count", "bill", "recency_days")]
    return Dataset(
        np.column_stack([values, plans]).astype(np.float32),
        (*features, BundleFeature("plan", "category", ("a", "b", "c", "d"))),
        ids, days, labels.astype(np.int8), np.where(labels, "left", ""), np.arange(len(labels)),
    )  # fmt: skip
