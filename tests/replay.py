"""A/A replays: the same two models judged on other draws of the same customers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.evaluate import Judged


def replay(one: Judged, other: Judged, seed: int) -> tuple[Judged, npt.NDArray[Any]]:
    """Returns candidate rows and the champion's promises for them, with no difference between the two but chance.

    Customers are drawn with replacement, each draw a customer of its own. For each of them a coin says which of the two
    models is the candidate, so that whatever sets the models apart is as often for as against the candidate.
    """
    random = np.random.default_rng(seed)
    names, which = np.unique(one.customers, return_inverse=True)
    order = np.argsort(which, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(which))])
    drawn = random.integers(0, len(names), len(names))
    rows = np.concatenate([order[starts[name] : starts[name + 1]] for name in drawn])
    sizes = np.diff(starts)[drawn]
    is_swapped = np.repeat(random.random(len(drawn)) < 0.5, sizes)
    customers = np.repeat([f"draw{number:07d}" for number in range(len(drawn))], sizes)
    first, second = one.only(rows), other.only(rows)
    candidate = replace(
        first,
        customers=customers,
        scores=np.where(is_swapped, second.propensities, first.propensities),
        propensities=np.where(is_swapped, second.propensities, first.propensities),
    )
    return candidate, np.where(is_swapped, first.propensities, second.propensities)
