"""What a ranking earns: the profit of contacting whom it names, at the operator's capacity.

On each as-of date the customers with the highest propensity are contacted, up to the capacity, and only where the
contact is expected to pay: `propensity x acceptance x value_kept > contact_cost`. What it then earned is counted on
what really happened: `label x acceptance x value_kept - contact_cost`. The figures are assumed ones of the target file,
so a profit compares models; it is no forecast of money.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from features.kit.arrays import Flags, Floats, Labels
from training.evaluation.metrics import Figure
from training.labels.targets import ValueRules

ROUNDS = 1000
PER = 1000
_CHUNK = 100


def contacted(rules: ValueRules, propensities: Floats, as_of: npt.NDArray[Any], customers: npt.NDArray[Any]) -> Flags:
    """Returns who would be contacted; ties by the smaller customer_id.

    Example: 100 customers and a capacity share of .05: the best five, fewer if the fifth would not pay.
    """
    chosen = np.zeros(len(propensities), dtype=bool)
    pays = propensities * rules.acceptance * rules.value_kept > rules.contact_cost
    for day in np.unique(as_of):
        rows = np.flatnonzero(as_of == day)
        order = rows[np.lexsort((customers[rows], -propensities[rows]))]
        chosen[order[: int(rules.capacity_share * len(rows))]] = True
    result: Flags = chosen & pays
    return result


def gains(rules: ValueRules, chosen: Flags, labels: Labels, weights: Floats | None = None) -> Floats:
    """Returns what each row earned, nothing where nobody was contacted; a weight is how many a row stands for."""
    weights = np.ones(len(labels)) if weights is None else weights
    earned = weights * (labels * rules.acceptance * rules.value_kept - rules.contact_cost)
    result: Floats = np.where(chosen, earned, 0.0)
    return result


def profit(earned: Floats, customers: npt.NDArray[Any], *, seed: int = 7) -> Figure:
    """Returns the profit per 1,000 customers and as-of date, with a bootstrap interval over customers.

    Pass the difference of two rankings' gains on the same rows for the paired difference. Each round gives every
    customer a Poisson(1) weight; the base stays as large as it is.
    """
    scale = PER / max(len(earned), 1)
    counted = earned != 0
    value = scale * float(earned.sum())
    if not counted.any():
        return Figure(0.0, 0.0, 0.0)
    _, cluster = np.unique(customers[counted], return_inverse=True)
    per_customer = np.bincount(cluster, earned[counted])
    random = np.random.default_rng(seed)
    rounds = np.concatenate(
        [random.poisson(1.0, (_CHUNK, len(per_customer))) @ per_customer for _ in range(ROUNDS // _CHUNK)]
    )
    low, high = scale * np.percentile(rounds, [2.5, 97.5])
    return Figure(value, float(low), float(high))
