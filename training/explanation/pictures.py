"""The pictures of a card and an explanation: SHAP's own, and ours for a feature's dependence and the dimensions.

Importing shap takes longer than drawing, so a card's pictures are drawn in processes of their own (`drawing.py`). All
are drawn from LightGBM's own contributions. Labels are identifiers, because the font has no Chinese; titles of
dependence and the page around them speak both languages.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from features.kit.arrays import Floats, Vectors
from features.kit.language import Text
from features.kit.pages.figures import drawable, open_figure, png, png_of_library, set_title

MOST = 12
SUMMARY_ROWS = 1500
SUMMARY_FEATURES = 20
_BLUE = "#2471a3"


def summary(contributions: Floats, values: Vectors, names: Sequence[str], *, seed: int = 7) -> bytes:
    """Returns a PNG: each dot is a customer, each line a feature; right raises the raw score.

    `contributions` are LightGBM's, float64 [n, k + 1], of which the last column (the mean score) is not shown; `values`
    are the coded features, float32 [n, k].
    """
    import matplotlib.pyplot as plt

    def draw() -> None:
        _shap().summary_plot(
            contributions[:, :-1],
            values.astype(np.float64),
            feature_names=list(names),
            max_display=SUMMARY_FEATURES,
            show=False,
            rng=np.random.default_rng(seed),
        )
        plt.gcf().axes[0].set_xlabel("contribution to the raw score")

    return png_of_library(draw)


def reliability(deciles: Sequence[Mapping[str, Any]], title: str) -> bytes:
    """Returns a PNG: promised against observed rate of the ten parts, each with the interval of its promise."""
    filled = [decile for decile in deciles if decile["rows"]]
    promised = np.array([decile["expected"] / decile["rows"] for decile in filled])
    observed = np.array([decile["observed"] / decile["rows"] for decile in filled])
    low = promised - np.array([decile["low"] / decile["rows"] for decile in filled])
    high = np.array([decile["high"] / decile["rows"] for decile in filled]) - promised
    figure, axes = open_figure(5.2, 5)
    top = 1.1 * max(float(promised.max()), float(observed.max()), 1e-6)
    axes.plot([0, top], [0, top], color="0.7", linewidth=1)
    axes.errorbar(promised, promised, yerr=[low, high], fmt="none", ecolor="0.6", capsize=3, label="95 % of promise")
    axes.plot(promised, observed, "o", color="tab:blue", label="observed")
    axes.set(xlabel="promised rate", ylabel="observed rate", xlim=(0, top), ylim=(0, top), title=title)
    axes.legend(loc="upper left", frameon=False)
    return png(figure)


def dependence(
    contributions: Floats, values: Vectors, names: Sequence[str], feature: str, subject: Text | None = None
) -> bytes:
    """Returns a PNG: each dot a customer, across the feature's value, up what it adds to the raw score.

    Customers without a value stand apart on the left, under "blank". The title has the feature and its `subject`.
    """
    place = list(names).index(feature)
    x, y = values[:, place].astype(np.float64), contributions[:, place]
    known = ~np.isnan(x)
    figure, (blank, axes) = open_figure(8, 4, columns=2, sharey=True, width_ratios=(1, 9))
    blank.scatter(np.linspace(-0.3, 0.3, int((~known).sum())), y[~known], s=8, alpha=0.4, color="grey")
    blank.set(xticks=[0], xticklabels=["blank"], xlim=(-1, 1), ylabel="contribution to the raw score")
    axes.scatter(x[known], y[known], s=8, alpha=0.4, color=_BLUE)
    axes.set_xlabel(feature)
    for part in (blank, axes):
        part.axhline(0, color="black", linewidth=0.6)
    zh, en = (f"{subject.zh} · ", f"{subject.en}: ") if subject else ("", "")
    set_title(figure, Text(zh=f"{zh}{feature} 取值对原始分的影响", en=f"{en}what {feature} adds to the raw score"))
    return png(figure)


def dimensions_picture(strength: Mapping[str, float]) -> bytes:
    """Returns a PNG: what each dimension moves the raw score on average, strongest on top."""
    figure, axes = open_figure(8, 0.4 * len(strength) + 1.2)
    axes.barh(list(strength)[::-1], list(strength.values())[::-1], color=_BLUE)
    axes.set_xlabel("mean absolute contribution of the dimension to the raw score")
    return png(figure)


def waterfall(
    base: float, contributions: Floats, values: Sequence[str], names: Sequence[str], *, title: str = ""
) -> bytes:
    """Returns a PNG of one customer: from the mean raw score E[f(X)] step by step to the customer's own f(x).

    `base` is the mean raw score, `contributions` are float64 [k], `values` the k values as text; one that the font
    lacks is shown as dots.
    """
    import matplotlib.pyplot as plt

    shap = _shap()
    explanation = shap.Explanation(
        contributions, base_values=base, data=np.array([drawable(value) for value in values], dtype=object),
        feature_names=list(names),
    )  # fmt: skip

    def draw() -> None:
        shap.plots.waterfall(explanation, max_display=MOST + 1, show=False)
        plt.gcf().suptitle(drawable(title), fontsize=11, y=0.99)

    return png_of_library(draw)


def force(base: float, contributions: Floats, names: Sequence[str], *, title: str = "") -> bytes:
    """Returns a PNG of one customer: what pushes the raw score up against what holds it down, largest in the middle."""
    import matplotlib.pyplot as plt

    def draw() -> None:
        _shap().plots.force(
            base, contributions, feature_names=list(names), matplotlib=True, show=False, text_rotation=15
        )
        for text in plt.gcf().axes[0].texts:
            text.set_visible(text.get_text() != "base value")  # it lies over f(x) where the two are near
        plt.gcf().suptitle(f"{drawable(title)}; {base:.2f} on average", fontsize=11, y=1.35)

    return png_of_library(draw)


def _shap() -> Any:
    with warnings.catch_warnings(action="ignore"):  # numba and shap warn about versions to come while importing
        import shap
    return shap
