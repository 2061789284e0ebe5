"""`insight benchmark`: our training code and its peers on the same folds of the same public sets, in one run.

Folds are grouped by customer. Each model's figure is the mean AUC of the folds; the difference to ours is paired: both
score the same rows, and its interval knows that (DeLong, clustered by customer). Ours is level with a peer if that
interval reaches zero or lies above it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from features.kit.arrays import Floats, Rows
from features.kit.errors import ConfigurationError, InsightError
from features.kit.terminal.progress import SILENT, Progress
from training.benchmark.peers import OURS, Model, models
from training.benchmark.sets import BENCH_EXTRA, PublicSet, informative, known_sets
from training.dataset.dataset import Dataset
from training.dataset.splits import grouped_split
from training.evaluation import metrics
from training.labels.targets import Target, load_target

SECONDS = 20.0
WARM_UP_ROWS = 500
FOLDS = 5
Say = Callable[[str], None]


def benchmark(
    data: Path | None, names: Sequence[str] = (), *, seconds: float = SECONDS, folds: int = FOLDS, seed: int = 7,
    progress: Progress = SILENT, say: Say = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Returns what every model reaches on every set.

    `names` are the only sets, empty means all; `seconds` is the most that a search may take per fit; `say` gets each
    set's table as it is ready.

    Returns:
        `sets` (one per set: rows, positives, features and one line per model), `skipped` (what could not run, with its
        remedy), `level` (ours is level with every peer on every set, within intervals) and the settings of the run.

    Raises:
        ConfigurationError: If a name is unknown.
    """
    sets = {public_set.name: public_set for public_set in known_sets()}
    unknown = sorted(set(names) - set(sets))
    if unknown:
        raise ConfigurationError(f"--set {', '.join(unknown)}: no such set", remedy=f"known: {', '.join(sets)}")
    skipped = [
        {"what": model.name, "why": f"{', '.join(model.missing)} not installed", "remedy": BENCH_EXTRA}
        for model in models()
        if model.missing
    ]
    here = [model for model in models() if not model.missing]
    found: list[dict[str, Any]] = []
    for name in names or tuple(sets):
        try:
            with progress.step(f"{name}: data"):
                loaded = informative(sets[name].load(data))
        except InsightError as error:
            skipped.append({"what": name, "why": error.message, "remedy": error.remedy})
            continue
        target = load_target(sets[name].target).override({"learner.negatives_per_positive": "null"})
        with progress.step(f"{name}: models", len(here) * folds) as tick:
            found.append(compared(sets[name], target, loaded, here, seconds, folds, seed, tick))
        say(table_of(found[-1]))
    return {
        "sets": found,
        "skipped": skipped,
        "level": bool(found) and all(line["level"] for table in found for line in table["models"]),
        "seconds_per_fit": seconds,
        "folds": folds,
        "seed": seed,
    }


def _spread(rows: Rows) -> Rows:
    """Returns some rows from all over a set: one that is sorted by its label has a single class at its start."""
    return rows[:: max(len(rows) // WARM_UP_ROWS, 1)]


def compared(
    public: PublicSet, target: Target, data: Dataset, here: Sequence[Model], seconds: float, folds: int, seed: int,
    tick: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Returns one set's figures: per model its mean AUC, its seconds and ours minus it, paired."""
    split = grouped_split(data.customers.tolist(), data.labels, folds, seed=seed)
    scores: dict[str, list[Floats]] = {model.name: [] for model in here}
    spent = dict.fromkeys(scores, 0.0)
    for model in here:
        # Imports and compilation are nobody's learning time.
        model.learn(target, data, _spread(split.folds[0].train), 0.1, seed)
    for fold in split.folds:
        # The models take turns on each fold, so that the machine's noise hits all of them.
        for model in here:
            began = time.perf_counter()
            score = model.learn(target, data, fold.train, seconds, seed)
            spent[model.name] += time.perf_counter() - began
            scores[model.name].append(score(data.values[fold.test]))
            tick(1)
    lines = []
    for model in here:
        area = metrics.over_folds(
            [
                metrics.auc(mine, data.labels[fold.test], data.customers[fold.test])
                for fold, mine in zip(split.folds, scores[model.name], strict=True)
            ]
        )
        gap = metrics.over_folds(
            [
                metrics.auc_gap(theirs, ours, data.labels[fold.test], data.customers[fold.test])
                for fold, theirs, ours in zip(split.folds, scores[model.name], scores[OURS], strict=True)
            ]
        )
        lines.append(
            {
                "model": model.name,
                **area.under("auc"),
                **gap.under("ours_minus_it"),
                "level": gap.high >= 0,
                "seconds_per_fit": round(spent[model.name] / folds, 2),
            }
        )
    return {
        "set": public.name,
        "about": public.about,
        "target": public.target,
        "rows": len(data.labels),
        "positives": int(data.labels.sum()),
        "features": len(data.features),
        "models": lines,
    }


def table_of(result: dict[str, Any]) -> str:
    """Returns a set's figures as a table for people."""
    lines = [
        f"{result['set']}: {result['rows']:,} rows, {result['positives']:,} positive, {result['features']} features",
        f"  {'model':<22}{'AUC':>7}   {'95 % interval':<18}{'ours minus it':>14}   {'95 % interval':<20}{'s a fit':>8}",
    ]
    for line in result["models"]:
        low, high = line["auc_ci"]
        gap_low, gap_high = line["ours_minus_it_ci"]
        ours = line["model"] == OURS
        gap = "" if ours else f"{line['ours_minus_it']:+.4f}"
        between = "" if ours else f"{gap_low:+.4f} to {gap_high:+.4f}"
        behind = "" if line["level"] else "  behind"
        lines.append(
            f"  {line['model']:<22}{line['auc']:>7.4f}   {f'{low:.4f} to {high:.4f}':<18}{gap:>14}   {between:<20}"
            f"{line['seconds_per_fit']:>8.1f}{behind}"
        )
    return "\n".join(lines)
