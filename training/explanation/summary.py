"""What contributions say of all customers together: the strongest features and dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.kit.arrays import Floats


def importance(contributions: Floats, names: tuple[str, ...], *, count: int = 15) -> dict[str, float]:
    """Returns the mean absolute contribution of the strongest features, strongest first, ties by name."""
    strength = np.abs(contributions[:, : len(names)]).mean(axis=0)
    order = sorted(range(len(names)), key=lambda place: (-strength[place], names[place]))
    return {names[place]: round(float(strength[place]), 5) for place in order[:count]}


def by_dimension(contributions: Floats, dimensions: Sequence[str]) -> dict[str, float]:
    """Returns the mean absolute contribution of each dimension, strongest first, ties by name.

    A customer's contributions are added within a dimension before the absolute value is taken, so features that cancel
    each other do not count twice.

    `contributions` are float64 [n, k + 1], `dimensions` those of the k features.
    """
    sums = dimension_sums(contributions, dimensions)
    strength = {name: round(float(np.abs(column).mean()), 5) for name, column in sums.items()}
    return dict(sorted(strength.items(), key=lambda item: (-item[1], item[0])))


def dimension_sums(contributions: Floats, dimensions: Sequence[str]) -> dict[str, Floats]:
    """Returns what each dimension adds to each customer's raw score: float64 [n] by dimension, in their order."""
    at = np.array(dimensions)
    return {name: contributions[:, : len(at)][:, at == name].sum(axis=1) for name in dict.fromkeys(dimensions)}
