"""Two shapes that give a column away: it orders the customers by label, or it holds the labels' own rates.

**Ordered by label.** Along an honest number the chance of the event may drift, but whether one customer has it says
next to nothing about the neighbour: the correlation of neighbours' labels is the share of their variance that the
number explains. Where rows were sorted or numbered after the outcome, neighbours share their labels.

**Rates of the labels.** Take the groups that a column's values make, and neighbouring groups together. The observed
rates of honest groups scatter around their common rate as dice do (chi-square per degree of freedom about 1, more if
the groups differ). If the column *is* the groups' rate over these very rows, sorting by it takes the dice's own scatter
out, and the chi-square is too small for chance. A rate over 30 % of the judged rows leaves 1 - .3 = .7 of it.
"""

from __future__ import annotations

import re

import numpy as np

from features.kit.arrays import Floats, Labels, Rows, Vectors
from training.dataset.dataset import Dataset

NEIGHBOURS_ALIKE, NEIGHBOURS_SURE = 0.15, 6.0
OWN_NUMBER = 0.95
MIN_GROUPS, MIN_GROUP_ROWS = 40, 4.0
BLOCK_GROUPS, MAX_BLOCKS = 8, 60
TOO_SMOOTH = -4.0
MASS = 0.05
MIN_CUSTOMERS = 200


def ordered_by_label(column: Vectors, data: Dataset) -> str:
    """Returns the evidence that a numbering of the customers follows the label, or an empty string.

    Only a column of whole numbers that gives (nearly) every customer a number of their own, always the same, counts.
    """
    known = ~np.isnan(column)
    numbers = column[known]
    if len(numbers) < OWN_NUMBER * len(column) or (numbers != np.floor(numbers)).any():
        return ""
    customers, first, codes = np.unique(data.customers[known], return_index=True, return_inverse=True)
    own = numbers[first]
    if len(np.unique(own)) < OWN_NUMBER * len(customers) or (own[codes] != numbers).mean() > 1 - OWN_NUMBER:
        return ""
    return _neighbours_alike(np.argsort(own, kind="stable"), _ever(codes, data.labels[known]))


def customers_ordered_by_label(data: Dataset) -> str:
    """Returns the evidence that the customer ids themselves follow the label, or an empty string."""
    customers, codes = np.unique(data.customers, return_inverse=True)
    tails = [re.search(r"(\d{1,18})$", customer) for customer in customers.tolist()]
    numbers = np.array([int(tail.group(1)) if tail else 0 for tail in tails], dtype=np.int64)
    return _neighbours_alike(np.lexsort((customers, numbers)), _ever(codes, data.labels))


def statistics_of_labels(column: Vectors, labels: Labels, judged: Rows) -> str:
    """Returns the evidence that a column holds event rates of the rows themselves, or an empty string.

    The `judged` rows, those of the test folds, and the others are looked at together and by themselves.
    """
    is_judged = np.zeros(len(labels), dtype=bool)
    is_judged[judged] = True
    everything = np.ones(len(labels), dtype=bool)
    parts = ((everything, "all rows"), (is_judged, "the test windows"), (~is_judged, "the training rows"))
    for rows, which in parts:
        smooth = smoothness(column[rows], labels[rows])
        if smooth is not None and smooth[1] <= TOO_SMOOTH:
            ratio, deviation, groups = smooth
            return (
                f"the event rates of its {groups} values in {which} follow it closer than chance allows: scatter "
                f"{ratio:.2f} of what dice would give, {-deviation:.1f} standard deviations too little"
            )
    return ""


def smoothness(column: Vectors, labels: Labels) -> tuple[float, float, int] | None:
    """Returns chi-square per degree of freedom, its deviation from chance, and the groups; None if there are too few.

    A value that holds more than a twentieth of the rows is left out. Neighbouring values form a block; within it each
    value's rate is held against the block's (a chi-square test of homogeneity). Its variance is exact for
    small groups: 2 + (1 - 6 p (1 - p)) / (n p (1 - p)) for each.
    """
    known = ~np.isnan(column)
    values, codes = np.unique(column[known], return_inverse=True)
    if len(values) < MIN_GROUPS or known.sum() < MIN_GROUP_ROWS * len(values):
        return None
    rows, hits = np.bincount(codes).astype(np.float64), np.bincount(codes, labels[known])
    # Groups without events share the rate 0. Beside its neighbours, groups of one event, that mass would look rough.
    alone = rows <= MASS * rows.sum()
    rows, hits, values = rows[alone], hits[alone], values[alone]
    if len(values) < MIN_GROUPS:
        return None
    blocks = min(MAX_BLOCKS, len(values) // BLOCK_GROUPS)
    # The largest value of a distribution may hold most rows: blocks are cut by groups, not by rows.
    block = np.arange(len(values)) * blocks // len(values)
    rates = np.bincount(block, hits) / np.bincount(block, rows)
    usable = (rates > 0) & (rates < 1)
    group = usable[block]
    if not group.any():
        return None
    expected = rates[block[group]]
    spread = expected * (1 - expected)
    n = rows[group]
    terms = (hits[group] - n * expected) ** 2 / (n * spread)
    freedom = float(group.sum() - usable.sum())
    if freedom < MIN_GROUPS / 2:
        return None
    variance = float((2 + (1 - 6 * spread) / (n * spread)).sum()) * freedom / float(group.sum())
    total = float(terms.sum())
    return total / freedom, (total - freedom) / float(np.sqrt(max(variance, 1e-9))), int(group.sum())


def _ever(codes: Rows, labels: Labels) -> Floats:
    return (np.bincount(codes, labels) > 0).astype(np.float64)


def _neighbours_alike(order: Rows, labels: Floats) -> str:
    along = labels[order]
    if len(along) < MIN_CUSTOMERS or along.std() == 0:
        return ""
    centred = along - along.mean()
    alike = float((centred[1:] * centred[:-1]).mean() / centred.var())
    if alike < NEIGHBOURS_ALIKE or alike * np.sqrt(len(along)) < NEIGHBOURS_SURE:
        return ""
    both = float(along[1:][along[:-1] == 1].mean())
    return f"the customer after one with the event has it in {both:.0%} of cases, {along.mean():.0%} of all have it"
