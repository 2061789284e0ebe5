"""The SHAP summary picture, drawn from LightGBM's own contributions."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np

from features.kit.arrays import Floats, Vectors

PICTURE_ROWS = 1500
PICTURE_FEATURES = 20


def shap_picture(contributions: Floats, values: Vectors, names: tuple[str, ...], *, seed: int = 7) -> bytes:
    """Returns a PNG: each dot is a customer, each line a feature; right raises the raw score.

    Args:
        contributions: LightGBM's contributions, float64 [n, k + 1]; the last column (the mean score) is not shown.
        values: The coded features, float32 [n, k].
        names: The k features.
        seed: Of the jitter.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba and shap warn about their own future versions while importing
        import shap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same, while drawing
        shap.summary_plot(
            contributions[:, :-1],
            values.astype(np.float64),
            feature_names=list(names),
            max_display=PICTURE_FEATURES,
            show=False,
            rng=np.random.default_rng(seed),
        )
        figure = plt.gcf()
        figure.axes[0].set_xlabel("contribution to the raw score")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)
    return buffer.getvalue()


def importance(contributions: Floats, names: tuple[str, ...], *, count: int = 15) -> dict[str, float]:
    """Returns the mean absolute contribution of the strongest features, strongest first, ties by name."""
    strength = np.abs(contributions[:, : len(names)]).mean(axis=0)
    order = sorted(range(len(names)), key=lambda place: (-strength[place], names[place]))
    return {names[place]: round(float(strength[place]), 5) for place in order[:count]}


def by_dimension(contributions: Floats, dimensions: Sequence[str]) -> dict[str, float]:
    """Returns the mean absolute contribution of each dimension, strongest first, ties by name.

    A customer's contributions are added within a dimension before the absolute value is taken, so features that cancel
    each other do not count twice.

    Args:
        contributions: float64 [n, k + 1].
        dimensions: The dimension of each of the k features.
    """
    sums = dimension_sums(contributions, dimensions)
    strength = {name: round(float(np.abs(column).mean()), 5) for name, column in sums.items()}
    return dict(sorted(strength.items(), key=lambda item: (-item[1], item[0])))


def dimension_sums(contributions: Floats, dimensions: Sequence[str]) -> dict[str, Floats]:
    """Returns what each dimension adds to each customer's raw score: float64 [n] by dimension, in their order."""
    at = np.array(dimensions)
    return {name: contributions[:, : len(at)][:, at == name].sum(axis=1) for name in dict.fromkeys(dimensions)}
