"""Two pictures of a study: how the search went, and where in each setting's range the good trials lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from features.kit.pages.figures import open_figure, png

HISTORY, SETTINGS = "tuning_history.png", "tuning_settings.png"
COLUMNS = 4


def pictures_of(trials: Sequence[Any], names: Sequence[str]) -> dict[str, bytes]:
    """Returns PNG by file name.

    A pruned trial is shown with its last AUC; `names` are the settings that were searched.
    """
    seen = [trial for trial in trials if trial.value is not None or trial.intermediate_values]
    if not seen:
        return {}
    areas = np.array([one.value if one.value is not None else _last(one) for one in seen])
    pruned = np.array([one.state.name == "PRUNED" for one in seen])
    configured = np.array([bool(one.user_attrs.get("configured")) for one in seen])
    return {
        HISTORY: _history(np.array([one.number for one in seen]), areas, pruned, configured),
        SETTINGS: _settings(seen, areas, pruned, configured, names),
    }


def _last(trial: Any) -> float:
    return float(trial.intermediate_values[max(trial.intermediate_values)])


def _history(numbers: Any, areas: Any, pruned: Any, configured: Any) -> bytes:
    figure, place = open_figure(8, 4)
    _dots(place, numbers, areas, pruned, configured)
    whole = np.where(pruned, -np.inf, areas)
    best = np.maximum.accumulate(whole)
    shown = np.isfinite(best)
    place.step(numbers[shown], best[shown], where="post", color="tab:blue", label="best so far")
    place.set(xlabel="trial", ylabel="AUC on the customers that choose", title="How the search went")
    place.legend(loc="lower right")
    return png(figure)


def _settings(seen: Sequence[Any], areas: Any, pruned: Any, configured: Any, names: Sequence[str]) -> bytes:
    rows = -(-len(names) // COLUMNS)
    figure, grid = open_figure(12, 2.6 * rows, rows=rows, columns=COLUMNS, squeeze=False)
    axes = grid.ravel()
    for place, name in zip(axes, names, strict=False):
        known = np.array([name in one.params for one in seen])
        values = np.array([one.params.get(name, np.nan) for one in seen], dtype=float)
        _dots(place, values[known], areas[known], pruned[known], configured[known])
        place.set_xlabel(name)
    for place in axes[len(names) :]:
        place.set_visible(False)
    axes[0].set_ylabel("AUC")
    figure.suptitle("Each setting against the AUC (dark: all stages, light: pruned, red: configured)")
    return png(figure)


def _dots(place: Any, values: Any, areas: Any, pruned: Any, configured: Any) -> None:
    place.scatter(values[pruned], areas[pruned], s=18, color="lightgrey", label="pruned, at its last stage")
    place.scatter(values[~pruned], areas[~pruned], s=22, color="tab:blue", alpha=0.7, label="all stages")
    place.scatter(values[configured], areas[configured], s=60, color="tab:red", marker="D", label="configured")
