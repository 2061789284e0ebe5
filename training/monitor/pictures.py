"""Pictures of a monitoring report, as PNG bytes: identifiers only; Chinese stands in the HTML around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from features.kit.pages.figures import open_figure, png

SHOWN = 15


def drift_picture(features: Mapping[str, Mapping[str, float]]) -> bytes:
    """Returns the features with the largest PSI, each with its own limit; a bar without a limit never rings."""
    figure, axes = open_figure(7, 4.6)
    largest = sorted(features, key=lambda name: (-features[name]["psi"], name))[:SHOWN][::-1]
    colours = [_colour(features[name]) for name in largest]
    axes.barh(largest, [features[name]["psi"] for name in largest], color=colours)
    limited = [
        (place, features[name]["psi_limit"]) for place, name in enumerate(largest) if "psi_limit" in features[name]
    ]
    axes.plot([limit for _, limit in limited], [place for place, _ in limited], "|", color="#c04040", markersize=12)
    axes.set_xlabel("PSI")
    return png(figure)


def _colour(told: Mapping[str, float]) -> str:
    if "psi_limit" not in told:
        return "#b0b0b0"
    return "#c04040" if told["psi"] > told["psi_limit"] else "#4878a8"


def scores_picture(reference: Sequence[float], now: Sequence[float]) -> bytes:
    """Returns the share of the base in each reference decile of the raw score, then and now."""
    figure, axes = open_figure(7, 3.2)
    places = range(len(reference))
    axes.bar([place - 0.2 for place in places], reference, width=0.4, color="#b0b0b0", label="reference")
    axes.bar([place + 0.2 for place in places], now, width=0.4, color="#4878a8", label="now")
    axes.set(xlabel="decile of raw_score", xticks=list(places), xticklabels=[place + 1 for place in places])
    axes.legend()
    return png(figure)


def reliability_picture(points: Sequence[Sequence[float]]) -> bytes:
    """Returns promised against observed rates of ten equal bins."""
    figure, axes = open_figure(7, 3.2)
    highest = max(max(point[0], point[1]) for point in points) or 1.0
    axes.plot([0, highest], [0, highest], color="#b0b0b0", linestyle="--")
    axes.plot([point[0] for point in points], [point[1] for point in points], "o-", color="#4878a8")
    axes.set_xlabel("propensity")
    axes.set_ylabel("observed")
    return png(figure)
