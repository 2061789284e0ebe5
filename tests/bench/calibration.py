"""Calibration on the simulator, pooled over the test dates (model-2), and the canaries that the gate must refuse.

`INSIGHT_HOME=big make bench BENCH=calibration` builds its own world in an empty home: 100,000 customers (another size:
INSIGHT_BENCH_CUSTOMERS), simulated, landed, built and trained. That takes some half an hour on two cores and about 3 GB;
a home that holds a synthetic operator with trained versions is measured as it is, in seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from features.kit.files import read_json
from features.kit.home import Home
from tests.results import figure
from training.evaluation.evaluate import Judged, evaluate

WANTED = 100_000
STEPS = ("simulate", "ingest", "build", "train")
RATIO, SLICE = (0.93, 1.07), (0.80, 1.25)
MOST_ERROR, MOST_OUTSIDE, SLICE_POSITIVES, DATES = 0.15, 2, 200, 3


def run(home: Home) -> Iterator[dict[str, Any]]:
    """Yields four entries a target, and one for the canaries of all."""
    from training.evaluation import stored
    from training.registry import promote

    if not any(home.bundles.glob("*/*/manifest.json")):
        build_world(home)
    customers = int(read_json(home.simulation / "simulation.json")["customers"])
    refused: list[str] = []
    passed: list[str] = []
    for target in sorted(path.name for path in home.bundles.iterdir() if path.is_dir()):
        folder = home.bundles / target / promote.newest(home, target)
        rows = stored.read_judged(folder)
        yield from of_target(target, rows, customers)
        for name, verdict in canaries(target, rows).items():
            (passed if verdict.promoted else refused).append(f"{target}, {name}: {verdict.rule}")
    yield figure(
        "model-2", f"canaries refused, {customers:,} customers", f"{len(refused)}/{len(refused) + len(passed)}",
        goal="all", met=not passed, compared_with="all-zero, constant and doubled odds of each target's own rows",
        rounds=passed + refused,
    )  # fmt: skip


def build_world(home: Home) -> None:
    """Takes a synthetic operator through the main job up to its trained models."""
    from features.journey.journey import Journey, run_journey
    from features.kit.config import config_path
    from features.kit.terminal.progress import Progress

    count = int(os.environ.get("INSIGHT_BENCH_CUSTOMERS", WANTED))
    journey = Journey(
        home=home, source=config_path("sources/simulator.yaml"), data=home.simulation / "files", customers=count
    )
    run_journey(STEPS, journey, Progress(quiet=False))


def of_target(target: str, rows: Judged, customers: int) -> Iterator[dict[str, Any]]:
    """Yields observed over expected, calibration error, deciles and slices of one target."""
    found = evaluate(rows)
    dates = 0 if rows.as_of is None else len(np.unique(rows.as_of))
    asked = customers == WANTED and dates >= DATES
    beside = f"{found['test_positives']:,} events on {dates} test dates"
    share = round(found["calibration_error"] / found["base_rate"], 4)
    slices = {
        f"{group}={name}": cell
        for group, cells in found["by_slice"].items()
        for name, cell in cells.items()
        if cell["positives"] >= SLICE_POSITIVES
    }
    off = [f"{name} {cell['observed_expected']}" for name, cell in slices.items() if not _in(cell, SLICE)]
    for name, value, goal, met, rounds in (
        ("observed / expected", found["observed_expected"], RATIO, _in(found, RATIO), found["observed_expected_ci"]),
        ("calibration error over the base rate", share, MOST_ERROR, share <= MOST_ERROR, []),
        ("deciles outside their interval", found["deciles_outside"], MOST_OUTSIDE,
         found["deciles_outside"] <= MOST_OUTSIDE, found["deciles"]),
        (f"slices outside {SLICE[0]} to {SLICE[1]}", len(off), 0, not off,
         [f"{name} {cell['observed_expected']}" for name, cell in slices.items()]),
    ):  # fmt: skip
        yield figure(
            "model-2", f"{target}: {name}, {customers:,} customers", value, goal=goal if asked else None,
            met=met if asked else None, compared_with=beside + (f"; off: {', '.join(off)}" if off and goal == 0 else ""),
            rounds=rounds,
        )  # fmt: skip


def canaries(target: str, rows: Judged) -> dict[str, Any]:
    """Returns the verdict on each canary: the same ranking, other promises."""
    from training.evaluation.verdict import judge
    from training.labels.targets import load_target
    from training.model.calibrate import at_rate

    rules, promised = load_target(target), rows.propensities
    wrong = {
        "all zero": np.zeros_like(promised),
        "constant": np.full_like(promised, rows.base_rate),
        "doubled odds": at_rate(promised, 1 / 2, 2 / 3),
    }
    found = {}
    for name, propensities in wrong.items():
        canary = replace(rows, propensities=propensities)
        found[name] = judge(rules.promotion, rules.value, canary, evaluate(canary), None)
    return found


def _in(cell: dict[str, Any], limits: tuple[float, float]) -> bool:
    ratio = cell["observed_expected"]
    return ratio is not None and limits[0] <= ratio <= limits[1]
