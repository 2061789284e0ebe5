"""Twins of one leak, each of which hides behind the others: all are named, and clean matrices give no alarm.

`make bench BENCH=input-3`, a minute on a quiet core; it needs no home. A group is 5, 20 or 50 columns that one event wrote
after the outcome. They share a word of their names, or only their blanks. `noise` is the spread of each column's own
noise, in steps between negative and positive: at 1 a column alone ranks with AUC .76, at 1.5 with .68.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from features.kit.home import Home
from tests.results import figure
from tests.training.planted_leaks import honest, with_twins
from training.dataset.dataset import Dataset
from training.leakage.columns import leaking_columns

SIZES, CLEAN_SEEDS = (5, 20, 50), 20
FORMS: dict[str, dict[str, Any]] = {
    "names alike": {"named": "after_{}", "noise": 1.0},
    "names alike, much noise": {"named": "after_{}", "noise": 1.5},
    "names alike, little noise": {"named": "after_{}", "noise": 0.5},
    "names alike in Chinese": {"named": "拆机后第{}项", "noise": 1.0},
    "names and blanks alike": {"named": "after_{}", "noise": 1.0, "blanks": True},
    "only blanks alike": {"named": "", "noise": 1.5, "blanks": True},
}
"""Five columns of much noise rank with AUC .85 together: that tells little, see the limits in the room's README."""
TELLS_LITTLE = {(5, "names alike, much noise")}


def run(_: Home) -> Iterator[dict[str, Any]]:
    """Yields the share of twins that are named, the honest columns named beside them, and the alarms on clean seeds."""
    for size in SIZES:
        named, planted, others, rounds = 0, 0, 0, []
        for form, settings in FORMS.items():
            if (size, form) in TELLS_LITTLE:
                continue
            for seed in (1, 2):
                data, twins = with_twins(honest(seed=seed), size, seed=10 + seed, **settings)
                found = named_in(data)
                named, planted, others = named + len(found & twins), planted + size, others + len(found - twins)
                rounds.append(f"{form}: {len(found & twins)}/{size}")
        yield figure(
            "input-3", f"twins named, groups of {size}", f"{named}/{planted}", goal=f"{planted}/{planted}",
            met=named == planted, compared_with="twins of one leak in an honest matrix", rounds=rounds,
        )  # fmt: skip
        yield figure(
            "input-3", f"honest columns named beside groups of {size}", others, goal=0, met=not others,
            compared_with="6 honest columns in each matrix",
        )  # fmt: skip
    alarms = [
        f"seed {seed}: {', '.join(sorted(named_in(honest(seed=seed))))}" for seed in range(100, 100 + CLEAN_SEEDS)
    ]
    rung = [alarm for alarm in alarms if not alarm.endswith(": ")]
    yield figure(
        "input-3", "clean seeds with an alarm", len(rung), goal=0, met=not rung,
        compared_with=f"{CLEAN_SEEDS} honest matrices", rounds=rung,
    )  # fmt: skip


def named_in(data: Dataset) -> frozenset[str]:
    """Returns the columns that the audit of a matrix names."""
    leaks = leaking_columns(data, np.arange(len(data.labels)), np.arange(0), data.names, seed=7)
    return frozenset(leak.name for leak in leaks)
