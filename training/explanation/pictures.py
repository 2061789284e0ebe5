"""The pictures of an explanation: dependence of a feature, one customer's force and waterfall, sums by dimension.

Drawn from LightGBM's own contributions. Pictures use identifiers, because the font has no Chinese; the page beside them
speaks both languages.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from features.kit.arrays import Floats, Vectors

MOST = 12
LEAST_NAMED = 0.03
_UP, _DOWN = "#c0392b", "#2471a3"


def dependence(contributions: Floats, values: Vectors, names: Sequence[str], feature: str) -> bytes:
    """Returns a PNG: each dot a customer, across the feature's value, up what it adds to the raw score.

    Customers without a value stand apart on the left, under "blank".
    """
    place = list(names).index(feature)
    x, y = values[:, place].astype(np.float64), contributions[:, place]
    known = ~np.isnan(x)

    def draw(plt: Any) -> Any:
        figure, (blank, axes) = plt.subplots(
            1, 2, figsize=(8, 4), sharey=True, width_ratios=(1, 9), layout="constrained"
        )
        spread = np.linspace(-0.3, 0.3, int((~known).sum()))
        blank.scatter(spread, y[~known], s=8, alpha=0.4, color="grey")
        blank.set_xticks([0], ["blank"])
        blank.set_xlim(-1, 1)
        axes.scatter(x[known], y[known], s=8, alpha=0.4, color=_DOWN)
        for one in (blank, axes):
            one.axhline(0, color="black", linewidth=0.6)
        blank.set_ylabel("contribution to the raw score")
        axes.set_xlabel(feature)
        return figure

    return _png(draw)


def dimensions_picture(strength: Mapping[str, float]) -> bytes:
    """Returns a PNG: what each dimension moves the raw score on average, strongest on top."""

    def draw(plt: Any) -> Any:
        figure, axes = plt.subplots(figsize=(8, 0.4 * len(strength) + 1.2), layout="constrained")
        axes.barh(list(strength)[::-1], list(strength.values())[::-1], color=_DOWN)
        axes.set_xlabel("mean absolute contribution of the dimension to the raw score")
        return figure

    return _png(draw)


def waterfall(
    base: float, contributions: Floats, values: Sequence[str], names: Sequence[str], *, title: str = ""
) -> bytes:
    """Returns a PNG of one customer: from the mean raw score step by step to the customer's own.

    Args:
        base: The mean raw score.
        contributions: float64 [k].
        values: The k values as text.
        names: The k features.
        title: Above the picture.
    """
    order = np.argsort(-np.abs(contributions), kind="stable")
    shown = order[:MOST]
    rest = float(contributions[order[MOST:]].sum())
    steps = [*contributions[shown].tolist(), *([rest] if len(order) > MOST else [])]
    labels = [f"{names[place]} = {values[place]}" for place in shown]
    labels += [f"{len(order) - MOST} other features"] if len(order) > MOST else []
    starts = base + np.concatenate([[0.0], np.cumsum(steps)[:-1]])

    def draw(plt: Any) -> Any:
        figure, axes = plt.subplots(figsize=(9, 0.38 * len(steps) + 1.5), layout="constrained")
        rows = np.arange(len(steps))[::-1]
        axes.barh(rows, steps, left=starts, color=[_UP if step > 0 else _DOWN for step in steps])
        for row, step, start in zip(rows, steps, starts, strict=True):
            axes.annotate(
                f"{step:+.2f}", (max(start, start + step), row), (3, 0), textcoords="offset points", va="center"
            )
        axes.axvline(base, color="grey", linewidth=0.8, linestyle=":")
        axes.axvline(base + sum(steps), color="black", linewidth=0.8)
        axes.set_yticks(rows, labels)
        axes.margins(x=0.12)
        axes.set_xlabel(f"raw score: {base:.2f} on average, {base + sum(steps):.2f} here")
        axes.set_title(title, fontsize=10)
        return figure

    return _png(draw)


def force(base: float, contributions: Floats, names: Sequence[str], *, title: str = "") -> bytes:
    """Returns a PNG of one customer: what pushes the raw score up against what holds it down, largest in the middle."""
    strongest = np.argsort(-np.abs(contributions), kind="stable")[:MOST]
    raising = [place for place in strongest if contributions[place] > 0]
    lowering = [place for place in strongest if contributions[place] < 0]
    score = base + float(contributions.sum())
    span = float(np.abs(contributions[strongest]).sum())

    def draw(plt: Any) -> Any:
        figure, axes = plt.subplots(figsize=(10, 2.6), layout="constrained")
        for places, colour, way in ((raising, _UP, -1), (lowering, _DOWN, 1)):
            edge = score
            for place in places:
                width = abs(float(contributions[place]))
                axes.barh(0, way * width, left=edge, color=colour, edgecolor="white", height=0.5)
                middle = edge + way * width / 2
                if width >= LEAST_NAMED * span:
                    axes.annotate(
                    names[place], (middle, -0.28), rotation=25, ha="right" if way < 0 else "left", va="top", fontsize=7,
                    rotation_mode="anchor", annotation_clip=False,
                )  # fmt: skip
                edge += way * width
        axes.axvline(score, color="black", linewidth=1)
        axes.axvline(base, color="grey", linewidth=0.8, linestyle=":")
        axes.set_ylim(-1.6, 0.5)
        axes.set_yticks([])
        axes.xaxis.tick_top()
        axes.set_title(f"{title}  red raises, blue lowers; dotted: average {base:.2f}", fontsize=9)
        return figure

    return _png(draw)


def _png(draw: Callable[[Any], Any]) -> bytes:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a very narrow layout is said as a warning and drawn all the same
        figure = draw(plt)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        plt.close(figure)
    return buffer.getvalue()
